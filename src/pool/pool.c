/* pool.c: the steps of one lease, from asking to return, loss or cancelling. */
#include "pool/pool.h"

#include "base/check.h"
#include "pool/pool_internal.h"

/* An idle connection that may be leased: of the worker, else of another; the unfit are closed. */
static struct pool_server *find_idle(struct pool *pool, unsigned worker, const void *session_state,
                                     microseconds now, struct pool_actions *actions)
{
    while (pool->servers[POOL_SERVER_IDLE] > 0) {
        struct pool_server *server = pool_idle_best(pool, worker, session_state);
        if (server == NULL)
            server = pool_idle_best_elsewhere(pool, session_state);
        const char *unfit = pool_server_unfit(pool, server, now);
        if (unfit == NULL)
            return server;
        pool_server_close(pool, server, unfit, actions);
    }
    return NULL;
}

/* True, with the reason, where a newcomer may not even wait. */
static bool is_turned_away(const struct pool *pool, microseconds now,
                           enum pool_refusal_reason *reason)
{
    unsigned limit = pool->settings->max_waiting;

    if (pool_live(pool) == 0 && pool_opening_is_suspended(pool, now)) {
        *reason = POOL_REFUSED_UNREACHABLE;
        return true;
    }
    /* The line is as long as there are waiters for whom no connection is being opened. */
    if (limit > 0 && pool->waiting >= pool->coming + limit && !pool_opening_allowed(pool, now)) {
        *reason = POOL_REFUSED_LINE_FULL;
        return true;
    }
    return false;
}

static void turn_away(struct pool *pool, enum pool_refusal_reason reason, microseconds now,
                      struct pool_refusal *refusal)
{
    *refusal = pool_line_refusal(pool, reason, 0, now);
    if (refusal->failure != NULL)
        failure_retain(refusal->failure);
}

static enum pool_answer lease_idle(struct pool *pool, struct pool_server *server,
                                   struct pool_waiter *waiter, unsigned worker,
                                   const void *session_state, microseconds now,
                                   struct pool_actions *actions, struct pool_server **leased)
{
    if (server->worker == worker) {
        pool_server_move(pool, server, POOL_SERVER_LEASED);
        *leased = server;
        return POOL_GRANTED;
    }
    pool_line_admit(pool, waiter, worker, session_state, now);
    pool_server_send(pool, server, waiter, actions);
    return POOL_WAITS;
}

/* pool_lease with the lock held. */
static enum pool_answer decide(struct pool *pool, struct pool_waiter *waiter, unsigned worker,
                               const void *session_state, microseconds now,
                               struct pool_actions *actions, struct pool_server **leased,
                               struct pool_refusal *refusal)
{
    enum pool_refusal_reason reason = POOL_REFUSED_SHUTDOWN;

    if (pool->shutting_down) {
        turn_away(pool, reason, now, refusal);
        return POOL_REFUSES;
    }
    struct pool_server *server = find_idle(pool, worker, session_state, now, actions);
    if (server != NULL)
        return lease_idle(pool, server, waiter, worker, session_state, now, actions, leased);
    if (is_turned_away(pool, now, &reason)) {
        turn_away(pool, reason, now, refusal);
        return POOL_REFUSES;
    }
    pool_line_admit(pool, waiter, worker, session_state, now);
    pool_line_join(pool, waiter);
    pool_opening_serve_line(pool, now, actions);
    return POOL_WAITS;
}

enum pool_answer pool_lease(struct pool *pool, struct pool_waiter *waiter, unsigned worker,
                            const void *session_state, microseconds now,
                            struct pool_server **server, struct pool_refusal *refusal)
{
    struct pool_actions actions;

    check(worker < pool->worker_count && waiter->state == POOL_WAITER_NONE);
    pool_actions_lock(&actions, pool);
    enum pool_answer answer =
        decide(pool, waiter, worker, session_state, now, &actions, server, refusal);
    pool_actions_unlock(&actions);
    return answer;
}

bool pool_needs_ping(struct pool *pool, const struct pool_server *server, microseconds now)
{
    microseconds suspect_before = atomic_load_explicit(&pool->suspect_before, memory_order_relaxed);
    enum settings_pre_ping pre_ping =
        (enum settings_pre_ping)atomic_load_explicit(&pool->pre_ping, memory_order_relaxed);

    if (server->verified_at < suspect_before)
        return true;
    switch (pre_ping) {
    case SETTINGS_PING_OFF:
        return false;
    case SETTINGS_PING_ON:
        return now - server->verified_at >
               atomic_load_explicit(&pool->pre_ping_after, memory_order_relaxed);
    case SETTINGS_PING_ALWAYS:
        /* But not where the server was heard from in this very moment. */
        return now > server->verified_at;
    }
    check(false);
    return true;
}

void pool_return(struct pool_server *server, microseconds now)
{
    struct pool *pool = server->pool;
    struct pool_actions actions;

    pool_actions_lock(&actions, pool);
    check(server->state == POOL_SERVER_LEASED);
    server->verified_at = now;
    if (pool->settings->size == 0)
        pool_server_close(pool, server, "the pool's size is 0", &actions);
    else
        pool_server_place(pool, server, now, &actions);
    pool_opening_serve_line(pool, now, &actions);
    pool_actions_unlock(&actions);
}

void pool_return_and_close(struct pool_server *server, const char *reason, microseconds now)
{
    struct pool *pool = server->pool;
    struct pool_actions actions;

    pool_actions_lock(&actions, pool);
    check(server->state == POOL_SERVER_LEASED);
    pool_server_close(pool, server, reason, &actions);
    pool_opening_serve_line(pool, now, &actions);
    pool_actions_unlock(&actions);
}

void pool_connected(struct pool_server *server, microseconds now)
{
    struct pool *pool = server->pool;
    struct pool_actions actions;

    pool_actions_lock(&actions, pool);
    check(server->state == POOL_SERVER_CONNECTING);
    server->opened_at = now;
    server->verified_at = now;
    server->expires_at = pool_opening_expiry(pool, now);
    /* One of an older generation says nothing about the server that the settings name now. */
    if (server->generation == pool->generation)
        pool_opening_succeeded(pool);
    pool_server_place(pool, server, now, &actions);
    pool_opening_serve_line(pool, now, &actions);
    pool_actions_unlock(&actions);
}

/* A live connection has failed: who was last heard from before may be dead too. */
static void suspect_others(struct pool *pool, microseconds now, struct pool_actions *actions)
{
    atomic_store_explicit(&pool->suspect_before, now, memory_order_relaxed);
    if (pool->settings->pre_ping == SETTINGS_PING_OFF)
        pool_idle_close_unfit(pool, now, actions);
}

/* The server that was on its way to the waiter is lost. This thread may be neither's: an idle one
 * that takes its place is sent, even where it is of the waiter's worker. */
static void put_back(struct pool *pool, struct pool_waiter *waiter, microseconds now,
                     struct pool_actions *actions)
{
    if (waiter->state == POOL_WAITER_CANCELLED) {
        pool_line_refuse(pool, waiter, POOL_REFUSED_GONE, now, actions);
        return;
    }
    struct pool_server *idle = find_idle(pool, waiter->worker, waiter->session_state, now, actions);
    if (idle != NULL)
        pool_server_send(pool, idle, waiter, actions);
    else
        pool_line_rejoin(pool, waiter);
}

static void lose(struct pool *pool, struct pool_server *server, struct failure *failure,
                 microseconds now, struct pool_actions *actions)
{
    enum pool_server_state from = server->state;
    struct pool_waiter *waiter = from == POOL_SERVER_GRANTED ? server->granted_to : NULL;
    bool is_current = server->generation == pool->generation;

    pool_server_move(pool, server, POOL_SERVER_GONE);
    if (failure != NULL && from == POOL_SERVER_CONNECTING && is_current) {
        pool_opening_failed(pool, failure, server->opened_at, now);
    } else if (failure != NULL && from != POOL_SERVER_CONNECTING && from != POOL_SERVER_CLOSING) {
        pool->lost++;
        if (is_current)
            suspect_others(pool, now, actions);
    }
    if (waiter != NULL)
        put_back(pool, waiter, now, actions);
    pool_opening_serve_line(pool, now, actions);
}

void pool_lost(struct pool_server *server, struct failure *failure, microseconds now)
{
    struct pool_actions actions;

    pool_actions_lock(&actions, server->pool);
    check(server->state != POOL_SERVER_IDLE); /* pool_idle_lost() is for these */
    lose(server->pool, server, failure, now, &actions);
    pool_actions_unlock(&actions);
}

bool pool_idle_lost(struct pool_server *server, struct failure *failure, microseconds now)
{
    struct pool_actions actions;

    pool_actions_lock(&actions, server->pool);
    bool is_idle = server->state == POOL_SERVER_IDLE;
    if (is_idle)
        lose(server->pool, server, failure, now, &actions);
    pool_actions_unlock(&actions);
    return is_idle;
}

bool pool_grant_arrived(struct pool_waiter *waiter, struct pool_server *server, microseconds now)
{
    struct pool *pool = server->pool;
    struct pool_actions actions;

    pool_actions_lock(&actions, pool);
    check(server->state == POOL_SERVER_GRANTED && server->granted_to == waiter);
    check(waiter->state == POOL_WAITER_GRANTED || waiter->state == POOL_WAITER_CANCELLED);
    bool is_wanted = waiter->state == POOL_WAITER_GRANTED;
    waiter->state = POOL_WAITER_NONE;
    waiter->pool = NULL;
    server->worker = waiter->worker;
    if (is_wanted) {
        pool_server_move(pool, server, POOL_SERVER_LEASED);
    } else {
        pool_server_place(pool, server, now, &actions);
        pool_opening_serve_line(pool, now, &actions);
    }
    pool_actions_unlock(&actions);
    return is_wanted;
}

void pool_refusal_arrived(struct pool_waiter *waiter)
{
    struct pool *pool = waiter->pool;

    lock_take(&pool->lock);
    check(waiter->state == POOL_WAITER_REFUSED && pool->refused > 0);
    pool->refused--;
    waiter->state = POOL_WAITER_NONE;
    waiter->pool = NULL;
    lock_release(&pool->lock);
}

bool pool_cancel(struct pool_waiter *waiter)
{
    struct pool *pool = waiter->pool;

    if (pool == NULL)
        return true;
    lock_take(&pool->lock);
    bool was_in_line = waiter->state == POOL_WAITER_WAITING;
    if (was_in_line) {
        pool_line_leave(pool, waiter);
        waiter->state = POOL_WAITER_NONE;
        waiter->pool = NULL;
    } else if (waiter->state == POOL_WAITER_GRANTED) {
        waiter->state = POOL_WAITER_CANCELLED;
    }
    lock_release(&pool->lock);
    return was_in_line;
}
