package stdrow

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"pgsluice/tests/drivers/go/matrix"
)

// SchemaChange runs a statement, prepared by the program and not, lets another connection change
// its table, and runs it again.
func (r *Row) SchemaChange(ctx context.Context, seen *matrix.Seen) error {
	for number, change := range []string{
		"ADD COLUMN more text DEFAULT 'more'",
		"ALTER COLUMN number TYPE text",
		"DROP COLUMN name",
	} {
		texts := make([]string, r.clients)
		err := r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, client int) error {
			for _, prepared := range []bool{false, true} {
				name := fmt.Sprintf("change_%d_%d_%t", client, number, prepared)
				c := schemaChange{r, conn, name, change, prepared}
				text, err := c.run(ctx)
				if err != nil {
					return err
				}
				texts[client] += fmt.Sprintf("%s, prepared %t: %s. ", change, prepared, text)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := seen.ObserveSame(texts); err != nil {
			return err
		}
	}
	return nil
}

type schemaChange struct {
	row      *Row
	conn     *sql.Conn
	name     string
	change   string
	prepared bool
}

// reader runs the statement in a transaction, or outside where that is nil.
type reader func(context.Context, *sql.Tx) (*sql.Rows, error)

func (c *schemaChange) run(ctx context.Context) (string, error) {
	outside, err := c.outside(ctx)
	if err != nil {
		return "", err
	}
	inside, err := c.inside(ctx)
	return fmt.Sprintf("outside %s, inside %s", outside, inside), err
}

// make makes the table and runs the statement often enough to be prepared everywhere.
func (c *schemaChange) make(ctx context.Context, where string) (table string, read reader, err error) {
	table, err = c.row.createTable(ctx, c.name+where, "number int, name text")
	if err != nil {
		return "", nil, err
	}
	if err := execute(ctx, c.conn, 1, "INSERT INTO "+table+" VALUES ($1, $2)", 1, "one"); err != nil {
		return "", nil, err
	}
	if read, err = c.reader(ctx, "SELECT * FROM "+table+" WHERE $1 < 10"); err != nil {
		return "", nil, err
	}
	for range 10 {
		if outcome := tell(read(ctx, nil)); outcome != "[1 one]" {
			return "", nil, fmt.Errorf("ahead of the change: %s", outcome)
		}
	}
	return table, read, nil
}

func (c *schemaChange) reader(ctx context.Context, text string) (reader, error) {
	if !c.prepared {
		return func(ctx context.Context, tx *sql.Tx) (*sql.Rows, error) {
			if tx != nil {
				return tx.QueryContext(ctx, text, 5)
			}
			return c.conn.QueryContext(ctx, text, 5)
		}, nil
	}
	statement, err := c.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *sql.Tx) (*sql.Rows, error) {
		if tx != nil {
			return tx.StmtContext(ctx, statement).QueryContext(ctx, 5)
		}
		return statement.QueryContext(ctx, 5)
	}, nil
}

// tell gives the only row, or the error.
func tell(rows *sql.Rows, err error) string {
	if err != nil {
		return matrix.Outcome(err)
	}
	defer rows.Close()
	text := "no row"
	for rows.Next() {
		columns, err := rows.Columns()
		if err != nil {
			return err.Error()
		}
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err.Error()
		}
		var list []string
		for _, value := range values {
			list = append(list, value.String)
		}
		text = "[" + strings.Join(list, " ") + "]"
	}
	if err := rows.Err(); err != nil {
		return matrix.Outcome(err)
	}
	return text
}

func (c *schemaChange) alter(ctx context.Context, table string) error {
	_, err := c.row.db.ExecContext(ctx, "ALTER TABLE "+table+" "+c.change)
	return err
}

func (c *schemaChange) outside(ctx context.Context) (string, error) {
	table, read, err := c.make(ctx, "_outside")
	if err != nil {
		return "", err
	}
	if err := c.alter(ctx, table); err != nil {
		return "", err
	}
	return readOften(ctx, nil, read), nil
}

// inside runs the statement in a transaction that began ahead of the change, and outside of it.
func (c *schemaChange) inside(ctx context.Context) (string, error) {
	table, read, err := c.make(ctx, "_inside")
	if err != nil {
		return "", err
	}
	c.row.alone.Lock()
	defer c.row.alone.Unlock()
	tx, err := c.conn.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	if err := c.alter(ctx, table); err != nil {
		return "", err
	}
	text := readOften(ctx, tx, read)
	if err := tx.Rollback(); err != nil {
		return "", err
	}
	return text + ", later " + readOften(ctx, nil, read), nil
}

func readOften(ctx context.Context, tx *sql.Tx, read reader) string {
	var list []string
	for range 3 {
		list = append(list, tell(read(ctx, tx)))
	}
	return strings.Join(list, " ")
}
