package stdrow

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"pgsluice/tests/drivers/go/matrix"
)

const (
	patience    = 500 * time.Millisecond
	cancelLimit = 10 * time.Second
	sleep       = "SELECT 'too long' || pg_sleep(60)"
)

// Cancel ends statements by contexts, and by a timeout of the server's, while other statements run.
func (r *Row) Cancel(ctx context.Context, seen *matrix.Seen) error {
	if err := r.cancelAmongOthers(ctx, cancelByContext, r.driver.cancelled()); err != nil {
		return fmt.Errorf("context: %w", err)
	}
	if err := r.cancelAmongOthers(ctx, cancelByTimeout, "57014"); err != nil {
		return fmt.Errorf("statement_timeout: %w", err)
	}
	seen.Observe("context: %s; statement_timeout: 57014", r.driver.cancelled())
	return r.expectNothingRuns(ctx)
}

// cancelAmongOthers lets half of the clients be cancelled and the other half run undisturbed.
func (r *Row) cancelAmongOthers(ctx context.Context, run func(context.Context, *sql.Conn) error, expected string) error {
	err := r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, client int) error {
		if client%2 == 0 {
			return expectValue(ctx, conn, "slept", "SELECT 'slept' || pg_sleep(1)")
		}
		start := time.Now()
		err := run(ctx, conn)
		if time.Since(start) > cancelLimit {
			return fmt.Errorf("not within %s: %w", cancelLimit, err)
		}
		return matrix.Equal("outcome", matrix.Outcome(err), expected)
	})
	if err != nil {
		return err
	}
	return matrix.Clients(ctx, r.clients, func(ctx context.Context, client int) error {
		return expectValue(ctx, r.db, client, "SELECT $1::int4", client)
	})
}

func cancelByContext(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := conn.ExecContext(ctx, sleep)
	return err
}

func cancelByTimeout(ctx context.Context, conn *sql.Conn) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = '500ms'"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, sleep)
	return err
}

func (r *Row) expectNothingRuns(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cancelLimit)
	defer cancel()
	return matrix.Until(ctx, "cancelled statements end", func() (bool, error) {
		var count int
		err := r.db.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity"+
			" WHERE state = 'active' AND query = $1 AND datname = current_database()", sleep).Scan(&count)
		return count == 0, err
	})
}
