package pgsluice.drivers;

import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Arrays;
import java.util.concurrent.locks.ReentrantLock;

/** Transactions, errors in batches, and tables that change below a prepared statement. */
final class JdbcTransactions {
    // The driver prepares a statement at its fifth execution.
    private static final int UNTIL_PREPARED = 7;

    private final JdbcConnections connections;
    // Two connections at work for one client: one client at a time, or they starve one another.
    private final ReentrantLock twoConnections = new ReentrantLock();

    JdbcTransactions(JdbcConnections connections) {
        this.connections = connections;
    }

    // -- transactions ----------------------------------------------------------------------------

    String transactions() throws Exception {
        String table = connections.table("transactions", "client int, id int, PRIMARY KEY (client, id)");
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            try (Connection connection = connections.open()) {
                commitAndRollback(connection, table, number);
                String savepoint = savepoints(connection, table, number);
                String failed = afterAnError(connection, table, number);
                isolation(connection);
                String readOnly = readOnly(connection, table);
                cursors(connection);
                seen[number] = String.join("; ", savepoint, failed, readOnly);
            }
        });
        return JdbcData.agreed(seen);
    }

    private static int insert(Connection connection, String table, int client, int id)
            throws SQLException {
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO " + table + " VALUES (?, ?)")) {
            insert.setInt(1, client);
            insert.setInt(2, id);
            return insert.executeUpdate();
        }
    }

    private void commitAndRollback(Connection connection, String table, int client)
            throws SQLException {
        String mine = "client = " + client;
        connection.setAutoCommit(false);
        twoConnections.lock();
        try (Connection other = connections.open()) {
            insert(connection, table, client, 1);
            Check.equal(0, JdbcConnections.count(other, table, mine), "seen ahead of the commit");
            connection.commit();
            Check.equal(1, JdbcConnections.count(other, table, mine), "seen after the commit");
            insert(connection, table, client, 2);
            connection.rollback();
            Check.equal(1, JdbcConnections.count(other, table, mine), "seen after the rollback");
        } finally {
            twoConnections.unlock();
        }
        connection.setAutoCommit(true);
    }

    private static String savepoints(Connection connection, String table, int client)
            throws SQLException {
        connection.setAutoCommit(false);
        Savepoint outer = connection.setSavepoint("outer");
        insert(connection, table, client, 10);
        Savepoint inner = connection.setSavepoint();
        insert(connection, table, client, 11);
        connection.releaseSavepoint(inner);
        Savepoint broken = connection.setSavepoint();
        String duplicate = JdbcConnections.outcome(() -> insert(connection, table, client, 10));
        Check.that(duplicate.startsWith("23505"), duplicate);
        connection.rollback(broken);
        insert(connection, table, client, 12);
        connection.commit();
        Check.equal(3, JdbcConnections.count(connection, table, "id >= 10 AND client = " + client),
                "rows of the savepoints");
        connection.commit();
        String late = JdbcConnections.outcome(() -> connection.rollback(outer));
        connection.rollback();
        connection.setAutoCommit(true);
        return "savepoint of a transaction that has ended: " + late;
    }

    /** What a transaction can still do once a statement has failed depends on autosave. */
    private static String afterAnError(Connection connection, String table, int client)
            throws SQLException {
        connection.setAutoCommit(false);
        insert(connection, table, client, 20);
        String error = JdbcConnections.outcome(() -> insert(connection, table, client, 20))
                .replaceAll("\".*?\"", "...");
        String next = JdbcConnections.outcome(() -> insert(connection, table, client, 21));
        String end = JdbcConnections.outcome(connection::commit);
        connection.rollback();
        connection.setAutoCommit(true);
        return error + "; then " + next + "; commit " + end + "; rows "
                + JdbcConnections.count(connection, table, "id >= 20 AND client = " + client);
    }

    private static void isolation(Connection connection) throws SQLException {
        int[] levels = {Connection.TRANSACTION_SERIALIZABLE, Connection.TRANSACTION_REPEATABLE_READ,
            Connection.TRANSACTION_READ_COMMITTED};
        String[] names = {"serializable", "repeatable read", "read committed"};
        for (int i = 0; i < levels.length; i++) {
            connection.setTransactionIsolation(levels[i]);
            connection.setAutoCommit(false);
            for (int times = 0; times < 3; times++) {
                Check.equal(names[i], JdbcConnections.value(connection, "SHOW transaction_isolation"),
                        "isolation level");
                connection.commit();
            }
            connection.setAutoCommit(true);
            Check.equal(levels[i], connection.getTransactionIsolation(), "isolation level");
        }
    }

    private static String readOnly(Connection connection, String table) throws SQLException {
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        String seen = JdbcConnections.outcome(() -> insert(connection, table, -1, -1));
        connection.rollback();
        Check.equal("on", JdbcConnections.value(connection, "SHOW transaction_read_only"), "read only");
        connection.commit();
        connection.setReadOnly(false);
        Check.equal("off", JdbcConnections.value(connection, "SHOW transaction_read_only"), "read only");
        connection.commit();
        connection.setAutoCommit(true);
        return seen;
    }

    /** Two cursors at the same time, one of them left half-read, with statements in between. */
    private static void cursors(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        String numbers = "SELECT n FROM generate_series(1, ?) AS n";
        for (int round = 0; round < UNTIL_PREPARED; round++) {
            try (PreparedStatement whole = connection.prepareStatement(numbers);
                    PreparedStatement half = connection.prepareStatement(numbers + " ORDER BY n")) {
                whole.setFetchSize(50);
                half.setFetchSize(7);
                whole.setInt(1, 501);
                half.setInt(1, 500);
                try (ResultSet all = whole.executeQuery(); ResultSet some = half.executeQuery()) {
                    long sum = 0;
                    while (all.next()) {
                        sum += all.getInt(1);
                        if (all.getRow() % 10 == 0) {
                            Check.that(some.next(), "a row of the other cursor");
                            Check.equal(all.getRow() / 10, some.getInt(1), "row of the other cursor");
                        }
                        if (all.getRow() % 100 == 0) {
                            Check.equal("1", JdbcConnections.value(connection, "SELECT 1"), "value");
                        }
                    }
                    Check.equal(501L * 502 / 2, sum, "sum");
                }
            }
            connection.commit();
        }
        connection.setAutoCommit(true);
    }

    // -- errors in batches -----------------------------------------------------------------------

    String pipelineErrors() throws Exception {
        String table = connections.table("errors", "client int, id int, PRIMARY KEY (client, id)");
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            StringBuilder all = new StringBuilder();
            try (Connection connection = connections.open()) {
                for (int round = 0; round < 2; round++) {
                    JdbcConnections.execute(connection, "DELETE FROM " + table + " WHERE client = " + number);
                    all.append(" autocommit: ").append(failingBatches(connection, table, number));
                    connection.setAutoCommit(false);
                    all.append(" transaction: ").append(failingBatches(connection, table, number));
                    connection.setAutoCommit(true);
                }
            }
            seen[number] = all.toString().trim();
        });
        return JdbcData.agreed(seen);
    }

    private static String failingBatches(Connection connection, String table, int client)
            throws SQLException {
        String seen = failed(connection, () -> {
            try (PreparedStatement insert =
                    connection.prepareStatement("INSERT INTO " + table + " VALUES (?, ?)")) {
                for (int i = 0; i < 20; i++) {
                    insert.setInt(1, client);
                    insert.setInt(2, i == 10 ? 3 : i);
                    insert.addBatch();
                }
                insert.executeBatch();
            }
        });
        seen += " rows " + JdbcConnections.count(connection, table, "client = " + client);
        seen += " " + failed(connection, () -> {
            try (Statement statement = connection.createStatement()) {
                statement.addBatch("INSERT INTO " + table + " VALUES (" + client + ", 100)");
                statement.addBatch("INSERT INTO " + table + " VALUES (" + client + ", 1 / 0)");
                statement.addBatch("INSERT INTO " + table + " VALUES (" + client + ", 101)");
                statement.executeBatch();
            }
        });
        seen += " rows " + JdbcConnections.count(connection, table, "client = " + client);
        if (!connection.getAutoCommit()) {
            connection.commit();
        }
        return seen;
    }

    /** SQLSTATE and each statement's result of a batch that fails; a transaction is rolled back. */
    private static String failed(Connection connection, JdbcConnections.Action batch)
            throws SQLException {
        try {
            batch.run();
            throw new AssertionError("the batch has not failed");
        } catch (BatchUpdateException problem) {
            if (!connection.getAutoCommit()) {
                connection.rollback();
            }
            return problem.getSQLState() + " " + Arrays.toString(problem.getUpdateCounts());
        }
    }

    // -- tables that change ----------------------------------------------------------------------

    String schemaChange() throws Exception {
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            StringBuilder all = new StringBuilder();
            for (boolean autocommit : new boolean[] {true, false}) {
                String table = connections.table("schema_" + number, "id int, name text");
                try (Connection connection = connections.open(); Connection other = connections.open()) {
                    JdbcConnections.execute(other, "INSERT INTO " + table + " VALUES (1, '1')");
                    connection.setAutoCommit(autocommit);
                    all.append(autocommit ? "autocommit: " : "transaction: ");
                    all.append(changes(connection, other, table));
                }
            }
            seen[number] = all.toString();
        });
        return JdbcData.agreed(seen);
    }

    private static String changes(Connection connection, Connection other, String table)
            throws SQLException {
        String[] alterations = {
            "ADD COLUMN more int DEFAULT 2",
            "ALTER COLUMN name TYPE int USING name::int",
            "DROP COLUMN more",
        };
        StringBuilder seen = new StringBuilder();
        String text = "SELECT * FROM " + table + " WHERE id = ?";
        try (PreparedStatement select = connection.prepareStatement(text)) {
            for (int i = 0; i < UNTIL_PREPARED; i++) {
                row(connection, select);
            }
            for (String alteration : alterations) {
                JdbcConnections.execute(other, "ALTER TABLE " + table + " " + alteration);
                // The second time tells whether it has recovered.
                for (int i = 0; i < 2; i++) {
                    seen.append(row(connection, select)).append("; ");
                    // HikariCP closes a connection that has seen SQLSTATE 0A000.
                    if (connection.isClosed()) {
                        return seen + "closed by the pool; ";
                    }
                }
            }
        }
        return seen.toString();
    }

    /** The columns of the row in a transaction of its own, or how that failed. */
    private static String row(Connection connection, PreparedStatement select) throws SQLException {
        StringBuilder seen = new StringBuilder();
        String end = JdbcConnections.outcome(() -> {
            select.setInt(1, 1);
            try (ResultSet row = select.executeQuery()) {
                Check.that(row.next(), "a row");
                for (int i = 1; i <= row.getMetaData().getColumnCount(); i++) {
                    seen.append(row.getMetaData().getColumnTypeName(i)).append(' ')
                            .append(row.getString(i)).append(' ');
                }
            }
        });
        if (!connection.isClosed() && !connection.getAutoCommit()) {
            connection.rollback();
        }
        return seen + end;
    }
}
