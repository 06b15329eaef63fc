/*
 * pool_world.h: a pool with a session that only writes down what it is told, in virtual time. Each
 * test program of the pool includes it once. The tests carry the calls out themselves, when and in
 * the order in which they like; after each step the pool's invariants are checked.
 */
#ifndef PGSLUICE_TESTS_UNIT_POOL_WORLD_H
#define PGSLUICE_TESTS_UNIT_POOL_WORLD_H

#include "base/memory.h"
#include "pool/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define WORLD_CALLS 512
#define WORLD_WORKERS 3

enum world_call_kind { CALL_CONNECT, CALL_CLOSE, CALL_GRANTED, CALL_REFUSED };

struct world_call {
    enum world_call_kind kind;
    struct pool_server *server;
    struct pool_waiter *waiter;
    const char *reason;
    struct pool_refusal refusal; /* with a reference to the failure; world_stop gives it back */
};

struct world {
    struct pool *pool;
    struct settings *settings; /* one reference; changed at will before world_start */
    microseconds now;
    struct world_call calls[WORLD_CALLS];
    size_t call_count, calls_seen;
};

static inline struct world_call *world_record(struct pool *pool, enum world_call_kind kind)
{
    struct world *world = pool_owner(pool);

    assert_true(world->call_count < WORLD_CALLS);
    struct world_call *call = &world->calls[world->call_count++];
    call->kind = kind;
    return call;
}

static inline struct pool_server *world_create(struct pool *pool, unsigned worker)
{
    assert_true(worker < WORLD_WORKERS);
    assert_non_null(pool_owner(pool));
    return memory_new(struct pool_server);
}

static inline void world_connect(struct pool_server *server)
{
    assert_int_equal(server->state, POOL_SERVER_CONNECTING);
    world_record(server->pool, CALL_CONNECT)->server = server;
}

static inline void world_close(struct pool_server *server, const char *reason)
{
    assert_int_equal(server->state, POOL_SERVER_CLOSING);
    struct world_call *call = world_record(server->pool, CALL_CLOSE);
    call->server = server;
    call->reason = reason;
}

static inline void world_granted(struct pool_waiter *waiter, struct pool_server *server)
{
    struct world_call *call = world_record(server->pool, CALL_GRANTED);
    call->waiter = waiter;
    call->server = server;
}

static inline void world_refused(struct pool_waiter *waiter, const struct pool_refusal *refusal)
{
    assert_int_equal(waiter->state, POOL_WAITER_REFUSED);
    struct world_call *call = world_record(waiter->pool, CALL_REFUSED);
    call->waiter = waiter;
    call->refusal = *refusal;
    if (refusal->failure != NULL)
        failure_retain(refusal->failure);
}

static const struct pool_methods world_methods = {
    .create = world_create,
    .connect = world_connect,
    .close = world_close,
    .granted = world_granted,
    .refused = world_refused,
};

/* Nothing happens by itself with these: no timeout, no recycling, no ping, nothing kept warm. */
static inline struct settings *world_settings(unsigned size, unsigned overflow)
{
    struct settings *settings = memory_new(struct settings);

    settings->references = 1;
    settings->database = memory_string("x");
    settings->user = memory_string("y");
    settings->server_database = memory_string("x");
    settings->size = size;
    settings->overflow = overflow;
    return settings;
}

static inline void world_init(struct world *world, unsigned size, unsigned overflow)
{
    *world = (struct world){.now = 1000 * CLOCK_SECOND, .settings = world_settings(size, overflow)};
}

static inline void world_start(struct world *world)
{
    world->pool = pool_new(world->settings, WORLD_WORKERS, &world_methods, world, 7);
}

/* The next call that the test has not seen, which must be of that kind. */
static inline struct world_call *world_next(struct world *world, enum world_call_kind kind)
{
    pool_check(world->pool);
    assert_true(world->calls_seen < world->call_count);
    struct world_call *call = &world->calls[world->calls_seen++];
    assert_int_equal(call->kind, kind);
    return call;
}

static inline void world_no_call(struct world *world)
{
    pool_check(world->pool);
    assert_int_equal(world->calls_seen, world->call_count);
}

static inline enum pool_answer world_lease(struct world *world, struct pool_waiter *waiter,
                                           unsigned worker, const void *session_state,
                                           struct pool_server **server)
{
    struct pool_refusal refusal = {0};
    enum pool_answer answer =
        pool_lease(world->pool, waiter, worker, session_state, world->now, server, &refusal);

    pool_check(world->pool);
    failure_release(&refusal.failure);
    return answer;
}

/* The lease is granted at once. */
static inline struct pool_server *world_granted_now(struct world *world, unsigned worker,
                                                    const void *session_state)
{
    struct pool_waiter waiter = {0};
    struct pool_server *server = NULL;

    assert_int_equal(world_lease(world, &waiter, worker, session_state, &server), POOL_GRANTED);
    assert_int_equal(server->state, POOL_SERVER_LEASED);
    assert_int_equal(server->worker, worker);
    return server;
}

static inline void world_waits(struct world *world, struct pool_waiter *waiter, unsigned worker)
{
    struct pool_server *server = NULL;

    assert_int_equal(world_lease(world, waiter, worker, NULL, &server), POOL_WAITS);
    assert_null(server);
}

static inline void world_connected(struct world *world, struct pool_server *server)
{
    pool_connected(server, world->now);
    pool_check(world->pool);
}

static inline void world_return(struct world *world, struct pool_server *server)
{
    pool_return(server, world->now);
    pool_check(world->pool);
}

static inline void world_lost(struct world *world, struct pool_server *server,
                              struct failure *failure)
{
    pool_lost(server, failure, world->now);
    pool_check(world->pool);
    assert_int_equal(server->state, POOL_SERVER_GONE);
    free(server);
}

static inline bool world_idle_lost(struct world *world, struct pool_server *server,
                                   struct failure *failure)
{
    bool done = pool_idle_lost(server, failure, world->now);

    pool_check(world->pool);
    if (done)
        free(server);
    return done;
}

static inline void world_tick(struct world *world, microseconds later)
{
    world->now += later;
    pool_tick(world->pool, world->now);
    pool_check(world->pool);
}

/* The next call closes this server, for that reason; carried out. */
static inline void world_expect_close(struct world *world, struct pool_server *server,
                                      const char *reason)
{
    struct world_call *call = world_next(world, CALL_CLOSE);

    assert_ptr_equal(call->server, server);
    assert_string_equal(call->reason, reason);
    world_lost(world, server, NULL);
}

/* A new connection for a client that asks on this worker, leased. */
static inline struct pool_server *world_open(struct world *world, unsigned worker)
{
    struct pool_waiter waiter = {0};

    world_waits(world, &waiter, worker);
    struct pool_server *server = world_next(world, CALL_CONNECT)->server;
    assert_int_equal(server->worker, worker);
    world_connected(world, server);
    struct world_call *call = world_next(world, CALL_GRANTED);
    assert_ptr_equal(call->waiter, &waiter);
    assert_ptr_equal(call->server, server);
    assert_int_equal(waiter.state, POOL_WAITER_NONE);
    assert_int_equal(server->state, POOL_SERVER_LEASED);
    return server;
}

/* The next call grants that server to that waiter of its own worker. */
static inline void world_expect_grant(struct world *world, struct pool_waiter *waiter,
                                      struct pool_server *server)
{
    struct world_call *call = world_next(world, CALL_GRANTED);

    assert_ptr_equal(call->waiter, waiter);
    assert_ptr_equal(call->server, server);
}

/* The next call refuses that waiter; acknowledged. */
static inline struct pool_refusal world_expect_refusal(struct world *world,
                                                       struct pool_waiter *waiter,
                                                       enum pool_refusal_reason reason)
{
    struct world_call *call = world_next(world, CALL_REFUSED);

    assert_ptr_equal(call->waiter, waiter);
    assert_int_equal(call->refusal.reason, reason);
    pool_refusal_arrived(waiter);
    assert_int_equal(waiter->state, POOL_WAITER_NONE);
    return call->refusal;
}

static inline struct pool_counts world_counts(struct world *world)
{
    return pool_count(world->pool, world->now);
}

/* New settings with that size and overflow, else as before. */
static inline void world_resize(struct world *world, unsigned size, unsigned overflow)
{
    struct settings *settings = world_settings(size, overflow);

    pool_reconfigure(world->pool, settings, world->now);
    pool_check(world->pool);
    settings_release(&settings);
}

/* Shuts down, closes what is idle; nothing else may be left. Every test ends with it. */
static inline void world_stop(struct world *world)
{
    world_no_call(world);
    pool_shutdown(world->pool, world->now);
    while (world->calls_seen < world->call_count) {
        struct world_call *call = world_next(world, CALL_CLOSE);
        world_lost(world, call->server, NULL);
    }
    assert_true(pool_is_empty(world->pool));
    for (size_t i = 0; i < world->call_count; i++)
        failure_release(&world->calls[i].refusal.failure);
    pool_free(world->pool);
    settings_release(&world->settings);
}

#endif
