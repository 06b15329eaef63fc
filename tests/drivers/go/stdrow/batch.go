package stdrow

import (
	"context"
	"database/sql"
	"fmt"

	"pgsluice/tests/drivers/go/matrix"
)

const batchLength = 200

// Batch sends many statements at once, in the driver's own way.
func (r *Row) Batch(ctx context.Context, _ *matrix.Seen) error {
	return r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, _ int) error {
		for range 3 {
			if err := r.driver.batch(ctx, conn); err != nil {
				return err
			}
		}
		return expectValue(ctx, conn, 1, "SELECT $1::int4", 1)
	})
}

// PipelineErrors lets a statement in the middle of a batch fail, outside and inside a transaction.
func (r *Row) PipelineErrors(ctx context.Context, seen *matrix.Seen) error {
	texts := make([]string, r.clients)
	err := r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, client int) error {
		table, err := r.createTable(ctx, fmt.Sprint("errors_", client), "id int PRIMARY KEY")
		if err != nil {
			return err
		}
		outside, err := r.driver.failBatch(ctx, conn, table)
		if err != nil {
			return err
		}
		inside, err := r.failBatchInTransaction(ctx, conn, table)
		if err != nil {
			return err
		}
		var kept string
		list := "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), 'none') FROM " + table
		err = conn.QueryRowContext(ctx, list).Scan(&kept)
		texts[client] = fmt.Sprintf("outside: %s, inside: %s, kept %s", outside, inside, kept)
		return err
	})
	if err != nil {
		return err
	}
	return seen.ObserveSame(texts)
}

func (r *Row) failBatchInTransaction(ctx context.Context, conn *sql.Conn, table string) (string, error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	if err := execute(ctx, tx, 1, "INSERT INTO "+table+" VALUES ($1)", 100); err != nil {
		return "", err
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT one"); err != nil {
		return "", err
	}
	text, err := r.driver.failBatch(ctx, conn, table)
	if err != nil {
		return "", err
	}
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT one"); err != nil {
		return "", err
	}
	return text, tx.Commit()
}
