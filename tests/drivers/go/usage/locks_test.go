package usage

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"pgsluice/tests/drivers/go/matrix"
)

const lockKey = 4_711_000_815

// Programs that start together and migrate the same schema, the way that migration tools do it: an
// advisory lock of the session around transactions, and a table of versions.
func TestMigrationsUnderAnAdvisoryLock(t *testing.T) {
	for name, lock := range map[string]func(context.Context, *sql.Conn) error{
		"waiting": waitForLock, "trying": tryForLock,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, pool := openPool(t, 2, nil)
			execute(ctx, t, pool, "DROP TABLE IF EXISTS migrated_1, migrated_2, migrated_3, version",
				"CREATE TABLE version (number int)")
			err := matrix.Clients(ctx, 6, func(ctx context.Context, _ int) error { return migrate(ctx, lock) })
			if err != nil {
				t.Fatal(err)
			}
			var versions string
			err = pool.QueryRow(ctx, "SELECT string_agg(number::text, ' ' ORDER BY number) FROM version").Scan(&versions)
			if err != nil || versions != "1 2 3" {
				t.Fatalf("versions %q, %v", versions, err)
			}
		})
	}
}

func waitForLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", lockKey)
	return err
}

func tryForLock(ctx context.Context, conn *sql.Conn) error {
	return matrix.Until(ctx, "the lock", func() (bool, error) {
		var locked bool
		err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", lockKey).Scan(&locked)
		return locked, err
	})
}

func migrate(ctx context.Context, lock func(context.Context, *sql.Conn) error) error {
	db, err := sql.Open("pgx", "")
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := lock(ctx, conn); err != nil {
		return err
	}
	for number := 1; number <= 3; number++ {
		if err := migrateTo(ctx, conn, number); err != nil {
			return err
		}
	}
	var unlocked bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_advisory_unlock($1)", lockKey).Scan(&unlocked); err != nil {
		return err
	}
	return matrix.Equal("unlocked", unlocked, true)
}

func migrateTo(ctx context.Context, conn *sql.Conn, number int) error {
	var done bool
	query := "SELECT EXISTS (SELECT FROM version WHERE number = $1)"
	if err := conn.QueryRowContext(ctx, query, number).Scan(&done); err != nil || done {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("CREATE TABLE migrated_%d (id int)", number)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "SELECT pg_sleep(0.05)"); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO version VALUES ($1)", number); err != nil {
		return err
	}
	return tx.Commit()
}

// A lock that its holder never gives back goes when the holder hangs up.
func TestLockOfAClosedConnectionIsFree(t *testing.T) {
	ctx, pool := openPool(t, 4, nil)
	conn, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(42)"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		var locked bool
		if err := pool.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(42)").Scan(&locked); err != nil || locked {
			t.Fatalf("locked %t, %v", locked, err)
		}
	}
	if err := conn.Hijack().Close(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = matrix.Until(ctx, "the lock is free", func() (free bool, err error) {
		err = pool.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(42)").Scan(&free)
		return free, err
	})
	if err != nil {
		t.Fatal(err)
	}
}
