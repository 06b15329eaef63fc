package pgsluice.drivers;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import javax.sql.DataSource;
import org.postgresql.util.PSQLException;

/** Where a case over JDBC gets its connections from, and what is handy on them. */
final class JdbcConnections implements AutoCloseable {
    final int clients;
    /** Connections come from a pool of the application's own and go back to it. */
    final boolean arePooled;
    private final DataSource source;
    private final String prefix;
    private final Queue<Connection> opened = new ConcurrentLinkedQueue<>();

    JdbcConnections(DataSource source, Server server, String prefix) {
        this.source = source;
        this.prefix = prefix;
        clients = server.clients();
        arePooled = source instanceof AutoCloseable;
    }

    /** The caller closes it; close() below only ends what a hanging case has left. */
    Connection open() throws SQLException {
        Connection connection = source.getConnection();
        opened.add(connection);
        return connection;
    }

    /** A name of this row's own. */
    String name(String stem) {
        return prefix + stem;
    }

    /** Makes an empty table of this row's own and tells its name. */
    String table(String stem, String columns) throws SQLException {
        String table = name(stem);
        execute("DROP TABLE IF EXISTS " + table, "CREATE TABLE " + table + " (" + columns + ")");
        return table;
    }

    /** On a connection of its own, each as a transaction. */
    void execute(String... statements) throws SQLException {
        try (Connection connection = open()) {
            execute(connection, statements);
        }
    }

    static void execute(Connection connection, String... statements) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            for (String one : statements) {
                statement.execute(one);
            }
        }
    }

    /** The first column of every row, as text. */
    static List<String> column(Connection connection, String query) throws SQLException {
        List<String> values = new ArrayList<>();
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(query)) {
            while (rows.next()) {
                values.add(rows.getString(1));
            }
        }
        return values;
    }

    static String value(Connection connection, String query) throws SQLException {
        return column(connection, query).get(0);
    }

    static int count(Connection connection, String table, String where) throws SQLException {
        return Integer.parseInt(
                value(connection, "SELECT count(*) FROM " + table + " WHERE " + where));
    }

    interface Action {
        void run() throws SQLException;
    }

    /** How an action ended, as its user sees it: "done", or SQLSTATE and the server's message. */
    static String outcome(Action action) {
        try {
            action.run();
            return "done";
        } catch (SQLException problem) {
            return describe(problem);
        }
    }

    static String describe(SQLException problem) {
        String message = problem.getMessage();
        if (problem instanceof PSQLException error && error.getServerErrorMessage() != null) {
            message = error.getServerErrorMessage().getMessage();
        }
        return problem.getSQLState() + " " + message;
    }

    @Override
    public void close() throws Exception {
        if (source instanceof AutoCloseable pool) {
            pool.close();
        }
        for (Connection connection : opened) {
            connection.abort(Runnable::run);
        }
    }
}
