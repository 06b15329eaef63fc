package stdrow

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math"
	"reflect"
	"time"

	"pgsluice/tests/drivers/go/matrix"
)

// Types sends values of many types as parameters and compares what comes back.
func (r *Row) Types(ctx context.Context, _ *matrix.Seen) error {
	return r.eachClient(ctx, func(ctx context.Context, conn *sql.Conn, _ int) error {
		for range 2 {
			for _, trip := range append(trips(), r.arrays()...) {
				if err := trip(ctx, conn); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type trip func(context.Context, *sql.Conn) error

func trips() []trip {
	list := []trip{
		same[int16]("int2", math.MinInt16),
		same[int32]("int4", math.MaxInt32),
		same[int64]("int8", math.MinInt64),
		same("numeric", "-12345678901234567890.000123"),
		same("numeric", "NaN"),
		same("float8", 0.1),
		same("float8", math.Inf(-1)),
		same("bool", true),
		same("uuid", "deadbeef-0000-4000-8000-000000000001"),
		same("json", `{"it's":  [1.5, "ä", null]}`),
		same("jsonb", `{"it's": [1.5, "ä", null]}`),
		same("mood", "happy"),
		same("inet", "2001:db8::/32"),
		equal("bytea", everyByte(), bytes.Equal),
		equal("bytea", []byte{}, bytes.Equal),
		same("int4", sql.NullInt32{}),
		same("int8", sql.Null[int64]{V: 5, Valid: true}),
		same("text", sql.NullString{}),
		same("timestamptz", sql.NullTime{}),
		same("bool", sql.NullBool{}),
	}
	for _, text := range []string{"", "it's \"quoted\"", `back\slash\\n`, "Grüße, 日本", "🐘\n\t"} {
		list = append(list, same("text", text))
	}
	return append(list, times()...)
}

func times() []trip {
	instant := time.Date(2024, time.February, 29, 23, 59, 59, 123456000, time.UTC)
	sameTime := func(a, b time.Time) bool { return a.Equal(b) }
	return []trip{
		equal("date", instant.Truncate(24*time.Hour), sameTime),
		equal("timestamp", instant, sameTime),
		equal("timestamptz", instant.In(time.FixedZone("", 5*3600+1800)), sameTime),
		same("interval", "1 year 2 mons 3 days 00:00:04.000005"),
	}
}

func everyByte() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func same[T comparable](sqlType string, sent T) trip {
	return equal(sqlType, sent, func(a, b T) bool { return a == b })
}

func equal[T any](sqlType string, sent T, equal func(a, b T) bool) trip {
	return func(ctx context.Context, conn *sql.Conn) error {
		var got T
		if err := conn.QueryRowContext(ctx, "SELECT $1::"+sqlType, sent).Scan(&got); err != nil {
			return fmt.Errorf("%s %v: %w", sqlType, sent, err)
		}
		if !equal(sent, got) {
			return fmt.Errorf("%s: sent %v, got %v", sqlType, sent, got)
		}
		return nil
	}
}

// arrays needs the drivers' help: database/sql knows no arrays.
func (r *Row) arrays() []trip {
	return []trip{
		arrayTrip(r.driver, "int4[]", []int32{3, 1, -2}),
		arrayTrip(r.driver, "int4[]", []int32{}),
		r.driver.textsWithNull(),
	}
}

func arrayTrip[T any](driver driver, sqlType string, sent []T) trip {
	return func(ctx context.Context, conn *sql.Conn) error {
		var got []T
		row := conn.QueryRowContext(ctx, "SELECT $1::"+sqlType, driver.array(sent))
		if err := row.Scan(driver.arrayInto(&got)); err != nil {
			return fmt.Errorf("%s %v: %w", sqlType, sent, err)
		}
		if !reflect.DeepEqual(sent, got) {
			return fmt.Errorf("%s: sent %v, got %v", sqlType, sent, got)
		}
		return nil
	}
}
