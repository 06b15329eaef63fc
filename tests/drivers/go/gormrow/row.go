// Package gormrow is GORM over its PostgreSQL driver, which is pgx through database/sql.
package gormrow

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"pgsluice/tests/drivers/go/matrix"
)

// Row is GORM with or without PrepareStmt.
type Row struct {
	db      *gorm.DB
	prefix  string
	clients int
	alone   sync.Mutex // held by who needs two server connections: the pool has not two for each
}

// Entry makes an entry; with prepare, GORM keeps a prepared statement for each text.
func Entry(name string, prepare bool) matrix.Entry {
	open := func(_ context.Context, clients int) (matrix.Row, error) {
		row := &Row{prefix: strings.ToLower(strings.ReplaceAll(name, ", ", "_")), clients: clients}
		return row, row.open(prepare)
	}
	return matrix.Entry{Name: name, Module: "gorm.io/gorm", Open: open}
}

func (r *Row) open(prepare bool) error {
	config := &gorm.Config{PrepareStmt: prepare, Logger: logger.Discard}
	db, err := gorm.Open(postgres.Open(""), config)
	if err != nil {
		return err
	}
	r.db = db
	pool, err := db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(2 * r.clients)
	pool.SetMaxIdleConns(2 * r.clients)
	return nil
}

// Close closes the row's pool.
func (r *Row) Close() {
	if r.db == nil {
		return
	}
	if pool, err := r.db.DB(); err == nil {
		pool.Close()
	}
}

// create makes a table of the row's own anew, for the model.
func (r *Row) create(ctx context.Context, name string, model any) (table string, err error) {
	table = r.prefix + "_" + name
	if err := r.db.WithContext(ctx).Migrator().DropTable(table); err != nil {
		return "", err
	}
	return table, r.db.WithContext(ctx).Table(table).AutoMigrate(model)
}

// eachClient runs all clients at the same time, without connections of their own: that is for
// GORM's pool to say.
func (r *Row) eachClient(ctx context.Context, run func(db *gorm.DB, client int) error) error {
	return matrix.Clients(ctx, r.clients, func(ctx context.Context, client int) error {
		return run(r.db.WithContext(ctx), client)
	})
}

// affected is an error unless the statement affected that many rows.
func affected(what string, result *gorm.DB, rows int64) error {
	if result.Error != nil {
		return fmt.Errorf("%s: %w", what, result.Error)
	}
	return matrix.Equal(what, result.RowsAffected, rows)
}

// expectValue is an error unless the query gives that value.
func expectValue[T comparable](db *gorm.DB, expected T, sql string, arguments ...any) error {
	var got T
	if err := db.Raw(sql, arguments...).Row().Scan(&got); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return matrix.Equal(sql, got, expected)
}

// Copy is absent.
func (r *Row) Copy(context.Context, *matrix.Seen) error {
	return matrix.Absent("GORM has no COPY; the driver below has")
}

// Notify is absent.
func (r *Row) Notify(context.Context, *matrix.Seen) error {
	return matrix.Absent("GORM has no LISTEN; the driver below has")
}
