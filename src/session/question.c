#include "session/question.h"
#include "base/memory.h"
#include "pg/reader.h"
#include "state/guc.h"
#include "state/pin.h"

#include <stdlib.h>
#include <string.h>

/* A literal that is right under any standard_conforming_strings. */
static void question_literal(struct buffer *sql, const char *text)
{
    buffer_append(sql, "E'", 2);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\'' || *at == '\\')
            buffer_append(sql, at, 1);
        buffer_append(sql, at, 1);
    }
    buffer_append(sql, "'", 1);
}

static void question_text(struct buffer *sql, const char *text)
{
    buffer_append(sql, text, strlen(text));
}

static void question_custom(struct buffer *sql, const char *name, size_t *count)
{
    question_text(sql, (*count)++ == 0 ? " UNION ALL SELECT n, pg_catalog.current_setting(n, true)"
                                         " FROM (VALUES ("
                                       : "), (");
    question_literal(sql, name);
    question_text(sql, "::pg_catalog.text");
}

/* Rows that are no settings: this, and the name of a pin. No setting's name has a colon. */
#define QUESTION_PIN "pin:"

/* What cannot be moved, as far as the server can say; one EXISTS each. */
static void question_pins(struct buffer *sql)
{
    static const struct {
        const char *pin;
        const char *condition;
    } pins[] = {
        {"TEMPORARY", "SELECT FROM pg_catalog.pg_class WHERE relnamespace"
                      " OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()"},
        {"ADVISORY", "SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=)"
                     " 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()"},
        {"CURSOR", "SELECT FROM pg_catalog.pg_cursors WHERE is_holdable"},
        {"PREPARE", "SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql"},
        {"LISTEN", "SELECT FROM pg_catalog.pg_listening_channels()"},
    };
    for (size_t i = 0; i < sizeof pins / sizeof pins[0]; i++) {
        question_text(sql, " UNION ALL SELECT '" QUESTION_PIN);
        question_text(sql, pins[i].pin);
        question_text(sql, "', '' WHERE EXISTS (");
        question_text(sql, pins[i].condition);
        question_text(sql, ")");
    }
}

void question_write(struct buffer *sql, const char *login_user, const struct pairs *custom,
                    const struct guc_set *known)
{
    question_text(sql, "SELECT name, setting FROM pg_catalog.pg_settings"
                       " WHERE source OPERATOR(pg_catalog.=) 'session'"
                       " AND NOT pg_catalog.starts_with(name, 'transaction_')"
                       " AND pg_catalog.strpos(name, '.') OPERATOR(pg_catalog.=) 0"
                       " UNION ALL SELECT 'session_authorization', session_user::pg_catalog.text"
                       " WHERE session_user OPERATOR(pg_catalog.<>) ");
    question_literal(sql, login_user);
    question_text(sql,
                  "::pg_catalog.name UNION ALL SELECT 'role', pg_catalog.current_setting('role')"
                  " WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none'");
    question_pins(sql);
    size_t count = 0;
    for (size_t i = 0; custom != NULL && i < custom->count; i++)
        question_custom(sql, custom->items[i].name, &count);
    const struct pairs *set = guc_pairs(known);
    for (size_t i = 0; i < set->count; i++) {
        const char *name = set->items[i].name;
        if (strchr(name, '.') != NULL && (custom == NULL || pairs_find(custom, name) == NULL))
            question_custom(sql, name, &count);
    }
    if (count > 0)
        question_text(sql, ")) AS custom(n)"
                           " WHERE pg_catalog.current_setting(n, true) OPERATOR(pg_catalog.<>) ''");
}

struct question *question_new(void)
{
    return memory_new(struct question);
}

/* A column of text, copied; NULL where it is SQL's NULL or malformed. */
static char *question_column(struct reader *reader)
{
    uint32_t length = reader_uint32(reader);
    if (reader->failed || length == UINT32_MAX)
        return NULL;
    const uint8_t *bytes = reader_bytes(reader, length);
    return bytes != NULL ? memory_string_of(bytes, length) : NULL;
}

void question_take_row(struct question *question, const uint8_t *body, size_t length)
{
    struct reader reader;
    reader_init(&reader, body, length);
    uint16_t columns = reader_uint16(&reader);
    char *name = question_column(&reader);
    char *value = question_column(&reader);
    if (columns != 2 || name == NULL || value == NULL || !reader_finished(&reader))
        question->malformed = true;
    else if (strncmp(name, QUESTION_PIN, strlen(QUESTION_PIN)) == 0)
        question->pins |= pin_of_name(name + strlen(QUESTION_PIN));
    else
        pairs_set(&question->gucs, name, value);
    free(name);
    free(value);
}

void question_free(struct question **question)
{
    if (*question == NULL)
        return;
    pairs_clear(&(*question)->gucs);
    free(*question);
    *question = NULL;
}
