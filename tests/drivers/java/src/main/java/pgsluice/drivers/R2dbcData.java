package pgsluice.drivers;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.r2dbc.postgresql.codec.Interval;
import io.r2dbc.postgresql.codec.Json;
import io.r2dbc.spi.Batch;
import io.r2dbc.spi.R2dbcException;
import io.r2dbc.spi.Row;
import io.r2dbc.spi.Statement;
import java.math.BigDecimal;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.Period;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import pgsluice.drivers.R2dbcConnections.Session;
import reactor.core.publisher.Flux;

/** Rows in and out: one by one, in batches, by COPY, large ones; statements without end. */
final class R2dbcData {
    private static final int ROWS = 20;
    private static final int BATCH = 200;
    // The driver's cache has no bound but what the row sets; it prepares at the first execution.
    private static final int CACHE = 50;

    private final R2dbcConnections connections;
    private final Sizes sizes;

    R2dbcData(R2dbcConnections connections, Sizes sizes) {
        this.connections = connections;
        this.sizes = sizes;
    }

    // -- crud ------------------------------------------------------------------------------------

    String crud() throws Exception {
        String table = connections.table("crud",
                "client int, id int, name text, amount numeric(12, 2), PRIMARY KEY (client, id)");
        Clients.run(connections.clients, number -> {
            try (Session session = connections.open()) {
                insertAndUpdate(session, table, number);
                delete(session, table, number);
            }
        });
        return null;
    }

    private static void insertAndUpdate(Session session, String table, int client) {
        for (int id = 0; id < ROWS; id++) {
            BigDecimal amount = BigDecimal.valueOf(id * 101L, 2);
            List<Integer> keys = R2dbcConnections.rows(row -> row.get("id", Integer.class),
                    session.statement("INSERT INTO " + table + " VALUES ($1, $2, $3, $4)",
                            client, id, "name " + id, amount).returnGeneratedValues("id").execute());
            Check.equal(List.of(id), keys, "generated key");
            Check.equal(1L, session.update("UPDATE " + table
                    + " SET name = name || $1 WHERE client = $2 AND id = $3", "!", client, id), "updated");
            List<String> seen = session.select(
                    row -> row.get("name", String.class) + " " + row.get("amount", BigDecimal.class),
                    "SELECT name, amount FROM " + table + " WHERE client = $1 AND id = $2", client, id);
            Check.equal(List.of("name " + id + "! " + amount), seen, "row");
        }
        Check.equal(0L, session.update("UPDATE " + table
                + " SET name = name || $1 WHERE client = $2 AND id = $3", "!", client, ROWS), "updated none");
    }

    private static void delete(Session session, String table, int client) {
        String text = "DELETE FROM " + table + " WHERE client = $1 AND id >= $2";
        for (int left = ROWS - 1; left >= 5; left--) {
            Check.equal(1L, session.update(text, client, left), "deleted");
        }
        Check.equal(5L, session.update(text, client, 0), "deleted at once");
    }

    // -- types -----------------------------------------------------------------------------------

    /** in: a parameter, or the class of one that is NULL. */
    private record Value(String sql, Object in, Function<Row, Object> reader, String column) {
    }

    private static Value value(int number, String sql, Object in) {
        String column = "c" + number;
        Class<?> type = in instanceof Class<?> ? Object.class
                : in instanceof InetAddress ? InetAddress.class
                : in instanceof Json ? Json.class : in instanceof ByteBuffer ? ByteBuffer.class
                : in.getClass();
        return new Value(sql, in, row -> row.get(column, type), column);
    }

    private static List<Value> values() throws UnknownHostException {
        byte[] allBytes = new byte[256];
        for (int i = 0; i < allBytes.length; i++) {
            allBytes[i] = (byte) i;
        }
        Object[][] all = {
            {"int2", Short.MIN_VALUE}, {"int4", Integer.MIN_VALUE}, {"int8", Long.MIN_VALUE},
            {"numeric", new BigDecimal("-12345678901234567890.12345678901234567890")},
            {"float4", 1.5f}, {"float8", Math.PI}, {"bool", true}, {"text", ""},
            {"text", "it's a \"text\" with \\ and \\' and $1 and ?"},
            {"text", "Grüße, Ελλάδα, 日本語, 🐘🦀"},
            {"bytea", allBytes},
            {"date", LocalDate.of(1999, 12, 31)},
            {"timestamp", LocalDateTime.of(2024, 2, 29, 23, 59, 59, 123_456_000)},
            {"timestamptz", OffsetDateTime.parse("2024-02-29T23:59:59.123456Z")},
            {"uuid", UUID.fromString("00112233-4455-6677-8899-aabbccddeeff")},
            {"interval", Interval.of(Period.of(1, 2, 3), Duration.ofSeconds(14_706, 789_000_000))},
            {"json", Json.of("{\"a\": [1, null, \"ä\"]}")},
            {"jsonb", Json.of("{\"a\": [1, null, \"ä\"]}")},
            {"inet", InetAddress.getByName("192.168.0.1")},
            {"mood", "happy"},
            {"int4[]", new Integer[] {1, null, -3}},
            {"text[]", new String[] {"a", null, "", "{\"}", "ß"}},
            {"int4", Integer.class}, {"text", String.class}, {"timestamptz", OffsetDateTime.class},
            {"bytea", byte[].class}, {"jsonb", Json.class}, {"numeric", BigDecimal.class},
        };
        return IntStream.range(0, all.length)
                .mapToObj(i -> value(i, (String) all[i][0], all[i][1])).toList();
    }

    String types() throws Exception {
        List<Value> values = values();
        try (Session session = connections.open()) {
            session.execute("DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');"
                    + " EXCEPTION WHEN duplicate_object THEN NULL; END $$");
        }
        String table = connections.table("types", "client int, round int, " + values.stream()
                .map(value -> value.column() + " " + value.sql()).collect(Collectors.joining(", ")));
        // A text as a parameter is no mood by itself.
        String marks = IntStream.range(0, values.size())
                .mapToObj(i -> "$" + (3 + i) + (values.get(i).sql().equals("mood") ? "::mood" : ""))
                .collect(Collectors.joining(", "));
        String insert = "INSERT INTO " + table + " VALUES ($1, $2, " + marks + ")";
        Clients.run(connections.clients, number -> {
            try (Session session = connections.open()) {
                for (int round = 0; round < 5; round++) {
                    Object[] parameters = new Object[2 + values.size()];
                    parameters[0] = number;
                    parameters[1] = round;
                    for (int i = 0; i < values.size(); i++) {
                        parameters[2 + i] = values.get(i).in();
                    }
                    Check.equal(1L, session.update(insert, parameters), "inserted");
                    Check.equal(1, session.select(row -> checked(row, values), "SELECT * FROM " + table
                            + " WHERE client = $1 AND round = $2", number, round).size(), "rows");
                }
            }
        });
        return null;
    }

    private static boolean checked(Row row, List<Value> values) {
        for (Value value : values) {
            Object seen = value.reader().apply(row);
            if (value.in() instanceof Json json) {
                Check.equal(json.asString(), ((Json) seen).asString(), value.sql());
            } else {
                Check.equal(value.in() instanceof Class<?> ? null : value.in(), seen, value.sql());
            }
        }
        return true;
    }

    // -- statements ------------------------------------------------------------------------------

    String statements() throws Exception {
        int texts = sizes.texts(CACHE);
        Clients.run(connections.clients, number -> {
            try (Session session = connections.open()) {
                for (int i = 0; i < 2 * texts; i++) {
                    int which = (i + number * 37) % texts;
                    for (int execution = 0; execution < 2; execution++) {
                        check(session, which, execution);
                    }
                }
            }
        });
        return null;
    }

    private static void check(Session session, int which, int input) {
        String expression;
        Object expected;
        switch (which % 4) {
            case 0 -> {
                expression = "$1::int4 + " + which;
                expected = input + which;
            }
            case 1 -> {
                expression = "$1::int4::text || 'x" + which + "'";
                expected = input + "x" + which;
            }
            case 2 -> {
                expression = "date '2020-01-01' + $1::int4 + " + which;
                expected = LocalDate.of(2020, 1, 1).plusDays(input + which);
            }
            default -> {
                expression = "$1::int4::int8 - " + which;
                expected = (long) input - which;
            }
        }
        Check.equal(List.of(expected),
                session.select(row -> row.get(0), "SELECT " + expression, input), expression);
    }

    // -- batch -----------------------------------------------------------------------------------

    String batch() throws Exception {
        String table = connections.table("batch", "id bigserial, client int, seq int");
        List<Integer> order = IntStream.range(0, BATCH).boxed().toList();
        Clients.run(connections.clients, number -> {
            String mine = " FROM " + table + " WHERE client = " + number;
            try (Session session = connections.open()) {
                for (int round = 0; round < 3; round++) {
                    Statement insert = session.connection.createStatement(
                            "INSERT INTO " + table + " (client, seq) VALUES ($1, $2)");
                    for (int seq = 0; seq < BATCH; seq++) {
                        if (seq > 0) {
                            insert.add();
                        }
                        insert.bind(0, number).bind(1, seq);
                    }
                    Check.equal((long) BATCH, R2dbcConnections.changed(insert.execute()), "inserted");
                    Check.equal(order, session.select(row -> row.get(0, Integer.class),
                            "SELECT seq" + mine + " ORDER BY id"), "order");
                    Batch mixed = session.connection.createBatch();
                    for (int i = 0; i < BATCH; i++) {
                        mixed.add(i % 2 == 0 ? "SELECT " + i : "DELETE" + mine + " AND seq = " + i
                                + " RETURNING seq");
                    }
                    Check.equal(order, R2dbcConnections.rows(row -> row.get(0, Integer.class),
                            mixed.execute()), "results");
                    Check.equal((long) BATCH / 2, session.update("DELETE" + mine), "left");
                }
            }
        });
        return null;
    }

    // -- copy ------------------------------------------------------------------------------------

    /** The driver has COPY IN only. */
    String copy() throws Exception {
        String table = connections.table("copy", "client int, id int, note text");
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            String in = "COPY " + table + " FROM STDIN (FORMAT csv)";
            try (Session session = connections.open()) {
                Check.equal((long) sizes.copyRows(), R2dbcConnections.await(
                        session.driver().copyIn(in, pieces(number, ""))), "in");
                StringBuilder failures = new StringBuilder();
                failures.append(copied(session, in, pieces(number, "1,bad,row\n")));
                failures.append("; ").append(copied(session, in, pieces(number, "")
                        .concatWith(Flux.error(new IllegalStateException("the client gives up")))));
                seen[number] = failures.toString();
                Check.equal((long) sizes.copyRows(), session.select(row -> row.get(0, Long.class),
                        "SELECT count(*) FROM " + table + " WHERE client = $1 AND note = 'note ü ' || id",
                        number).get(0), "rows");
            }
        });
        return JdbcData.agreed(seen);
    }

    private Flux<ByteBuf> pieces(int client, String end) {
        return Flux.range(0, sizes.copyRows()).buffer(500)
                .map(ids -> ids.stream().map(id -> client + "," + id + ",note ü " + id + "\n")
                        .collect(Collectors.joining()))
                .concatWithValues(end)
                .map(text -> Unpooled.copiedBuffer(text, StandardCharsets.UTF_8));
    }

    private static String copied(Session session, String in, Flux<ByteBuf> pieces) {
        try {
            R2dbcConnections.await(session.driver().copyIn(in, pieces));
            return "copied";
        } catch (R2dbcException problem) {
            return R2dbcConnections.describe(problem);
        } catch (IllegalStateException problem) {
            return problem.getMessage();
        }
    }

    // -- large rows ------------------------------------------------------------------------------

    String largeRows() throws Exception {
        String table = connections.table("large", "client int, value bytea");
        // The driver and the server write it as text of twice the length: one client is enough.
        Clients.run(1, number -> {
            byte[] value = new byte[sizes.large()];
            new Random(number).nextBytes(value);
            try (Session session = connections.open()) {
                session.execute("ALTER TABLE " + table + " ALTER COLUMN value SET STORAGE EXTERNAL");
                Check.equal(1L, session.update("INSERT INTO " + table + " VALUES ($1, $2)", number, value),
                        "inserted");
                byte[] back = session.select(row -> row.get(0, byte[].class),
                        "SELECT value FROM " + table + " WHERE client = $1", number).get(0);
                Check.that(Arrays.equals(value, back), "the value that went in comes out");
                Check.equal("1", session.value("SELECT '1'"), "works on");
            }
        });
        return null;
    }
}
