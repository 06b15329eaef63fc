/* pool_idle.c: idle server connections, one list per worker, most recently used first. */
#include "base/check.h"
#include "pool/pool_internal.h"

/*
 * How far down a list a server with the wanted session state is looked for. Most clients of a pool
 * share one state, so the head fits nearly always; and what lies deep has cold caches, for which a
 * replay of some settings on a warm one is no bad exchange.
 */
#define MATCH_REACH 16

void pool_idle_put(struct pool *pool, struct pool_server *server)
{
    struct pool_worker *worker = &pool->workers[server->worker];

    TAILQ_INSERT_HEAD(&worker->idle, server, link);
    worker->idle_count++;
}

void pool_idle_remove(struct pool *pool, struct pool_server *server)
{
    struct pool_worker *worker = &pool->workers[server->worker];

    check(worker->idle_count > 0);
    TAILQ_REMOVE(&worker->idle, server, link);
    worker->idle_count--;
}

struct pool_server *pool_idle_best(struct pool *pool, unsigned worker, const void *session_state)
{
    struct pool_idle_list *list = &pool->workers[worker].idle;
    struct pool_server *server;
    unsigned reach = MATCH_REACH;

    TAILQ_FOREACH (server, list, link) {
        if (server->session_state == session_state)
            return server;
        if (--reach == 0)
            break;
    }
    return TAILQ_FIRST(list);
}

struct pool_server *pool_idle_best_elsewhere(struct pool *pool, const void *session_state)
{
    unsigned richest = 0;

    for (unsigned i = 1; i < pool->worker_count; i++) {
        if (pool->workers[i].idle_count > pool->workers[richest].idle_count)
            richest = i;
    }
    return pool_idle_best(pool, richest, session_state);
}

struct pool_server *pool_idle_oldest(struct pool *pool)
{
    struct pool_server *oldest = NULL;

    for (unsigned i = 0; i < pool->worker_count; i++) {
        struct pool_server *last = TAILQ_LAST(&pool->workers[i].idle, pool_idle_list);
        if (last != NULL && (oldest == NULL || last->idle_since < oldest->idle_since))
            oldest = last;
    }
    return oldest;
}

static void close_unfit_of_worker(struct pool *pool, struct pool_worker *worker, microseconds now,
                                  struct pool_actions *actions)
{
    struct pool_server *next;

    for (struct pool_server *server = TAILQ_FIRST(&worker->idle); server != NULL; server = next) {
        const char *unfit = pool_server_unfit(pool, server, now);
        next = TAILQ_NEXT(server, link);
        if (unfit != NULL)
            pool_server_close(pool, server, unfit, actions);
    }
}

void pool_idle_close_unfit(struct pool *pool, microseconds now, struct pool_actions *actions)
{
    for (unsigned i = 0; i < pool->worker_count; i++)
        close_unfit_of_worker(pool, &pool->workers[i], now, actions);
}
