package usage

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// Connections live for some milliseconds only, rows are left half read, and cursors and large
// objects are used within transactions.
func TestConnectionsComeAndGo(t *testing.T) {
	ctx, pool := openPool(t, 16, func(config *pgxpool.Config) {
		config.MaxConnLifetime = 20 * time.Millisecond
	})
	err := matrix.Clients(ctx, 24, func(ctx context.Context, client int) error {
		for range 5 {
			for _, use := range []func(context.Context, *pgxpool.Pool, int) error{
				leaveRows, useCursor, useLargeObject,
			} {
				if err := use(ctx, pool, client); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leaveRows reads one of many rows; pgx reads the others away.
func leaveRows(ctx context.Context, pool *pgxpool.Pool, client int) error {
	rows, err := pool.Query(ctx, "SELECT $1::int4, repeat('x', 100) FROM generate_series(1, 5000)", client)
	if err != nil {
		return err
	}
	defer rows.Close()
	var number int
	if !rows.Next() {
		return fmt.Errorf("no row: %w", rows.Err())
	}
	if err := rows.Scan(&number, nil); err != nil {
		return err
	}
	return matrix.Equal("number", number, client)
}

func useCursor(ctx context.Context, pool *pgxpool.Pool, client int) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		declare := "DECLARE numbers CURSOR FOR SELECT i FROM generate_series(1, 100) AS i"
		if _, err := tx.Exec(ctx, declare); err != nil {
			return err
		}
		for fetched := range 5 {
			rows, err := tx.Query(ctx, "FETCH 20 FROM numbers")
			if err != nil {
				return err
			}
			numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
			if err != nil {
				return err
			}
			ends := fmt.Sprint(numbers[0], numbers[len(numbers)-1])
			if err := matrix.Equal("fetched", ends, fmt.Sprint(20*fetched+1, 20*fetched+20)); err != nil {
				return err
			}
		}
		return nil
	})
}

func useLargeObject(ctx context.Context, pool *pgxpool.Pool, client int) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		objects := tx.LargeObjects()
		id, err := objects.Create(ctx, 0)
		if err != nil {
			return err
		}
		object, err := objects.Open(ctx, id, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("object of %d", client)
		if _, err := object.Write([]byte(text)); err != nil {
			return err
		}
		if _, err := object.Seek(0, 0); err != nil {
			return err
		}
		read := make([]byte, len(text))
		if _, err := object.Read(read); err != nil {
			return err
		}
		if err := objects.Unlink(ctx, id); err != nil {
			return err
		}
		return matrix.Equal("large object", string(read), text)
	})
}
