/*
 * pool_opening.c: when connections are opened.
 *
 * Attempts that fail are spaced out: after each wave of failures the next attempt waits twice as
 * long. Attempts that were under way together count as one wave, so that a burst which meets a
 * stopped server does not jump to the longest delay. Until one succeeds, one is made at a time.
 */
#include "base/check.h"
#include "pool/pool_internal.h"

#include <string.h>

/* splitmix64: small, and the same schedule for the same seed. */
static uint64_t next_random(struct pool *pool)
{
    uint64_t z = pool->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* At least 0, below limit; 0 where limit is 0. */
static microseconds random_below(struct pool *pool, microseconds limit)
{
    return limit <= 0 ? 0 : (microseconds)(next_random(pool) % (uint64_t)limit);
}

/* Up to a tenth early, so that connections that were opened together do not all expire at once. */
microseconds pool_opening_expiry(struct pool *pool, microseconds now)
{
    microseconds recycle = pool->settings->recycle;

    if (recycle == CLOCK_OFF)
        return 0;
    return now + recycle - random_below(pool, recycle / 10);
}

bool pool_opening_is_suspended(const struct pool *pool, microseconds now)
{
    return pool->failures > 0 && now < pool->retry_at;
}

bool pool_opening_allowed(const struct pool *pool, microseconds now)
{
    if (pool->shutting_down || pool_total(pool) >= pool_limit(pool))
        return false;
    if (pool->failures == 0)
        return true;
    return now >= pool->retry_at && pool->coming == 0;
}

/* It counts from here on; the object is made after the lock has been released. */
static void start(struct pool *pool, unsigned worker, microseconds now,
                  struct pool_actions *actions)
{
    pool->servers[POOL_SERVER_CONNECTING]++;
    pool->coming++;
    pool->workers[worker].coming++;
    pool_actions_open(actions, worker, now);
}

void pool_opening_serve_line(struct pool *pool, microseconds now, struct pool_actions *actions)
{
    if (pool->waiting == 0)
        return;
    if (pool->shutting_down) {
        pool_line_refuse_all(pool, POOL_REFUSED_SHUTDOWN, now, actions);
        return;
    }
    while (pool->coming < pool->waiting && pool_opening_allowed(pool, now))
        start(pool, pool_line_needy_worker(pool), now, actions);
    if (pool_live(pool) == 0 && pool->coming == 0 && pool_opening_is_suspended(pool, now))
        pool_line_refuse_all(pool, POOL_REFUSED_UNREACHABLE, now, actions);
}

/*
 * A login that the server refuses for its user (class 28) or database (3D) does not heal by being
 * tried again: it is, when a client asks. Otherwise every stranger's name would knock for ever.
 */
static bool only_a_client_may_try(const struct pool *pool)
{
    const struct failure *failure = pool->last_failure;

    return pool->failures > 0 && failure != NULL &&
           (strncmp(failure->sqlstate, "28", 2) == 0 || strncmp(failure->sqlstate, "3D", 2) == 0);
}

void pool_opening_keep_warm(struct pool *pool, microseconds now, struct pool_actions *actions)
{
    const struct settings *settings = pool->settings;
    unsigned warm = settings->warm < settings->size ? settings->warm : settings->size;

    if (only_a_client_may_try(pool))
        return;
    while (pool_live(pool) + pool->coming < warm && pool_opening_allowed(pool, now)) {
        start(pool, pool->next_worker, now, actions);
        pool->next_worker = (pool->next_worker + 1) % pool->worker_count;
    }
}

void pool_opening_ended(struct pool *pool, const struct pool_server *server)
{
    if (server->generation != pool->generation)
        return;
    pool->coming--;
    pool->workers[server->worker].coming--;
}

static void forget_failures(struct pool *pool)
{
    pool->failures = 0;
    failure_release(&pool->last_failure);
}

void pool_opening_start_anew(struct pool *pool)
{
    forget_failures(pool);
    pool->coming = 0;
    for (unsigned i = 0; i < pool->worker_count; i++)
        pool->workers[i].coming = 0;
}

void pool_opening_succeeded(struct pool *pool)
{
    pool->opened++;
    if (pool->failures > 0)
        forget_failures(pool);
}

/* The step of this wave, with jitter over its upper half. */
static microseconds backoff(struct pool *pool)
{
    microseconds step = POOL_BACKOFF_LEAST;

    for (unsigned i = 0; i < pool->failures && step < POOL_BACKOFF_MOST; i++)
        step *= 2;
    if (step > POOL_BACKOFF_MOST)
        step = POOL_BACKOFF_MOST;
    return step / 2 + random_below(pool, step / 2 + 1);
}

void pool_opening_failed(struct pool *pool, struct failure *failure, microseconds began,
                         microseconds now)
{
    bool same_wave = pool->failures > 0 && began < pool->retry_at;
    struct failure *retained = failure_retain(failure);

    failure_release(&pool->last_failure);
    pool->last_failure = retained;
    if (same_wave)
        return;
    pool->failures++;
    pool->retry_at = now + backoff(pool);
}
