package usage

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

const (
	goroutines = 50
	accounts   = 20
)

// Many more goroutines than server connections move money about: nothing is lost, and no answer is
// another one's.
func TestTransfersOfManyGoroutines(t *testing.T) {
	ctx, pool := openPool(t, goroutines, nil)
	execute(ctx, t, pool, "DROP TABLE IF EXISTS account", "CREATE TABLE account (id int PRIMARY KEY, amount int)",
		"INSERT INTO account SELECT i, 1000 FROM generate_series(0, 19) AS i")
	err := matrix.Clients(ctx, goroutines, func(ctx context.Context, client int) error {
		for range 20 {
			if err := transfer(ctx, pool); err != nil {
				return err
			}
			var number int
			if err := pool.QueryRow(ctx, "SELECT $1::int4", client).Scan(&number); err != nil {
				return err
			}
			if err := matrix.Equal("own number", number, client); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var total int
	if err := pool.QueryRow(ctx, "SELECT sum(amount) FROM account").Scan(&total); err != nil || total != 1000*accounts {
		t.Fatalf("total %d, %v", total, err)
	}
}

// transfer locks the accounts in order, so that there is no deadlock.
func transfer(ctx context.Context, pool *pgxpool.Pool) error {
	from, to := rand.IntN(accounts-1), accounts-1
	to = from + 1 + rand.IntN(to-from)
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		const change = "UPDATE account SET amount = amount + $2 WHERE id = $1"
		if _, err := tx.Exec(ctx, change, from, -7); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, change, to, 7)
		return err
	})
}
