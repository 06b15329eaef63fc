package pgsluice.drivers;

/**
 * What every row is asked to do. Each case returns what its user saw where that may depend on the
 * server (the same is wanted directly and through pgsluice), or null; throws Absent where the
 * driver has no such thing, anything else for a failure. close() ends every connection, those of a
 * case that hangs as well.
 */
interface Cases extends AutoCloseable {
    String crud() throws Exception;

    String types() throws Exception;

    String statements() throws Exception;

    String batch() throws Exception;

    String copy() throws Exception;

    String transactions() throws Exception;

    String pipelineErrors() throws Exception;

    String largeRows() throws Exception;

    String cancel() throws Exception;

    String listenNotify() throws Exception;

    String sessionSet() throws Exception;

    String schemaChange() throws Exception;
}
