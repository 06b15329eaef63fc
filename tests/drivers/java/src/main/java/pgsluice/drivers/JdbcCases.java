package pgsluice.drivers;

/** The cases over JDBC, whatever makes the connections. */
final class JdbcCases implements Cases {
    private final JdbcConnections connections;
    private final JdbcData data;
    private final JdbcTransactions transactions;
    private final JdbcSession session;

    JdbcCases(JdbcConnections connections, Sizes sizes) {
        this.connections = connections;
        data = new JdbcData(connections, sizes);
        transactions = new JdbcTransactions(connections);
        session = new JdbcSession(connections);
    }

    @Override
    public String crud() throws Exception {
        return data.crud();
    }

    @Override
    public String types() throws Exception {
        return data.types();
    }

    @Override
    public String statements() throws Exception {
        return data.statements();
    }

    @Override
    public String batch() throws Exception {
        return data.batch();
    }

    @Override
    public String copy() throws Exception {
        return data.copy();
    }

    @Override
    public String transactions() throws Exception {
        return transactions.transactions();
    }

    @Override
    public String pipelineErrors() throws Exception {
        return transactions.pipelineErrors();
    }

    @Override
    public String largeRows() throws Exception {
        return data.largeRows();
    }

    @Override
    public String cancel() throws Exception {
        return session.cancel();
    }

    @Override
    public String listenNotify() throws Exception {
        return session.listenNotify();
    }

    @Override
    public String sessionSet() throws Exception {
        return session.sessionSet();
    }

    @Override
    public String schemaChange() throws Exception {
        return transactions.schemaChange();
    }

    @Override
    public void close() throws Exception {
        connections.close();
    }
}
