/* pool_actions.c: the pool's lock, and the methods' calls that are gathered under it and run after
 * it has been released. Few of them fit on the caller's stack; more are rare (reconfigure, refusing
 * a long line) and allocate. */
#include "base/check.h"
#include "base/memory.h"
#include "pool/pool_internal.h"

#include <stdlib.h>
#include <string.h>

void pool_actions_lock(struct pool_actions *actions, struct pool *pool)
{
    actions->pool = pool;
    actions->methods = pool->methods;
    actions->old_settings = NULL;
    actions->items = actions->few;
    actions->count = 0;
    actions->capacity = POOL_ACTIONS_FEW;
    lock_take(&pool->lock);
}

static struct pool_action *append(struct pool_actions *actions, enum pool_action_kind kind)
{
    if (actions->count == actions->capacity) {
        bool first = actions->items == actions->few;
        actions->capacity *= 2;
        actions->items = memory_resize(first ? NULL : actions->items,
                                       actions->capacity * sizeof(*actions->items));
        if (first)
            memcpy(actions->items, actions->few, sizeof(actions->few));
    }
    struct pool_action *action = &actions->items[actions->count++];
    action->kind = kind;
    return action;
}

void pool_actions_open(struct pool_actions *actions, unsigned worker, microseconds now)
{
    struct pool_action *action = append(actions, POOL_ACTION_OPEN);
    action->open.worker = worker;
    action->open.generation = actions->pool->generation;
    action->open.now = now;
}

void pool_actions_close(struct pool_actions *actions, struct pool_server *server,
                        const char *reason)
{
    struct pool_action *action = append(actions, POOL_ACTION_CLOSE);
    action->close.server = server;
    action->close.reason = reason;
}

void pool_actions_grant(struct pool_actions *actions, struct pool_waiter *waiter,
                        struct pool_server *server)
{
    struct pool_action *action = append(actions, POOL_ACTION_GRANT);
    action->grant.waiter = waiter;
    action->grant.server = server;
}

void pool_actions_refuse(struct pool_actions *actions, struct pool_waiter *waiter,
                         const struct pool_refusal *refusal)
{
    struct pool_action *action = append(actions, POOL_ACTION_REFUSE);
    action->refuse.waiter = waiter;
    action->refuse.refusal = *refusal;
    if (refusal->failure != NULL)
        failure_retain(refusal->failure);
}

/* The connection is counted already, so the pool lives; no other thread knows the object yet. */
static void run_open(struct pool *pool, const struct pool_methods *methods,
                     const struct pool_action *action)
{
    struct pool_server *server = methods->create(pool, action->open.worker);
    check(server->state == POOL_SERVER_NEW);
    server->pool = pool;
    server->state = POOL_SERVER_CONNECTING;
    server->worker = action->open.worker;
    server->generation = action->open.generation;
    server->opened_at = action->open.now;
    methods->connect(server);
}

static void run(struct pool *pool, const struct pool_methods *methods, struct pool_action *action)
{
    switch (action->kind) {
    case POOL_ACTION_OPEN:
        run_open(pool, methods, action);
        break;
    case POOL_ACTION_CLOSE:
        methods->close(action->close.server, action->close.reason);
        break;
    case POOL_ACTION_GRANT:
        methods->granted(action->grant.waiter, action->grant.server);
        break;
    case POOL_ACTION_REFUSE:
        methods->refused(action->refuse.waiter, &action->refuse.refusal);
        failure_release(&action->refuse.refusal.failure);
        break;
    }
}

void pool_actions_unlock(struct pool_actions *actions)
{
    lock_release(&actions->pool->lock);
    if (actions->old_settings != NULL)
        settings_release(&actions->old_settings);
    for (unsigned i = 0; i < actions->count; i++)
        run(actions->pool, actions->methods, &actions->items[i]);
    if (actions->items != actions->few)
        free(actions->items);
}
