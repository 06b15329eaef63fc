/* pool_check.c: what holds between any two steps of a pool. */
#include "base/check.h"
#include "pool/pool_internal.h"

static unsigned check_idle(struct pool *pool, unsigned worker)
{
    struct pool_server *server;
    unsigned count = 0;

    TAILQ_FOREACH (server, &pool->workers[worker].idle, link) {
        check(server->pool == pool && server->state == POOL_SERVER_IDLE);
        check(server->worker == worker && server->generation == pool->generation);
        check(server->granted_to == NULL);
        count++;
    }
    check(count == pool->workers[worker].idle_count);
    return count;
}

static unsigned check_line(struct pool *pool, unsigned worker)
{
    struct pool_waiter *waiter;
    struct pool_waiter *elder = NULL;
    unsigned count = 0;

    TAILQ_FOREACH (waiter, &pool->workers[worker].waiting, link) {
        check(waiter->pool == pool && waiter->state == POOL_WAITER_WAITING);
        check(waiter->worker == worker && waiter->ticket < pool->next_ticket);
        check(elder == NULL || elder->ticket < waiter->ticket);
        elder = waiter;
        count++;
    }
    check(count == pool->workers[worker].waiting_count);
    return count;
}

static void check_sums(struct pool *pool)
{
    unsigned idle = 0, waiting = 0, coming = 0;

    for (unsigned i = 0; i < pool->worker_count; i++) {
        idle += check_idle(pool, i);
        waiting += check_line(pool, i);
        coming += pool->workers[i].coming;
    }
    check(idle == pool->servers[POOL_SERVER_IDLE]);
    check(waiting == pool->waiting);
    check(coming == pool->coming && coming <= pool->servers[POOL_SERVER_CONNECTING]);
    check(pool->servers[POOL_SERVER_NEW] == 0);
    check((pool->failures == 0) == (pool->last_failure == NULL));
}

static void check_policy(struct pool *pool)
{
    unsigned idle = pool->servers[POOL_SERVER_IDLE];

    check(idle == 0 || pool->waiting == 0);
    check(idle == 0 || pool_live(pool) <= pool->settings->size);
    check(!pool->shutting_down || (idle == 0 && pool->waiting == 0));
    /* Whoever waits has a connection coming, or no more may be opened. */
    check(pool->waiting <= pool->coming || pool->failures > 0 ||
          pool_total(pool) >= pool_limit(pool));
}

void pool_check(struct pool *pool)
{
    lock_take(&pool->lock);
    check_sums(pool);
    check_policy(pool);
    lock_release(&pool->lock);
}
