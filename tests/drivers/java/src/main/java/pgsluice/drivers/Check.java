package pgsluice.drivers;

import java.util.Objects;

/** What the cases demand. */
final class Check {
    private Check() {
    }

    static void that(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void equal(Object expected, Object seen, String what) {
        if (!Objects.deepEquals(expected, seen)) {
            throw new AssertionError(what + ": " + seen + " instead of " + expected);
        }
    }
}
