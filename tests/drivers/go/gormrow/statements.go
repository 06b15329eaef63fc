package gormrow

import (
	"context"
	"fmt"
	"strings"

	"pgsluice/tests/drivers/go/matrix"
)

// cacheSize is what pgx caches; GORM's own cache has no limit.
const cacheSize = 512

// Statements runs many texts, twice round, on whatever connection of the pool is free.
func (r *Row) Statements(ctx context.Context, _ *matrix.Seen) error {
	statements := matrix.Statements(matrix.Beyond(cacheSize))
	return matrix.Clients(ctx, min(r.clients, matrix.StatementClients), func(ctx context.Context, _ int) error {
		db := r.db.WithContext(ctx)
		for range 2 {
			for _, statement := range statements {
				var got any
				sql := strings.Replace(statement.SQL, "$1", "?", 1)
				if err := db.Raw(sql, statement.Argument).Row().Scan(&got); err != nil {
					return fmt.Errorf("%s: %w", sql, err)
				}
				if err := matrix.Equal(sql, fmt.Sprint(got), statement.Expected); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
