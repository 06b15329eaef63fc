package pgxrow

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// cacheSize is the default of statement_cache_capacity and of description_cache_capacity.
const cacheSize = 512

// Statements runs more texts than pgx's caches hold, twice round. As each of them is
// prepared, described and dropped again each time, not all of the clients do it.
func (r *Row) Statements(ctx context.Context, _ *matrix.Seen) error {
	statements := matrix.Statements(matrix.Beyond(cacheSize))
	return matrix.Clients(ctx, min(r.clients, matrix.StatementClients), func(ctx context.Context, _ int) error {
		conn, err := r.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		for range 2 {
			for _, statement := range statements {
				if err := expectStatement(ctx, conn, statement); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func expectStatement(ctx context.Context, conn *pgxpool.Conn, statement matrix.Statement) error {
	rows, err := conn.Query(ctx, statement.SQL, statement.Argument)
	if err != nil {
		return fmt.Errorf("%s: %w", statement.SQL, err)
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[any])
	if err != nil {
		return fmt.Errorf("%s: %w", statement.SQL, err)
	}
	return matrix.Equal(statement.SQL, fmt.Sprint(got), statement.Expected)
}
