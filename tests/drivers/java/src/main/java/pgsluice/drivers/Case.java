package pgsluice.drivers;

import java.util.Locale;

/** The columns of the table, in their order. */
enum Case {
    CRUD(Cases::crud),
    TYPES(Cases::types),
    STATEMENTS(Cases::statements),
    BATCH(Cases::batch),
    COPY(Cases::copy),
    TRANSACTIONS(Cases::transactions),
    PIPELINE_ERRORS(Cases::pipelineErrors),
    LARGE_ROWS(Cases::largeRows),
    CANCEL(Cases::cancel),
    NOTIFY(Cases::listenNotify),
    SESSION_SET(Cases::sessionSet),
    SCHEMA_CHANGE(Cases::schemaChange);

    private interface Body {
        String run(Cases cases) throws Exception;
    }

    private final Body body;

    Case(Body body) {
        this.body = body;
    }

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    String run(Cases cases) throws Exception {
        return body.run(cases);
    }
}
