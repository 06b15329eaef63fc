/* pool_upkeep.c: what does not belong to a single lease: birth and death of a pool, the regular
 * tick, new settings, shutdown, figures. */
#include "base/check.h"
#include "base/memory.h"
#include "pool/pool_internal.h"

#include <stdlib.h>

/* The copies that pool_needs_ping() reads without the lock. */
static void publish_ping_settings(struct pool *pool)
{
    atomic_store_explicit(&pool->pre_ping, (int)pool->settings->pre_ping, memory_order_relaxed);
    atomic_store_explicit(&pool->pre_ping_after, pool->settings->pre_ping_after,
                          memory_order_relaxed);
}

struct pool *pool_new(struct settings *settings, unsigned workers,
                      const struct pool_methods *methods, void *owner, uint64_t seed)
{
    check(workers > 0);
    struct pool *pool = memory_zeroed(sizeof(*pool) + workers * sizeof(pool->workers[0]));

    lock_init(&pool->lock, "pool");
    pool->methods = methods;
    pool->owner = owner;
    pool->worker_count = workers;
    pool->settings = settings_retain(settings);
    pool->random = seed;
    atomic_init(&pool->suspect_before, INT64_MIN);
    publish_ping_settings(pool);
    pool_pin_configure(pool);
    for (unsigned i = 0; i < workers; i++) {
        TAILQ_INIT(&pool->workers[i].idle);
        TAILQ_INIT(&pool->workers[i].waiting);
    }
    return pool;
}

static bool is_empty(const struct pool *pool)
{
    return pool_total(pool) == 0 && pool->waiting == 0 && pool->refused == 0;
}

void pool_free(struct pool *pool)
{
    check(is_empty(pool));
    check(pool_pinned(pool) == 0);
    failure_release(&pool->last_failure);
    settings_release(&pool->settings);
    lock_destroy(&pool->lock);
    free(pool);
}

void *pool_owner(struct pool *pool)
{
    return pool->owner;
}

struct settings *pool_settings(struct pool *pool)
{
    lock_take(&pool->lock);
    struct settings *settings = settings_retain(pool->settings);
    lock_release(&pool->lock);
    return settings;
}

/* What stands above `warm`, the least recently used first. */
static void close_long_idle(struct pool *pool, microseconds now, struct pool_actions *actions)
{
    const struct settings *settings = pool->settings;

    if (settings->idle_timeout == CLOCK_OFF)
        return;
    while (pool_live(pool) > settings->warm) {
        struct pool_server *oldest = pool_idle_oldest(pool);
        if (oldest == NULL || now - oldest->idle_since < settings->idle_timeout)
            return;
        pool_server_close(pool, oldest, "idle_timeout", actions);
    }
}

void pool_tick(struct pool *pool, microseconds now)
{
    struct pool_actions actions;

    pool_actions_lock(&actions, pool);
    pool_line_refuse_late(pool, now, &actions);
    pool_idle_close_unfit(pool, now, &actions);
    close_long_idle(pool, now, &actions);
    pool_opening_serve_line(pool, now, &actions);
    pool_opening_keep_warm(pool, now, &actions);
    pool_actions_unlock(&actions);
}

static void close_surplus(struct pool *pool, struct pool_actions *actions)
{
    while (pool_live(pool) > pool->settings->size) {
        struct pool_server *oldest = pool_idle_oldest(pool);
        if (oldest == NULL)
            return;
        pool_server_close(pool, oldest, "the pool's size has changed", actions);
    }
}

void pool_reconfigure(struct pool *pool, struct settings *settings, microseconds now)
{
    struct pool_actions actions;

    pool_actions_lock(&actions, pool);
    actions.old_settings = pool->settings;
    pool->settings = settings_retain(settings);
    publish_ping_settings(pool);
    pool_pin_configure(pool);
    if (!settings_same_server(actions.old_settings, settings)) {
        pool->generation++;
        pool_opening_start_anew(pool);
    }
    pool_idle_close_unfit(pool, now, &actions);
    close_surplus(pool, &actions);
    pool_opening_serve_line(pool, now, &actions);
    pool_actions_unlock(&actions);
}

void pool_shutdown(struct pool *pool, microseconds now)
{
    struct pool_actions actions;

    pool_actions_lock(&actions, pool);
    pool->shutting_down = true;
    pool_idle_close_unfit(pool, now, &actions);
    pool_opening_serve_line(pool, now, &actions);
    pool_actions_unlock(&actions);
}

struct pool_counts pool_count(struct pool *pool, microseconds now)
{
    lock_take(&pool->lock);
    struct pool_counts counts = {
        .connecting = pool->servers[POOL_SERVER_CONNECTING],
        .idle = pool->servers[POOL_SERVER_IDLE],
        .granted = pool->servers[POOL_SERVER_GRANTED],
        .leased = pool->servers[POOL_SERVER_LEASED],
        .closing = pool->servers[POOL_SERVER_CLOSING],
        .waiting = pool->waiting,
        .pinned = pool_pinned(pool),
        .longest_wait = pool_line_longest_wait(pool, now),
        .leases = pool->leases,
        .waits = pool->waits,
        .timeouts = pool->timeouts,
        .opened = pool->opened,
        .lost = pool->lost,
    };
    lock_release(&pool->lock);
    return counts;
}

bool pool_is_empty(struct pool *pool)
{
    lock_take(&pool->lock);
    bool answer = is_empty(pool);
    lock_release(&pool->lock);
    return answer;
}
