package pgsluice.drivers;

import com.zaxxer.hikari.HikariDataSource;
import jakarta.persistence.LockModeType;
import jakarta.persistence.OptimisticLockException;
import jakarta.persistence.PersistenceException;
import java.math.BigDecimal;
import java.sql.SQLException;
import java.time.Duration;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.hibernate.ScrollMode;
import org.hibernate.ScrollableResults;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.AvailableSettings;
import org.hibernate.cfg.Configuration;
import pgsluice.drivers.HibernateModel.Author;
import pgsluice.drivers.HibernateModel.Book;
import pgsluice.drivers.HibernateModel.Everything;
import pgsluice.drivers.HibernateModel.Large;
import pgsluice.drivers.HibernateModel.Mood;

/** The cases by entities, queries and sessions. */
final class HibernateCases implements Cases {
    private static final int ROWS = 20;
    private static final int BATCH = 200;
    // More than the 256 that the driver's cache holds.
    private static final int TEXTS = 300;

    private final HikariDataSource source;
    private final SessionFactory factory;
    private final int clients;
    private final Sizes sizes;

    HibernateCases(Server server, HikariDataSource source) {
        this.source = source;
        clients = server.clients();
        sizes = Sizes.of(server);
        Configuration configuration = new Configuration();
        HibernateModel.ENTITIES.forEach(configuration::addAnnotatedClass);
        configuration.getProperties().put(AvailableSettings.JAKARTA_NON_JTA_DATASOURCE, source);
        configuration.setProperty(AvailableSettings.STATEMENT_BATCH_SIZE, "50");
        configuration.setProperty(AvailableSettings.ORDER_INSERTS, "true");
        configuration.setProperty(AvailableSettings.JAKARTA_HBM2DDL_DATABASE_ACTION, "drop-and-create");
        factory = configuration.buildSessionFactory();
    }

    /** A transaction of a session of its own: committed, or rolled back when it throws. */
    private void transaction(Consumer<Session> work) {
        factory.inTransaction(work::accept);
    }

    private static long count(Session session, String entity, int client) {
        return session.createSelectionQuery("select count(*) from " + entity + " where client = :client",
                Long.class).setParameter("client", client).getSingleResult();
    }

    private static Author author(Session session, int client, String name) {
        return session.createSelectionQuery("from Author where client = :client and name = :name",
                Author.class).setParameter("client", client).setParameter("name", name)
                .getSingleResultOrNull();
    }

    private interface ClientWork {
        void run(int client) throws Exception;
    }

    private void all(ClientWork work) throws Exception {
        Clients.run(clients, work::run);
    }

    /** SQLSTATE and message of what the database refused. */
    private static String outcome(Runnable work) {
        try {
            work.run();
            return "done";
        } catch (PersistenceException problem) {
            Throwable cause = problem;
            while (cause != null && !(cause instanceof SQLException)) {
                cause = cause.getCause();
            }
            String kind = problem.getClass().getSimpleName();
            return cause == null ? kind : kind + " "
                    + JdbcConnections.describe((SQLException) cause).replaceAll("\".*?\"", "...")
                            .replaceAll("(?s)Batch entry.*", "batch");
        }
    }

    @Override
    public String crud() throws Exception {
        all(client -> {
            for (int i = 0; i < ROWS; i++) {
                String name = "crud " + client + " " + i;
                transaction(session -> {
                    Author author = new Author(client, name);
                    IntStream.range(0, 3).forEach(author::write);
                    session.persist(author);
                });
                transaction(session -> {
                    Author author = author(session, client, name);
                    Check.equal(3, author.books.size(), "books");
                    Check.equal("Title 2", author.books.get(2).title, "title");
                    author.books.remove(1);
                    author.write(7).title = "Grüße 🐘";
                });
                transaction(session -> {
                    Author author = author(session, client, name);
                    Check.equal(List.of(0, 2, 7), author.books.stream().map(book -> book.number).toList(),
                            "books");
                    Check.equal("Grüße 🐘", author.books.get(2).title, "title");
                    Check.that(author.books.get(2).created != null, "a time of creation");
                });
            }
            transaction(session -> {
                Check.equal((long) ROWS, count(session, "Author", client), "authors");
                Check.equal(ROWS, session.createMutationQuery(
                        "update versioned Author set name = name || '!' where client = :client")
                        .setParameter("client", client).executeUpdate(), "updated");
            });
            transaction(session -> session.createSelectionQuery("from Author where client = :client",
                    Author.class).setParameter("client", client).list().forEach(session::remove));
            transaction(session -> Check.equal(0L, count(session, "Author", client), "authors"));
        });
        return null;
    }

    @Override
    public String types() throws Exception {
        all(client -> {
            for (int i = 0; i < 7; i++) {
                UUID id = new UUID(client, i);
                transaction(session -> session.persist(everything(id)));
                transaction(session -> {
                    Everything expected = everything(id);
                    Everything seen = session.find(Everything.class, id);
                    Check.equal(-32768, (int) seen.small, "small");
                    Check.equal(expected.plain, seen.plain, "plain");
                    Check.equal(expected.big, seen.big, "big");
                    Check.equal(0, expected.exact.compareTo(seen.exact), "exact");
                    Check.equal(expected.real, seen.real, "real");
                    Check.equal(expected.yes, seen.yes, "yes");
                    Check.equal(expected.empty, seen.empty, "empty");
                    Check.equal(expected.text, seen.text, "text");
                    Check.equal(expected.bytes, seen.bytes, "bytes");
                    Check.equal(expected.date, seen.date, "date");
                    Check.equal(expected.time, seen.time, "time");
                    Check.equal(expected.moment.toInstant(), seen.moment.toInstant(), "moment");
                    Check.equal(expected.span, seen.span, "span");
                    Check.equal(expected.numbers, seen.numbers, "numbers");
                    Check.equal(expected.texts, seen.texts, "texts");
                    Check.equal(expected.mood, seen.mood, "mood");
                    Check.that(seen.nothing == null && seen.never == null, "nulls");
                });
            }
        });
        return null;
    }

    private static Everything everything(UUID id) {
        Everything all = new Everything();
        all.id = id;
        all.small = Short.MIN_VALUE;
        all.plain = Integer.MIN_VALUE;
        all.big = Long.MIN_VALUE;
        all.exact = new BigDecimal("-12345678901234567890.1234567890123456789");
        all.real = Math.PI;
        all.yes = true;
        all.empty = "";
        all.text = "it's a \"text\" with \\ and $1 and ? and Ελλάδα 🐘";
        all.bytes = new byte[256];
        IntStream.range(0, 256).forEach(i -> all.bytes[i] = (byte) i);
        all.date = LocalDate.of(1999, 12, 31);
        all.time = LocalDateTime.of(2024, 2, 29, 23, 59, 59, 123_456_000);
        all.moment = OffsetDateTime.parse("2024-02-29T23:59:59.123456Z");
        all.span = Duration.ofSeconds(123_456_789, 123_000_000);
        all.numbers = new Integer[] {1, null, -3};
        all.texts = new String[] {"a", null, "", "{\"}", "ß"};
        all.mood = Mood.HAPPY;
        return all;
    }

    @Override
    public String statements() throws Exception {
        all(client -> {
            for (int i = 0; i < 2 * TEXTS; i += 10) {
                int first = i + client * 40;
                transaction(session -> IntStream.range(first, first + 10)
                        .forEach(which -> executions(session, which % TEXTS)));
            }
        });
        return null;
    }

    /** So often that the driver makes it a named statement. */
    private static void executions(Session session, int which) {
        for (int input = 0; input < 5; input++) {
            Integer sum = session.createNativeQuery("SELECT CAST(:input AS int) + " + which, Integer.class)
                    .setParameter("input", input).getSingleResult();
            Check.equal(input + which, sum, "sum");
        }
    }

    @Override
    public String batch() throws Exception {
        all(client -> {
            transaction(session -> IntStream.range(0, BATCH)
                    .forEach(i -> session.persist(new Author(client, "batch " + client + " " + i))));
            transaction(session -> {
                List<Author> authors = session.createSelectionQuery(
                        "from Author where client = :client order by id", Author.class)
                        .setParameter("client", client).list();
                Check.equal(IntStream.range(0, BATCH).mapToObj(i -> "batch " + client + " " + i).toList(),
                        authors.stream().map(author -> author.name).toList(), "order");
                authors.forEach(author -> author.name += "!");
            });
            transaction(session -> session.createSelectionQuery("from Author where client = :client",
                    Author.class).setParameter("client", client).list().forEach(author -> {
                        Check.that(author.name.endsWith("!"), "updated");
                        session.remove(author);
                    }));
            transaction(session -> Check.equal(0L, count(session, "Author", client), "left"));
        });
        return null;
    }

    @Override
    public String copy() throws Exception {
        throw new Absent("Hibernate has no COPY");
    }

    @Override
    public String transactions() throws Exception {
        String[] seen = new String[clients];
        all(client -> {
            String name = "transactions " + client;
            transaction(session -> session.persist(new Author(client, name)));
            String rolledBack = outcome(() -> transaction(session -> {
                session.persist(new Author(client, name + " again"));
                session.flush();
                throw new PersistenceException("rolled back");
            }));
            transaction(session -> Check.equal(1L, count(session, "Author", client), "authors"));
            seen[client] = String.join("; ", rolledBack, staleVersion(client, name),
                    locked(client, name), readOnly());
            scroll();
        });
        return JdbcData.agreed(seen);
    }

    /** Two sessions have read the same version; the second one to write is refused. */
    private String staleVersion(int client, String name) {
        Author[] read = new Author[1];
        transaction(session -> read[0] = author(session, client, name));
        transaction(session -> author(session, client, name).client = client);
        transaction(session -> author(session, client, name).name = name + "!");
        read[0].name = "stale";
        try {
            transaction(session -> session.merge(read[0]));
            return "the stale one was written";
        } catch (OptimisticLockException refused) {
            return "stale version refused";
        }
    }

    private static String locked(Session session, int client) {
        List<Author> free = session.createSelectionQuery("from Author where client = :client", Author.class)
                .setParameter("client", client).setLockMode(LockModeType.PESSIMISTIC_WRITE).list();
        return free.size() + " locked";
    }

    private String locked(int client, String name) {
        StringBuilder seen = new StringBuilder();
        transaction(session -> {
            seen.append(locked(session, client));
            session.doWork(connection -> {
                java.sql.Savepoint savepoint = connection.setSavepoint();
                seen.append(", ").append(JdbcConnections.outcome(
                        () -> JdbcConnections.execute(connection, "SELECT 1 / 0")));
                connection.rollback(savepoint);
            });
            session.persist(new Author(client, name + " behind the savepoint"));
        });
        transaction(session -> seen.append(", ").append(count(session, "Author", client)));
        return seen.toString();
    }

    /** As a framework's read-only transactions do it. */
    private String readOnly() {
        String[] seen = new String[1];
        factory.inSession(session -> {
            session.setDefaultReadOnly(true);
            session.doWork(connection -> connection.setReadOnly(true));
            session.beginTransaction();
            seen[0] = outcome(() -> {
                session.persist(new Author(-1, "read only"));
                session.flush();
            });
            session.getTransaction().rollback();
        });
        transaction(session -> Check.equal("off", session.createNativeQuery(
                "SELECT current_setting('transaction_read_only')", String.class).getSingleResult(),
                "read only afterwards"));
        return seen[0];
    }

    private void scroll() {
        transaction(session -> {
            int expected = 1;
            try (ScrollableResults<Integer> rows = session.createNativeQuery(
                    "SELECT n FROM generate_series(1, 500) AS n", Integer.class)
                    .setFetchSize(50).scroll(ScrollMode.FORWARD_ONLY)) {
                while (rows.next()) {
                    Check.equal(expected++, rows.get(), "row");
                }
            }
            Check.equal(501, expected, "rows");
        });
    }

    @Override
    public String pipelineErrors() throws Exception {
        String[] seen = new String[clients];
        all(client -> {
            List<String> said = new ArrayList<>();
            for (int round = 0; round < 2; round++) {
                said.add(outcome(() -> transaction(session -> IntStream.range(0, 20).forEach(i -> session
                        .persist(new Author(client, "errors " + client + " " + (i == 10 ? 3 : i)))))));
                transaction(session -> said.add(count(session, "Author", client) + " rows"));
            }
            seen[client] = String.join("; ", said);
        });
        return JdbcData.agreed(seen);
    }

    @Override
    public String largeRows() throws Exception {
        Clients.run(1, client -> {
            byte[] value = new byte[sizes.large()];
            new Random(client).nextBytes(value);
            byte[] object = Arrays.copyOf(value, value.length / 16);
            transaction(session -> {
                Large large = new Large();
                large.client = client;
                large.value = value;
                large.object = object;
                session.persist(large);
            });
            transaction(session -> {
                Large large = session.find(Large.class, client);
                Check.that(Arrays.equals(value, large.value), "the value that went in comes out");
                Check.that(Arrays.equals(object, large.object), "so does the large object");
            });
        });
        return null;
    }

    @Override
    public String cancel() throws Exception {
        String[] seen = new String[clients];
        all(client -> {
            boolean isLimited = client % 2 == 0;
            long start = System.nanoTime();
            seen[client] = outcome(() -> transaction(session -> session
                    .createNativeQuery("SELECT pg_sleep(:time)::text", String.class)
                    .setParameter("time", isLimited ? 60 : 1)
                    .setTimeout(isLimited ? 1 : 0).getSingleResult()));
            double seconds = (System.nanoTime() - start) / 1e9;
            Check.that(seconds < 20, "it took " + seconds + " s");
            transaction(session -> Check.equal(0L, count(session, "Author", client), "authors"));
        });
        return String.join("; ", seen);
    }

    @Override
    public String listenNotify() throws Exception {
        throw new Absent("Hibernate has no notifications");
    }

    /** A session has a connection for a transaction only: a tenant is told by SET LOCAL. */
    @Override
    public String sessionSet() throws Exception {
        all(client -> {
            for (int i = 0; i < 50; i++) {
                String tenant = "tenant " + client + " " + i;
                transaction(session -> {
                    session.createNativeQuery("SELECT set_config('my.tenant', :tenant, true)", String.class)
                            .setParameter("tenant", tenant).getSingleResult();
                    Check.equal(0L, count(session, "Author", client), "authors");
                    Check.equal(tenant, session.createNativeQuery(
                            "SELECT current_setting('my.tenant')", String.class).getSingleResult(), "tenant");
                });
                transaction(session -> Check.equal("", session.createNativeQuery(
                        "SELECT coalesce(current_setting('my.tenant', true), '')", String.class)
                        .getSingleResult(), "tenant of another transaction"));
            }
        });
        return null;
    }

    /** Entities name their columns, so that a new one is no matter; a changed type is. */
    @Override
    public String schemaChange() throws Exception {
        transaction(session -> {
            Author author = new Author(1, "schema");
            author.write(1).title = "1";
            session.persist(author);
        });
        List<String> seen = new ArrayList<>();
        IntStream.range(0, 8).forEach(i -> titles());
        String[] changes = {"ADD COLUMN more int", "DROP COLUMN more",
            "ALTER COLUMN title TYPE varchar(100)"};
        for (String change : changes) {
            transaction(session -> session.doWork(connection -> JdbcConnections.execute(connection,
                    "ALTER TABLE hibernate_book " + change)));
            seen.add(titles());
            seen.add(titles());
        }
        return String.join("; ", seen);
    }

    private String titles() {
        String[] title = new String[1];
        String end = outcome(() -> transaction(session -> title[0] = session
                .createSelectionQuery("from Book where number = 1", Book.class).getSingleResult().title));
        return title[0] + " " + end;
    }

    @Override
    public void close() {
        factory.close();
        source.close();
    }
}
