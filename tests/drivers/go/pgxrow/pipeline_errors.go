package pgxrow

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

// PipelineErrors lets statements in the middle of batches and pipelines fail.
func (r *Row) PipelineErrors(ctx context.Context, seen *matrix.Seen) error {
	for _, attempt := range []struct {
		name string
		run  func(context.Context, *pgxpool.Conn, string) (string, error)
	}{
		{"batch", failBatch},
		{"batch in transaction", failBatchInTransaction},
		{"batch not to be parsed", failParse},
		{"pipeline", failPipeline},
	} {
		texts := make([]string, r.clients)
		err := r.eachClient(ctx, func(ctx context.Context, conn *pgxpool.Conn, client int) error {
			table, err := r.createTable(ctx, fmt.Sprint("errors_", client), "id int PRIMARY KEY")
			if err != nil {
				return err
			}
			text, err := attempt.run(ctx, conn, table)
			if err != nil {
				return err
			}
			kept, err := value[[]int32](ctx, conn, "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM "+table)
			texts[client] = fmt.Sprintf("%s: %s, kept %v", attempt.name, text, kept)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", attempt.name, err)
		}
		if err := seen.ObserveSame(texts); err != nil {
			return err
		}
	}
	return nil
}

// outcomes runs a batch to its end and tells what became of each statement.
func outcomes(results pgx.BatchResults, length int) string {
	list := make([]string, length)
	for i := range list {
		tag, err := results.Exec()
		if list[i] = tag.String(); err != nil {
			list[i] = matrix.Outcome(err)
		}
	}
	return strings.Join(append(list, "closed "+matrix.Outcome(results.Close())), ", ")
}

func failBatch(ctx context.Context, conn *pgxpool.Conn, table string) (string, error) {
	batch := new(pgx.Batch)
	batch.Queue("INSERT INTO "+table+" VALUES ($1)", 1)
	batch.Queue("SELECT 1 / $1::int4", 0)
	batch.Queue("INSERT INTO "+table+" VALUES ($1)", 2)
	return outcomes(conn.SendBatch(ctx, batch), batch.Len()), nil
}

func failBatchInTransaction(ctx context.Context, conn *pgxpool.Conn, table string) (string, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer tx.Rollback(ctx)
	inner, err := tx.Begin(ctx)
	if err != nil {
		return "", err
	}
	batch := new(pgx.Batch)
	for _, id := range []int{1, 2, 1, 3} {
		batch.Queue("INSERT INTO "+table+" VALUES ($1)", id)
	}
	text := outcomes(inner.SendBatch(ctx, batch), batch.Len())
	if err := inner.Rollback(ctx); err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO "+table+" VALUES ($1)", 4); err != nil {
		return "", err
	}
	return text, tx.Commit(ctx)
}

func failParse(ctx context.Context, conn *pgxpool.Conn, table string) (string, error) {
	batch := new(pgx.Batch)
	batch.Queue("INSERT INTO "+table+" VALUES ($1)", 1)
	batch.Queue("SELECT nowhere FROM "+table+" WHERE id = $1", 1)
	batch.Queue("INSERT INTO "+table+" VALUES ($1)", 2)
	return outcomes(conn.SendBatch(ctx, batch), batch.Len()), nil
}

// failPipeline has three segments, of which the one in the middle fails.
func failPipeline(ctx context.Context, conn *pgxpool.Conn, table string) (string, error) {
	pipeline := conn.Conn().PgConn().StartPipeline(ctx)
	insert := func(ids ...string) {
		for _, id := range ids {
			pipeline.SendQueryParams("INSERT INTO "+table+" VALUES ($1)", [][]byte{[]byte(id)}, nil, nil, nil)
		}
		pipeline.SendPipelineSync()
	}
	insert("1", "2")
	insert("3", "1", "4")
	insert("5")
	if err := pipeline.Flush(); err != nil {
		return "", err
	}
	var list []string
	for syncs := 0; syncs < 3; {
		results, err := pipeline.GetResults()
		if err != nil && matrix.SQLState(err) == "" {
			return "", err
		}
		switch results := results.(type) {
		case nil:
			list = append(list, matrix.Outcome(err))
		case *pgconn.ResultReader:
			tag, err := results.Close()
			list = append(list, tag.String()+" "+matrix.Outcome(err))
		case *pgconn.PipelineSync:
			list = append(list, "sync")
			syncs++
		}
	}
	return strings.Join(list, ", "), pipeline.Close()
}
