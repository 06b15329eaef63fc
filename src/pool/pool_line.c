/* pool_line.c: the line of waiters. Each worker has its own, in order of arrival; tickets order
 * them over all workers, where clocks that each worker reads once a turn could not. */
#include "base/check.h"
#include "pool/pool_internal.h"

static void enter(struct pool *pool, struct pool_waiter *waiter)
{
    waiter->state = POOL_WAITER_WAITING;
    pool->workers[waiter->worker].waiting_count++;
    pool->waiting++;
}

void pool_line_admit(struct pool *pool, struct pool_waiter *waiter, unsigned worker,
                     const void *session_state, microseconds now)
{
    check(waiter->state == POOL_WAITER_NONE);
    waiter->pool = pool;
    waiter->worker = worker;
    waiter->ticket = pool->next_ticket++;
    waiter->since = now;
    waiter->session_state = session_state;
    pool->waits++;
}

void pool_line_join(struct pool *pool, struct pool_waiter *waiter)
{
    enter(pool, waiter);
    TAILQ_INSERT_TAIL(&pool->workers[waiter->worker].waiting, waiter, link);
}

void pool_line_rejoin(struct pool *pool, struct pool_waiter *waiter)
{
    struct pool_wait_list *list = &pool->workers[waiter->worker].waiting;
    struct pool_waiter *younger = TAILQ_FIRST(list);

    check(waiter->state == POOL_WAITER_GRANTED);
    enter(pool, waiter);
    while (younger != NULL && younger->ticket < waiter->ticket)
        younger = TAILQ_NEXT(younger, link);
    if (younger != NULL)
        TAILQ_INSERT_BEFORE(younger, waiter, link);
    else
        TAILQ_INSERT_TAIL(list, waiter, link);
}

/* The state is the caller's to set. */
void pool_line_leave(struct pool *pool, struct pool_waiter *waiter)
{
    struct pool_worker *worker = &pool->workers[waiter->worker];

    check(waiter->state == POOL_WAITER_WAITING && worker->waiting_count > 0);
    TAILQ_REMOVE(&worker->waiting, waiter, link);
    worker->waiting_count--;
    pool->waiting--;
}

static struct pool_waiter *eldest(struct pool *pool)
{
    struct pool_waiter *found = NULL;

    for (unsigned i = 0; i < pool->worker_count; i++) {
        struct pool_waiter *first = TAILQ_FIRST(&pool->workers[i].waiting);
        if (first != NULL && (found == NULL || first->ticket < found->ticket))
            found = first;
    }
    return found;
}

struct pool_waiter *pool_line_next(struct pool *pool, unsigned worker, microseconds now)
{
    struct pool_waiter *first = eldest(pool);
    struct pool_waiter *own = TAILQ_FIRST(&pool->workers[worker].waiting);

    if (own != NULL && now - first->since < POOL_FAIRNESS)
        return own;
    return first;
}

unsigned pool_line_needy_worker(struct pool *pool)
{
    struct pool_waiter *found = NULL;

    for (unsigned i = 0; i < pool->worker_count; i++) {
        struct pool_worker *worker = &pool->workers[i];
        struct pool_waiter *first = TAILQ_FIRST(&worker->waiting);
        if (worker->waiting_count > worker->coming &&
            (found == NULL || first->ticket < found->ticket))
            found = first;
    }
    /* Some worker has one, since the caller found more waiters than attempts. */
    check(found != NULL);
    return found->worker;
}

struct pool_refusal pool_line_refusal(struct pool *pool, enum pool_refusal_reason reason,
                                      microseconds waited, microseconds now)
{
    bool tells_failure = reason == POOL_REFUSED_TIMEOUT || reason == POOL_REFUSED_UNREACHABLE;

    return (struct pool_refusal){
        .reason = reason,
        .failure = tells_failure ? pool->last_failure : NULL,
        .waited = waited,
        .size = pool->settings->size,
        .overflow = pool->settings->overflow,
        .max_waiting = pool->settings->max_waiting,
        .open = pool_live(pool),
        .in_use = pool->servers[POOL_SERVER_GRANTED] + pool->servers[POOL_SERVER_LEASED],
        .coming = pool->servers[POOL_SERVER_CONNECTING],
        .pinned = pool_pinned(pool),
        .waiting = pool->waiting,
        .failures = pool->failures,
        .retry_in = pool->failures > 0 && pool->retry_at > now ? pool->retry_at - now : 0,
        .ever_opened = pool->opened > 0,
    };
}

void pool_line_refuse(struct pool *pool, struct pool_waiter *waiter,
                      enum pool_refusal_reason reason, microseconds now,
                      struct pool_actions *actions)
{
    if (waiter->state == POOL_WAITER_WAITING)
        pool_line_leave(pool, waiter);
    struct pool_refusal refusal = pool_line_refusal(pool, reason, now - waiter->since, now);
    waiter->state = POOL_WAITER_REFUSED;
    pool->refused++;
    pool_actions_refuse(actions, waiter, &refusal);
}

void pool_line_refuse_all(struct pool *pool, enum pool_refusal_reason reason, microseconds now,
                          struct pool_actions *actions)
{
    while (pool->waiting > 0)
        pool_line_refuse(pool, eldest(pool), reason, now, actions);
}

void pool_line_refuse_late(struct pool *pool, microseconds now, struct pool_actions *actions)
{
    if (pool->settings->timeout == CLOCK_OFF)
        return;
    for (unsigned i = 0; i < pool->worker_count && pool->waiting > 0; i++) {
        struct pool_wait_list *list = &pool->workers[i].waiting;
        struct pool_waiter *first;
        while ((first = TAILQ_FIRST(list)) != NULL &&
               now - first->since >= pool->settings->timeout) {
            pool->timeouts++;
            pool_line_refuse(pool, first, POOL_REFUSED_TIMEOUT, now, actions);
        }
    }
}

microseconds pool_line_longest_wait(const struct pool *pool, microseconds now)
{
    microseconds longest = 0;

    for (unsigned i = 0; i < pool->worker_count; i++) {
        const struct pool_waiter *first = TAILQ_FIRST(&pool->workers[i].waiting);
        if (first != NULL && now - first->since > longest)
            longest = now - first->since;
    }
    return longest;
}
