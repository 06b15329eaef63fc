/* sim_sql.c: from text to statements. */
#include "sim_sql.h"

#include "sim_trace.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct sim_guc sim_gucs[SIM_GUC_COUNT] = {
    {"application_name", true, false, ""},   {"DateStyle", true, false, "ISO, MDY"},
    {"TimeZone", true, false, "UTC"},        {"work_mem", false, false, "4MB"},
    {"search_path", false, false, "public"}, {"app.user", false, true, ""},
    {"app.tenant", false, true, ""},
};

unsigned sim_guc_find(const char *name, size_t length)
{
    for (unsigned i = 0; i < SIM_GUC_COUNT; i++) {
        if (strlen(sim_gucs[i].name) == length && strncasecmp(sim_gucs[i].name, name, length) == 0)
            return i;
    }
    return SIM_GUC_COUNT;
}

/* In the order in which they are tried. */
static const struct {
    const char *start;
    enum sim_kind kind;
    const char *tag;
} forms[] = {
    {"BEGIN", SIM_BEGIN, "BEGIN"},
    {"COMMIT", SIM_COMMIT, "COMMIT"},
    {"ROLLBACK", SIM_ROLLBACK, "ROLLBACK"},
    {"SELECT pg_catalog.set_config(", SIM_SET_CONFIG, "SELECT 1"},
    {"SELECT set_config(", SIM_SET_CONFIG, "SELECT 1"},
    {"SELECT n, CASE WHEN", SIM_QUESTION, "SELECT 1"},
    {"SELECT '', pg_catalog.concat(pg_catalog.set_config(", SIM_CALM, "SET"},
    {"WITH routines AS ", SIM_CATALOG, "SELECT 1"},
    {"SELECT 'pin:", SIM_QUESTION, "SELECT 1"}, /* of objects alone: there are none */
    {"SELECT", SIM_SELECT, "SELECT 1"},
    {"INSERT", SIM_INSERT, "INSERT 0 1"},
    {"FAIL", SIM_FAIL, "FAIL"},
    {"SLEEP ", SIM_SLEEP, "SELECT 1"},
    {"ROWS ", SIM_ROWS, "SELECT 1"},
    {"COPY IN", SIM_COPY_IN, "COPY 1"},
    {"COPY OUT", SIM_COPY_OUT, "COPY 1"},
    {"SET TRANSACTION ", SIM_CALM, "SET"},
    {"SET LOCAL ", SIM_SET_LOCAL, "SET"},
    {"SET ", SIM_SET, "SET"},
    {"RESET ", SIM_RESET, "RESET"},
    {"SHOW ", SIM_SHOW, "SHOW"},
    {"DISCARD ALL", SIM_DISCARD_ALL, "DISCARD ALL"},
    {"DEALLOCATE ALL", SIM_DEALLOCATE_ALL, "DEALLOCATE ALL"},
};

const char *sim_kind_tag(enum sim_kind kind)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (forms[i].kind == kind)
            return forms[i].tag;
    }
    return "?";
}

bool sim_kind_is_exit(enum sim_kind kind)
{
    return kind == SIM_COMMIT || kind == SIM_ROLLBACK || kind == SIM_EMPTY;
}

bool sim_kind_has_rows(enum sim_kind kind)
{
    return kind == SIM_SELECT || kind == SIM_SHOW || kind == SIM_ROWS || kind == SIM_SET_CONFIG ||
           kind == SIM_QUESTION || kind == SIM_CATALOG || kind == SIM_SLEEP;
}

static void copy_text(char *to, size_t size, const char *from, size_t length)
{
    if (length >= size)
        sim_fail("too long a word in a statement: %.*s", (int)length, from);
    memcpy(to, from, length);
    to[length] = '\0';
}

/* 'value' or E'value'; returns what follows it. */
static const char *read_literal(const char *at, const char *end, char value[SIM_VALUE_SIZE])
{
    const char *open = memchr(at, '\'', (size_t)(end - at));
    const char *close = open != NULL ? memchr(open + 1, '\'', (size_t)(end - open - 1)) : NULL;
    if (close == NULL)
        sim_fail("no literal in %.*s", (int)(end - at), at);
    copy_text(value, SIM_VALUE_SIZE, open + 1, (size_t)(close - open - 1));
    return close + 1;
}

static void read_token(struct sim_statement *statement)
{
    const char *end = statement->text + statement->length;
    const char *open = memmem(statement->text, statement->length, "/*", 2);
    const char *close = open != NULL ? memmem(open, (size_t)(end - open), "*/", 2) : NULL;
    if (close != NULL)
        copy_text(statement->token, SIM_TOKEN_SIZE, open + 2, (size_t)(close - open - 2));
}

static void read_name(struct sim_statement *statement, const char *at)
{
    size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.");
    statement->guc = sim_guc_find(at, length);
    if (statement->guc == SIM_GUC_COUNT)
        sim_fail("unknown setting in %s", at);
}

static void read_rest(struct sim_statement *statement, const char *rest)
{
    const char *end = statement->text + statement->length;
    switch (statement->kind) {
    case SIM_SET:
    case SIM_SET_LOCAL:
        read_name(statement, rest);
        (void)read_literal(rest, end, statement->value);
        break;
    case SIM_RESET:
    case SIM_SHOW:
        read_name(statement, rest);
        break;
    case SIM_SLEEP:
    case SIM_ROWS:
        statement->number = (unsigned)strtoul(rest, NULL, 10);
        break;
    default:
        break;
    }
}

static struct sim_statement parse_one(const char *text, size_t length)
{
    while (length > 0 && *text == ' ') {
        text++;
        length--;
    }
    struct sim_statement statement = {.text = text, .length = length};
    if (length == 0)
        return statement;
    statement.kind = SIM_UNKNOWN;
    read_token(&statement);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t size = strlen(forms[i].start);
        if (length < size || memcmp(text, forms[i].start, size) != 0)
            continue;
        statement.kind = forms[i].kind;
        read_rest(&statement, text + size);
        break;
    }
    return statement;
}

unsigned sim_sql_parse(const char *sql, struct sim_statement list[SIM_MOST_STATEMENTS])
{
    unsigned count = 0;
    for (;;) {
        size_t length = strcspn(sql, ";");
        if (count == SIM_MOST_STATEMENTS)
            sim_fail("too many statements");
        list[count] = parse_one(sql, length);
        if (list[count].kind != SIM_EMPTY || (count == 0 && sql[length] == '\0'))
            count++;
        if (sql[length] == '\0')
            return count;
        sql += length + 1;
    }
}

unsigned sim_sql_next_set(const char **at, const char *end, char value[SIM_VALUE_SIZE],
                          bool *has_value)
{
    static const char call[] = "set_config(";
    const char *found = memmem(*at, (size_t)(end - *at), call, sizeof call - 1);
    if (found == NULL)
        return SIM_GUC_COUNT;
    char name[SIM_VALUE_SIZE];
    const char *rest = read_literal(found, end, name);
    *has_value = strncmp(rest, ",NULL", 5) != 0;
    *at = *has_value ? read_literal(rest, end, value) : rest;
    unsigned guc = sim_guc_find(name, strlen(name));
    if (guc == SIM_GUC_COUNT)
        sim_fail("set_config of an unknown setting %s", name);
    return guc;
}

bool sim_sql_asks_for(const struct sim_statement *statement, const char *name)
{
    char literal[SIM_VALUE_SIZE + 16] = "E'";
    strcat(literal, name);
    strcat(literal, "'::");
    return memmem(statement->text, statement->length, literal, strlen(literal)) != NULL;
}
