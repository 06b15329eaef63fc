package pgsluice.drivers;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** What is a session's own: its settings, its notifications, its cancel key. */
final class JdbcSession {
    private static final int NOTIFICATIONS = 50;
    private static final int TRANSACTIONS = 50;

    private final JdbcConnections connections;

    JdbcSession(JdbcConnections connections) {
        this.connections = connections;
    }

    // -- cancel ----------------------------------------------------------------------------------

    /** A quarter of the clients cancels, a quarter has a time limit, the others are left alone. */
    String cancel() throws Exception {
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            try (Connection connection = connections.open();
                    Statement statement = connection.createStatement()) {
                long start = System.nanoTime();
                seen[number] = switch (number % 4) {
                    case 0 -> cancelled(statement);
                    case 2 -> timedOut(statement);
                    default -> JdbcConnections.outcome(() -> statement.execute("SELECT pg_sleep(1)"));
                };
                double seconds = (System.nanoTime() - start) / 1e9;
                Check.that(seconds < 20, "it took " + seconds + " s");
                Check.equal("1", JdbcConnections.value(connection, "SELECT 1"), "works on");
            }
        });
        return String.join("; ", seen);
    }

    private static String cancelled(Statement statement) throws Exception {
        Future<String> sleeping = Clients.start(
                () -> JdbcConnections.outcome(() -> statement.execute("SELECT pg_sleep(60)")));
        // A cancel ahead of the query does nothing: again, until it has taken effect.
        do {
            Thread.sleep(300);
            statement.cancel();
        } while (!sleeping.isDone());
        return sleeping.get();
    }

    private static String timedOut(Statement statement) throws SQLException {
        statement.setQueryTimeout(1);
        return JdbcConnections.outcome(() -> statement.execute("SELECT pg_sleep(60)"));
    }

    // -- notifications ---------------------------------------------------------------------------

    String listenNotify() throws Exception {
        String channel = connections.name("channel");
        AtomicBoolean isDone = new AtomicBoolean();
        List<Future<Void>> others = new ArrayList<>();
        try (Connection listener = connections.open()) {
            JdbcConnections.execute(listener, "LISTEN " + channel);
            for (int i = 2; i < connections.clients; i++) {
                others.add(Clients.start(() -> {
                    transactionsUntil(isDone);
                    return null;
                }));
            }
            Future<Void> notifier = Clients.start(() -> {
                notifyAll(channel);
                return null;
            });
            List<String> payloads = new ArrayList<>();
            while (payloads.size() < NOTIFICATIONS) {
                PGNotification[] some =
                        listener.unwrap(PGConnection.class).getNotifications(20_000);
                Check.that(some != null && some.length > 0, payloads.size() + " notifications only");
                for (PGNotification one : some) {
                    Check.equal(channel, one.getName(), "channel");
                    payloads.add(one.getParameter());
                }
            }
            isDone.set(true);
            notifier.get();
            Check.equal(IntStream.range(0, NOTIFICATIONS).mapToObj(i -> "payload " + i).toList(),
                    payloads, "payloads");
            // A query of the listener's own brings what has arrived; there is nothing more.
            JdbcConnections.execute(listener, "SELECT 1", "UNLISTEN *", "SELECT 1");
            PGNotification[] more = listener.unwrap(PGConnection.class).getNotifications();
            Check.that(more == null || more.length == 0, "each notification once");
        } finally {
            isDone.set(true);
        }
        for (Future<Void> other : others) {
            other.get();
        }
        return null;
    }

    private void notifyAll(String channel) throws SQLException {
        try (Connection connection = connections.open();
                PreparedStatement notify = connection.prepareStatement("SELECT pg_notify(?, ?)")) {
            for (int i = 0; i < NOTIFICATIONS; i++) {
                notify.setString(1, channel);
                notify.setString(2, "payload " + i);
                notify.execute();
            }
        }
    }

    private void transactionsUntil(AtomicBoolean isDone) throws SQLException {
        try (Connection connection = connections.open()) {
            connection.setAutoCommit(false);
            while (!isDone.get()) {
                Check.equal("1", JdbcConnections.value(connection, "SELECT 1"), "value");
                connection.commit();
            }
            PGNotification[] seen = connection.unwrap(PGConnection.class).getNotifications();
            Check.that(seen == null || seen.length == 0, "nothing for who does not listen");
            connection.setAutoCommit(true);
        }
    }

    // -- settings --------------------------------------------------------------------------------

    String sessionSet() throws Exception {
        for (int i = 0; i < connections.clients; i++) {
            String schema = connections.name("own_" + i);
            connections.execute("DROP SCHEMA IF EXISTS " + schema + " CASCADE", "CREATE SCHEMA " + schema,
                    "CREATE TABLE " + schema + ".whose (number int)",
                    "INSERT INTO " + schema + ".whose VALUES (" + i + ")");
        }
        Clients.run(connections.clients, this::settings);
        if (connections.arePooled) {
            Clients.run(connections.clients, this::resetsOfThePool);
        }
        return null;
    }

    private void settings(int number) throws SQLException {
        String zone = "Etc/GMT+" + (1 + number);
        try (Connection connection = connections.open()) {
            connection.setClientInfo("ApplicationName", "client " + number);
            connection.setSchema(connections.name("own_" + number));
            JdbcConnections.execute(connection, "SET TimeZone = '" + zone + "'");
            try (PreparedStatement set =
                    connection.prepareStatement("SELECT set_config('my.name', ?, false)")) {
                set.setString(1, "name " + number);
                set.execute();
            }
            for (int i = 0; i < TRANSACTIONS; i++) {
                connection.setAutoCommit(i % 2 == 0);
                checkSettings(connection, number, zone);
                local(connection, i);
            }
            connection.setAutoCommit(true);
            checkSettings(connection, number, zone);
            JdbcConnections.execute(connection, "RESET my.name", "RESET TimeZone",
                    "RESET search_path", "RESET application_name");
            Check.equal("", JdbcConnections.value(connection, "SELECT current_setting('my.name')"),
                    "my.name after RESET");
            Check.equal("UTC", JdbcConnections.value(connection, "SHOW TimeZone"), "TimeZone after RESET");
            // The driver sets its own name by a SET behind the login.
            Check.equal("", JdbcConnections.value(connection, "SHOW application_name"),
                    "application_name after RESET");
            Check.equal("public", JdbcConnections.value(connection, "SELECT current_schema()"),
                    "schema after RESET");
        }
    }

    private static void checkSettings(Connection connection, int number, String zone)
            throws SQLException {
        Check.equal("client " + number,
                JdbcConnections.value(connection, "SHOW application_name"), "application_name");
        Check.equal(zone, JdbcConnections.value(connection, "SHOW TimeZone"), "TimeZone");
        Check.equal("name " + number,
                JdbcConnections.value(connection, "SELECT current_setting('my.name')"), "my.name");
        Check.equal(String.valueOf(number),
                JdbcConnections.value(connection, "SELECT number FROM whose"), "search_path");
    }

    /** SET LOCAL lasts as long as its transaction, whichever way that ends. */
    private static void local(Connection connection, int round) throws SQLException {
        if (connection.getAutoCommit()) {
            return;
        }
        JdbcConnections.execute(connection, "SET LOCAL my.name = 'local'", "SET LOCAL work_mem = '77MB'");
        Check.equal("local", JdbcConnections.value(connection, "SHOW my.name"), "SET LOCAL");
        if (round % 4 == 1) {
            connection.commit();
        } else {
            connection.rollback();
        }
        Check.that(!JdbcConnections.value(connection, "SHOW work_mem").equals("77MB"), "SET LOCAL ends");
        connection.commit();
    }

    /** What a borrower sets by JDBC's methods is gone for the next one of the same connection. */
    private void resetsOfThePool(int number) throws SQLException {
        for (int i = 0; i < 10; i++) {
            try (Connection connection = connections.open()) {
                Check.that(connection.isValid(5), "the connection is valid");
                Check.equal("read committed",
                        JdbcConnections.value(connection, "SHOW transaction_isolation"), "isolation");
                Check.equal("off", JdbcConnections.value(connection, "SHOW transaction_read_only"),
                        "read only");
                Check.equal("public", connection.getSchema(), "schema");
                Check.equal(0, connection.getNetworkTimeout(), "network timeout");
                Check.that(connection.getAutoCommit(), "autocommit");
                connection.setNetworkTimeout(Executors.newSingleThreadExecutor(), 5000);
                connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
                connection.setReadOnly(true);
                connection.setSchema(connections.name("own_" + number));
                connection.setAutoCommit(false);
                Check.equal("serializable",
                        JdbcConnections.value(connection, "SHOW transaction_isolation"), "isolation");
                Check.equal("on", JdbcConnections.value(connection, "SHOW transaction_read_only"),
                        "read only");
                Check.equal(String.valueOf(number),
                        JdbcConnections.value(connection, "SELECT number FROM whose"), "search_path");
            }
        }
    }
}
