package gormrow

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"pgsluice/tests/drivers/go/matrix"
)

// Transactions commits, rolls back, nests, and chooses isolation levels.
func (r *Row) Transactions(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.create(ctx, "transactions", new(number))
	if err != nil {
		return err
	}
	return r.eachClient(ctx, func(db *gorm.DB, client int) error {
		t := transactions{r, db, table, client}
		for _, step := range []func() error{t.commit, t.rollBack, t.nest, t.options} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

type transactions struct {
	row    *Row
	db     *gorm.DB
	table  string
	client int
}

var errChangedMind = errors.New("changed my mind")

func (t *transactions) insert(tx *gorm.DB, id int) error {
	return tx.Table(t.table).Create(newNumber(t.client, id)).Error
}

func (t *transactions) expectSeen(ids string) error {
	sql := "SELECT coalesce(string_agg(number::text, ' ' ORDER BY number), '') FROM " + t.table + " WHERE client = ?"
	return expectValue(t.db, ids, sql, t.client)
}

func (t *transactions) commit() error {
	t.row.alone.Lock()
	defer t.row.alone.Unlock()
	err := t.db.Transaction(func(tx *gorm.DB) error {
		if err := t.insert(tx, 1); err != nil {
			return err
		}
		return t.expectSeen("")
	})
	if err != nil {
		return err
	}
	return t.expectSeen("1")
}

func (t *transactions) rollBack() error {
	err := t.db.Transaction(func(tx *gorm.DB) error {
		if err := t.insert(tx, 2); err != nil {
			return err
		}
		if err := matrix.Failed("twice", t.insert(tx, 2), "23505"); err != nil {
			return err
		}
		if err := matrix.Failed("aborted", t.insert(tx, 3), "25P02"); err != nil {
			return err
		}
		return errChangedMind
	})
	if !errors.Is(err, errChangedMind) {
		return err
	}
	return t.expectSeen("1")
}

// nest lets GORM make the savepoints, and then makes one itself.
func (t *transactions) nest() error {
	err := t.db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Transaction(func(inner *gorm.DB) error { return t.insert(inner, 4) }); err != nil {
			return err
		}
		err := tx.Transaction(func(inner *gorm.DB) error {
			return errors.Join(t.insert(inner, 5), t.insert(inner, 4))
		})
		if err := matrix.Failed("nested", err, "23505"); err != nil {
			return err
		}
		if err := tx.SavePoint("mine").Error; err != nil {
			return err
		}
		if err := t.insert(tx, 6); err != nil {
			return err
		}
		if err := tx.RollbackTo("mine").Error; err != nil {
			return err
		}
		return t.insert(tx, 7)
	})
	if err != nil {
		return err
	}
	return t.expectSeen("1 4 7")
}

func (t *transactions) options() error {
	options := &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true}
	err := t.db.Transaction(func(tx *gorm.DB) error {
		if err := expectValue(tx, "serializable", "SHOW transaction_isolation"); err != nil {
			return err
		}
		return t.insert(tx, 8)
	}, options)
	if err := matrix.Failed("read only", err, "25006"); err != nil {
		return err
	}
	return expectValue(t.db, "read committed", "SHOW transaction_isolation")
}
