package pgxrow

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// SchemaChange runs a statement, lets another connection change its table, and runs it again.
func (r *Row) SchemaChange(ctx context.Context, seen *matrix.Seen) error {
	for number, change := range []string{
		"ADD COLUMN more text DEFAULT 'more'",
		"ALTER COLUMN number TYPE text",
		"DROP COLUMN name",
	} {
		texts := make([]string, r.clients)
		err := r.eachClient(ctx, func(ctx context.Context, conn *pgxpool.Conn, client int) error {
			c := schemaChange{r, conn, fmt.Sprintf("change_%d_%d", client, number), change}
			outside, err := c.outside(ctx)
			if err != nil {
				return err
			}
			inside, err := c.inside(ctx)
			texts[client] = fmt.Sprintf("%s: outside %s, inside %s", change, outside, inside)
			return err
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
	row    *Row
	conn   *pgxpool.Conn
	name   string
	change string
}

// prepare makes the table and runs the statement often enough to be prepared everywhere.
func (c *schemaChange) prepare(ctx context.Context, where string) (table string, err error) {
	table, err = c.row.createTable(ctx, c.name+where, "number int, name text")
	if err != nil {
		return "", err
	}
	if _, err := c.conn.Exec(ctx, "INSERT INTO "+table+" VALUES ($1, $2)", 1, "one"); err != nil {
		return "", err
	}
	for range 10 {
		if outcome := c.read(ctx, c.conn, table); outcome != "[1 one]" {
			return "", fmt.Errorf("ahead of the change: %s", outcome)
		}
	}
	return table, nil
}

func (c *schemaChange) read(ctx context.Context, on querier, table string) string {
	rows, err := on.Query(ctx, "SELECT * FROM "+table+" WHERE $1 < 10", 5)
	if err != nil {
		return matrix.Outcome(err)
	}
	values, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) ([]any, error) {
		return row.Values()
	})
	if err != nil {
		return matrix.Outcome(err)
	}
	return fmt.Sprint(values)
}

func (c *schemaChange) alter(ctx context.Context, table string) error {
	_, err := c.row.pool.Exec(ctx, "ALTER TABLE "+table+" "+c.change)
	return err
}

func (c *schemaChange) outside(ctx context.Context) (string, error) {
	table, err := c.prepare(ctx, "_outside")
	if err != nil {
		return "", err
	}
	if err := c.alter(ctx, table); err != nil {
		return "", err
	}
	return c.readOften(ctx, c.conn, table), nil
}

// inside runs the statement in a transaction that began ahead of the change, and in another one.
func (c *schemaChange) inside(ctx context.Context) (string, error) {
	table, err := c.prepare(ctx, "_inside")
	if err != nil {
		return "", err
	}
	c.row.alone.Lock()
	defer c.row.alone.Unlock()
	tx, err := c.conn.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer tx.Rollback(ctx)
	if err := c.alter(ctx, table); err != nil {
		return "", err
	}
	text := c.readOften(ctx, tx, table)
	if err := tx.Rollback(ctx); err != nil {
		return "", err
	}
	return text + ", later " + c.readOften(ctx, c.conn, table), nil
}

func (c *schemaChange) readOften(ctx context.Context, on querier, table string) string {
	var list []string
	for range 3 {
		list = append(list, c.read(ctx, on, table))
	}
	return strings.Join(list, " ")
}
