/*
 * guc.c: GUC sets are pair sets with folded names; and the SQL between two of them.
 *
 * The SQL is set_config() calls in the target list of a SELECT, which PostgreSQL evaluates in
 * order; a NULL value is a RESET, and unlike RESET it takes any name as a string.
 *
 * Order: first DEALLOCATE of what the session has prepared too much; then back to the rights of the
 * login user (role, then session_authorization), who may set what the session once could; then
 * client_encoding, then the rest, and at last down to the rights of the session
 * (session_authorization, then role: setting the former undoes the latter).
 *
 * Text: a query is converted from the client_encoding that is in force when it arrives, which is
 * the old state's, and may not know the characters. So only ASCII is written as a string; anything
 * else as its bytes in the database's encoding, in which values are kept.
 */
#include "state/guc.h"

#include "pg/quote.h"
#include "state/pair_set.h"
#include "state/prepared.h"

#include <pthread.h>
#include <string.h>

#define ROLE "role"
#define SESSION_AUTHORIZATION "session_authorization"
#define CLIENT_ENCODING "client_encoding"
#define DATESTYLE "datestyle"
#define DEFERRABLE "default_transaction_deferrable"

/* PostgreSQL's limit for a target list is 1664. */
#define CALLS_PER_SELECT 1000

static struct pair_set_table table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_table(void)
{
    pair_set_table_init(&table, "gucs", true);
}

static struct pair_set_table *the_table(void)
{
    pthread_once(&once, init_table);
    return &table;
}

/* `struct guc_set` is a pair_set of this table under another name. */

static struct guc_set *wrap(struct pair_set *set)
{
    return (struct guc_set *)set;
}

static const struct pair_set *unwrap(const struct guc_set *set)
{
    return (const struct pair_set *)set;
}

struct guc_set *guc_empty(void)
{
    return wrap(pair_set_empty(the_table()));
}

struct guc_set *guc_intern(const struct pairs *pairs)
{
    return wrap(pair_set_intern(the_table(), pairs));
}

struct guc_set *guc_retain(struct guc_set *set)
{
    return wrap(pair_set_retain((struct pair_set *)set));
}

void guc_release(struct guc_set **set)
{
    if (*set != NULL)
        pair_set_release(the_table(), (struct pair_set *)*set);
    *set = NULL;
}

const struct pairs *guc_pairs(const struct guc_set *set)
{
    return pair_set_pairs(unwrap(set));
}

const char *guc_find(const struct guc_set *set, const char *name)
{
    return pair_set_find(unwrap(set), name);
}

struct guc_set *guc_with(const struct guc_set *set, const char *name, const char *value)
{
    return wrap(pair_set_with(the_table(), unwrap(set), name, value));
}

struct guc_set *guc_without(const struct guc_set *set, const char *name)
{
    return wrap(pair_set_without(the_table(), unwrap(set), name));
}

struct guc_set *guc_merge(const struct guc_set *under, const struct guc_set *over)
{
    return wrap(pair_set_merge(the_table(), unwrap(under), unwrap(over)));
}

/* The text being written. */
struct script {
    struct buffer *sql;
    unsigned calls;
};

static void write_sql(struct script *script, const char *text)
{
    buffer_append(script->sql, text, strlen(text));
}

static void write_bytes(struct script *script, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    write_sql(script, "pg_catalog.convert_from(pg_catalog.decode('");
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char hex[2] = {digits[byte >> 4], digits[byte & 15]};
        buffer_append(script->sql, hex, sizeof hex);
    }
    write_sql(script, "','hex'),pg_catalog.getdatabaseencoding())");
}

static void write_text(struct script *script, const char *text)
{
    if (quote_is_ascii(text))
        quote_literal(script->sql, text);
    else
        write_bytes(script, text);
}

/* value NULL: RESET */
static void write_call(struct script *script, const char *name, const char *value)
{
    if (script->calls == 0)
        write_sql(script, "SELECT ");
    else
        write_sql(script, script->calls % CALLS_PER_SELECT == 0 ? ";SELECT " : ",");
    script->calls++;
    write_sql(script, "pg_catalog.set_config(");
    write_text(script, name);
    write_sql(script, ",");
    if (value == NULL)
        write_sql(script, "NULL");
    else
        write_text(script, value);
    /* Its answer is the value, which the client's encoding may not have. */
    write_sql(script, ",false)IS NULL");
}

static void write_call_if_differs(struct script *script, const char *name, const char *old,
                                  const char *new)
{
    if (new == NULL ? old != NULL : old == NULL || strcmp(old, new) != 0)
        write_call(script, name, new);
}

/* A setting whose place in the text is not among the others, or no setting. */
static bool has_own_place(const char *name)
{
    return prepared_is(name) || strcmp(name, ROLE) == 0 ||
           strcmp(name, SESSION_AUTHORIZATION) == 0 || strcmp(name, CLIENT_ENCODING) == 0;
}

static void write_deallocations(struct script *script, const struct guc_set *from,
                                const struct guc_set *to)
{
    const struct pairs *old = guc_pairs(from);
    for (size_t i = 0; i < old->count; i++) {
        const char *name = old->items[i].name;
        if (!prepared_is(name))
            continue;
        const char *value = guc_find(to, name);
        if (value == NULL || strcmp(value, old->items[i].value) != 0)
            prepared_write_deallocate(script->sql, name);
    }
}

static void write_resets(struct script *script, const struct guc_set *from,
                         const struct guc_set *to)
{
    const struct pairs *old = guc_pairs(from);
    for (size_t i = 0; i < old->count; i++) {
        const char *name = old->items[i].name;
        if (!has_own_place(name) && pair_set_find(unwrap(to), name) == NULL)
            write_call(script, name, NULL);
    }
}

static void write_changes(struct script *script, const struct guc_set *from,
                          const struct guc_set *to)
{
    const struct pairs *new = guc_pairs(to);
    for (size_t i = 0; i < new->count; i++) {
        const char *name = new->items[i].name;
        const char *old = pair_set_find(unwrap(from), name);
        const char *value = new->items[i].value;
        if (has_own_place(name) || (old != NULL && strcmp(old, value) == 0))
            continue;
        if (old != NULL && strcmp(name, DATESTYLE) == 0)
            write_call(script, name, NULL); /* half of one is completed from what it was */
        write_call(script, name, value);
    }
}

bool guc_write_switch(const struct guc_set *from, const struct guc_set *to, struct buffer *sql)
{
    static const char *const rights[] = {ROLE, SESSION_AUTHORIZATION};
    struct script script = {.sql = sql};

    if (from == to)
        return false;
    /* A deferrable transaction waits until it cannot fail for the sake of others'. */
    if (pair_set_find(unwrap(from), DEFERRABLE) != NULL)
        write_sql(&script, "SET TRANSACTION NOT DEFERRABLE;");
    write_deallocations(&script, from, to);
    for (size_t i = 0; i < 2; i++) {
        if (pair_set_find(unwrap(from), rights[i]) != NULL)
            write_call(&script, rights[i], NULL);
    }
    write_resets(&script, from, to);
    write_call_if_differs(&script, CLIENT_ENCODING, pair_set_find(unwrap(from), CLIENT_ENCODING),
                          pair_set_find(unwrap(to), CLIENT_ENCODING));
    write_changes(&script, from, to);
    for (size_t i = 2; i-- > 0;) {
        const char *value = pair_set_find(unwrap(to), rights[i]);
        if (value != NULL)
            write_call(&script, rights[i], value);
    }
    return true;
}
