package pgsluice.drivers;

/** The cases over R2DBC, whatever makes the connections. */
final class R2dbcCases implements Cases {
    private final R2dbcConnections connections;
    private final R2dbcData data;
    private final R2dbcTransactions transactions;
    private final R2dbcSession session;

    R2dbcCases(R2dbcConnections connections, Sizes sizes) {
        this.connections = connections;
        data = new R2dbcData(connections, sizes);
        transactions = new R2dbcTransactions(connections);
        session = new R2dbcSession(connections);
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
    public void close() {
        connections.close();
    }
}
