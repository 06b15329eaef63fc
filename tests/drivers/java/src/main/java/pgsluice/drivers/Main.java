package pgsluice.drivers;

import com.google.gson.Gson;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs every case of all rows, or of those named as arguments, against the server that the
 * environment names (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE; CLIENTS connections at the
 * same time), and prints each result as a line of JSON. CASES (names with commas between) leaves
 * the others out.
 */
public final class Main {
    private static final int SECONDS_PER_CASE = 60;

    private final Server server = Server.fromEnvironment();
    private final Gson json = new Gson();

    private Main() {
    }

    public static void main(String[] arguments) throws Exception {
        Main main = new Main();
        Set<String> wanted = Set.of(arguments);
        List<Row> rows = allRows();
        for (String name : wanted) {
            Check.that(rows.stream().anyMatch(row -> row.name().equals(name)), "no row " + name);
        }
        for (Row row : rows) {
            if (wanted.isEmpty() || wanted.contains(row.name())) {
                main.run(row);
            }
        }
        System.out.flush();
        // A case that hung has threads that would never end.
        Runtime.getRuntime().halt(0);
    }

    private static List<Row> allRows() throws IOException {
        Properties versions = new Properties();
        try (InputStream file = Main.class.getResourceAsStream("/versions.properties")) {
            versions.load(file);
        }
        List<Row> rows = new ArrayList<>(JdbcRows.all(versions));
        rows.addAll(R2dbcRows.all(versions));
        rows.addAll(HibernateRows.all(versions));
        return rows;
    }

    private void run(Row row) {
        String only = System.getenv("CASES");
        for (Case one : Case.values()) {
            if (only == null || Set.of(only.split(",")).contains(one.label())) {
                run(row, one);
            }
        }
    }

    /** Each case has connections of its own: what it left behind cannot spoil the next one. */
    private void run(Row row, Case one) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("row", row.name());
        line.put("version", row.version());
        line.put("case", one.label());
        long start = System.nanoTime();
        try (Cases cases = row.opener().open(server, row.prefix())) {
            String observed = limited(cases, one);
            line.put("result", "pass");
            if (observed != null) {
                line.put("observed", observed);
            }
        } catch (Absent absent) {
            line.put("result", "absent");
            line.put("detail", absent.getMessage());
        } catch (Exception | Error problem) {
            line.put("result", "fail");
            line.put("detail", String.valueOf(problem));
            System.err.println("-- " + row.name() + ", " + one.label());
            problem.printStackTrace();
        }
        line.put("seconds", (System.nanoTime() - start) / 10_000_000 / 100.0);
        System.out.println(json.toJson(line));
    }

    private static String limited(Cases cases, Case one) throws Exception {
        Future<String> running = Clients.start(() -> one.run(cases));
        try {
            return running.get(SECONDS_PER_CASE, TimeUnit.SECONDS);
        } catch (TimeoutException late) {
            throw new AssertionError("not done within " + SECONDS_PER_CASE + " s");
        } catch (ExecutionException thrown) {
            Clients.rethrow(thrown.getCause());
            throw thrown;
        }
    }
}
