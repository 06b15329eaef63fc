package stdrow

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"

	"pgsluice/tests/drivers/go/matrix"
)

// pqDriver is lib/pq with the connection string that it holds; the rest is in the environment.
type pqDriver struct{ dsn string }

// PQ is lib/pq with its defaults.
func PQ() matrix.Entry {
	return entry("lib/pq, database/sql", "github.com/lib/pq", pqDriver{"sslmode=prefer"})
}

// PQBinary is lib/pq with bytea parameters in binary, which takes one round trip for each query.
func PQBinary() matrix.Entry {
	return entry("lib/pq, binary_parameters", "github.com/lib/pq",
		pqDriver{"sslmode=prefer binary_parameters=yes"})
}

func (d pqDriver) open() (*sql.DB, error) { return sql.Open("postgres", d.dsn) }

// texts: lib/pq caches nothing.
func (pqDriver) texts() int { return preparedStatements }

func (pqDriver) array(values any) any { return pq.Array(values) }

func (pqDriver) arrayInto(target any) any { return pq.Array(target) }

func (d pqDriver) textsWithNull() trip {
	return arrayTrip(d, "text[]", []sql.NullString{
		{String: "a,b", Valid: true}, {}, {String: "NULL", Valid: true}, {String: `"\`, Valid: true},
	})
}

func (pqDriver) cancelled() string { return "57014" }

// batch is many statements in one simple query, with a result set each.
func (pqDriver) batch(ctx context.Context, conn *sql.Conn) error {
	var text strings.Builder
	for i := range batchLength {
		fmt.Fprintf(&text, "SELECT %d; ", 2*i)
	}
	rows, err := conn.QueryContext(ctx, text.String())
	if err != nil {
		return err
	}
	defer rows.Close()
	for i := range batchLength {
		if i > 0 && !rows.NextResultSet() {
			return fmt.Errorf("no result set %d: %w", i, rows.Err())
		}
		for rows.Next() {
			var double int
			if err := rows.Scan(&double); err != nil {
				return err
			}
			if err := matrix.Equal("result in its place", double, 2*i); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

func (pqDriver) failBatch(ctx context.Context, conn *sql.Conn, table string) (string, error) {
	insert := "INSERT INTO " + table + " VALUES (%d); "
	_, err := conn.ExecContext(ctx, fmt.Sprintf(strings.Repeat(insert, 4), 1, 2, 1, 3))
	return matrix.Outcome(err), nil
}

func (pqDriver) copyIn(ctx context.Context, conn *sql.Conn, table string, rows []copyRow) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	statement, err := tx.PrepareContext(ctx, "COPY "+table+" (id, name, amount) FROM STDIN")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := statement.ExecContext(ctx, row.id, row.name, row.amount); err != nil {
			return err
		}
	}
	if _, err := statement.ExecContext(ctx); err != nil {
		return err
	}
	if err := statement.Close(); err != nil {
		return err
	}
	return tx.Commit()
}

func (pqDriver) copyOut(context.Context, *sql.Conn, string) (string, error) {
	return "", matrix.Absent("lib/pq has no COPY TO")
}

type pqListener struct{ *pq.Listener }

func (d pqDriver) listen(_ context.Context, _ *sql.DB, channel string) (listener, error) {
	problems := func(_ pq.ListenerEventType, err error) {}
	listener := pq.NewListener(d.dsn, time.Second, time.Minute, problems)
	if err := listener.Listen(channel); err != nil {
		listener.Close()
		return nil, err
	}
	return pqListener{listener}, nil
}

func (l pqListener) next(ctx context.Context) (channel, payload string, err error) {
	select {
	case notification := <-l.Notify:
		if notification == nil {
			return "", "", fmt.Errorf("the listener's connection was lost")
		}
		return notification.Channel, notification.Extra, nil
	case <-ctx.Done():
		return "", "", ctx.Err()
	}
}

func (l pqListener) close(context.Context) error {
	if err := l.Ping(); err != nil {
		return err
	}
	if err := l.UnlistenAll(); err != nil {
		return err
	}
	return l.Close()
}
