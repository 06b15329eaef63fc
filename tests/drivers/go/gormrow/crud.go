package gormrow

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"pgsluice/tests/drivers/go/matrix"
)

const crudRows = 20

// item has what gorm.Model has: it is deleted softly.
type item struct {
	ID        uint
	Client    int
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt gorm.DeletedAt
}

// CRUD creates, finds, updates and deletes rows one by one.
func (r *Row) CRUD(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.create(ctx, "crud", new(item))
	if err != nil {
		return err
	}
	return r.eachClient(ctx, func(db *gorm.DB, client int) error {
		var ids []uint
		for i := range crudRows {
			one := item{Client: client, Name: fmt.Sprint("row ", i)}
			if err := affected("create", db.Table(table).Create(&one), 1); err != nil {
				return err
			}
			ids = append(ids, one.ID)
		}
		for i, id := range ids {
			if err := changeItem(db, table, id, client, fmt.Sprint("row ", i)); err != nil {
				return err
			}
		}
		var all []item
		found := db.Table(table).Where("client = ? AND name = ?", client, "changed").Order("id").Find(&all)
		if err := affected("find", found, crudRows); err != nil {
			return err
		}
		for _, one := range all {
			if err := affected("delete", db.Table(table).Delete(&one), 1); err != nil {
				return err
			}
		}
		var count int64
		if err := db.Table(table).Model(new(item)).Where("client = ?", client).Count(&count).Error; err != nil {
			return err
		}
		if err := matrix.Equal("left", count, 0); err != nil {
			return err
		}
		gone := db.Table(table).Unscoped().Where("client = ?", client).Delete(new(item))
		return affected("delete for good", gone, crudRows)
	})
}

func changeItem(db *gorm.DB, table string, id uint, client int, name string) error {
	var one item
	if err := db.Table(table).First(&one, id).Error; err != nil {
		return err
	}
	if err := matrix.Equal("found", fmt.Sprint(one.Client, one.Name), fmt.Sprint(client, name)); err != nil {
		return err
	}
	return affected("update", db.Table(table).Model(&one).Update("name", "changed"), 1)
}
