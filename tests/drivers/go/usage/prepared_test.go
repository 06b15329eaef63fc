package usage

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// Each connection gives the same names to statements of its own, and uses them over many
// transactions, deallocates some, all, and prepares them anew.
func TestStatementsByName(t *testing.T) {
	ctx, pool := openPool(t, 12, nil)
	err := matrix.Clients(ctx, 12, func(ctx context.Context, client int) error {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		for round := range 3 {
			if err := useStatements(ctx, conn, client*10+round); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func useStatements(ctx context.Context, conn *pgxpool.Conn, number int) error {
	texts := map[string]string{
		"number": fmt.Sprintf("SELECT $1::int4 + %d", number),
		"text":   fmt.Sprintf("SELECT $1::int4 || ' of %d'", number),
	}
	for name, text := range texts {
		if _, err := conn.Conn().Prepare(ctx, name, text); err != nil {
			return fmt.Errorf("preparing %s: %w", name, err)
		}
	}
	for i := range 20 {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return expectBoth(ctx, tx, i, number) })
		if err != nil {
			return err
		}
	}
	if err := conn.Conn().Deallocate(ctx, "text"); err != nil {
		return err
	}
	err := conn.QueryRow(ctx, "text", 1).Scan(new(string))
	if err := matrix.Failed("deallocated", err, "42601"); err != nil { // it is taken for SQL
		return err
	}
	if err := conn.QueryRow(ctx, "number", 1).Scan(new(int)); err != nil {
		return err
	}
	return conn.Conn().DeallocateAll(ctx)
}

func expectBoth(ctx context.Context, tx pgx.Tx, i, number int) error {
	var sum int
	if err := tx.QueryRow(ctx, "number", i).Scan(&sum); err != nil {
		return err
	}
	var text string
	if err := tx.QueryRow(ctx, "text", i).Scan(&text); err != nil {
		return err
	}
	return matrix.Equal("answers", fmt.Sprint(sum, " ", text), fmt.Sprintf("%d %d of %d", i+number, i, number))
}
