// Program go runs the Go rows of the driver matrix against the server that libpq's environment
// variables name: go [ROW...]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/jackc/pgx/v5"

	"pgsluice/tests/drivers/go/gormrow"
	"pgsluice/tests/drivers/go/matrix"
	"pgsluice/tests/drivers/go/pgxrow"
	"pgsluice/tests/drivers/go/stdrow"
)

var entries = []matrix.Entry{
	pgxrow.Entry("cache_statement", pgx.QueryExecModeCacheStatement),
	pgxrow.Entry("cache_describe", pgx.QueryExecModeCacheDescribe),
	pgxrow.Entry("describe_exec", pgx.QueryExecModeDescribeExec),
	pgxrow.Entry("exec", pgx.QueryExecModeExec),
	pgxrow.Entry("simple_protocol", pgx.QueryExecModeSimpleProtocol),
	stdrow.PGX(),
	stdrow.PQ(),
	stdrow.PQBinary(),
	gormrow.Entry("GORM", false),
	gormrow.Entry("GORM, PrepareStmt", true),
}

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, names []string) error {
	clients, err := clientsWanted()
	if err != nil {
		return err
	}
	selected, err := matrix.Select(entries, names)
	if err != nil {
		return err
	}
	if err := createMood(ctx); err != nil {
		return fmt.Errorf("creating the type mood: %w", err)
	}
	for _, entry := range selected {
		if err := matrix.Run(ctx, os.Stdout, entry, clients); err != nil {
			return err
		}
	}
	return nil
}

func clientsWanted() (int, error) {
	text, given := os.LookupEnv("CLIENTS")
	if !given {
		return 8, nil
	}
	clients, err := strconv.Atoi(text)
	if err != nil || clients < 2 {
		return 0, fmt.Errorf("CLIENTS is %q, not a number of 2 or more", text)
	}
	return clients, nil
}

// createMood makes the type that several rows use; it may be there already.
func createMood(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `DO $$ BEGIN
		CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
	EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	return err
}
