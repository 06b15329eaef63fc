package pgsluice.drivers;

import java.util.Map;

/** Whom to talk to, and with how many connections at the same time. */
record Server(String host, int port, String user, String password, String database, int clients,
        boolean quick) {

    static Server fromEnvironment() {
        Map<String, String> variables = System.getenv();
        return new Server(
                variables.getOrDefault("PGHOST", "127.0.0.1"),
                Integer.parseInt(variables.getOrDefault("PGPORT", "5432")),
                variables.get("PGUSER"),
                variables.get("PGPASSWORD"),
                variables.get("PGDATABASE"),
                Integer.parseInt(variables.getOrDefault("CLIENTS", "8")),
                variables.containsKey("QUICK"));
    }
}
