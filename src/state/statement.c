/* statement.c: the table of statements by content. */
#include "state/statement.h"

#include "base/check.h"
#include "base/lock.h"
#include "pg/lexer.h"
#include "pg/lexer_set.h"
#include "pg/lexer_sign.h"
#include "pg/lexer_statement.h"
#include "state/reference.h"
#include "state/table.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

/* A statement as the table keeps it; the key stands behind it: the content, and the context where
 * there is one (a content tells its own length, so that no key is taken for another). */
struct interned {
    struct statement statement;
    UT_hash_handle hh;
    uint8_t key[];
};

struct key {
    const uint8_t *bytes;
    size_t length;
    uint64_t context;
};

static struct interned *table; /* owns no references */
static struct lock table_lock;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_lock(void)
{
    lock_init(&table_lock, "statements");
}

static struct interned *interned_of(const struct statement *statement)
{
    return container_of(statement, struct interned, statement);
}

static void write_name(char name[STATEMENT_NAME_SIZE], const struct key *key)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    char *at = name + strlen(STATEMENT_NAME_PREFIX);

    check(EVP_Digest(key->bytes, key->length, digest, NULL, EVP_sha256(), NULL) == 1);
    memcpy(name, STATEMENT_NAME_PREFIX, strlen(STATEMENT_NAME_PREFIX));
    for (size_t i = 0; i < 16; i++) {
        *at++ = digits[digest[i] >> 4];
        *at++ = digits[digest[i] & 15];
    }
    *at = '\0';
}

static void ignore_name(const char *name, void *context)
{
    (void)name;
    (void)context;
}

static bool is_set(const char *sql, size_t length)
{
    struct buffer name = {0}, value = {0};
    bool found = lexer_may_name_settings(sql, length) &&
                 lexer_set_parse(sql, length, &name, &value) != LEXER_SET_OTHER;
    buffer_release(&name);
    buffer_release(&value);
    return found;
}

static unsigned signs_of(const struct statement *statement, const char *sql, size_t length)
{
    bool matters = (statement->changes & ~(unsigned)LEXER_CHANGES_SETTINGS) != 0 ||
                   (lexer_may_name_settings(sql, length) && lexer_may_set_seed(sql, length));
    return matters ? lexer_signs(sql, length) : 0;
}

static struct interned *interned_new(const struct key *key)
{
    struct interned *interned = memory_zeroed(sizeof *interned + key->length);
    size_t length = key->length - (key->context != 0 ? sizeof key->context : 0);
    memcpy(interned->key, key->bytes, key->length);
    interned->statement.references = 1;
    interned->statement.content = interned->key;
    interned->statement.content_length = (uint32_t)length;
    interned->statement.context = key->context;
    const char *sql = (const char *)interned->key;
    interned->statement.changes = (uint8_t)lexer_changes(sql, strnlen(sql, length));
    if (lexer_may_name_settings(sql, strnlen(sql, length))) {
        unsigned names = lexer_settings(sql, length, ignore_name, NULL);
        interned->statement.hides_setting = (names & LEXER_NAMES_MISSED) != 0;
        interned->statement.sets_locally =
            (interned->statement.changes & LEXER_CHANGES_SETTINGS) != 0 &&
            (names & LEXER_NAMES_LASTING) == 0;
        if (interned->statement.sets_locally)
            interned->statement.changes &= (uint8_t)~LEXER_CHANGES_SETTINGS;
    }
    interned->statement.sets = is_set(sql, strnlen(sql, length));
    interned->statement.signs = (uint8_t)signs_of(&interned->statement, sql, strnlen(sql, length));
    interned->statement.names_statements =
        lexer_may_name_statements(sql, strnlen(sql, length), false);
    write_name(interned->statement.name, key);
    return interned;
}

/* Under the lock. */
static struct interned *find(const struct key *key, unsigned hash)
{
    struct interned *found = NULL;
    lock_assert_held(&table_lock);
    HASH_FIND_BYHASHVALUE(hh, table, key->bytes, key->length, hash, found);
    if (found != NULL)
        reference_take(&found->statement.references);
    return found;
}

/* The digest is made outside the lock, so another thread may have been first. */
static struct statement *intern_new(const struct key *key, unsigned hash)
{
    struct interned *made = interned_new(key);
    lock_take(&table_lock);
    struct interned *found = find(key, hash);
    if (found == NULL)
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, table, made->key, key->length, hash, made);
    lock_release(&table_lock);
    if (found == NULL)
        return &made->statement;
    free(made);
    return &found->statement;
}

static struct statement *intern(const struct key *key)
{
    unsigned hash;

    pthread_once(&once, init_lock);
    HASH_VALUE(key->bytes, key->length, hash);
    lock_take(&table_lock);
    struct interned *found = find(key, hash);
    lock_release(&table_lock);
    return found != NULL ? &found->statement : intern_new(key, hash);
}

struct statement *statement_intern(const uint8_t *content, size_t length, uint64_t context)
{
    struct buffer both = {0};
    struct key key = {.bytes = content, .length = length, .context = context};

    check(length > 0 && length <= UINT32_MAX);
    if (context != 0) {
        buffer_append(&both, content, length);
        buffer_append(&both, &context, sizeof context);
        key.bytes = buffer_bytes(&both);
        key.length = buffer_length(&both);
    }
    struct statement *statement = intern(&key);
    buffer_release(&both);
    return statement;
}

/* Eight bytes at a time: every Parse comes by here. */
static bool is_ascii(const char *text, size_t length)
{
    uint64_t seen = 0, eight;

    for (; length >= sizeof eight; text += sizeof eight, length -= sizeof eight) {
        memcpy(&eight, text, sizeof eight);
        seen |= eight;
    }
    for (; length > 0; text++, length--)
        seen |= (uint8_t)*text;
    return (seen & UINT64_C(0x8080808080808080)) == 0;
}

bool statement_needs_context(const char *sql, size_t length)
{
    const char *end = sql + length;

    if (memchr(sql, '\'', length) != NULL || !is_ascii(sql, length))
        return true;
    while ((sql = memchr(sql, '$', (size_t)(end - sql))) != NULL) {
        sql++;
        if (sql < end && (*sql < '0' || *sql > '9'))
            return true; /* no parameter: a quote, perhaps */
    }
    return false;
}

struct statement *statement_retain(struct statement *statement)
{
    reference_take(&statement->references);
    return statement;
}

void statement_release(struct statement **statement)
{
    struct statement *given = *statement;

    *statement = NULL;
    if (given == NULL || reference_give_shared(&given->references))
        return;
    struct interned *interned = interned_of(given);
    lock_take(&table_lock);
    bool last = reference_give_locked(&given->references);
    if (last)
        HASH_DEL(table, interned);
    lock_release(&table_lock);
    if (last)
        free(interned);
}
