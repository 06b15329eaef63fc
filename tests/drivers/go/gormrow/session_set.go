package gormrow

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"pgsluice/tests/drivers/go/matrix"
)

const sessionTransactions = 50

// SessionSet changes settings on a connection that GORM lends, and finds them again later.
func (r *Row) SessionSet(ctx context.Context, _ *matrix.Seen) error {
	return r.eachClient(ctx, func(db *gorm.DB, client int) error {
		schema := fmt.Sprintf("%s_session_%d", r.prefix, client)
		err := commands(db, "DROP SCHEMA IF EXISTS "+schema+" CASCADE", "CREATE SCHEMA "+schema,
			fmt.Sprintf("CREATE TABLE %s.owner AS SELECT %d AS client", schema, client))
		if err != nil {
			return err
		}
		return db.Connection(func(conn *gorm.DB) error { return useSession(conn, client, schema) })
	})
}

func commands(db *gorm.DB, list ...string) error {
	for _, sql := range list {
		if err := db.Exec(sql).Error; err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func useSession(conn *gorm.DB, client int, schema string) error {
	name, zone := fmt.Sprint("client ", client), fmt.Sprintf("<+%02d>-%02d", client, client)
	err := commands(conn, "SET application_name = '"+name+"'", "SET TimeZone = '"+zone+"'",
		"SET search_path = "+schema+", public", "SET my.name = '"+name+"'")
	if err != nil {
		return err
	}
	expect := func(db *gorm.DB) error {
		if err := expectValue(db, client, "SELECT client FROM owner WHERE client >= ?", 0); err != nil {
			return err
		}
		for setting, expected := range map[string]string{
			"application_name": name, "TimeZone": zone, "my.name": name, "search_path": schema + ", public",
		} {
			if err := expectValue(db, expected, "SELECT current_setting(?)", setting); err != nil {
				return err
			}
		}
		return nil
	}
	for range sessionTransactions {
		if err := conn.Transaction(expect); err != nil {
			return err
		}
	}
	err = conn.Transaction(func(tx *gorm.DB) error { return commands(tx, "SET LOCAL my.name = 'passing'") })
	if err != nil {
		return err
	}
	if err := expect(conn); err != nil {
		return err
	}
	if err := commands(conn, "RESET ALL"); err != nil {
		return err
	}
	return expectValue(conn, `"$user", public`, "SHOW search_path")
}
