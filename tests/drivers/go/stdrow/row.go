// Package stdrow is database/sql over pgx's stdlib and over lib/pq.
package stdrow

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"

	"pgsluice/tests/drivers/go/matrix"
)

// driver is what database/sql leaves to each driver.
type driver interface {
	open() (*sql.DB, error)
	texts() int               // as many statements as exceed its cache
	arrayInto(target any) any // a destination of Scan
	array(values any) any     // a parameter
	textsWithNull() trip      // text[] as its users have it
	cancelled() string        // the outcome of a statement whose context has ended
	batch(context.Context, *sql.Conn) error
	failBatch(ctx context.Context, conn *sql.Conn, table string) (string, error)
	copyIn(ctx context.Context, conn *sql.Conn, table string, rows []copyRow) error
	copyOut(ctx context.Context, conn *sql.Conn, table string) (string, error)
	listen(ctx context.Context, db *sql.DB, channel string) (listener, error)
}

// listener waits for a channel's notifications.
type listener interface {
	next(context.Context) (channel, payload string, err error)
	close(context.Context) error
}

// Row is one driver.
type Row struct {
	driver  driver
	db      *sql.DB
	prefix  string
	clients int
	alone   sync.Mutex // held by who needs two server connections: the pool has not two for each
}

func entry(name, module string, driver driver) matrix.Entry {
	prefix := strings.NewReplacer("/", "_", ", ", "_", " ", "_").Replace(name)
	open := func(ctx context.Context, clients int) (matrix.Row, error) {
		row := &Row{driver: driver, prefix: prefix, clients: clients}
		db, err := driver.open()
		if err != nil {
			return row, err
		}
		row.db = db
		db.SetMaxOpenConns(2 * clients)
		db.SetMaxIdleConns(2 * clients)
		return row, db.PingContext(ctx)
	}
	return matrix.Entry{Name: name, Module: module, Open: open}
}

// Close closes the row's pool.
func (r *Row) Close() {
	if r.db != nil {
		r.db.Close()
	}
}

// createTable makes a table of the row's own anew and returns its name.
func (r *Row) createTable(ctx context.Context, name, columns string) (string, error) {
	table := r.prefix + "_" + name
	if _, err := r.db.ExecContext(ctx, "DROP TABLE IF EXISTS "+table); err != nil {
		return "", err
	}
	_, err := r.db.ExecContext(ctx, fmt.Sprintf("CREATE TABLE %s (%s)", table, columns))
	return table, err
}

// eachClient gives each client a connection of its own, all at the same time.
func (r *Row) eachClient(ctx context.Context, run func(context.Context, *sql.Conn, int) error) error {
	return matrix.Clients(ctx, r.clients, func(ctx context.Context, client int) error {
		conn, err := r.db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		return run(ctx, conn, client)
	})
}

// querier is a pool, a connection or a transaction.
type querier interface {
	ExecContext(ctx context.Context, sql string, arguments ...any) (sql.Result, error)
	QueryContext(ctx context.Context, sql string, arguments ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, sql string, arguments ...any) *sql.Row
}

// expectValue is an error unless the query gives that value.
func expectValue[T comparable](ctx context.Context, on querier, expected T, sql string, arguments ...any) error {
	var got T
	if err := on.QueryRowContext(ctx, sql, arguments...).Scan(&got); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return matrix.Equal(sql, got, expected)
}

// execute is an error unless that many rows were affected.
func execute(ctx context.Context, on querier, affected int64, sql string, arguments ...any) error {
	result, err := on.ExecContext(ctx, sql, arguments...)
	if err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	count, err := result.RowsAffected()
	if err != nil {
		return err
	}
	return matrix.Equal("affected by "+sql, count, affected)
}
