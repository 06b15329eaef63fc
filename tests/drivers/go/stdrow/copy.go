package stdrow

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"pgsluice/tests/drivers/go/matrix"
)

var copyRows = matrix.Size(20000)

// copyRow is one of a table (id int, name text, amount float8); an id that is no number is refused.
type copyRow struct {
	id     any
	name   string
	amount float64
}

func (r copyRow) String() string {
	return fmt.Sprintf("%v\t%s\t%v\n", r.id, r.name, r.amount)
}

// Copy copies rows in and out, and goes on after a copy that fails half-way.
func (r *Row) Copy(ctx context.Context, seen *matrix.Seen) error {
	rows := make([]copyRow, copyRows)
	for i := range rows {
		rows[i] = copyRow{i, fmt.Sprint("name ", i), float64(i) / 4}
	}
	bad := append(append([]copyRow{}, rows...), copyRow{id: "not a number"})
	return r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, client int) error {
		table, err := r.createTable(ctx, fmt.Sprint("copy_", client), "id int, name text, amount float8")
		if err != nil {
			return err
		}
		if err := r.driver.copyIn(ctx, conn, table, bad); matrix.Outcome(err) == "ok" {
			return errors.New("a bad row was copied in")
		} else if client == 0 {
			seen.Observe("bad row: %s", matrix.Outcome(err))
		}
		if err := expectValue(ctx, conn, 0, "SELECT count(*) FROM "+table); err != nil {
			return err
		}
		if err := r.driver.copyIn(ctx, conn, table, rows); err != nil {
			return err
		}
		if err := expectValue(ctx, conn, copyRows, "SELECT count(*) FROM "+table); err != nil {
			return err
		}
		return r.expectCopyOut(ctx, conn, table, rows, seen)
	})
}

func (r *Row) expectCopyOut(ctx context.Context, conn *sql.Conn, table string, rows []copyRow, seen *matrix.Seen) error {
	out, err := r.driver.copyOut(ctx, conn, table)
	if errors.Is(err, matrix.ErrAbsent) {
		seen.NoteOnce(err.Error())
		out, err = readRows(ctx, conn, table)
	}
	if err != nil {
		return err
	}
	var expected strings.Builder
	for _, row := range rows {
		expected.WriteString(row.String())
	}
	return matrix.Equal("what came out is what went in", out == expected.String(), true)
}

// readRows is for drivers that cannot copy out.
func readRows(ctx context.Context, conn *sql.Conn, table string) (string, error) {
	rows, err := conn.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var text strings.Builder
	for rows.Next() {
		var row copyRow
		if err := rows.Scan(&row.id, &row.name, &row.amount); err != nil {
			return "", err
		}
		text.WriteString(row.String())
	}
	return text.String(), rows.Err()
}
