package stdrow

import (
	"context"
	"database/sql"
	"fmt"

	"pgsluice/tests/drivers/go/matrix"
)

const crudRows = 20

// CRUD inserts, selects, updates and deletes rows one by one.
func (r *Row) CRUD(ctx context.Context, _ *matrix.Seen) error {
	columns := "client int, id int, name text, PRIMARY KEY (client, id)"
	table, err := r.createTable(ctx, "crud", columns)
	if err != nil {
		return err
	}
	return r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, client int) error {
		for id := range crudRows {
			insert := "INSERT INTO " + table + " VALUES ($1, $2, $3)"
			if err := execute(ctx, conn, 1, insert, client, id, crudName(client, id)); err != nil {
				return err
			}
		}
		if err := selectRows(ctx, conn, table, client); err != nil {
			return err
		}
		for id := range crudRows {
			update := "UPDATE " + table + " SET name = $3 WHERE client = $1 AND id = $2"
			if err := execute(ctx, conn, 1, update, client, id, "changed"); err != nil {
				return err
			}
		}
		all := "UPDATE " + table + " SET name = name WHERE client = $1 AND name = $2"
		if err := execute(ctx, conn, crudRows, all, client, "changed"); err != nil {
			return err
		}
		for id := range crudRows {
			remove := "DELETE FROM " + table + " WHERE client = $1 AND id = $2"
			if err := execute(ctx, conn, 1, remove, client, id); err != nil {
				return err
			}
		}
		return expectValue(ctx, conn, 0, "SELECT count(*) FROM "+table+" WHERE client = $1", client)
	})
}

func crudName(client, id int) string {
	return fmt.Sprintf("row %d of client %d", id, client)
}

func selectRows(ctx context.Context, conn *sql.Conn, table string, client int) error {
	for id := range crudRows {
		sql := "SELECT name FROM " + table + " WHERE client = $1 AND id = $2"
		if err := expectValue(ctx, conn, crudName(client, id), sql, client, id); err != nil {
			return err
		}
	}
	rows, err := conn.QueryContext(ctx, "SELECT id, name FROM "+table+" WHERE client = $1 ORDER BY id", client)
	if err != nil {
		return err
	}
	defer rows.Close()
	count := 0
	for ; rows.Next(); count++ {
		var id int
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		if err := matrix.Equal("name", name, crudName(client, count)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return matrix.Equal("rows", count, crudRows)
}
