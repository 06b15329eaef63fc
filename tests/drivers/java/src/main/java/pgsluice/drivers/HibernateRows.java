package pgsluice.drivers;

import java.util.List;
import java.util.Properties;

/** An object-relational mapper over a pool of the application's own. */
final class HibernateRows {
    private HibernateRows() {
    }

    static List<Row> all(Properties versions) {
        return List.of(new Row(
                "Hibernate ORM, HikariCP",
                versions.getProperty("hibernate") + ", " + versions.getProperty("hikaricp"),
                (server, prefix) -> new HibernateCases(server, JdbcRows.pooled(server))));
    }
}
