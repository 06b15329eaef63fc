package pgxrow

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

const sessionTransactions = 50

// SessionSet changes settings, each client in its own way, and finds them again later.
func (r *Row) SessionSet(ctx context.Context, _ *matrix.Seen) error {
	return r.eachClient(ctx, func(ctx context.Context, conn *pgxpool.Conn, client int) error {
		schema, err := r.createSchema(ctx, client)
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

// createSchema makes a schema whose table tells whose it is.
func (r *Row) createSchema(ctx context.Context, client int) (string, error) {
	schema := r.table(fmt.Sprint("session_", client))
	for _, sql := range []string{
		"DROP SCHEMA IF EXISTS " + schema + " CASCADE",
		"CREATE SCHEMA " + schema,
		fmt.Sprintf("CREATE TABLE %s.owner AS SELECT %d AS client", schema, client),
	} {
		if _, err := r.pool.Exec(ctx, sql); err != nil {
			return "", err
		}
	}
	return schema, nil
}

type session struct {
	conn   *pgxpool.Conn
	client int
	schema string
}

func (s *session) name() string { return fmt.Sprint("client ", s.client) }

func (s *session) zone() string { return fmt.Sprintf("<+%02d>-%02d", s.client, s.client) }

func (s *session) set(ctx context.Context) error {
	for _, sql := range []string{
		fmt.Sprintf("SET application_name = '%s'", s.name()),
		fmt.Sprintf("SET TimeZone = '%s'", s.zone()),
		"SET search_path = " + s.schema + ", public",
	} {
		if _, err := s.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return expectValue(ctx, s.conn, s.name(), "SELECT set_config('my.name', $1, false)", s.name())
}

// find asks by statements whose texts are the same for all clients.
func (s *session) find(ctx context.Context) error {
	for range sessionTransactions {
		if err := pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error { return s.expect(ctx, tx) }); err != nil {
			return err
		}
	}
	if got := s.conn.Conn().PgConn().ParameterStatus("application_name"); got != s.name() {
		return fmt.Errorf("application_name was reported as %q", got)
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
	err := pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		for _, sql := range []string{
			"SET LOCAL application_name = 'passing'", "SET LOCAL TimeZone = 'Asia/Tokyo'",
			"SET LOCAL my.name = 'passing'", "SET LOCAL search_path = pg_catalog",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return expectValue(ctx, tx, "passing", "SELECT current_setting($1)", "my.name")
	})
	if err != nil {
		return err
	}
	return s.expect(ctx, s.conn)
}

func (s *session) reset(ctx context.Context) error {
	if _, err := s.conn.Exec(ctx, "RESET my.name"); err != nil {
		return err
	}
	if err := expectValue(ctx, s.conn, "", "SELECT current_setting($1)", "my.name"); err != nil {
		return err
	}
	if _, err := s.conn.Exec(ctx, "RESET ALL"); err != nil {
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
