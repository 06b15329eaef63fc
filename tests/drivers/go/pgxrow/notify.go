package pgxrow

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

const notifications = 50

// Notify listens on one connection to what another one sends, while the rest run transactions.
func (r *Row) Notify(ctx context.Context, _ *matrix.Seen) error {
	listener, err := r.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer listener.Release()
	channel := pgx.Identifier{"News of " + r.mode.String()}
	if _, err := listener.Exec(ctx, "LISTEN "+channel.Sanitize()); err != nil {
		return err
	}
	listening := make(chan error, 1)
	go func() { listening <- expectNotifications(ctx, listener, channel[0]) }()
	err = matrix.Clients(ctx, r.clients, func(ctx context.Context, client int) error {
		if client == 0 {
			return r.sendNotifications(ctx, channel[0])
		}
		return r.transact(ctx, client)
	})
	if err != nil {
		return err
	}
	if err := <-listening; err != nil {
		return err
	}
	_, err = listener.Exec(ctx, "UNLISTEN *")
	return err
}

func expectNotifications(ctx context.Context, listener *pgxpool.Conn, channel string) error {
	for i := range notifications {
		notification, err := listener.Conn().WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("notification %d: %w", i, err)
		}
		if err := matrix.Equal("channel", notification.Channel, channel); err != nil {
			return err
		}
		if err := matrix.Equal("payload", notification.Payload, payload(i)); err != nil {
			return err
		}
	}
	return expectValue(ctx, listener, 1, "SELECT 1")
}

func payload(i int) string {
	return fmt.Sprintf("item %d 'ü'", i)
}

// sendNotifications sends every other one in a transaction, behind one that is rolled back.
func (r *Row) sendNotifications(ctx context.Context, channel string) error {
	const send = "SELECT pg_notify($1, $2)"
	for i := range notifications {
		if i%2 == 0 {
			if _, err := r.pool.Exec(ctx, send, channel, payload(i)); err != nil {
				return err
			}
			continue
		}
		err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
			lost, err := tx.Begin(ctx)
			if err != nil {
				return err
			}
			if _, err := lost.Exec(ctx, send, channel, "never sent"); err != nil {
				return err
			}
			if err := lost.Rollback(ctx); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, send, channel, payload(i))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Row) transact(ctx context.Context, client int) error {
	for range notifications {
		err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
			return expectValue(ctx, tx, client, "SELECT $1::int4", client)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
