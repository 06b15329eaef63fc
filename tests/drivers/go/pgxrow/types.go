package pgxrow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// Types sends values of many types as parameters and compares what comes back.
func (r *Row) Types(ctx context.Context, _ *matrix.Seen) error {
	return r.eachClient(ctx, func(ctx context.Context, conn *pgxpool.Conn, _ int) error {
		for range 2 {
			for _, trip := range trips() {
				if err := trip(ctx, conn); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type trip func(context.Context, *pgxpool.Conn) error

func trips() []trip {
	var list []trip
	for _, text := range []string{"", "it's \"quoted\"", `back\slash\\n`, "Grüße, 日本", "🐘\n\t"} {
		list = append(list, same("text", text))
	}
	return append(append(list, numbers()...), append(times(), others()...)...)
}

func numbers() []trip {
	return []trip{
		same[int16]("int2", math.MinInt16),
		same[int32]("int4", math.MaxInt32),
		same[int64]("int8", math.MinInt64),
		equal("numeric", numeric("-12345678901234567890.000123"), sameNumeric),
		equal("numeric", numeric("NaN"), sameNumeric),
		same("float8", 0.1),
		same("float8", math.Inf(-1)),
		same("bool", true),
		same[*int32]("int4", nil),
		same[*string]("text", nil),
		same[*time.Time]("timestamptz", nil),
		same[*bool]("bool", nil),
		same("uuid", pgtype.UUID{}),
	}
}

func times() []trip {
	instant := time.Date(2024, time.February, 29, 23, 59, 59, 123456000, time.UTC)
	sameTime := func(a, b time.Time) bool { return a.Equal(b) }
	return []trip{
		same("date", pgtype.Date{Time: instant.Truncate(24 * time.Hour), Valid: true}),
		same("timestamp", pgtype.Timestamp{Time: instant, Valid: true}),
		equal("timestamptz", instant.In(time.FixedZone("", 5*3600+1800)), sameTime),
		same("interval", pgtype.Interval{Months: 14, Days: 3, Microseconds: 4_000_005, Valid: true}),
	}
}

func others() []trip {
	uuid := pgtype.UUID{Bytes: [16]byte{0xde, 0xad, 0xbe, 0xef, 15: 1}, Valid: true}
	document := map[string]any{"key": []any{1.5, "ä", nil}, "it's": map[string]any{}}
	return []trip{
		equal("bytea", everyByte(), bytes.Equal),
		same("uuid", uuid),
		equal("json", document, deepEqual),
		equal("jsonb", document, deepEqual),
		equal("jsonb", json.RawMessage(`[1, 2]`), deepEqual),
		equal("int4[]", []int32{3, 1, -2}, deepEqual),
		equal("int4[]", []int32{}, deepEqual),
		equal("text[]", []*string{new("a,b"), nil, new("NULL"), new(`"\`)}, deepEqual),
		same("mood", "happy"),
		same("inet", netip.MustParsePrefix("2001:db8::/32")),
	}
}

func everyByte() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func numeric(text string) pgtype.Numeric {
	var number pgtype.Numeric
	if err := number.Scan(text); err != nil {
		panic(err)
	}
	return number
}

// sameNumeric compares by value: one number has several exponents.
func sameNumeric(a, b pgtype.Numeric) bool {
	if a.NaN || b.NaN {
		return a.NaN == b.NaN
	}
	first, _ := a.Value()
	second, _ := b.Value()
	return first == second
}

func deepEqual[T any](a, b T) bool {
	return reflect.DeepEqual(a, b)
}

func same[T comparable](sqlType string, sent T) trip {
	return equal(sqlType, sent, func(a, b T) bool { return a == b })
}

func equal[T any](sqlType string, sent T, equal func(a, b T) bool) trip {
	return func(ctx context.Context, conn *pgxpool.Conn) error {
		got, err := value[T](ctx, conn, "SELECT $1::"+sqlType, sent)
		if err != nil {
			return fmt.Errorf("%s %v: %w", sqlType, sent, err)
		}
		if !equal(sent, got) {
			return fmt.Errorf("%s: sent %v, got %v", sqlType, sent, got)
		}
		return nil
	}
}
