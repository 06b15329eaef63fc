/* Runs the cases of libpq's rows and prints what came out, one JSON line for each. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "crowd.h"

static const struct row rows[] = {
    {"libpq", "libpq", CLIENT_PLAIN},
    {"libpq, pipeline mode", "libpq_pipeline", CLIENT_PIPELINE},
    {"libpq, single-row mode", "libpq_single_row", CLIENT_SINGLE_ROW},
};

static const struct crowd_case cases[] = {
    {"crud", case_crud, 0},
    {"types", case_types, 0},
    {"statements", case_statements, 0},
    {"batch", case_batch, 0},
    {"copy", case_copy, 0},
    {"transactions", case_transactions, 0},
    {"pipeline_errors", case_pipeline_errors, 0},
    {"large_rows", case_large_rows, 2},
    {"cancel", case_cancel, 0},
    {"notify", case_notify, 0},
    {"session_set", case_session_set, 0},
    {"schema_change", case_schema_change, 0},
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void print_string(const char *key, const char *text)
{
    printf("\"%s\": \"", key);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20)
            printf("\\u%04x", byte);
        else if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else
            putchar(byte);
    }
    printf("\", ");
}

static void print_outcome(const struct row *row, const struct crowd_case *which,
                          const struct crowd_outcome *outcome)
{
    char version[40];
    snprintf(version, sizeof(version), "%d.%d", PQlibVersion() / 10000, PQlibVersion() % 10000);
    putchar('{');
    print_string("row", row->name);
    print_string("version", version);
    print_string("case", which->name);
    print_string("result", outcome->passed ? "pass" : "fail");
    print_string("detail", outcome->detail);
    if (outcome->observed[0] != '\0')
        print_string("observed", outcome->observed);
    printf("\"seconds\": %.2f}\n", outcome->seconds);
    fflush(stdout);
}

static bool is_named(const char *row, char **names)
{
    if (*names == NULL)
        return true;
    for (; *names != NULL; names++) {
        if (strcmp(row, *names) == 0)
            return true;
    }
    return false;
}

/* CASES names those that are wanted, with commas between; without it all are. */
static bool is_wanted(const char *name)
{
    const char *list = getenv("CASES");
    size_t length = strlen(name);
    if (list == NULL || *list == '\0')
        return true;
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length) {
        bool starts = at == list || at[-1] == ',';
        if (starts && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

int main(int count, char **arguments)
{
    const char *clients = getenv("CLIENTS");
    if (count < 1)
        return 2;
    for (size_t r = 0; r < LENGTH(rows); r++) {
        if (!is_named(rows[r].name, arguments + 1))
            continue;
        for (size_t c = 0; c < LENGTH(cases); c++) {
            struct crowd_outcome outcome;
            if (!is_wanted(cases[c].name))
                continue;
            crowd_run(&rows[r], &cases[c], clients == NULL ? 8 : atoi(clients), &outcome);
            print_outcome(&rows[r], &cases[c], &outcome);
        }
    }
    return 0;
}
