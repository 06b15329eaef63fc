// Package pgxrow is pgx v5 used natively, with pgxpool, in one of its query exec modes.
package pgxrow

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// Row is one query exec mode. Its pool may grow to twice the clients of a case, so that what a
// client starts on a second connection never waits for those that the others hold.
type Row struct {
	pool    *pgxpool.Pool
	mode    pgx.QueryExecMode
	clients int
	alone   sync.Mutex // held by who needs two server connections: the pool has not two for each
}

// Entry makes the entry of a mode; name is how connection strings write it.
func Entry(name string, mode pgx.QueryExecMode) matrix.Entry {
	open := func(ctx context.Context, clients int) (matrix.Row, error) {
		row := &Row{mode: mode, clients: clients}
		return row, row.open(ctx)
	}
	return matrix.Entry{Name: "pgx v5, " + name, Module: "github.com/jackc/pgx/v5", Open: open}
}

// config takes the server from the environment, as libpq's programs do.
func (r *Row) config() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(2 * r.clients)
	config.ConnConfig.DefaultQueryExecMode = r.mode
	config.AfterConnect = registerTypes
	return config, nil
}

func (r *Row) open(ctx context.Context) error {
	config, err := r.config()
	if err != nil {
		return err
	}
	r.pool, err = pgxpool.NewWithConfig(ctx, config)
	return err
}

// registerTypes tells pgx of the enum, and what a map is in the modes that do not ask the server.
func registerTypes(ctx context.Context, conn *pgx.Conn) error {
	mood, err := conn.LoadType(ctx, "mood")
	if err != nil {
		return err
	}
	conn.TypeMap().RegisterType(mood)
	conn.TypeMap().RegisterDefaultPgType(map[string]any{}, "json")
	return nil
}

// Close closes the row's pool.
func (r *Row) Close() {
	if r.pool != nil {
		r.pool.Close()
	}
}

// table is a name of the row's own.
func (r *Row) table(name string) string {
	return "pgx_" + strings.ReplaceAll(r.mode.String(), " ", "_") + "_" + name
}

// createTable makes a table anew and returns its name.
func (r *Row) createTable(ctx context.Context, name, columns string) (string, error) {
	table := r.table(name)
	if _, err := r.pool.Exec(ctx, "DROP TABLE IF EXISTS "+table); err != nil {
		return "", err
	}
	_, err := r.pool.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (%s)", table, columns))
	return table, err
}

// eachClient gives each client a connection of its own, all at the same time.
func (r *Row) eachClient(ctx context.Context, run func(context.Context, *pgxpool.Conn, int) error) error {
	return matrix.Clients(ctx, r.clients, func(ctx context.Context, client int) error {
		conn, err := r.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		return run(ctx, conn, client)
	})
}

// value is the only column of a query's only row.
func value[T any](ctx context.Context, on querier, sql string, arguments ...any) (T, error) {
	rows, err := on.Query(ctx, sql, arguments...)
	if err != nil {
		var none T
		return none, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
}

// expectValue is an error unless the query gives that value.
func expectValue[T comparable](ctx context.Context, on querier, expected T, sql string, arguments ...any) error {
	got, err := value[T](ctx, on, sql, arguments...)
	if err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return matrix.Equal(sql, got, expected)
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error)
}
