/* statement_cache.c: what one server connection has prepared: a table by pointer, a list by use. */
#include "state/statement.h"

#include "base/check.h"
#include "state/table.h"

#include <sys/queue.h>

struct cached {
    struct statement *statement; /* one reference; the key */
    uint64_t shape;
    TAILQ_ENTRY(cached) link;
    UT_hash_handle hh;
};

/* Exists only while it holds something. */
struct statement_cache {
    struct cached *table;
    TAILQ_HEAD(, cached) by_use; /* least recently used first */
};

static struct cached *find_entry(const struct statement_cache *cache,
                                 const struct statement *statement)
{
    struct cached *found = NULL;
    if (cache != NULL)
        HASH_FIND_PTR(cache->table, &statement, found);
    return found;
}

uint64_t *statement_cache_use(struct statement_cache *cache, const struct statement *statement)
{
    struct cached *found = find_entry(cache, statement);
    if (found == NULL)
        return NULL;
    TAILQ_REMOVE(&cache->by_use, found, link);
    TAILQ_INSERT_TAIL(&cache->by_use, found, link);
    return &found->shape;
}

void statement_cache_add(struct statement_cache **cache, struct statement *statement)
{
    check(find_entry(*cache, statement) == NULL);
    if (*cache == NULL) {
        *cache = memory_new(struct statement_cache);
        TAILQ_INIT(&(*cache)->by_use);
    }
    struct cached *entry = memory_new(struct cached);
    entry->statement = statement_retain(statement);
    entry->shape = STATEMENT_SHAPE_UNKNOWN;
    HASH_ADD_PTR((*cache)->table, statement, entry);
    TAILQ_INSERT_TAIL(&(*cache)->by_use, entry, link);
}

/* Returns the entry's reference; an empty cache goes. */
static struct statement *take_entry(struct statement_cache **cache, struct cached *entry)
{
    struct statement *statement = entry->statement;
    HASH_DEL((*cache)->table, entry);
    TAILQ_REMOVE(&(*cache)->by_use, entry, link);
    free(entry);
    if (TAILQ_EMPTY(&(*cache)->by_use)) {
        free(*cache);
        *cache = NULL;
    }
    return statement;
}

bool statement_cache_remove(struct statement_cache **cache, const struct statement *statement)
{
    struct cached *found = find_entry(*cache, statement);
    if (found == NULL)
        return false;
    struct statement *taken = take_entry(cache, found);
    statement_release(&taken);
    return true;
}

struct statement *statement_cache_evict(struct statement_cache **cache, size_t limit)
{
    if (statement_cache_count(*cache) <= limit)
        return NULL;
    return take_entry(cache, TAILQ_FIRST(&(*cache)->by_use));
}

void statement_cache_clear(struct statement_cache **cache)
{
    struct statement *taken;
    while ((taken = statement_cache_evict(cache, 0)) != NULL)
        statement_release(&taken);
}

size_t statement_cache_count(const struct statement_cache *cache)
{
    return cache == NULL ? 0 : HASH_COUNT(cache->table);
}
