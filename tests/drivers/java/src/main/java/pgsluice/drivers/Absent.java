package pgsluice.drivers;

/** The driver has nothing for a case: a result, not a failure. */
final class Absent extends Exception {
    private static final long serialVersionUID = 1;

    Absent(String reason) {
        super(reason);
    }
}
