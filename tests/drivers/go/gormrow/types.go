package gormrow

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"gorm.io/gorm"

	"pgsluice/tests/drivers/go/matrix"
)

type typed struct {
	ID       uint
	Small    int16
	Big      int64
	Numeric  string `gorm:"type:numeric"`
	Float    float64
	Bool     bool
	Text     string
	Bytes    []byte
	Date     time.Time `gorm:"type:date"`
	Instant  time.Time
	Interval string         `gorm:"type:interval"`
	UUID     string         `gorm:"type:uuid"`
	Document map[string]any `gorm:"serializer:json;type:jsonb"`
	Mood     string         `gorm:"type:mood"`
	Address  string         `gorm:"type:inet"`
	Nothing  *string
	NoNumber sql.NullInt64
	Maybe    sql.Null[float64]
}

func everything(text string) typed {
	instant := time.Date(2024, time.February, 29, 23, 59, 59, 123456000, time.UTC)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return typed{
		Small: math.MinInt16, Big: math.MaxInt64, Numeric: "-12345678901234567890.000123", Float: 0.1,
		Bool: true, Text: text, Bytes: all, Date: instant.Truncate(24 * time.Hour), Instant: instant,
		Interval: "3 days 00:00:04.000005", UUID: "deadbeef-0000-4000-8000-000000000001",
		Document: map[string]any{"it's": []any{1.5, "ä", nil}}, Mood: "happy", Address: "2001:db8::/32",
		Maybe: sql.Null[float64]{V: 2.5, Valid: true},
	}
}

// Types creates rows with columns of many types and finds them again.
func (r *Row) Types(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.create(ctx, "types", new(typed))
	if err != nil {
		return err
	}
	return r.eachClient(ctx, func(db *gorm.DB, _ int) error {
		for _, text := range []string{"", "it's \"quoted\"", `back\slash\\n`, "Grüße, 日本", "🐘\n\t"} {
			sent := everything(text)
			if err := db.Table(table).Create(&sent).Error; err != nil {
				return err
			}
			var got typed
			if err := db.Table(table).First(&got, sent.ID).Error; err != nil {
				return err
			}
			if !bytes.Equal(sent.Bytes, got.Bytes) || !sent.Instant.Equal(got.Instant) || !sent.Date.Equal(got.Date) {
				return fmt.Errorf("bytes or times: sent %v, got %v", sent, got)
			}
			got.Instant, got.Date = sent.Instant, sent.Date
			if err := matrix.Equal("row", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", sent)); err != nil {
				return err
			}
		}
		return nil
	})
}
