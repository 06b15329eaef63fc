package stdrow

import (
	"context"
	"database/sql"
	"fmt"

	"pgsluice/tests/drivers/go/matrix"
)

const sessionTransactions = 50

// SessionSet changes settings, each client in its own way, and finds them again later.
func (r *Row) SessionSet(ctx context.Context, _ *matrix.Seen) error {
	return r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, client int) error {
		schema := fmt.Sprintf("%s_session_%d", r.prefix, client)
		err := commands(ctx, r.db, "DROP SCHEMA IF EXISTS "+schema+" CASCADE", "CREATE SCHEMA "+schema,
			fmt.Sprintf("CREATE TABLE %s.owner AS SELECT %d AS client", schema, client))
		if err != nil {
			return err
		}
		s := session{conn, client, schema}
		for _, step := range []func(context.Context) error{s.set, s.find, s.local, s.reset} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func commands(ctx context.Context, on querier, list ...string) error {
	for _, sql := range list {
		if _, err := on.ExecContext(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

type session struct {
	conn   *sql.Conn
	client int
	schema string // whose table tells whose it is
}

func (s *session) name() string { return fmt.Sprint("client ", s.client) }

func (s *session) zone() string { return fmt.Sprintf("<+%02d>-%02d", s.client, s.client) }

func (s *session) set(ctx context.Context) error {
	err := commands(ctx, s.conn, fmt.Sprintf("SET application_name = '%s'", s.name()),
		fmt.Sprintf("SET TimeZone = '%s'", s.zone()), "SET search_path = "+s.schema+", public")
	if err != nil {
		return err
	}
	return expectValue(ctx, s.conn, s.name(), "SELECT set_config('my.name', $1, false)", s.name())
}

// find asks by statements whose texts are the same for all clients.
func (s *session) find(ctx context.Context) error {
	for range sessionTransactions {
		tx, err := s.conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := s.expect(ctx, tx); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return s.expect(ctx, s.conn)
}

func (s *session) expect(ctx context.Context, on querier) error {
	if err := expectValue(ctx, on, s.client, "SELECT client FROM owner WHERE client >= $1", 0); err != nil {
		return err
	}
	for setting, expected := range map[string]string{
		"application_name": s.name(), "TimeZone": s.zone(), "my.name": s.name(),
		"search_path": s.schema + ", public",
	} {
		if err := expectValue(ctx, on, expected, "SELECT current_setting($1)", setting); err != nil {
			return err
		}
	}
	return nil
}

// local changes everything for one transaction only.
func (s *session) local(ctx context.Context) error {
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	err = commands(ctx, tx, "SET LOCAL application_name = 'passing'", "SET LOCAL TimeZone = 'Asia/Tokyo'",
		"SET LOCAL my.name = 'passing'", "SET LOCAL search_path = pg_catalog")
	if err != nil {
		return err
	}
	if err := expectValue(ctx, tx, "passing", "SELECT current_setting($1)", "my.name"); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return s.expect(ctx, s.conn)
}

func (s *session) reset(ctx context.Context) error {
	if err := commands(ctx, s.conn, "RESET my.name"); err != nil {
		return err
	}
	if err := expectValue(ctx, s.conn, "", "SELECT current_setting($1)", "my.name"); err != nil {
		return err
	}
	if err := commands(ctx, s.conn, "RESET ALL"); err != nil {
		return err
	}
	for range sessionTransactions {
		if err := expectValue(ctx, s.conn, `"$user", public`, "SHOW search_path"); err != nil {
			return err
		}
		if err := expectValue(ctx, s.conn, "", "SHOW application_name"); err != nil {
			return err
		}
	}
	return nil
}
