package pgxrow

import (
	"context"
	"crypto/md5"
	"fmt"

	"pgsluice/tests/drivers/go/matrix"
)

// LargeRows sends and reads 64 MB in one value, two connections at a time.
func (r *Row) LargeRows(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.createTable(ctx, "large", "client int, data bytea")
	if err != nil {
		return err
	}
	defer r.pool.Exec(context.WithoutCancel(ctx), "DROP TABLE "+table)
	return matrix.Clients(ctx, 2, func(ctx context.Context, client int) error {
		data := matrix.LargeValue(client)
		sum := fmt.Sprintf("%x", md5.Sum(data))
		if _, err := r.pool.Exec(ctx, "INSERT INTO "+table+" VALUES ($1, $2)", client, data); err != nil {
			return err
		}
		sql := "SELECT md5(data) FROM " + table + " WHERE client = $1"
		if err := expectValue(ctx, r.pool, sum, sql, client); err != nil {
			return err
		}
		got, err := value[[]byte](ctx, r.pool, "SELECT data FROM "+table+" WHERE client = $1", client)
		if err != nil {
			return err
		}
		return matrix.Equal("checksum", fmt.Sprintf("%x", md5.Sum(got)), sum)
	})
}
