package pgxrow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

var copyRows = matrix.Size(20000)

// Copy copies rows in and out, and goes on after copies that fail half-way.
func (r *Row) Copy(ctx context.Context, _ *matrix.Seen) error {
	return r.eachClient(ctx, func(ctx context.Context, conn *pgxpool.Conn, client int) error {
		table, err := r.createTable(ctx, fmt.Sprint("copy_", client), "id int, name text, amount float8")
		if err != nil {
			return err
		}
		if err := copyInBinary(ctx, conn, table); err != nil {
			return err
		}
		if err := expectCopyOut(ctx, conn, table); err != nil {
			return err
		}
		if err := failCopies(ctx, conn, table); err != nil {
			return err
		}
		if err := expectValue(ctx, conn, copyRows, "SELECT count(*) FROM "+table); err != nil {
			return err
		}
		return copyInText(ctx, conn, table)
	})
}

func copyInBinary(ctx context.Context, conn *pgxpool.Conn, table string) error {
	source := pgx.CopyFromSlice(copyRows, func(i int) ([]any, error) {
		return []any{i, fmt.Sprint("name ", i), float64(i) / 4}, nil
	})
	count, err := conn.CopyFrom(ctx, pgx.Identifier{table}, []string{"id", "name", "amount"}, source)
	if err != nil {
		return err
	}
	return matrix.Equal("copied in", count, int64(copyRows))
}

func copyText() string {
	var text strings.Builder
	for i := range copyRows {
		fmt.Fprintf(&text, "%d\tname %d\t%v\n", i, i, float64(i)/4)
	}
	return text.String()
}

func expectCopyOut(ctx context.Context, conn *pgxpool.Conn, table string) error {
	var out bytes.Buffer
	tag, err := conn.Conn().PgConn().CopyTo(ctx, &out, "COPY "+table+" TO STDOUT")
	if err != nil {
		return err
	}
	if err := matrix.Equal("copied out", tag.RowsAffected(), int64(copyRows)); err != nil {
		return err
	}
	return matrix.Equal("what was copied out is what was copied in", out.String() == copyText(), true)
}

// failCopies fails once by the client's own doing, and once by a row that the server refuses.
func failCopies(ctx context.Context, conn *pgxpool.Conn, table string) error {
	giveUp := errors.New("enough")
	sent := 0
	source := pgx.CopyFromFunc(func() ([]any, error) {
		if sent++; sent > copyRows/2 {
			return nil, giveUp
		}
		return []any{sent, "lost", 0.0}, nil
	})
	_, err := conn.CopyFrom(ctx, pgx.Identifier{table}, []string{"id", "name", "amount"}, source)
	if err := matrix.Failed("given up", err, "57014"); err != nil {
		return err
	}
	bad := strings.NewReader(copyText() + "not a number\t\\N\t\\N\n" + copyText())
	_, err = conn.Conn().PgConn().CopyFrom(ctx, bad, "COPY "+table+" FROM STDIN")
	return matrix.Failed("bad row", err, "22P02")
}

func copyInText(ctx context.Context, conn *pgxpool.Conn, table string) error {
	text := strings.NewReader(copyText())
	tag, err := conn.Conn().PgConn().CopyFrom(ctx, text, "COPY "+table+" FROM STDIN")
	if err != nil {
		return err
	}
	if err := matrix.Equal("copied in as text", tag.RowsAffected(), int64(copyRows)); err != nil {
		return err
	}
	sql := "SELECT count(*) FROM (SELECT DISTINCT * FROM " + table + ") AS rows"
	return expectValue(ctx, conn, copyRows, sql)
}
