package pgxrow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

const (
	patience    = 500 * time.Millisecond
	cancelLimit = 10 * time.Second
)

// Cancel ends statements by contexts, as pgx does it by default and with a cancel request, by a
// cancel request alone, and by a timeout of the server's, while other statements run.
func (r *Row) Cancel(ctx context.Context, seen *matrix.Seen) error {
	polite, err := r.politePool(ctx)
	if err != nil {
		return err
	}
	defer polite.Close()
	for _, way := range []struct {
		name string
		run  func(context.Context, *pgxpool.Conn) error
		pool *pgxpool.Pool
	}{
		{"context", cancelByContext, r.pool},
		{"context with a cancel request", cancelByContext, polite},
		{"cancel request", cancelByRequest, r.pool},
		{"statement_timeout", cancelByTimeout, r.pool},
	} {
		if err := r.cancelAmongOthers(ctx, way.pool, way.run, way.name, seen); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return r.expectNothingRuns(ctx)
}

// politePool is one whose contexts, when they end, send cancel requests and keep the connection.
func (r *Row) politePool(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := r.config()
	if err != nil {
		return nil, err
	}
	config.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelLimit}
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// cancelAmongOthers lets half of the clients be cancelled and the other half run undisturbed.
func (r *Row) cancelAmongOthers(ctx context.Context, pool *pgxpool.Pool,
	run func(context.Context, *pgxpool.Conn) error, name string, seen *matrix.Seen) error {
	err := matrix.Clients(ctx, r.clients, func(ctx context.Context, client int) error {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		if client%2 == 0 {
			return expectValue(ctx, conn, "slept", "SELECT 'slept' || pg_sleep(1)")
		}
		start := time.Now()
		err = run(ctx, conn)
		if time.Since(start) > cancelLimit {
			return fmt.Errorf("not within %s: %w", cancelLimit, err)
		}
		if outcome := matrix.Outcome(err); outcome != "57014" && outcome != "deadline exceeded" {
			return fmt.Errorf("not cancelled: %w", err)
		}
		if client == 1 {
			seen.Observe("%s: %s", name, matrix.Outcome(err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return matrix.Clients(ctx, r.clients, func(ctx context.Context, client int) error {
		return expectValue(ctx, pool, client, "SELECT $1::int4", client)
	})
}

const sleep = "SELECT 'too long' || pg_sleep(60)"

func cancelByContext(ctx context.Context, conn *pgxpool.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := value[string](ctx, conn, sleep)
	return err
}

// cancelByRequest repeats its request: the first one may come when there is nothing to cancel yet.
func cancelByRequest(ctx context.Context, conn *pgxpool.Conn) error {
	done := make(chan error, 1)
	go func() {
		_, err := value[string](ctx, conn, sleep)
		done <- err
	}()
	requests := time.NewTicker(patience)
	defer requests.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-requests.C:
			if err := conn.Conn().PgConn().CancelRequest(ctx); err != nil {
				return errors.Join(err, <-done)
			}
		}
	}
}

func cancelByTimeout(ctx context.Context, conn *pgxpool.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '500ms'"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sleep)
		return err
	})
}

func (r *Row) expectNothingRuns(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cancelLimit)
	defer cancel()
	return matrix.Until(ctx, "cancelled statements end", func() (bool, error) {
		count, err := value[int](ctx, r.pool, "SELECT count(*) FROM pg_stat_activity"+
			" WHERE state = 'active' AND query = $1 AND datname = current_database()", sleep)
		return count == 0, err
	})
}
