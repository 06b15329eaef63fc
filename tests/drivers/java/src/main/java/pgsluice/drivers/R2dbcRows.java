package pgsluice.drivers;

import io.r2dbc.pool.ConnectionPool;
import io.r2dbc.pool.ConnectionPoolConfiguration;
import io.r2dbc.postgresql.PostgresqlConnectionConfiguration;
import io.r2dbc.postgresql.PostgresqlConnectionFactory;
import io.r2dbc.spi.ValidationDepth;
import java.util.List;
import java.util.Properties;

/** The reactive driver alone, with a bounded cache of statements, and below its pool. */
final class R2dbcRows {
    private R2dbcRows() {
    }

    static List<Row> all(Properties versions) {
        String driver = versions.getProperty("r2dbc-postgresql");
        return List.of(
                new Row("r2dbc-postgresql", driver, (server, prefix) -> new R2dbcCases(
                        new R2dbcConnections(plain(server).build(), server, prefix),
                        Sizes.of(server))),
                new Row("r2dbc-postgresql, preparedStatementCacheQueries=50", driver,
                        (server, prefix) -> new R2dbcCases(new R2dbcConnections(
                                plain(server).preparedStatementCacheQueries(50).build(), server,
                                prefix), Sizes.of(server))),
                new Row("r2dbc-postgresql, r2dbc-pool",
                        driver + ", " + versions.getProperty("r2dbc-pool"),
                        (server, prefix) -> new R2dbcCases(
                                new R2dbcConnections(pooled(server), server, prefix),
                                Sizes.of(server))));
    }

    private static PostgresqlConnectionConfiguration.Builder plain(Server server) {
        return PostgresqlConnectionConfiguration.builder()
                .host(server.host())
                .port(server.port())
                .username(server.user())
                .password(server.password())
                .database(server.database());
    }

    private static ConnectionPool pooled(Server server) {
        return new ConnectionPool(ConnectionPoolConfiguration
                .builder(new PostgresqlConnectionFactory(plain(server).build()))
                // Most clients of a case have one connection, some of them two.
                .maxSize(2 * server.clients() + 1)
                .initialSize(2)
                .validationDepth(ValidationDepth.REMOTE)
                .validationQuery("SELECT 1")
                .build());
    }
}
