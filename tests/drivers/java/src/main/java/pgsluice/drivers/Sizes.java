package pgsluice.drivers;

/** How much the cases do; QUICK in the environment makes it less. */
record Sizes(boolean quick) {

    static Sizes of(Server server) {
        return new Sizes(server.quick());
    }

    /** Distinct statements: more than the driver's cache holds. */
    int texts(int cache) {
        return quick ? Math.max(300, cache + 20) : Math.max(300, 3 * cache);
    }

    int copyRows() {
        return quick ? 2_000 : 20_000;
    }

    /** Bytes of a large value. */
    int large() {
        return (quick ? 8 : 64) << 20;
    }
}
