package stdrow

import (
	"context"
	"database/sql"
	"fmt"

	"pgsluice/tests/drivers/go/matrix"
)

// preparedStatements are open at the same time on one connection.
const preparedStatements = 300

// Statements runs more texts than the driver caches, and prepares many statements by itself, all of
// them twice round.
func (r *Row) Statements(ctx context.Context, _ *matrix.Seen) error {
	statements := matrix.Statements(r.driver.texts())
	return matrix.Clients(ctx, min(r.clients, matrix.StatementClients), func(ctx context.Context, _ int) error {
		conn, err := r.db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		for range 2 {
			for _, statement := range statements {
				row := conn.QueryRowContext(ctx, statement.SQL, statement.Argument)
				if err := expectStatement(row, statement); err != nil {
					return err
				}
			}
		}
		return runPrepared(ctx, conn, statements[:preparedStatements])
	})
}

func expectStatement(row *sql.Row, statement matrix.Statement) error {
	var got any
	if err := row.Scan(&got); err != nil {
		return fmt.Errorf("%s: %w", statement.SQL, err)
	}
	if text, ok := got.([]byte); ok {
		got = string(text)
	}
	return matrix.Equal(statement.SQL, fmt.Sprint(got), statement.Expected)
}

func runPrepared(ctx context.Context, conn *sql.Conn, statements []matrix.Statement) error {
	var prepared []*sql.Stmt
	for _, statement := range statements {
		one, err := conn.PrepareContext(ctx, statement.SQL)
		if err != nil {
			return fmt.Errorf("preparing %s: %w", statement.SQL, err)
		}
		defer one.Close()
		prepared = append(prepared, one)
	}
	for range 2 {
		for i, statement := range statements {
			row := prepared[i].QueryRowContext(ctx, statement.Argument)
			if err := expectStatement(row, statement); err != nil {
				return err
			}
		}
	}
	return nil
}
