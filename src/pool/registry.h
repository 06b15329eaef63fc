/*
 * registry.h: all pools, by (database, user). Any thread; one lock, not on the way of a
 * transaction: clients look their pool up once, at login.
 */
#ifndef PGSLUICE_POOL_REGISTRY_H
#define PGSLUICE_POOL_REGISTRY_H

#include "pool/pool.h"

struct registry;

/* The arguments are those of each pool (pool_new); `owner` is what pool_owner() says of each. */
struct registry *registry_new(unsigned workers, const struct pool_methods *methods, void *owner,
                              uint64_t seed);
/* All pools must be empty. */
void registry_free(struct registry *registry);
/*
 * The pool for settings->database and settings->user; made from the settings where there is none.
 * Pools live until registry_free: the pointer stays valid.
 */
struct pool *registry_pool(struct registry *registry, struct settings *settings);
/* Calls visit for each pool, without the lock held, in order of database and user. */
void registry_visit(struct registry *registry, void (*visit)(struct pool *pool, void *context),
                    void *context);

#endif
