// Package usage is pgx as busy programs use it: many goroutines on few server connections, contexts
// that end at any moment, hooks of the pool, statements with names, advisory locks. The server is
// that of libpq's environment variables; without PGHOST the tests are skipped:
//
//	PGHOST=... PGPORT=... PGUSER=... PGPASSWORD=... PGDATABASE=... go test ./usage
package usage

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const limit = 50 * time.Second

// openPool is closed at the end of the test, whose context has a time limit.
func openPool(t *testing.T, connections int32, change func(*pgxpool.Config)) (context.Context, *pgxpool.Pool) {
	t.Helper()
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST does not name a server")
	}
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = connections
	if change != nil {
		change(config)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return ctx, pool
}

func execute(ctx context.Context, t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
