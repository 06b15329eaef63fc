package gormrow

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"pgsluice/tests/drivers/go/matrix"
)

type before struct {
	ID   int
	Name string
}

type after struct {
	ID   int
	Name string
	More string `gorm:"default:more"`
}

// SchemaChange finds a row, lets GORM migrate the table on another connection, and finds it again.
func (r *Row) SchemaChange(ctx context.Context, seen *matrix.Seen) error {
	texts := make([]string, r.clients)
	err := r.eachClient(ctx, func(db *gorm.DB, client int) error {
		outside, err := r.changeOutside(ctx, db, client)
		if err != nil {
			return err
		}
		inside, err := r.changeInside(ctx, db, client)
		texts[client] = fmt.Sprintf("outside %s, inside %s", outside, inside)
		return err
	})
	if err != nil {
		return err
	}
	return seen.ObserveSame(texts)
}

func (r *Row) changeOutside(ctx context.Context, db *gorm.DB, client int) (text string, err error) {
	table, err := r.create(ctx, fmt.Sprint("change_outside_", client), new(before))
	if err != nil {
		return "", err
	}
	err = db.Connection(func(conn *gorm.DB) error {
		conn = conn.Session(new(gorm.Session)) // or each condition would be added to the last
		if err := prepare(conn, table); err != nil {
			return err
		}
		if err := r.db.WithContext(ctx).Table(table).AutoMigrate(new(after)); err != nil {
			return err
		}
		text = findOften(conn, table)
		return nil
	})
	return text, err
}

// changeInside looks in a transaction that began ahead of the change.
func (r *Row) changeInside(ctx context.Context, db *gorm.DB, client int) (text string, err error) {
	table, err := r.create(ctx, fmt.Sprint("change_inside_", client), new(before))
	if err != nil {
		return "", err
	}
	r.alone.Lock()
	defer r.alone.Unlock()
	err = db.Connection(func(conn *gorm.DB) error {
		conn = conn.Session(new(gorm.Session)) // or each condition would be added to the last
		if err := prepare(conn, table); err != nil {
			return err
		}
		tx := conn.Begin()
		defer tx.Rollback()
		if err := r.db.WithContext(ctx).Table(table).AutoMigrate(new(after)); err != nil {
			return err
		}
		text = findOften(tx, table)
		if err := tx.Rollback().Error; err != nil {
			return err
		}
		text += ", later " + findOften(conn, table)
		return nil
	})
	return text, err
}

// prepare creates the row and finds it often enough to be prepared everywhere.
func prepare(db *gorm.DB, table string) error {
	if err := db.Table(table).Create(&before{1, "one"}).Error; err != nil {
		return err
	}
	for range 10 {
		if outcome := find(db, table); outcome != "{1 one }" {
			return fmt.Errorf("ahead of the change: %s", outcome)
		}
	}
	return nil
}

func find(db *gorm.DB, table string) string {
	var one after
	if err := db.Table(table).First(&one, 1).Error; err != nil {
		return matrix.Outcome(err)
	}
	return fmt.Sprint(one)
}

func findOften(db *gorm.DB, table string) string {
	var list []string
	for range 3 {
		list = append(list, find(db, table))
	}
	return strings.Join(list, " ")
}
