package pgxrow

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// Transactions commits, rolls back, nests, and chooses isolation levels.
func (r *Row) Transactions(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.createTable(ctx, "transactions", "client int, id int, PRIMARY KEY (client, id)")
	if err != nil {
		return err
	}
	return r.eachClient(ctx, func(ctx context.Context, conn *pgxpool.Conn, client int) error {
		t := transactions{r, conn, table, client}
		for _, step := range []func(context.Context) error{
			t.commit, t.rollBack, t.nest, t.options, t.function,
		} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// transactions is what one client does on conn, looking at it from another connection of the pool.
type transactions struct {
	row    *Row
	conn   *pgxpool.Conn
	table  string
	client int
}

func (t *transactions) insert(ctx context.Context, tx pgx.Tx, id int) error {
	_, err := tx.Exec(ctx, "INSERT INTO "+t.table+" VALUES ($1, $2)", t.client, id)
	return err
}

func (t *transactions) expectSeen(ctx context.Context, ids ...int32) error {
	sql := "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM " + t.table + " WHERE client = $1"
	seen, err := value[[]int32](ctx, t.row.pool, sql, t.client)
	if err != nil {
		return err
	}
	return matrix.Equal("seen from another connection", fmt.Sprint(seen), fmt.Sprint(ids))
}

func (t *transactions) commit(ctx context.Context) error {
	t.row.alone.Lock()
	defer t.row.alone.Unlock()
	tx, err := t.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if err := t.insert(ctx, tx, 1); err != nil {
		return err
	}
	if err := t.expectSeen(ctx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	return t.expectSeen(ctx, 1)
}

func (t *transactions) rollBack(ctx context.Context) error {
	tx, err := t.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if err := t.insert(ctx, tx, 2); err != nil {
		return err
	}
	if err := matrix.Failed("twice", t.insert(ctx, tx, 2), "23505"); err != nil {
		return err
	}
	if err := matrix.Failed("aborted", t.insert(ctx, tx, 3), "25P02"); err != nil {
		return err
	}
	if err := tx.Commit(ctx); !errors.Is(err, pgx.ErrTxCommitRollback) {
		return fmt.Errorf("commit of an aborted transaction: %v", err)
	}
	return t.expectSeen(ctx, 1)
}

// nest releases one savepoint and rolls back another one, in which a statement failed.
func (t *transactions) nest(ctx context.Context) error {
	tx, err := t.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	released, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if err := t.insert(ctx, released, 4); err != nil {
		return err
	}
	if err := released.Commit(ctx); err != nil {
		return err
	}
	failed, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if err := t.insert(ctx, failed, 5); err != nil {
		return err
	}
	if err := matrix.Failed("nested", t.insert(ctx, failed, 4), "23505"); err != nil {
		return err
	}
	if err := failed.Rollback(ctx); err != nil {
		return err
	}
	if err := t.insert(ctx, tx, 6); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	return t.expectSeen(ctx, 1, 4, 6)
}

func (t *transactions) options(ctx context.Context) error {
	levels := []pgx.TxIsoLevel{pgx.Serializable, pgx.RepeatableRead, pgx.ReadCommitted}
	for _, level := range levels {
		options := pgx.TxOptions{IsoLevel: level, AccessMode: pgx.ReadOnly}
		tx, err := t.conn.BeginTx(ctx, options)
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		if err := expectValue(ctx, tx, string(level), "SHOW transaction_isolation"); err != nil {
			return err
		}
		if err := matrix.Failed("read only", t.insert(ctx, tx, 7), "25006"); err != nil {
			return err
		}
		if err := tx.Rollback(ctx); err != nil {
			return err
		}
	}
	return expectValue(ctx, t.conn, "read committed", "SHOW transaction_isolation")
}

func (t *transactions) function(ctx context.Context) error {
	changeOfMind := errors.New("changed my mind")
	err := pgx.BeginFunc(ctx, t.conn, func(tx pgx.Tx) error {
		if err := t.insert(ctx, tx, 8); err != nil {
			return err
		}
		return changeOfMind
	})
	if !errors.Is(err, changeOfMind) {
		return err
	}
	err = pgx.BeginFunc(ctx, t.row.pool, func(tx pgx.Tx) error { return t.insert(ctx, tx, 9) })
	if err != nil {
		return err
	}
	return t.expectSeen(ctx, 1, 4, 6, 9)
}
