package stdrow

import (
	"context"
	"database/sql"
	"fmt"

	"pgsluice/tests/drivers/go/matrix"
)

const notifications = 50

// Notify listens in the driver's own way to what another connection sends, while the rest run
// transactions.
func (r *Row) Notify(ctx context.Context, _ *matrix.Seen) error {
	channel := "News of " + r.prefix
	listener, err := r.driver.listen(ctx, r.db, channel)
	if err != nil {
		return err
	}
	listening := make(chan error, 1)
	go func() { listening <- expectNotifications(ctx, listener, channel) }()
	err = r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, client int) error {
		if client == 0 {
			return sendNotifications(ctx, conn, channel)
		}
		return transact(ctx, conn, client)
	})
	if err != nil {
		return err
	}
	if err := <-listening; err != nil {
		return err
	}
	return listener.close(ctx)
}

func expectNotifications(ctx context.Context, listener listener, channel string) error {
	for i := range notifications {
		from, text, err := listener.next(ctx)
		if err != nil {
			return fmt.Errorf("notification %d: %w", i, err)
		}
		if err := matrix.Equal("channel", from, channel); err != nil {
			return err
		}
		if err := matrix.Equal("payload", text, payload(i)); err != nil {
			return err
		}
	}
	return nil
}

func payload(i int) string {
	return fmt.Sprintf("item %d 'ü'", i)
}

// sendNotifications sends every other one in a transaction, behind one that is rolled back.
func sendNotifications(ctx context.Context, conn *sql.Conn, channel string) error {
	const send = "SELECT pg_notify($1, $2)"
	for i := range notifications {
		if i%2 == 0 {
			if _, err := conn.ExecContext(ctx, send, channel, payload(i)); err != nil {
				return err
			}
			continue
		}
		for _, text := range []string{"never sent", payload(i)} {
			tx, err := conn.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer tx.Rollback()
			if _, err := tx.ExecContext(ctx, send, channel, text); err != nil {
				return err
			}
			end := tx.Commit
			if text != payload(i) {
				end = tx.Rollback
			}
			if err := end(); err != nil {
				return err
			}
		}
	}
	return nil
}

func transact(ctx context.Context, conn *sql.Conn, client int) error {
	for range notifications {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := expectValue(ctx, tx, client, "SELECT $1::int4", client); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}
