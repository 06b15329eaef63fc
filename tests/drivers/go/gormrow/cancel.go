package gormrow

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"pgsluice/tests/drivers/go/matrix"
)

const (
	patience    = 500 * time.Millisecond
	cancelLimit = 10 * time.Second
)

// Cancel ends half of the clients' statements by their contexts, while the others' go on.
func (r *Row) Cancel(ctx context.Context, seen *matrix.Seen) error {
	err := r.eachClient(ctx, func(db *gorm.DB, client int) error {
		if client%2 == 0 {
			return expectValue(db, "slept", "SELECT 'slept' || pg_sleep(1)")
		}
		return db.Connection(cancelByContext)
	})
	if err != nil {
		return err
	}
	seen.Observe("deadline exceeded")
	return r.eachClient(ctx, func(db *gorm.DB, client int) error {
		return expectValue(db, client, "SELECT ?::int4", client)
	})
}

func cancelByContext(db *gorm.DB) error {
	ctx, cancel := context.WithTimeout(db.Statement.Context, patience)
	defer cancel()
	start := time.Now()
	err := db.WithContext(ctx).Exec("SELECT 'too long' || pg_sleep(60)").Error
	if time.Since(start) > cancelLimit {
		return fmt.Errorf("not within %s: %w", cancelLimit, err)
	}
	return matrix.Equal("outcome", matrix.Outcome(err), "deadline exceeded")
}
