package pgsluice.drivers;

/** A driver in one way of use: a line of the table. */
record Row(String name, String version, Opener opener) {

    interface Opener {
        /** prefix: of the names of this row's own tables. */
        Cases open(Server server, String prefix) throws Exception;
    }

    /** The prefix of the tables' names, made of the row's name: a plain SQL identifier. */
    String prefix() {
        return name.toLowerCase(java.util.Locale.ROOT).replaceAll("[^a-z0-9]+", "_") + "_";
    }
}
