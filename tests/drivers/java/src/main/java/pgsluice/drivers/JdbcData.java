package pgsluice.drivers;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;

/** Rows in and out: one by one, in batches, by COPY, large ones; statements without end. */
final class JdbcData {
    private static final int ROWS = 20;
    private static final int BATCH = 200;
    // The driver's cache holds 256 statements, and makes one a named one at its fifth execution.
    private static final int CACHE = 256;
    private static final int EXECUTIONS = 5;

    private final JdbcConnections connections;
    private final Sizes sizes;

    JdbcData(JdbcConnections connections, Sizes sizes) {
        this.connections = connections;
        this.sizes = sizes;
    }

    // -- crud ------------------------------------------------------------------------------------

    String crud() throws Exception {
        String table = connections.table("crud", "client int, id int, name text, amount numeric(12, 2),"
                + " PRIMARY KEY (client, id)");
        Clients.run(connections.clients, number -> {
            try (Connection connection = connections.open()) {
                insertRows(connection, table, number);
                updateRows(connection, table, number);
                deleteRows(connection, table, number);
            }
        });
        return null;
    }

    private static void insertRows(Connection connection, String table, int client)
            throws SQLException {
        String text = "INSERT INTO " + table + " VALUES (?, ?, ?, ?)";
        try (PreparedStatement insert =
                connection.prepareStatement(text, Statement.RETURN_GENERATED_KEYS)) {
            for (int id = 0; id < ROWS; id++) {
                insert.setInt(1, client);
                insert.setInt(2, id);
                insert.setString(3, "name " + id);
                insert.setBigDecimal(4, BigDecimal.valueOf(id * 101L, 2));
                Check.equal(1, insert.executeUpdate(), "inserted");
                try (ResultSet keys = insert.getGeneratedKeys()) {
                    Check.that(keys.next(), "a generated key");
                    Check.equal(id, keys.getInt("id"), "generated key");
                }
            }
        }
    }

    private static void updateRows(Connection connection, String table, int client)
            throws SQLException {
        String find = "SELECT name, amount FROM " + table + " WHERE client = ? AND id = ?";
        String change = "UPDATE " + table + " SET name = name || ? WHERE client = ? AND id = ?";
        try (PreparedStatement select = connection.prepareStatement(find);
                PreparedStatement update = connection.prepareStatement(change)) {
            for (int id = 0; id < ROWS; id++) {
                update.setString(1, "!");
                update.setInt(2, client);
                update.setInt(3, id);
                Check.equal(1, update.executeUpdate(), "updated");
                select.setInt(1, client);
                select.setInt(2, id);
                try (ResultSet row = select.executeQuery()) {
                    Check.that(row.next(), "a row");
                    Check.equal("name " + id + "!", row.getString(1), "name");
                    Check.equal(BigDecimal.valueOf(id * 101L, 2), row.getBigDecimal(2), "amount");
                    Check.that(!row.next(), "one row only");
                }
            }
            update.setInt(2, client);
            update.setInt(3, ROWS);
            Check.equal(0, update.executeUpdate(), "updated where there is none");
        }
    }

    private static void deleteRows(Connection connection, String table, int client)
            throws SQLException {
        String text = "DELETE FROM " + table + " WHERE client = ? AND id >= ?";
        try (PreparedStatement delete = connection.prepareStatement(text)) {
            for (int left = ROWS - 1; left >= 5; left--) {
                delete.setInt(1, client);
                delete.setInt(2, left);
                Check.equal(1, delete.executeUpdate(), "deleted");
                Check.equal(left, JdbcConnections.count(connection, table, "client = " + client),
                        "rows that are left");
            }
            delete.setInt(2, 0);
            Check.equal(5L, delete.executeLargeUpdate(), "deleted at once");
        }
    }

    // -- types -----------------------------------------------------------------------------------

    private interface Reader {
        Object read(ResultSet row, int column) throws SQLException;
    }

    /** value: as given to setObject with `type` (Types.NULL: the driver finds it out). */
    private record Value(String sql, Object value, int type, Reader reader) {
    }

    private static Value value(String sql, Object value) {
        return new Value(sql, value, Types.NULL, (row, column) -> row.getObject(column, value.getClass()));
    }

    private static Value other(String sql, String text) throws SQLException {
        PGobject object = new PGobject();
        object.setType(sql);
        object.setValue(text);
        return new Value(sql, object, Types.OTHER, ResultSet::getObject);
    }

    private static Value nothing(String sql, int type) {
        return new Value(sql, null, type, ResultSet::getObject);
    }

    private static Value array(String sql, Object[] elements) {
        return new Value(sql, elements, Types.ARRAY, (row, column) -> row.getArray(column).getArray());
    }

    private static List<Value> values() throws SQLException {
        byte[] allBytes = new byte[256];
        for (int i = 0; i < allBytes.length; i++) {
            allBytes[i] = (byte) i;
        }
        return List.of(
                value("int2", Short.MIN_VALUE),
                value("int4", Integer.MIN_VALUE),
                value("int8", Long.MIN_VALUE),
                value("numeric", new BigDecimal("-12345678901234567890.12345678901234567890")),
                value("float4", 1.5f),
                value("float8", Math.PI),
                value("bool", true),
                value("text", ""),
                value("text", "it's a \"text\" with \\ and \\' and $1 and ?"),
                value("text", "Grüße, Ελλάδα, 日本語, 🐘🦀"),
                value("bytea", allBytes),
                value("date", LocalDate.of(1999, 12, 31)),
                value("timestamp", LocalDateTime.of(2024, 2, 29, 23, 59, 59, 123_456_000)),
                value("timestamptz", OffsetDateTime.parse("2024-02-29T23:59:59.123456Z")),
                value("uuid", UUID.fromString("00112233-4455-6677-8899-aabbccddeeff")),
                new Value("interval", new PGInterval(1, 2, 3, 4, 5, 6.789), Types.OTHER,
                        ResultSet::getObject),
                other("json", "{\"a\":[1, null, \"ä\"]}"),
                other("jsonb", "{\"a\": [1, null, \"ä\"]}"),
                other("inet", "192.168.0.1/24"),
                new Value("mood", "happy", Types.OTHER, ResultSet::getString),
                array("int4", new Integer[] {1, null, -3}),
                array("text", new String[] {"a", null, "", "{\"}", "ß"}),
                nothing("int4", Types.INTEGER),
                nothing("text", Types.VARCHAR),
                nothing("timestamptz", Types.TIMESTAMP_WITH_TIMEZONE),
                nothing("bytea", Types.BINARY),
                nothing("jsonb", Types.OTHER),
                nothing("numeric", Types.NUMERIC));
    }

    String types() throws Exception {
        connections.execute("DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');"
                + " EXCEPTION WHEN duplicate_object THEN NULL; END $$");
        List<Value> values = values();
        String columns = IntStream.range(0, values.size())
                .mapToObj(i -> "c" + i + " " + values.get(i).sql()
                        + (values.get(i).type() == Types.ARRAY ? "[]" : ""))
                .collect(Collectors.joining(", "));
        String table = connections.table("types", "client int, round int, " + columns);
        Clients.run(connections.clients, number -> {
            try (Connection connection = connections.open()) {
                for (int round = 0; round < 8; round++) {
                    insertValues(connection, table, values, number, round);
                    checkValues(connection, table, values, number, round);
                }
            }
        });
        return null;
    }

    private static void insertValues(
            Connection connection, String table, List<Value> values, int client, int round)
            throws SQLException {
        String marks = ", ?".repeat(values.size());
        String text = "INSERT INTO " + table + " VALUES (?, ?" + marks + ")";
        try (PreparedStatement insert = connection.prepareStatement(text)) {
            insert.setInt(1, client);
            insert.setInt(2, round);
            for (int i = 0; i < values.size(); i++) {
                set(connection, insert, 3 + i, values.get(i));
            }
            Check.equal(1, insert.executeUpdate(), "inserted");
        }
    }

    private static void set(
            Connection connection, PreparedStatement statement, int parameter, Value value)
            throws SQLException {
        if (value.value() == null) {
            statement.setNull(parameter, value.type());
        } else if (value.type() == Types.ARRAY) {
            statement.setArray(parameter,
                    connection.createArrayOf(value.sql(), (Object[]) value.value()));
        } else if (value.type() == Types.NULL) {
            statement.setObject(parameter, value.value());
        } else {
            statement.setObject(parameter, value.value(), value.type());
        }
    }

    private static void checkValues(
            Connection connection, String table, List<Value> values, int client, int round)
            throws SQLException {
        String text = "SELECT * FROM " + table + " WHERE client = ? AND round = ?";
        try (PreparedStatement select = connection.prepareStatement(text)) {
            select.setInt(1, client);
            select.setInt(2, round);
            try (ResultSet row = select.executeQuery()) {
                Check.that(row.next(), "a row");
                for (int i = 0; i < values.size(); i++) {
                    Value value = values.get(i);
                    Check.equal(value.value(), value.reader().read(row, 3 + i), value.sql());
                }
            }
        }
    }

    // -- statements ------------------------------------------------------------------------------

    String statements() throws Exception {
        Clients.run(connections.clients, number -> {
            int texts = sizes.texts(CACHE);
            try (Connection connection = connections.open()) {
                for (int i = 0; i < 2 * texts; i++) {
                    int which = (i + number * 97) % texts;
                    for (int execution = 0; execution < EXECUTIONS; execution++) {
                        execute(connection, which, execution);
                    }
                }
            }
        });
        return null;
    }

    private static void execute(Connection connection, int which, int input) throws SQLException {
        String expression;
        Object expected;
        switch (which % 5) {
            case 0 -> {
                expression = "?::int4 + " + which;
                expected = input + which;
            }
            case 1 -> {
                expression = "?::int4::text || 'x" + which + "'";
                expected = input + "x" + which;
            }
            case 2 -> {
                expression = "?::int4 * " + which + ".5";
                expected = new BigDecimal(which + ".5").multiply(BigDecimal.valueOf(input)).setScale(1);
            }
            case 3 -> {
                expression = "date '2020-01-01' + ?::int4 + " + which;
                expected = LocalDate.of(2020, 1, 1).plusDays(input + which);
            }
            default -> {
                expression = "?::int4::int8 - " + which;
                expected = (long) input - which;
            }
        }
        try (PreparedStatement select = connection.prepareStatement("SELECT " + expression)) {
            select.setInt(1, input);
            try (ResultSet row = select.executeQuery()) {
                row.next();
                Check.equal(expected, row.getObject(1, expected.getClass()), expression);
            }
        }
    }

    // -- batch -----------------------------------------------------------------------------------

    String batch() throws Exception {
        String table = connections.table("batch", "id bigserial, client int, seq int, note text");
        Clients.run(connections.clients, number -> {
            try (Connection connection = connections.open()) {
                for (int round = 0; round < 3; round++) {
                    insertBatch(connection, table, number);
                    mixedBatch(connection, table, number);
                }
                keysOfBatch(connection, table, number);
            }
        });
        return null;
    }

    /** Each statement of the batch changed one row; the driver does not always tell. */
    private static void checkCounts(int[] counts) {
        Check.equal(BATCH, counts.length, "results of the batch");
        for (int count : counts) {
            Check.that(count == 1 || count == Statement.SUCCESS_NO_INFO, "a count of " + count);
        }
    }

    private static void insertBatch(Connection connection, String table, int client)
            throws SQLException {
        String text = "INSERT INTO " + table + " (client, seq, note) VALUES (?, ?, ?)";
        try (PreparedStatement insert = connection.prepareStatement(text)) {
            for (int seq = 0; seq < BATCH; seq++) {
                insert.setInt(1, client);
                insert.setInt(2, seq);
                insert.setString(3, "note " + seq);
                insert.addBatch();
            }
            checkCounts(insert.executeBatch());
        }
        List<String> expected = IntStream.range(0, BATCH).mapToObj(String::valueOf).toList();
        Check.equal(expected, JdbcConnections.column(connection,
                "SELECT seq FROM " + table + " WHERE client = " + client + " ORDER BY id"), "order");
    }

    /** Update and delete take turns, a text of its own each. */
    private static void mixedBatch(Connection connection, String table, int client)
            throws SQLException {
        String where = " WHERE client = " + client + " AND seq = ";
        try (Statement statement = connection.createStatement()) {
            for (int seq = 0; seq < BATCH / 2; seq++) {
                statement.addBatch("UPDATE " + table + " SET note = note || '!'" + where + seq);
                statement.addBatch("DELETE FROM " + table + where + seq + " AND note LIKE '%!'");
            }
            checkCounts(statement.executeBatch());
            Check.equal(BATCH / 2, statement.executeUpdate(
                    "DELETE FROM " + table + " WHERE client = " + client), "left");
        }
    }

    private static void keysOfBatch(Connection connection, String table, int client)
            throws SQLException {
        String text = "INSERT INTO " + table + " (client, seq) VALUES (?, ?)";
        try (PreparedStatement insert =
                connection.prepareStatement(text, new String[] {"id", "seq"})) {
            for (int seq = 0; seq < BATCH; seq++) {
                insert.setInt(1, client);
                insert.setInt(2, seq);
                insert.addBatch();
            }
            checkCounts(insert.executeBatch());
            try (ResultSet keys = insert.getGeneratedKeys()) {
                long last = 0;
                for (int seq = 0; seq < BATCH; seq++) {
                    Check.that(keys.next(), "a key of row " + seq);
                    Check.equal(seq, keys.getInt("seq"), "order of the keys");
                    Check.that(keys.getLong("id") > last, "a larger key");
                    last = keys.getLong("id");
                }
            }
        }
    }

    // -- copy ------------------------------------------------------------------------------------

    String copy() throws Exception {
        String table = connections.table("copy", "client int, id int, note text");
        String rows = IntStream.range(0, sizes.copyRows())
                .mapToObj(i -> "@," + i + ",\"a note, \"\"quoted\"\" ü " + i + "\"\n")
                .collect(Collectors.joining());
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            try (Connection connection = connections.open()) {
                CopyManager copier = connection.unwrap(PGConnection.class).getCopyAPI();
                String mine = rows.replace("@", String.valueOf(number));
                String in = "COPY " + table + " FROM STDIN (FORMAT csv)";
                String out = "COPY (SELECT client, id, note FROM " + table + " WHERE client = "
                        + number + " ORDER BY id) TO STDOUT (FORMAT csv, FORCE_QUOTE (note))";
                Check.equal((long) sizes.copyRows(), copier.copyIn(in, new StringReader(mine)), "in");
                seen[number] = failingCopies(connection, copier, in, mine);
                StringWriter back = new StringWriter();
                Check.equal((long) sizes.copyRows(), copier.copyOut(out, back), "out");
                Check.that(mine.equals(back.toString()), "what came out is what went in");
            }
        });
        return agreed(seen);
    }

    /** A bad row far behind, a client that gives up; outside of a transaction and in one. */
    private static String failingCopies(
            Connection connection, CopyManager copier, String in, String rows) throws Exception {
        StringBuilder seen = new StringBuilder();
        for (boolean autocommit : new boolean[] {true, false}) {
            connection.setAutoCommit(autocommit);
            byte[] bad = (rows + "1,bad,row\n").getBytes("UTF-8");
            try {
                copier.copyIn(in, new ByteArrayInputStream(bad));
                seen.append("copied; ");
            } catch (SQLException problem) {
                seen.append(JdbcConnections.describe(problem)).append("; ");
            }
            if (!autocommit) {
                connection.rollback();
            }
            CopyIn begun = copier.copyIn(in);
            byte[] some = rows.substring(0, rows.indexOf('\n', rows.length() / 2) + 1).getBytes("UTF-8");
            begun.writeToCopy(some, 0, some.length);
            begun.flushCopy();
            begun.cancelCopy();
            if (!autocommit) {
                connection.rollback();
            }
            Check.equal("1", JdbcConnections.value(connection, "SELECT 1"), "the connection works");
            connection.setAutoCommit(true);
        }
        return seen.toString();
    }

    /** What all clients saw alike. */
    static String agreed(String[] seen) {
        for (String one : seen) {
            Check.equal(seen[0], one, "what another client saw");
        }
        return seen[0];
    }

    // -- large rows ------------------------------------------------------------------------------

    String largeRows() throws Exception {
        String table = connections.table("large", "client int, value bytea");
        // No time for the server's compression of what is random.
        connections.execute("ALTER TABLE " + table + " ALTER COLUMN value SET STORAGE EXTERNAL");
        Clients.run(2, number -> {
            byte[] value = new byte[sizes.large()];
            new Random(number).nextBytes(value);
            try (Connection connection = connections.open()) {
                insertLarge(connection, table, number, value);
                Check.that(Arrays.equals(value, selectLarge(connection, table, number)),
                        "the value that went in comes out");
                Check.equal("1", JdbcConnections.value(connection, "SELECT 1"), "works on");
            }
        });
        return null;
    }

    private static void insertLarge(Connection connection, String table, int client, byte[] value)
            throws SQLException {
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO " + table + " VALUES (?, ?)")) {
            insert.setInt(1, client);
            if (client == 0) {
                insert.setBytes(2, value);
            } else {
                insert.setBinaryStream(2, new ByteArrayInputStream(value), value.length);
            }
            Check.equal(1, insert.executeUpdate(), "inserted");
        }
    }

    private static byte[] selectLarge(Connection connection, String table, int client)
            throws Exception {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT value FROM " + table + " WHERE client = ?")) {
            select.setInt(1, client);
            try (ResultSet row = select.executeQuery()) {
                row.next();
                if (client == 0) {
                    return row.getBytes(1);
                }
                ByteArrayOutputStream copy = new ByteArrayOutputStream();
                try (InputStream stream = row.getBinaryStream(1)) {
                    stream.transferTo(copy);
                }
                return copy.toByteArray();
            }
        }
    }
}
