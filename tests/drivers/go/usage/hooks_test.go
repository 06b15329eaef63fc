package usage

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pgsluice/tests/drivers/go/matrix"
)

type tenant struct{}

// A pool whose hooks set who is asking each time a connection is handed out, and reset it when it
// comes back; row level security would stand on that.
func TestHooksSetWhoAsks(t *testing.T) {
	ctx, pool := openPool(t, 12, func(config *pgxpool.Config) {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET TimeZone = 'Asia/Tokyo'")
			return err
		}
		config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
			_, err := conn.Exec(ctx, "SELECT set_config('app.tenant', $1, false)", fmt.Sprint(ctx.Value(tenant{})))
			return err == nil, err
		}
		config.AfterRelease = func(conn *pgx.Conn) bool {
			_, err := conn.Exec(context.Background(), "RESET app.tenant")
			return err == nil
		}
	})
	err := matrix.Clients(ctx, 30, func(ctx context.Context, client int) error {
		for round := range 15 {
			who := fmt.Sprintf("%d-%d", client, round)
			var found, zone string
			row := pool.QueryRow(context.WithValue(ctx, tenant{}, who),
				"SELECT current_setting('app.tenant'), current_setting('TimeZone')")
			if err := row.Scan(&found, &zone); err != nil {
				return err
			}
			if err := matrix.Equal("tenant and zone", found+" "+zone, who+" Asia/Tokyo"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type point struct {
	X int32
	Y string
}

// Types that each connection loads from the catalogs: an enum, its array, a composite, its array.
func TestTypesLoadedAfterConnect(t *testing.T) {
	ctx, pool := openPool(t, 1, nil)
	execute(ctx, t, pool, "DROP TYPE IF EXISTS pair", "DROP TYPE IF EXISTS colour",
		"CREATE TYPE colour AS ENUM ('red', 'green')", "CREATE TYPE pair AS (x int4, y text)")
	names := []string{"colour", "_colour", "pair", "_pair"}
	ctx, pool = openPool(t, 6, func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["jit"] = "off" // it takes a second for what is run once
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			types, err := conn.LoadTypes(ctx, names)
			conn.TypeMap().RegisterTypes(types)
			return err
		}
	})
	err := matrix.Clients(ctx, 30, func(ctx context.Context, client int) error {
		for range 10 {
			sent := []point{{int32(client), "it's"}, {-1, "(a,b)"}}
			var got []point
			var colours []string
			row := pool.QueryRow(ctx, "SELECT $1::pair[], $2::colour[]", sent, []string{"green", "red"})
			if err := row.Scan(&got, &colours); err != nil {
				return err
			}
			if err := matrix.Equal("values", fmt.Sprint(got, colours), fmt.Sprintf("%v [green red]", sent)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
