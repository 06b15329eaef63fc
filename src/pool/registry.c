/* registry.c: all pools, in a hash table by (database, user). */
#include "pool/registry.h"

#include "base/lock.h"
#include "base/memory.h"

/* The table's memory is gotten as all memory. */
#define uthash_malloc(size) memory_zeroed(size)
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
    struct pool *pool;
    size_t key_length;
    UT_hash_handle hh;
    char key[]; /* database, a zero byte, user, a zero byte */
};

struct registry {
    struct lock lock;
    unsigned workers;
    const struct pool_methods *methods;
    void *owner;
    uint64_t seed;
    struct entry *entries; /* owned, with their pools; guarded by the lock */
};

struct registry *registry_new(unsigned workers, const struct pool_methods *methods, void *owner,
                              uint64_t seed)
{
    struct registry *registry = memory_new(struct registry);

    lock_init(&registry->lock, "registry of pools");
    registry->workers = workers;
    registry->methods = methods;
    registry->owner = owner;
    registry->seed = seed;
    return registry;
}

void registry_free(struct registry *registry)
{
    struct entry *entry, *next;

    HASH_ITER (hh, registry->entries, entry, next) {
        HASH_DEL(registry->entries, entry);
        pool_free(entry->pool);
        free(entry);
    }
    lock_destroy(&registry->lock);
    free(registry);
}

static struct entry *new_entry(const struct settings *settings)
{
    size_t database = strlen(settings->database) + 1;
    size_t user = strlen(settings->user) + 1;
    struct entry *entry = memory_zeroed(sizeof(*entry) + database + user);

    memcpy(entry->key, settings->database, database);
    memcpy(entry->key + database, settings->user, user);
    entry->key_length = database + user;
    return entry;
}

/* Each pool its own schedule, the same in each run whatever the order of logins. */
static uint64_t seed_of(const struct registry *registry, const struct entry *entry)
{
    return registry->seed ^ ((uint64_t)entry->hh.hashv << 32);
}

struct pool *registry_pool(struct registry *registry, struct settings *settings)
{
    struct entry *wanted = new_entry(settings);
    struct entry *entry;

    lock_take(&registry->lock);
    HASH_FIND(hh, registry->entries, wanted->key, wanted->key_length, entry);
    if (entry == NULL) {
        entry = wanted;
        wanted = NULL;
        HASH_ADD_KEYPTR(hh, registry->entries, entry->key, entry->key_length, entry);
        entry->pool = pool_new(settings, registry->workers, registry->methods, registry->owner,
                               seed_of(registry, entry));
    }
    struct pool *pool = entry->pool;
    lock_release(&registry->lock);
    free(wanted);
    return pool;
}

/* Byte by byte over both names; the zero bytes between sort a shorter name first. */
static int compare(const struct entry *one, const struct entry *other)
{
    size_t shorter = one->key_length < other->key_length ? one->key_length : other->key_length;

    return memcmp(one->key, other->key, shorter);
}

void registry_visit(struct registry *registry, void (*visit)(struct pool *pool, void *context),
                    void *context)
{
    lock_take(&registry->lock);
    HASH_SORT(registry->entries, compare);
    size_t count = HASH_COUNT(registry->entries);
    struct pool **pools = memory_zeroed((count + 1) * sizeof(struct pool *));
    size_t i = 0;
    for (struct entry *entry = registry->entries; entry != NULL; entry = entry->hh.next)
        pools[i++] = entry->pool;
    lock_release(&registry->lock);

    for (i = 0; i < count; i++)
        visit(pools[i], context);
    free(pools);
}
