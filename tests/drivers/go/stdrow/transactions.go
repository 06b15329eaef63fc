package stdrow

import (
	"context"
	"database/sql"

	"pgsluice/tests/drivers/go/matrix"
)

// Transactions commits, rolls back, uses savepoints, and chooses isolation levels.
func (r *Row) Transactions(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.createTable(ctx, "transactions", "client int, id int, PRIMARY KEY (client, id)")
	if err != nil {
		return err
	}
	return r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, client int) error {
		t := transactions{r, conn, table, client}
		for _, step := range []func(context.Context) error{t.commit, t.rollBack, t.savepoints, t.options} {
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
	conn   *sql.Conn
	table  string
	client int
}

func (t *transactions) insert(ctx context.Context, tx *sql.Tx, id int) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO "+t.table+" VALUES ($1, $2)", t.client, id)
	return err
}

func (t *transactions) expectSeen(ctx context.Context, ids string) error {
	sql := "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM " + t.table + " WHERE client = $1"
	return expectValue(ctx, t.row.db, ids, sql, t.client)
}

func (t *transactions) commit(ctx context.Context) error {
	t.row.alone.Lock()
	defer t.row.alone.Unlock()
	tx, err := t.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := t.insert(ctx, tx, 1); err != nil {
		return err
	}
	if err := t.expectSeen(ctx, ""); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return t.expectSeen(ctx, "1")
}

func (t *transactions) rollBack(ctx context.Context) error {
	tx, err := t.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := t.insert(ctx, tx, 2); err != nil {
		return err
	}
	if err := matrix.Failed("twice", t.insert(ctx, tx, 2), "23505"); err != nil {
		return err
	}
	if err := matrix.Failed("aborted", t.insert(ctx, tx, 3), "25P02"); err != nil {
		return err
	}
	if err := tx.Rollback(); err != nil {
		return err
	}
	return t.expectSeen(ctx, "1")
}

// savepoints releases one and rolls back another one, in which a statement failed.
func (t *transactions) savepoints(ctx context.Context) error {
	tx, err := t.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	command := func(sql string) func() error {
		return func() error { _, err := tx.ExecContext(ctx, sql); return err }
	}
	insert := func(id int) func() error {
		return func() error { return t.insert(ctx, tx, id) }
	}
	for _, step := range []func() error{
		command("SAVEPOINT released"), insert(4), command("RELEASE SAVEPOINT released"),
		command("SAVEPOINT failed"), insert(5),
		func() error { return matrix.Failed("nested", t.insert(ctx, tx, 4), "23505") },
		command("ROLLBACK TO SAVEPOINT failed"), insert(6), tx.Commit,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return t.expectSeen(ctx, "1 4 6")
}

func (t *transactions) options(ctx context.Context) error {
	for level, name := range map[sql.IsolationLevel]string{
		sql.LevelSerializable: "serializable", sql.LevelRepeatableRead: "repeatable read",
		sql.LevelReadCommitted: "read committed",
	} {
		tx, err := t.conn.BeginTx(ctx, &sql.TxOptions{Isolation: level, ReadOnly: true})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := expectValue(ctx, tx, name, "SHOW transaction_isolation"); err != nil {
			return err
		}
		if err := matrix.Failed("read only", t.insert(ctx, tx, 7), "25006"); err != nil {
			return err
		}
		if err := tx.Rollback(); err != nil {
			return err
		}
	}
	return expectValue(ctx, t.conn, "read committed", "SHOW transaction_isolation")
}
