package stdrow

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"pgsluice/tests/drivers/go/matrix"
)

// pgxDriver is pgx's stdlib; what database/sql does not offer is done by Conn.Raw.
type pgxDriver struct{}

// PGX is pgx v5 through database/sql.
func PGX() matrix.Entry {
	return entry("pgx v5, database/sql", "github.com/jackc/pgx/v5", pgxDriver{})
}

func (pgxDriver) open() (*sql.DB, error) { return sql.Open("pgx", "") }

func (pgxDriver) texts() int { return matrix.Beyond(512) }

func (pgxDriver) array(values any) any { return values }

func (pgxDriver) arrayInto(target any) any { return pgtype.NewMap().SQLScanner(target) }

func (d pgxDriver) textsWithNull() trip {
	return arrayTrip(d, "text[]", []*string{new("a,b"), nil, new("NULL"), new(`"\`)})
}

func (pgxDriver) cancelled() string { return "deadline exceeded" }

func raw(conn *sql.Conn, run func(*pgx.Conn) error) error {
	return conn.Raw(func(driverConn any) error { return run(driverConn.(*stdlib.Conn).Conn()) })
}

func (pgxDriver) batch(ctx context.Context, conn *sql.Conn) error {
	return raw(conn, func(conn *pgx.Conn) error {
		batch := new(pgx.Batch)
		next := 0
		for i := range batchLength {
			batch.Queue("SELECT $1::int4 * 2", i).QueryRow(func(row pgx.Row) error {
				var double int
				if err := row.Scan(&double); err != nil {
					return err
				}
				next++
				return matrix.Equal("result in its place", double, 2*(next-1))
			})
		}
		if err := conn.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		return matrix.Equal("results", next, batchLength)
	})
}

func (pgxDriver) failBatch(ctx context.Context, conn *sql.Conn, table string) (string, error) {
	var list []string
	err := raw(conn, func(conn *pgx.Conn) error {
		batch := new(pgx.Batch)
		for _, id := range []int{1, 2, 1, 3} {
			batch.Queue("INSERT INTO "+table+" VALUES ($1)", id)
		}
		results := conn.SendBatch(ctx, batch)
		for range batch.Len() {
			_, err := results.Exec()
			list = append(list, matrix.Outcome(err))
		}
		list = append(list, "closed "+matrix.Outcome(results.Close()))
		return nil
	})
	return strings.Join(list, " "), err
}

func (pgxDriver) copyIn(ctx context.Context, conn *sql.Conn, table string, rows []copyRow) error {
	return raw(conn, func(conn *pgx.Conn) error {
		var text strings.Builder
		for _, row := range rows {
			text.WriteString(row.String())
		}
		into := "COPY " + table + " FROM STDIN"
		tag, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(text.String()), into)
		if err != nil {
			return err
		}
		return matrix.Equal("copied", tag.String(), fmt.Sprint("COPY ", len(rows)))
	})
}

func (pgxDriver) copyOut(ctx context.Context, conn *sql.Conn, table string) (string, error) {
	var out bytes.Buffer
	err := raw(conn, func(conn *pgx.Conn) error {
		_, err := conn.PgConn().CopyTo(ctx, &out, "COPY "+table+" TO STDOUT")
		return err
	})
	return out.String(), err
}

type pgxListener struct{ conn *sql.Conn }

func (pgxDriver) listen(ctx context.Context, db *sql.DB, channel string) (listener, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	_, err = conn.ExecContext(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize())
	return pgxListener{conn}, err
}

func (l pgxListener) next(ctx context.Context) (channel, payload string, err error) {
	err = raw(l.conn, func(conn *pgx.Conn) error {
		notification, err := conn.WaitForNotification(ctx)
		if err == nil {
			channel, payload = notification.Channel, notification.Payload
		}
		return err
	})
	return channel, payload, err
}

func (l pgxListener) close(ctx context.Context) error {
	defer l.conn.Close()
	_, err := l.conn.ExecContext(ctx, "UNLISTEN *")
	return err
}
