package gormrow

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"

	"pgsluice/tests/drivers/go/matrix"
)

type large struct {
	ID   int
	Data []byte
}

// LargeRows creates and finds 64 MB in one value, two connections at a time.
func (r *Row) LargeRows(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.create(ctx, "large", new(large))
	if err != nil {
		return err
	}
	defer r.db.WithContext(context.WithoutCancel(ctx)).Migrator().DropTable(table)
	return matrix.Clients(ctx, 2, func(ctx context.Context, client int) error {
		db := r.db.WithContext(ctx)
		sent := large{ID: client + 1, Data: matrix.LargeValue(client)}
		if err := affected("create", db.Table(table).Create(&sent), 1); err != nil {
			return err
		}
		sum := fmt.Sprintf("%x", md5.Sum(sent.Data))
		if err := expectValue(db, sum, "SELECT md5(data) FROM "+table+" WHERE id = ?", sent.ID); err != nil {
			return err
		}
		var got large
		if err := db.Table(table).First(&got, sent.ID).Error; err != nil {
			return err
		}
		return matrix.Equal("the same came back", bytes.Equal(got.Data, sent.Data), true)
	})
}
