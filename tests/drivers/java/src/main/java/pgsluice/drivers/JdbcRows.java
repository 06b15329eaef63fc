package pgsluice.drivers;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.postgresql.ds.PGSimpleDataSource;

/** pgjdbc with the settings that people use, and HikariCP over it. */
final class JdbcRows {
    private static final String[] SETTINGS = {
        "",
        "prepareThreshold=1",
        "prepareThreshold=0",
        "prepareThreshold=-1",
        "preferQueryMode=simple",
        "preferQueryMode=extendedForPrepared",
        "preferQueryMode=extendedCacheEverything",
        "autosave=always",
        "autosave=conservative",
        "reWriteBatchedInserts=true",
        "defaultRowFetchSize=50",
    };

    private JdbcRows() {
    }

    static List<Row> all(Properties versions) {
        String pgjdbc = versions.getProperty("pgjdbc");
        List<Row> rows = new ArrayList<>();
        for (String setting : SETTINGS) {
            rows.add(new Row(
                    setting.isEmpty() ? "pgjdbc" : "pgjdbc, " + setting,
                    pgjdbc,
                    (server, prefix) -> new JdbcCases(
                            new JdbcConnections(plain(server, setting), server, prefix),
                            Sizes.of(server))));
        }
        rows.add(new Row(
                "pgjdbc, HikariCP",
                pgjdbc + ", " + versions.getProperty("hikaricp"),
                (server, prefix) -> new JdbcCases(
                        new JdbcConnections(pooled(server), server, prefix), Sizes.of(server))));
        return rows;
    }

    static String url(Server server, String setting) {
        return "jdbc:postgresql://" + server.host() + ":" + server.port() + "/" + server.database()
                + "?" + setting;
    }

    private static PGSimpleDataSource plain(Server server, String setting) {
        PGSimpleDataSource source = new PGSimpleDataSource();
        source.setUrl(url(server, setting));
        source.setUser(server.user());
        source.setPassword(server.password());
        return source;
    }

    static HikariDataSource pooled(Server server) {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(url(server, ""));
        config.setUsername(server.user());
        config.setPassword(server.password());
        // Most clients of a case have one connection, some of them two.
        config.setMaximumPoolSize(2 * server.clients() + 1);
        config.setMinimumIdle(2);
        // Hikari puts a schema back only where it was told which.
        config.setSchema("public");
        return new HikariDataSource(config);
    }
}
