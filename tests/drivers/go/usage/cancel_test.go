package usage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// rounds of each victim; the others go on as long as there are victims.
const rounds = 25

// sendsCancels lets contexts that end send cancel requests, and keep the connection.
func sendsCancels(config *pgxpool.Config) {
	config.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 10 * time.Second}
	}
}

// hangsUp is pgx's default: the connection is closed.
func hangsUp(*pgxpool.Config) {}

func eachWay(t *testing.T, run func(*testing.T, func(*pgxpool.Config))) {
	t.Run("cancel request", func(t *testing.T) { run(t, sendsCancels) })
	t.Run("hang up", func(t *testing.T) { run(t, hangsUp) })
}

// Contexts end in the middle of queries, ahead of them and right behind them; the queries of others
// on the same few server connections go on.
func TestContextsEndUnderLoad(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*pgxpool.Config)) {
		ctx, pool := openPool(t, 24, change)
		var victims atomic.Int32
		victims.Store(16)
		err := matrix.Clients(ctx, 24, func(ctx context.Context, client int) error {
			if client < 16 {
				defer victims.Add(-1)
				return beVictim(ctx, pool, client)
			}
			for victims.Load() > 0 {
				if err := ask(ctx, pool, client, 0.003); err != nil {
					return fmt.Errorf("an innocent one: %w", err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func beVictim(ctx context.Context, pool *pgxpool.Pool, client int) error {
	for range rounds {
		ended, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(20_000))*time.Microsecond)
		err := ask(ended, pool, client, 0.008)
		cancel()
		if err != nil && ended.Err() == nil {
			return err
		}
		if errors.Is(err, errWrong) {
			return err
		}
	}
	return nil
}

var errWrong = errors.New("another one's answer")

// ask sleeps on the server and expects its own number back.
func ask(ctx context.Context, pool *pgxpool.Pool, client int, seconds float64) error {
	number := client*1_000_000 + rand.IntN(1_000_000)
	var got int
	row := pool.QueryRow(ctx, "SELECT $1::int4 FROM pg_sleep($2::float8)", number, seconds)
	if err := row.Scan(&got); err != nil {
		return err
	}
	if got != number {
		return fmt.Errorf("%w: %d, expected %d", errWrong, got, number)
	}
	return nil
}

// A context ends somewhere between the first statement of a transaction and the answer to its
// COMMIT: whoever was told that it was committed finds its row, whole transactions only.
func TestContextEndsAroundCommit(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*pgxpool.Config)) {
		ctx, pool := openPool(t, 16, change)
		execute(ctx, t, pool, "DROP TABLE IF EXISTS around", "CREATE TABLE around (client int, number int, part int)")
		err := matrix.Clients(ctx, 16, func(ctx context.Context, client int) error {
			for number := range rounds {
				ended, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(15_000))*time.Microsecond)
				err := insertTwo(ended, pool, client, number)
				cancel()
				if err := expectWhole(ctx, pool, client, number, err == nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func insertTwo(ctx context.Context, pool *pgxpool.Pool, client, number int) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for part := range 2 {
			if _, err := tx.Exec(ctx, "INSERT INTO around VALUES ($1, $2, $3)", client, number, part); err != nil {
				return err
			}
		}
		return nil
	})
}

// expectWhole finds both rows or none; both, where the commit was confirmed.
func expectWhole(ctx context.Context, pool *pgxpool.Pool, client, number int, committed bool) error {
	var parts int
	sql := "SELECT count(*) FROM around WHERE client = $1 AND number = $2"
	if err := pool.QueryRow(ctx, sql, client, number).Scan(&parts); err != nil {
		return err
	}
	if parts == 1 || (committed && parts != 2) {
		return fmt.Errorf("%d parts of transaction %d, committed %t", parts, number, committed)
	}
	return nil
}
