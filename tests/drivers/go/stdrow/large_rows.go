package stdrow

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
	defer r.db.ExecContext(context.WithoutCancel(ctx), "DROP TABLE "+table)
	return matrix.Clients(ctx, 2, func(ctx context.Context, client int) error {
		data := matrix.LargeValue(client)
		sum := fmt.Sprintf("%x", md5.Sum(data))
		if err := execute(ctx, r.db, 1, "INSERT INTO "+table+" VALUES ($1, $2)", client, data); err != nil {
			return err
		}
		sql := "SELECT md5(data) FROM " + table + " WHERE client = $1"
		if err := expectValue(ctx, r.db, sum, sql, client); err != nil {
			return err
		}
		var got []byte
		row := r.db.QueryRowContext(ctx, "SELECT data FROM "+table+" WHERE client = $1", client)
		if err := row.Scan(&got); err != nil {
			return err
		}
		return matrix.Equal("checksum", fmt.Sprintf("%x", md5.Sum(got)), sum)
	})
}
