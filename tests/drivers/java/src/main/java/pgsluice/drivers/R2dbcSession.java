package pgsluice.drivers;

import io.r2dbc.postgresql.api.Notification;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import pgsluice.drivers.R2dbcConnections.Session;
import reactor.core.Disposable;

/** What is a session's own: its settings, its notifications, its cancel key. */
final class R2dbcSession {
    private static final int NOTIFICATIONS = 50;
    private static final int TRANSACTIONS = 50;

    private final R2dbcConnections connections;

    R2dbcSession(R2dbcConnections connections) {
        this.connections = connections;
    }

    // -- cancel ----------------------------------------------------------------------------------

    /** A quarter of the clients cancels, a quarter has a time limit, the others are left alone. */
    String cancel() throws Exception {
        String[] seen = new String[connections.clients];
        Clients.run(connections.clients, number -> {
            try (Session session = connections.open()) {
                long start = System.nanoTime();
                seen[number] = switch (number % 4) {
                    case 0 -> cancelled(session);
                    case 2 -> timedOut(session);
                    default -> R2dbcConnections.outcome(() -> session.execute("SELECT pg_sleep(1)::text"));
                };
                double seconds = (System.nanoTime() - start) / 1e9;
                Check.that(seconds < 20, "it took " + seconds + " s");
                Check.equal("1", session.value("SELECT '1'"), "works on");
            }
        });
        return String.join("; ", seen);
    }

    private static String cancelled(Session session) throws Exception {
        Future<String> sleeping = Clients.start(() -> R2dbcConnections.outcome(
                () -> session.value("SELECT pg_sleep($1)::text", 60)));
        // A cancel ahead of the query does nothing: again, until it has taken effect.
        do {
            Thread.sleep(300);
            R2dbcConnections.await(session.driver().cancelRequest());
        } while (!sleeping.isDone());
        return sleeping.get();
    }

    private static String timedOut(Session session) {
        R2dbcConnections.await(session.connection.setStatementTimeout(Duration.ofSeconds(1)));
        String seen = R2dbcConnections.outcome(() -> session.value("SELECT pg_sleep($1)::text", 60));
        R2dbcConnections.await(session.connection.setStatementTimeout(Duration.ZERO));
        return seen;
    }

    // -- notifications ---------------------------------------------------------------------------

    String listenNotify() throws Exception {
        String channel = connections.name("channel");
        AtomicBoolean isDone = new AtomicBoolean();
        List<Future<Void>> others = new ArrayList<>();
        BlockingQueue<Notification> arrived = new LinkedBlockingQueue<>();
        try (Session listener = connections.open()) {
            Disposable subscription = listener.driver().getNotifications().subscribe(arrived::add);
            listener.execute("LISTEN " + channel);
            for (int i = 2; i < connections.clients; i++) {
                others.add(Clients.start(() -> {
                    transactionsUntil(isDone);
                    return null;
                }));
            }
            Future<Void> notifier = Clients.start(() -> {
                try (Session session = connections.open()) {
                    for (int i = 0; i < NOTIFICATIONS; i++) {
                        session.select(row -> 1, "SELECT pg_notify($1, $2)::text", channel, "payload " + i);
                    }
                }
                return null;
            });
            for (int i = 0; i < NOTIFICATIONS; i++) {
                Notification one = arrived.poll(20, TimeUnit.SECONDS);
                Check.that(one != null, i + " notifications only");
                Check.equal("payload " + i, one.getParameter(), "payload");
                Check.equal(channel, one.getName(), "channel");
            }
            isDone.set(true);
            notifier.get();
            listener.execute("SELECT 1", "UNLISTEN *", "SELECT 1");
            Check.that(arrived.isEmpty(), "each notification once");
            subscription.dispose();
        } finally {
            isDone.set(true);
        }
        for (Future<Void> other : others) {
            other.get();
        }
        return null;
    }

    private void transactionsUntil(AtomicBoolean isDone) {
        try (Session session = connections.open()) {
            while (!isDone.get()) {
                R2dbcConnections.await(session.connection.beginTransaction());
                Check.equal("1", session.value("SELECT '1'"), "value");
                R2dbcConnections.await(session.connection.commitTransaction());
            }
        }
    }

    // -- settings --------------------------------------------------------------------------------

    String sessionSet() throws Exception {
        try (Session session = connections.open()) {
            for (int i = 0; i < connections.clients; i++) {
                String schema = connections.name("own_" + i);
                session.execute("DROP SCHEMA IF EXISTS " + schema + " CASCADE", "CREATE SCHEMA " + schema,
                        "CREATE TABLE " + schema + ".whose (number int)",
                        "INSERT INTO " + schema + ".whose VALUES (" + i + ")");
            }
        }
        Clients.run(connections.clients, this::settings);
        return null;
    }

    private void settings(int number) {
        List<String> expected = List.of("client " + number, "Etc/GMT+" + (1 + number),
                "name " + number, String.valueOf(number));
        try (Session session = connections.open()) {
            List<String> before = seen(session, "SELECT ''");
            session.execute("SET application_name = 'client " + number + "'",
                    "SET TimeZone = 'Etc/GMT+" + (1 + number) + "'",
                    "SET search_path = " + connections.name("own_" + number));
            session.value("SELECT set_config('my.name', $1, false)", "name " + number);
            for (int i = 0; i < TRANSACTIONS; i++) {
                Check.equal(expected, seen(session, "SELECT number::text FROM whose"), "settings");
                if (i % 2 == 0) {
                    local(session, i);
                }
            }
            Check.equal(expected, seen(session, "SELECT number::text FROM whose"), "settings");
            session.execute("RESET my.name", "RESET TimeZone", "RESET search_path",
                    "RESET application_name");
            Check.equal(before, seen(session, "SELECT ''"), "settings after RESET");
        }
    }

    private static List<String> seen(Session session, String query) {
        return List.of(session.value("SHOW application_name"), session.value("SHOW TimeZone"),
                session.value("SELECT coalesce(current_setting($1, true), '')", "my.name"),
                session.value(query));
    }

    /** SET LOCAL lasts as long as its transaction, whichever way that ends. */
    private static void local(Session session, int round) {
        R2dbcConnections.await(session.connection.beginTransaction());
        session.execute("SET LOCAL my.name = 'local'", "SET LOCAL work_mem = '77MB'");
        Check.equal("local", session.value("SHOW my.name"), "SET LOCAL");
        R2dbcConnections.await(round % 4 == 0 ? session.connection.commitTransaction()
                : session.connection.rollbackTransaction());
        Check.that(!session.value("SHOW work_mem").equals("77MB"), "SET LOCAL ends");
    }
}
