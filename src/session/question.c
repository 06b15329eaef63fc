#include "session/question.h"
#include "base/memory.h"
#include "pg/quote.h"
#include "pg/reader.h"
#include "state/guc.h"
#include "state/pin.h"
#include "state/prepared.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void question_text(struct buffer *sql, const char *text)
{
    buffer_append(sql, text, strlen(text));
}

/* A custom setting that the session has; one that is empty is known to whoever has named it. */
static void question_custom(struct buffer *sql, const char *name, size_t *count)
{
    question_text(sql, (*count)++ == 0 ? " UNION ALL SELECT c, pg_catalog.current_setting(c, true)"
                                         " FROM (VALUES ("
                                       : "), (");
    quote_literal(sql, name);
    question_text(sql, "::pg_catalog.text");
}

static bool question_names(const struct pairs *names, const char *name)
{
    return names != NULL && pairs_find(names, name) != NULL;
}

static void question_customs(struct buffer *sql, const struct question_scope *scope)
{
    const struct pairs *custom = scope->custom, *hidden = scope->hidden;
    size_t count = 0;
    for (size_t i = 0; custom != NULL && i < custom->count; i++)
        question_custom(sql, custom->items[i].name, &count);
    for (size_t i = 0; hidden != NULL && i < hidden->count; i++) {
        if (!question_names(custom, hidden->items[i].name))
            question_custom(sql, hidden->items[i].name, &count);
    }
    const struct pairs *set = guc_pairs(scope->known);
    for (size_t i = 0; i < set->count; i++) {
        const char *name = set->items[i].name;
        if (strchr(name, '.') != NULL && strchr(name, ':') == NULL &&
            !question_names(custom, name) && !question_names(hidden, name))
            question_custom(sql, name, &count);
    }
    if (count > 0)
        question_text(sql, ")) AS custom(c)"
                           " WHERE pg_catalog.current_setting(c, true) IS NOT NULL");
}

/* The first byte of a value that comes as the hexadecimal digits of its bytes in the database's
 * encoding: what is not ASCII would be converted to the client's encoding, which may not have it.
 */
#define QUESTION_HEX '\x01'

/* Settings and roles. */
static void question_settings(struct buffer *sql, const struct question_scope *scope)
{
    question_text(sql,
                  "SELECT n, CASE WHEN v OPERATOR(pg_catalog.~) E'[^\\x02-\\x7f]'"
                  " THEN pg_catalog.concat(E'\\x01', pg_catalog.encode(pg_catalog.convert_to(v,"
                  " pg_catalog.getdatabaseencoding()), 'hex')) ELSE v END"
                  " FROM (SELECT name AS n, setting AS v FROM pg_catalog.pg_settings"
                  " WHERE source OPERATOR(pg_catalog.=) 'session'"
                  " AND name OPERATOR(pg_catalog.<>) ALL (ARRAY['transaction_isolation',"
                  " 'transaction_read_only', 'transaction_deferrable'])"
                  " AND pg_catalog.strpos(name, '.') OPERATOR(pg_catalog.=) 0");
    if (scope->careful)
        question_text(sql, " AND name OPERATOR(pg_catalog.<>) 'statement_timeout'");
    question_text(sql, " UNION ALL SELECT 'session_authorization', session_user::pg_catalog.text"
                       " WHERE session_user OPERATOR(pg_catalog.<>) ");
    quote_literal(sql, scope->login_user);
    question_text(sql,
                  "::pg_catalog.name UNION ALL SELECT 'role', pg_catalog.current_setting('role')"
                  " WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none'");
    question_customs(sql, scope);
    question_text(sql, ") AS settings");
}

/* Rows that are no settings: this, and the name of a pin. No setting's name has a colon. */
#define QUESTION_PIN "pin:"
/* And a channel that the session listens to. */
#define QUESTION_LISTEN "listen:"

/* This, and the name of a statement that the client has by Parse (client_lend.h). */
#define QUESTION_LENT "lent:"

/*
 * Statements prepared by SQL: "prepare:NAME" and the text; without a name, or without a text, those
 * that are hard to name under every encoding or too long (a row must not be past WORKER_KEEP_SIZE).
 */
static void question_prepared(struct buffer *sql)
{
    question_text(
        sql, " UNION ALL (SELECT pg_catalog.concat('" PREPARED_PREFIX "', CASE WHEN"
             " name OPERATOR(pg_catalog.~) E'[^\\x02-\\x7f]' THEN '' ELSE name END),"
             " CASE WHEN pg_catalog.octet_length(statement) OPERATOR(pg_catalog.>) 30000 THEN ''"
             " WHEN statement OPERATOR(pg_catalog.~) E'[^\\x02-\\x7f]'"
             " THEN pg_catalog.concat(E'\\x01', pg_catalog.encode(pg_catalog.convert_to("
             "statement, pg_catalog.getdatabaseencoding()), 'hex')) ELSE statement END"
             " FROM pg_catalog.pg_prepared_statements WHERE from_sql LIMIT 201)");
}

/* The schema of temporary objects has no others' and, while there is none, costs no look. */
#define QUESTION_TEMPORARY                                                                         \
    "pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid AND EXISTS"          \
    " (SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=)"                   \
    " 'pg_catalog.pg_namespace'::pg_catalog.regclass"                                              \
    " AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"

/* What cannot be moved, as far as the server can say. */
static void question_objects(struct buffer *sql)
{
    static const struct {
        const char *pin;
        const char *condition;
    } pins[] = {
        {"TEMPORARY", QUESTION_TEMPORARY},
        {"ADVISORY", "EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype"
                     " OPERATOR(pg_catalog.=) 'advisory'"
                     " AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())"},
        {"CURSOR", "EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)"},
    };
    for (size_t i = 0; i < sizeof pins / sizeof pins[0]; i++) {
        question_text(sql, i == 0 ? "SELECT '" QUESTION_PIN : " UNION ALL SELECT '" QUESTION_PIN);
        question_text(sql, pins[i].pin);
        question_text(sql, "', '' WHERE ");
        question_text(sql, pins[i].condition);
    }
    question_prepared(sql);
    question_text(sql, " UNION ALL SELECT pg_catalog.concat('" QUESTION_LISTEN "', l), ''"
                       " FROM pg_catalog.pg_listening_channels() AS listening(l)");
}

static void question_lent(struct buffer *sql, const struct pairs *names)
{
    question_text(sql, " UNION ALL SELECT pg_catalog.concat('" QUESTION_LENT "', name), ''"
                       " FROM pg_catalog.pg_prepared_statements WHERE NOT from_sql"
                       " AND name OPERATOR(pg_catalog.=) ANY (ARRAY[");
    for (size_t i = 0; i < names->count; i++) {
        question_text(sql, i > 0 ? ", " : "");
        quote_literal(sql, names->items[i].name);
    }
    question_text(sql, "]::pg_catalog.text[])");
}

void question_write(struct buffer *sql, const struct question_scope *scope)
{
    if (scope->may_wait)
        question_text(sql, "SET TRANSACTION NOT DEFERRABLE;");
    if (scope->careful)
        question_text(sql, "SELECT 'statement_timeout',"
                           " pg_catalog.current_setting('statement_timeout');"
                           "SELECT '', pg_catalog.set_config('statement_timeout', '0', true);");
    if (scope->settings)
        question_settings(sql, scope);
    if (scope->settings && scope->objects)
        question_text(sql, " UNION ALL ");
    if (scope->objects)
        question_objects(sql);
    if (scope->objects && scope->lent != NULL && scope->lent->count > 0)
        question_lent(sql, scope->lent);
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

/* The bytes that hexadecimal digits stand for; NULL where they are none. */
static char *question_decode(const char *digits)
{
    size_t size = strlen(digits) / 2;
    char *bytes = memory_zeroed(size + 1);
    size_t length;
    if (size > 0 &&
        (OPENSSL_hexstr2buf_ex((unsigned char *)bytes, size, &length, digits, '\0') != 1 ||
         length != size)) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static void question_take_setting(struct question *question, const char *name, const char *value)
{
    char *decoded = NULL;
    if (value[0] == QUESTION_HEX && (decoded = question_decode(value + 1)) == NULL)
        question->malformed = true;
    else if (name[0] != '\0')
        pairs_add(&question->gucs, name, decoded != NULL ? decoded : value);
    free(decoded);
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
    else if (strncmp(name, QUESTION_LISTEN, strlen(QUESTION_LISTEN)) == 0)
        pairs_add(&question->channels, name + strlen(QUESTION_LISTEN), "");
    else if (strncmp(name, QUESTION_LENT, strlen(QUESTION_LENT)) == 0)
        pairs_add(&question->lent, name + strlen(QUESTION_LENT), "");
    else if (strncmp(name, QUESTION_ROUTINE, strlen(QUESTION_ROUTINE)) == 0)
        pairs_add(&question->routines, name + strlen(QUESTION_ROUTINE), value);
    else
        question_take_setting(question, name, value);
    free(name);
    free(value);
}

void question_begin_row(struct question *question, size_t body_length, const uint8_t *bytes,
                        size_t length)
{
    if (body_length > QUESTION_LONGEST_ROW) {
        question->malformed = true;
        return;
    }
    buffer_append(&question->row, bytes, length);
    question->row_left = body_length - length;
}

void question_add_to_row(struct question *question, const uint8_t *bytes, size_t length)
{
    buffer_append(&question->row, bytes, length);
    question->row_left -= length;
    if (question->row_left > 0)
        return;
    question_take_row(question, buffer_bytes(&question->row), buffer_length(&question->row));
    buffer_release(&question->row);
}

void question_free(struct question **question)
{
    if (*question == NULL)
        return;
    pairs_clear(&(*question)->gucs);
    buffer_release(&(*question)->row);
    pairs_clear(&(*question)->channels);
    pairs_clear(&(*question)->lent);
    pairs_clear(&(*question)->routines);
    free(*question);
    *question = NULL;
}
