/*
 * sim_sql.h: the few statements that model servers understand. A comment at the end is the
 * statement's token, unique in a simulation: it says which client sent it, and is what a SELECT
 * answers.
 *
 * BEGIN, COMMIT, ROLLBACK, SELECT, INSERT (its token is the row), FAIL, SLEEP milliseconds,
 * ROWS count, COPY IN, COPY OUT, SET [LOCAL] name = 'value', RESET name, SHOW name, DISCARD ALL,
 * DEALLOCATE ALL, SELECT set_config('name','value',false), and what pgsluice itself sends.
 */
#ifndef PGSLUICE_TESTS_SIM_SQL_H
#define PGSLUICE_TESTS_SIM_SQL_H

#include <stdbool.h>
#include <stddef.h>

#define SIM_TOKEN_SIZE 24
#define SIM_VALUE_SIZE 40
#define SIM_MOST_STATEMENTS 8

enum sim_kind {
    SIM_EMPTY,
    SIM_BEGIN,
    SIM_COMMIT,
    SIM_ROLLBACK,
    SIM_SELECT,
    SIM_INSERT,
    SIM_FAIL,
    SIM_SLEEP,
    SIM_ROWS,
    SIM_COPY_IN,
    SIM_COPY_OUT,
    SIM_SET,
    SIM_SET_LOCAL,
    SIM_RESET,
    SIM_SHOW,
    SIM_DISCARD_ALL,
    SIM_DEALLOCATE_ALL,
    SIM_SET_CONFIG,
    SIM_CALM, /* ahead of a question: nothing that matters here */
    SIM_QUESTION,
    SIM_CATALOG, /* a question of functions: there are none */
    SIM_UNKNOWN,
};

struct sim_statement {
    enum sim_kind kind;
    char token[SIM_TOKEN_SIZE]; /* "" where it has none */
    unsigned guc;               /* index into sim_gucs */
    char value[SIM_VALUE_SIZE];
    unsigned number;
    const char *text; /* within the query's text */
    size_t length;
};

/* Settings that the servers know. */
struct sim_guc {
    const char *name;
    bool is_reported; /* by ParameterStatus */
    bool is_custom;
    const char *value; /* the server's own */
};
#define SIM_GUC_COUNT 7u
extern const struct sim_guc sim_gucs[SIM_GUC_COUNT];
/* SIM_GUC_COUNT where there is none. */
unsigned sim_guc_find(const char *name, size_t length);

/* The statements between semicolons; an empty text is one SIM_EMPTY. Returns how many. */
unsigned sim_sql_parse(const char *sql, struct sim_statement list[SIM_MOST_STATEMENTS]);
/* The next set_config() of a text: its setting and value (false: RESET) from *at on, which moves
 * on; SIM_GUC_COUNT at the end. */
unsigned sim_sql_next_set(const char **at, const char *end, char value[SIM_VALUE_SIZE],
                          bool *has_value);
/* Whether a question asks for a custom setting. */
bool sim_sql_asks_for(const struct sim_statement *statement, const char *name);
const char *sim_kind_tag(enum sim_kind kind);
/* It leaves a failed transaction. */
bool sim_kind_is_exit(enum sim_kind kind);
bool sim_kind_has_rows(enum sim_kind kind);

#endif
