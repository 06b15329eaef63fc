package pgsluice.drivers;

import io.r2dbc.pool.ConnectionPool;
import io.r2dbc.postgresql.PostgresqlConnectionConfiguration;
import io.r2dbc.postgresql.PostgresqlConnectionFactory;
import io.r2dbc.postgresql.api.PostgresqlConnection;
import io.r2dbc.postgresql.api.PostgresqlException;
import io.r2dbc.spi.Connection;
import io.r2dbc.spi.ConnectionFactory;
import io.r2dbc.spi.R2dbcException;
import io.r2dbc.spi.Result;
import io.r2dbc.spi.Row;
import io.r2dbc.spi.Statement;
import io.r2dbc.spi.Wrapped;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Where a case over R2DBC gets its connections from, and what is handy on them. */
final class R2dbcConnections implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofSeconds(55);

    final int clients;
    private final ConnectionFactory factory;
    private final String prefix;
    private final Queue<Session> opened = new ConcurrentLinkedQueue<>();

    R2dbcConnections(ConnectionFactory factory, Server server, String prefix) {
        this.factory = factory;
        this.prefix = prefix;
        clients = server.clients();
    }

    R2dbcConnections(PostgresqlConnectionConfiguration configuration, Server server, String prefix) {
        this(new PostgresqlConnectionFactory(configuration), server, prefix);
    }

    /** A connection whose user waits for each answer. */
    static final class Session implements AutoCloseable {
        final Connection connection;

        private Session(Connection connection) {
            this.connection = connection;
        }

        /** What only this driver's connections have. */
        PostgresqlConnection driver() {
            Object inner = connection;
            while (inner instanceof Wrapped<?> wrapped && !(inner instanceof PostgresqlConnection)) {
                inner = wrapped.unwrap();
            }
            return (PostgresqlConnection) inner;
        }

        Statement statement(String sql, Object... parameters) {
            Statement statement = connection.createStatement(sql);
            for (int i = 0; i < parameters.length; i++) {
                if (parameters[i] instanceof Class<?> type) {
                    statement.bindNull(i, type);
                } else {
                    statement.bind(i, parameters[i]);
                }
            }
            return statement;
        }

        /** The rows that it changed. */
        long update(String sql, Object... parameters) {
            return changed(statement(sql, parameters).execute());
        }

        <T> List<T> select(Function<Row, T> mapping, String sql, Object... parameters) {
            return rows(mapping, statement(sql, parameters).execute());
        }

        /** The first row's first column, as text. */
        String value(String sql, Object... parameters) {
            return select(row -> row.get(0, String.class), sql, parameters).get(0);
        }

        /** Each as a transaction unless one is open. */
        void execute(String... statements) {
            for (String one : statements) {
                update(one);
            }
        }

        @Override
        public void close() {
            await(connection.close());
        }
    }

    static <T> T await(Publisher<T> publisher) {
        return Mono.from(publisher).block(LIMIT);
    }

    static long changed(Publisher<? extends Result> results) {
        return Flux.from(results).concatMap(Result::getRowsUpdated).reduce(0L, Long::sum).block(LIMIT);
    }

    static <T> List<T> rows(Function<Row, T> mapping, Publisher<? extends Result> results) {
        return Flux.from(results)
                .concatMap(result -> result.map((row, metadata) -> mapping.apply(row)))
                .collectList().block(LIMIT);
    }

    /** The caller closes it; close() below only ends what a hanging case has left. */
    Session open() {
        Session session = new Session(await(factory.create()));
        opened.add(session);
        return session;
    }

    /** A name of this row's own. */
    String name(String stem) {
        return prefix + stem;
    }

    /** Makes an empty table of this row's own and tells its name. */
    String table(String stem, String columns) {
        String table = name(stem);
        try (Session session = open()) {
            session.execute("DROP TABLE IF EXISTS " + table,
                    "CREATE TABLE " + table + " (" + columns + ")");
        }
        return table;
    }

    /** How an action ended, as its user sees it: "done", or SQLSTATE and the server's message. */
    static String outcome(Runnable action) {
        try {
            action.run();
            return "done";
        } catch (R2dbcException problem) {
            return describe(problem);
        }
    }

    static String describe(R2dbcException problem) {
        String message = problem instanceof PostgresqlException error
                ? error.getErrorDetails().getMessage()
                : problem.getMessage();
        return problem.getSqlState() + " " + message;
    }

    @Override
    public void close() {
        for (Session session : opened) {
            session.driver().close().onErrorComplete().block(Duration.ofSeconds(5));
        }
        if (factory instanceof ConnectionPool pool) {
            pool.disposeLater().block(Duration.ofSeconds(10));
        }
    }
}
