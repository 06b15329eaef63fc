package pgxrow

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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
	return r.eachClient(ctx, func(ctx context.Context, conn *pgxpool.Conn, client int) error {
		if err := insertRows(ctx, conn, table, client); err != nil {
			return err
		}
		if err := selectRows(ctx, conn, table, client); err != nil {
			return err
		}
		if err := updateRows(ctx, conn, table, client); err != nil {
			return err
		}
		return deleteRows(ctx, conn, table, client)
	})
}

func crudName(client, id int) string {
	return fmt.Sprintf("row %d of client %d", id, client)
}

func insertRows(ctx context.Context, conn *pgxpool.Conn, table string, client int) error {
	for id := range crudRows {
		tag, err := conn.Exec(ctx, "INSERT INTO "+table+" VALUES ($1, $2, $3)", client, id, crudName(client, id))
		if err != nil {
			return err
		}
		if err := matrix.Equal("insert", tag.String(), "INSERT 0 1"); err != nil {
			return err
		}
	}
	return nil
}

func selectRows(ctx context.Context, conn *pgxpool.Conn, table string, client int) error {
	type row struct {
		ID   int
		Name string
	}
	for id := range crudRows {
		var name string
		sql := "SELECT name FROM " + table + " WHERE client = $1 AND id = $2"
		if err := conn.QueryRow(ctx, sql, client, id).Scan(&name); err != nil {
			return err
		}
		if err := matrix.Equal("name", name, crudName(client, id)); err != nil {
			return err
		}
	}
	rows, err := conn.Query(ctx, "SELECT id, name FROM "+table+" WHERE client = $1 ORDER BY id", client)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return err
	}
	for id, one := range all {
		if err := matrix.Equal("row", one, row{id, crudName(client, id)}); err != nil {
			return err
		}
	}
	return matrix.Equal("rows", len(all), crudRows)
}

func updateRows(ctx context.Context, conn *pgxpool.Conn, table string, client int) error {
	for id := range crudRows {
		tag, err := conn.Exec(ctx, "UPDATE "+table+" SET name = $3 WHERE client = $1 AND id = $2",
			client, id, "changed")
		if err != nil {
			return err
		}
		if err := matrix.Equal("updated", tag.RowsAffected(), 1); err != nil {
			return err
		}
	}
	tag, err := conn.Exec(ctx, "UPDATE "+table+" SET name = name WHERE client = $1 AND name = $2",
		client, "changed")
	if err != nil {
		return err
	}
	return matrix.Equal("updated at once", tag.RowsAffected(), crudRows)
}

func deleteRows(ctx context.Context, conn *pgxpool.Conn, table string, client int) error {
	for id := range crudRows {
		tag, err := conn.Exec(ctx, "DELETE FROM "+table+" WHERE client = $1 AND id = $2", client, id)
		if err != nil {
			return err
		}
		if err := matrix.Equal("deleted", tag.RowsAffected(), 1); err != nil {
			return err
		}
	}
	return expectValue(ctx, conn, 0, "SELECT count(*) FROM "+table+" WHERE client = $1", client)
}
