package pgxrow

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

const batchLength = 200

// Batch sends many statements at once: by pgx.Batch, and by pgconn's pipeline.
func (r *Row) Batch(ctx context.Context, _ *matrix.Seen) error {
	table, err := r.createTable(ctx, "batch", "client int, number int")
	if err != nil {
		return err
	}
	return r.eachClient(ctx, func(ctx context.Context, conn *pgxpool.Conn, client int) error {
		for range 2 {
			if err := sendBatch(ctx, conn, table, client); err != nil {
				return err
			}
			if err := runPipeline(ctx, conn.Conn().PgConn()); err != nil {
				return err
			}
		}
		sql := "SELECT count(*) FROM " + table + " WHERE client = $1"
		return expectValue(ctx, conn, batchLength, sql, client)
	})
}

// sendBatch inserts and selects in turns.
func sendBatch(ctx context.Context, conn *pgxpool.Conn, table string, client int) error {
	batch := new(pgx.Batch)
	var got []int
	for i := range batchLength / 2 {
		batch.Queue("INSERT INTO "+table+" VALUES ($1, $2)", client, i).Exec(func(tag pgconn.CommandTag) error {
			return matrix.Equal("insert", tag.RowsAffected(), 1)
		})
		batch.Queue("SELECT $1::int4 * 2, $2::text", i, strconv.Itoa(i)).QueryRow(func(row pgx.Row) error {
			var double int
			var text string
			if err := row.Scan(&double, &text); err != nil {
				return err
			}
			got = append(got, double)
			return matrix.Equal("text", text, strconv.Itoa(i))
		})
	}
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	for i, double := range got {
		if err := matrix.Equal("result in its place", double, 2*i); err != nil {
			return err
		}
	}
	return matrix.Equal("results", len(got), batchLength/2)
}

// runPipeline prepares a statement, runs it many times, half of them behind a second Sync, and
// drops it.
func runPipeline(ctx context.Context, conn *pgconn.PgConn) error {
	pipeline := conn.StartPipeline(ctx)
	pipeline.SendPrepare("doubled", "SELECT $1::int4 * 2", nil)
	for i := range batchLength {
		if i == batchLength/2 {
			pipeline.SendPipelineSync()
		}
		pipeline.SendQueryPrepared("doubled", [][]byte{[]byte(strconv.Itoa(i))}, nil, nil)
	}
	pipeline.SendDeallocate("doubled")
	if err := pipeline.Sync(); err != nil {
		return err
	}
	if err := expectPipeline(pipeline); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return pipeline.Close()
}

func expectPipeline(pipeline *pgconn.Pipeline) error {
	next, syncs := 0, 0
	for syncs < 2 {
		results, err := pipeline.GetResults()
		if err != nil {
			return err
		}
		switch results := results.(type) {
		case *pgconn.ResultReader:
			rows := results.Read()
			if rows.Err != nil {
				return rows.Err
			}
			if err := matrix.Equal("result", string(rows.Rows[0][0]), strconv.Itoa(2*next)); err != nil {
				return err
			}
			next++
		case *pgconn.PipelineSync:
			syncs++
		}
	}
	return matrix.Equal("results", next, batchLength)
}
