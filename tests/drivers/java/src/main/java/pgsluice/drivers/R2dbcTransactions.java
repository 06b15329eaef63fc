package pgsluice.drivers;

import io.r2dbc.postgresql.api.PostgresTransactionDefinition;
import io.r2dbc.spi.Batch;
import io.r2dbc.spi.IsolationLevel;
import io.r2dbc.spi.Result;
import io.r2dbc.spi.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.reactivestreams.Publisher;
import pgsluice.drivers.R2dbcConnections.Session;
import reactor.core.publisher.Flux;

/** Transactions, errors in batches, and tables that change below a prepared statement. */
final class R2dbcTransactions {
    private static final IsolationLevel[] LEVELS = {IsolationLevel.SERIALIZABLE,
        IsolationLevel.REPEATABLE_READ, IsolationLevel.READ_COMMITTED};

    private final R2dbcConnections connections;
    // Two connections at work for one client: one client at a time, or they starve one another.
    private final ReentrantLock twoConnections = new ReentrantLock();

    R2dbcTransactions(R2dbcConnections connections) {
        this.connections = connections;
    }

    // -- transactions ----------------------------------------------------------------------------

    String transactions() throws Exception {
        String table =
                connections.table("transactions", "client int, id int, PRIMARY KEY (client, id)");
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            try (Session session = connections.open()) {
                commitAndRollback(session, table, number);
                savepoints(session, table, number);
                String failed = afterAnError(session, table, number);
                String readOnly = isolation(session, table);
                cursors(session);
                seen[number] = failed + "; " + readOnly;
            }
        });
        return JdbcData.agreed(seen);
    }

    private static void insert(Session session, String table, int client, int id) {
        Check.equal(1L, session.update("INSERT INTO " + table + " VALUES ($1, $2)", client, id), "inserted");
    }

    private static int count(Session session, String table, int client) {
        return session.select(row -> row.get(0, Integer.class),
                "SELECT count(*)::int FROM " + table + " WHERE client = $1", client).get(0);
    }

    private static void begin(Session session) {
        R2dbcConnections.await(session.connection.beginTransaction());
    }

    private static void commit(Session session) {
        R2dbcConnections.await(session.connection.commitTransaction());
    }

    private static void rollback(Session session) {
        R2dbcConnections.await(session.connection.rollbackTransaction());
    }

    private void commitAndRollback(Session session, String table, int client) {
        twoConnections.lock();
        try (Session other = connections.open()) {
            begin(session);
            insert(session, table, client, 1);
            Check.equal(0, count(other, table, client), "seen ahead of the commit");
            commit(session);
            Check.equal(1, count(other, table, client), "seen after the commit");
            begin(session);
            insert(session, table, client, 2);
            rollback(session);
            Check.equal(1, count(other, table, client), "seen after the rollback");
        } finally {
            twoConnections.unlock();
        }
    }

    private static void savepoints(Session session, String table, int client) {
        begin(session);
        R2dbcConnections.await(session.connection.createSavepoint("one"));
        insert(session, table, client, 10);
        R2dbcConnections.await(session.connection.releaseSavepoint("one"));
        R2dbcConnections.await(session.connection.createSavepoint("two"));
        String error = R2dbcConnections.outcome(() -> insert(session, table, client, 10));
        Check.that(error.startsWith("23505"), error);
        R2dbcConnections.await(session.connection.rollbackTransactionToSavepoint("two"));
        insert(session, table, client, 11);
        commit(session);
        Check.equal(3, count(session, table, client), "rows of the savepoints");
    }

    private static String afterAnError(Session session, String table, int client) {
        begin(session);
        insert(session, table, client, 20);
        String first = R2dbcConnections.outcome(() -> session.execute("SELECT 1 / 0"));
        String second = R2dbcConnections.outcome(() -> insert(session, table, client, 21));
        String end = R2dbcConnections.outcome(() -> commit(session));
        return first + "; then " + second + "; commit " + end + "; rows " + count(session, table, client);
    }

    private static String isolation(Session session, String table) {
        for (IsolationLevel level : LEVELS) {
            R2dbcConnections.await(session.connection.setTransactionIsolationLevel(level));
            begin(session);
            Check.equal(level.asSql().toLowerCase(java.util.Locale.ROOT),
                    session.value("SHOW transaction_isolation"), "isolation level");
            commit(session);
        }
        PostgresTransactionDefinition definition =
                PostgresTransactionDefinition.from(IsolationLevel.SERIALIZABLE).readOnly().deferrable();
        R2dbcConnections.await(session.connection.beginTransaction(definition));
        Check.equal("serializable", session.value("SHOW transaction_isolation"), "isolation level");
        String seen = R2dbcConnections.outcome(() -> insert(session, table, -1, -1));
        rollback(session);
        Check.equal("read committed", session.value("SHOW transaction_isolation"), "isolation level");
        return seen;
    }

    /** Rows by fifty, in a transaction and outside of one. */
    private static void cursors(Session session) {
        List<Integer> numbers = IntStream.rangeClosed(1, 501).boxed().toList();
        for (int round = 0; round < 6; round++) {
            if (round % 2 == 0) {
                begin(session);
            }
            Check.equal(numbers, R2dbcConnections.rows(row -> row.get(0, Integer.class),
                    session.statement("SELECT n FROM generate_series(1, $1) AS n", 501)
                            .fetchSize(50).execute()), "numbers");
            // One that is left half-read.
            Check.equal(numbers.subList(0, 60), Flux
                    .from(session.statement("SELECT n FROM generate_series(1, $1) AS n", 501)
                            .fetchSize(50).execute())
                    .concatMap(result -> result.map((row, metadata) -> row.get(0, Integer.class)))
                    .take(60).collectList().block(), "numbers");
            Check.equal("1", session.value("SELECT '1'"), "works on");
            if (round % 2 == 0) {
                commit(session);
            }
        }
    }

    // -- errors in batches -----------------------------------------------------------------------

    String pipelineErrors() throws Exception {
        String table = connections.table("errors", "client int, id int, PRIMARY KEY (client, id)");
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            List<String> all = new ArrayList<>();
            try (Session session = connections.open()) {
                for (int round = 0; round < 2; round++) {
                    session.update("DELETE FROM " + table + " WHERE client = $1", number);
                    all.add("autocommit: " + failingBinds(session, table, number));
                    all.add(failingBatch(session, table, number));
                    session.update("DELETE FROM " + table + " WHERE client = $1", number);
                    begin(session);
                    all.add("transaction: " + failingBinds(session, table, number));
                    rollback(session);
                    begin(session);
                    all.add(failingBatch(session, table, number));
                    rollback(session);
                    all.add("rows " + count(session, table, number));
                }
            }
            seen[number] = String.join("; ", all);
        });
        return JdbcData.agreed(seen);
    }

    private static String outcome(Session session, String table, int client,
            Publisher<? extends Result> results) {
        List<Long> counts = new ArrayList<>();
        String end = R2dbcConnections.outcome(() -> Flux.from(results)
                .concatMap(Result::getRowsUpdated).doOnNext(counts::add).blockLast());
        String rows = R2dbcConnections.outcome(() -> counts.add((long) count(session, table, client)));
        return end.replaceAll("\".*?\"", "...") + " " + counts + " " + rows;
    }

    /** One statement, bound twenty times; the eleventh is refused. */
    private static String failingBinds(Session session, String table, int client) {
        Statement insert =
                session.connection.createStatement("INSERT INTO " + table + " VALUES ($1, $2)");
        for (int i = 0; i < 20; i++) {
            if (i > 0) {
                insert.add();
            }
            insert.bind(0, client).bind(1, i == 10 ? 3 : i);
        }
        return outcome(session, table, client, insert.execute());
    }

    private static String failingBatch(Session session, String table, int client) {
        Batch batch = session.connection.createBatch()
                .add("INSERT INTO " + table + " VALUES (" + client + ", 100)")
                .add("INSERT INTO " + table + " VALUES (" + client + ", 1 / 0)")
                .add("INSERT INTO " + table + " VALUES (" + client + ", 101)");
        return outcome(session, table, client, batch.execute());
    }

    // -- tables that change ----------------------------------------------------------------------

    String schemaChange() throws Exception {
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            List<String> all = new ArrayList<>();
            for (boolean autocommit : new boolean[] {true, false}) {
                String table = connections.table("schema_" + number, "id int, name text");
                try (Session session = connections.open(); Session other = connections.open()) {
                    other.execute("INSERT INTO " + table + " VALUES (1, '1')");
                    all.add(autocommit ? "autocommit: " : "transaction: ");
                    all.addAll(changes(session, other, table, autocommit));
                }
            }
            seen[number] = String.join("; ", all);
        });
        return JdbcData.agreed(seen);
    }

    private static List<String> changes(
            Session session, Session other, String table, boolean autocommit) {
        String[] alterations = {"ADD COLUMN more int DEFAULT 2",
            "ALTER COLUMN name TYPE int USING name::int", "DROP COLUMN more"};
        for (int i = 0; i < 4; i++) {
            row(session, table, autocommit);
        }
        List<String> seen = new ArrayList<>();
        for (String alteration : alterations) {
            other.execute("ALTER TABLE " + table + " " + alteration);
            // The second time tells whether it has recovered.
            seen.add(row(session, table, autocommit));
            seen.add(row(session, table, autocommit));
        }
        return seen;
    }

    /** The columns of the row in a transaction of its own, or how that failed. */
    private static String row(Session session, String table, boolean autocommit) {
        StringBuilder seen = new StringBuilder();
        if (!autocommit) {
            begin(session);
        }
        String end = R2dbcConnections.outcome(() -> session.select(row -> {
            row.getMetadata().getColumnMetadatas().forEach(column -> seen
                    .append(column.getType().getName()).append(' ').append(row.get(column.getName()))
                    .append(' '));
            return true;
        }, "SELECT * FROM " + table + " WHERE id = $1", 1));
        if (!autocommit) {
            rollback(session);
        }
        return seen + end;
    }
}
