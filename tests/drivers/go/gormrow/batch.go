package gormrow

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"pgsluice/tests/drivers/go/matrix"
)

const batchLength = 200

type number struct {
	ID     int `gorm:"primaryKey;autoIncrement:false"`
	Client int
	Number int
	Serial int `gorm:"autoIncrement"`
}

// newNumber makes a row: the client and the number make its key, which must not be zero.
func newNumber(client, i int) *number {
	return &number{ID: client*1000 + i + 1, Client: client, Number: i}
}

func numbers(client int) []*number {
	rows := make([]*number, batchLength)
	for i := range rows {
		rows[i] = newNumber(client, i)
	}
	return rows
}

// Batch creates many rows, some of them in one statement, and finds them in batches.
func (r *Row) Batch(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.create(ctx, "batch", new(number))
	if err != nil {
		return err
	}
	return r.eachClient(ctx, func(db *gorm.DB, client int) error {
		rows := numbers(client)
		if err := affected("create", db.Table(table).CreateInBatches(rows, 30), batchLength); err != nil {
			return err
		}
		next := 0
		var some []number
		mine := db.Table(table).Where("client = ?", client)
		return mine.FindInBatches(&some, 30, func(_ *gorm.DB, _ int) error {
			for _, one := range some {
				if err := matrix.Equal("found", fmt.Sprint(one), fmt.Sprint(*rows[next])); err != nil {
					return err
				}
				next++
			}
			return nil
		}).Error
	})
}

// PipelineErrors lets one of several batches fail by a row that is there.
func (r *Row) PipelineErrors(ctx context.Context, seen *matrix.Seen) error {
	table, err := r.create(ctx, "errors", new(number))
	if err != nil {
		return err
	}
	texts := make([]string, r.clients)
	err = r.eachClient(ctx, func(db *gorm.DB, client int) error {
		if err := db.Table(table).Create(newNumber(client, 100)).Error; err != nil {
			return err
		}
		err := db.Table(table).CreateInBatches(numbers(client), 30).Error
		var kept int64
		texts[client] = matrix.Outcome(err)
		if err := db.Table(table).Where("client = ?", client).Count(&kept).Error; err != nil {
			return err
		}
		texts[client] += fmt.Sprintf(", kept %d", kept)
		return nil
	})
	if err != nil {
		return err
	}
	return seen.ObserveSame(texts)
}
