/* pool_server.c: the states of a server connection, and where one goes that has become free. State,
 * list and counts change in one function, so that they cannot disagree. */
#include "base/check.h"
#include "pool/pool_internal.h"

#define TO(state) (1U << POOL_SERVER_##state)

/* The states that may follow each state. */
static const unsigned may_follow[POOL_SERVER_GONE + 1] = {
    [POOL_SERVER_CONNECTING] = TO(IDLE) | TO(GRANTED) | TO(LEASED) | TO(CLOSING) | TO(GONE),
    [POOL_SERVER_IDLE] = TO(GRANTED) | TO(LEASED) | TO(CLOSING) | TO(GONE),
    [POOL_SERVER_GRANTED] = TO(IDLE) | TO(GRANTED) | TO(LEASED) | TO(CLOSING) | TO(GONE),
    [POOL_SERVER_LEASED] = TO(IDLE) | TO(GRANTED) | TO(LEASED) | TO(CLOSING) | TO(GONE),
    [POOL_SERVER_CLOSING] = TO(GONE),
};

void pool_server_move(struct pool *pool, struct pool_server *server, enum pool_server_state to)
{
    enum pool_server_state from = server->state;

    lock_assert_held(&pool->lock);
    check(server->pool == pool);
    check((may_follow[from] & (1U << to)) != 0);

    check(pool->servers[from] > 0);
    pool->servers[from]--;
    if (from == POOL_SERVER_CONNECTING)
        pool_opening_ended(pool, server);
    else if (from == POOL_SERVER_IDLE)
        pool_idle_remove(pool, server);
    else if (from == POOL_SERVER_GRANTED)
        server->granted_to = NULL;

    server->state = to;
    if (to == POOL_SERVER_GONE)
        return;
    pool->servers[to]++;
    if (to == POOL_SERVER_IDLE)
        pool_idle_put(pool, server);
    else if (to == POOL_SERVER_LEASED)
        pool->leases++;
}

const char *pool_server_unfit(const struct pool *pool, const struct pool_server *server,
                              microseconds now)
{
    if (pool->shutting_down)
        return "shutting down";
    if (server->generation != pool->generation)
        return "the configuration has changed";
    if (server->expires_at != 0 && now >= server->expires_at)
        return "recycle";
    if (pool->settings->pre_ping == SETTINGS_PING_OFF &&
        server->verified_at < atomic_load_explicit(&pool->suspect_before, memory_order_relaxed))
        return "suspect after another connection of the pool was lost";
    return NULL;
}

void pool_server_close(struct pool *pool, struct pool_server *server, const char *reason,
                       struct pool_actions *actions)
{
    pool_server_move(pool, server, POOL_SERVER_CLOSING);
    pool_actions_close(actions, server, reason);
}

void pool_server_send(struct pool *pool, struct pool_server *server, struct pool_waiter *waiter,
                      struct pool_actions *actions)
{
    pool_server_move(pool, server, POOL_SERVER_GRANTED);
    server->granted_to = waiter;
    waiter->state = POOL_WAITER_GRANTED;
    pool_actions_grant(actions, waiter, server);
}

void pool_server_grant(struct pool *pool, struct pool_server *server, struct pool_waiter *waiter,
                       struct pool_actions *actions)
{
    if (waiter->worker != server->worker) {
        pool_server_send(pool, server, waiter, actions);
        return;
    }
    pool_server_move(pool, server, POOL_SERVER_LEASED);
    waiter->state = POOL_WAITER_NONE;
    waiter->pool = NULL;
    pool_actions_grant(actions, waiter, server);
}

void pool_server_place(struct pool *pool, struct pool_server *server, microseconds now,
                       struct pool_actions *actions)
{
    unsigned live = pool_live(pool) + (server->state == POOL_SERVER_CONNECTING ? 1 : 0);
    const char *unfit = pool_server_unfit(pool, server, now);

    if (unfit != NULL) {
        pool_server_close(pool, server, unfit, actions);
    } else if (pool->waiting > 0 && live <= pool_limit(pool)) {
        struct pool_waiter *waiter = pool_line_next(pool, server->worker, now);
        pool_line_leave(pool, waiter);
        pool_server_grant(pool, server, waiter, actions);
    } else if (live <= pool->settings->size) {
        server->idle_since = now;
        pool_server_move(pool, server, POOL_SERVER_IDLE);
    } else {
        pool_server_close(pool, server, "more than the pool's size are open", actions);
    }
}
