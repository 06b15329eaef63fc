/* test_pool_line.c: the line of waiters: order, fairness between workers, timeouts, grants that are
 * on their way, cancelling (src/pool). */
#include "pool_world.h"

static void line_is_served_in_order_of_arrival(void **context)
{
    struct world world;
    struct pool_waiter waiters[3] = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    for (int i = 0; i < 3; i++) {
        world_waits(&world, &waiters[i], 0);
        world.now += CLOCK_SECOND;
    }
    assert_int_equal(world_counts(&world).longest_wait, 3 * CLOCK_SECOND);
    for (int i = 0; i < 3; i++) {
        world_return(&world, server);
        world_expect_grant(&world, &waiters[i], server);
    }
    world_return(&world, server);
    assert_int_equal(world_counts(&world).longest_wait, 0);
    world_stop(&world);
}

static void matching_state_is_no_reason_to_overtake(void **context)
{
    struct world world;
    struct pool_waiter waiters[2] = {0};
    struct pool_server *none = NULL;
    static const char state;
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiters[0], 0);
    assert_int_equal(world_lease(&world, &waiters[1], 0, &state, &none), POOL_WAITS);
    server->session_state = &state;
    world_return(&world, server);
    world_expect_grant(&world, &waiters[0], server);
    world_return(&world, server);
    world_expect_grant(&world, &waiters[1], server);
    world_return(&world, server);
    world_stop(&world);
}

static void own_worker_goes_first_within_the_bound(void **context)
{
    struct world world;
    struct pool_waiter elder = {0}, own = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &elder, 1);
    world_waits(&world, &own, 0);
    world.now += POOL_FAIRNESS - 1;
    world_return(&world, server);
    world_expect_grant(&world, &own, server);
    assert_int_equal(own.state, POOL_WAITER_NONE);
    world_return(&world, server);
    world_expect_grant(&world, &elder, server);
    assert_int_equal(elder.state, POOL_WAITER_GRANTED);
    assert_true(pool_grant_arrived(&elder, server, world.now));
    world_return(&world, server);
    world_stop(&world);
}

static void eldest_goes_first_past_the_bound(void **context)
{
    struct world world;
    struct pool_waiter elder = {0}, own = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &elder, 1);
    world_waits(&world, &own, 0);
    world.now += POOL_FAIRNESS;
    world_return(&world, server);
    world_expect_grant(&world, &elder, server);
    assert_int_equal(server->state, POOL_SERVER_GRANTED);
    assert_true(pool_grant_arrived(&elder, server, world.now));
    assert_int_equal(server->worker, 1);
    world_return(&world, server);
    world_expect_grant(&world, &own, server);
    assert_true(pool_grant_arrived(&own, server, world.now));
    world_return(&world, server);
    world_stop(&world);
}

static void wait_ends_at_the_timeout(void **context)
{
    struct world world;
    struct pool_waiter waiters[3] = {0};
    (void)context;
    world_init(&world, 1, 0);
    world.settings->timeout = 30 * CLOCK_SECOND;
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiters[0], 0);
    world_waits(&world, &waiters[1], 1);
    world.now += CLOCK_SECOND;
    world_waits(&world, &waiters[2], 0);
    world_tick(&world, 29 * CLOCK_SECOND - 1);
    world_no_call(&world);
    world_tick(&world, 1);
    struct pool_refusal refusal = world_expect_refusal(&world, &waiters[0], POOL_REFUSED_TIMEOUT);
    assert_int_equal(refusal.waited, 30 * CLOCK_SECOND);
    assert_int_equal(refusal.size, 1);
    assert_int_equal(refusal.overflow, 0);
    assert_int_equal(refusal.open, 1);
    assert_int_equal(refusal.in_use, 1);
    assert_int_equal(refusal.coming, 0);
    assert_int_equal(refusal.waiting, 2);
    assert_int_equal(refusal.failures, 0);
    assert_true(refusal.ever_opened);
    assert_null(refusal.failure);
    refusal = world_expect_refusal(&world, &waiters[1], POOL_REFUSED_TIMEOUT);
    assert_int_equal(refusal.waiting, 1);
    world_no_call(&world);
    assert_int_equal(world_counts(&world).timeouts, 2);
    world_return(&world, server);
    world_expect_grant(&world, &waiters[2], server);
    world_return(&world, server);
    world_stop(&world);
}

static void without_timeout_nobody_is_refused(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiter, 0);
    world_tick(&world, 100000 * CLOCK_SECOND);
    world_no_call(&world);
    world_return(&world, server);
    world_expect_grant(&world, &waiter, server);
    world_return(&world, server);
    world_stop(&world);
}

static void full_line_refuses_newcomers(void **context)
{
    struct world world;
    struct pool_waiter waiters[4] = {0};
    struct pool_server *none = NULL;
    struct pool_refusal refusal;
    (void)context;
    world_init(&world, 2, 0);
    world.settings->max_waiting = 1;
    world_start(&world);

    /* Those for whom connections are being opened are not the line. */
    world_waits(&world, &waiters[0], 0);
    world_waits(&world, &waiters[1], 0);
    world_waits(&world, &waiters[2], 0);
    enum pool_answer answer =
        pool_lease(world.pool, &waiters[3], 0, NULL, world.now, &none, &refusal);
    assert_int_equal(answer, POOL_REFUSES);
    assert_int_equal(refusal.reason, POOL_REFUSED_LINE_FULL);
    assert_int_equal(refusal.max_waiting, 1);
    assert_int_equal(refusal.waited, 0);
    assert_null(refusal.failure);
    assert_int_equal(waiters[3].state, POOL_WAITER_NONE);

    struct pool_server *one = world_next(&world, CALL_CONNECT)->server;
    struct pool_server *two = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, one);
    world_expect_grant(&world, &waiters[0], one);
    world_connected(&world, two);
    world_expect_grant(&world, &waiters[1], two);
    assert_true(pool_cancel(&waiters[2]));
    world_waits(&world, &waiters[3], 0);
    assert_true(pool_cancel(&waiters[3]));
    world_return(&world, one);
    world_return(&world, two);
    world_stop(&world);
}

static void cancelled_waiter_is_out_of_line(void **context)
{
    struct world world;
    struct pool_waiter first = {0}, second = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &first, 0);
    world_waits(&world, &second, 0);
    assert_true(pool_cancel(&first));
    assert_int_equal(first.state, POOL_WAITER_NONE);
    assert_true(pool_cancel(&first)); /* nothing to cancel */
    world_return(&world, server);
    world_expect_grant(&world, &second, server);
    world_return(&world, server);
    world_stop(&world);
}

/* A server of worker 0 on its way to a waiter of worker 1. */
static struct pool_server *send_to_worker_one(struct world *world, struct pool_waiter *waiter)
{
    struct pool_server *server = world_open(world, 0);

    world_waits(world, waiter, 1);
    world_return(world, server);
    world_expect_grant(world, waiter, server);
    assert_int_equal(waiter->state, POOL_WAITER_GRANTED);
    return server;
}

static void grant_for_a_cancelled_waiter_goes_back_to_the_pool(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0}, next = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = send_to_worker_one(&world, &waiter);
    assert_false(pool_cancel(&waiter));
    assert_int_equal(waiter.state, POOL_WAITER_CANCELLED);
    assert_false(pool_cancel(&waiter));
    assert_false(pool_grant_arrived(&waiter, server, world.now));
    assert_int_equal(waiter.state, POOL_WAITER_NONE);
    assert_int_equal(server->state, POOL_SERVER_IDLE);
    assert_int_equal(server->worker, 1);
    assert_ptr_equal(world_granted_now(&world, 1, NULL), server);

    /* The same with somebody in line: it goes on to him. */
    world_waits(&world, &waiter, 2);
    world_return(&world, server);
    world_expect_grant(&world, &waiter, server);
    world_waits(&world, &next, 2);
    assert_false(pool_cancel(&waiter));
    assert_false(pool_grant_arrived(&waiter, server, world.now));
    world_expect_grant(&world, &next, server);
    assert_int_equal(server->state, POOL_SERVER_LEASED);
    world_return(&world, server);
    world_stop(&world);
}

static void waiter_of_a_lost_grant_goes_back_to_its_place(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0}, younger = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = send_to_worker_one(&world, &waiter);
    microseconds since = waiter.since;
    world.now += CLOCK_SECOND;
    world_waits(&world, &younger, 1);
    world_lost(&world, server, NULL);
    assert_int_equal(waiter.state, POOL_WAITER_WAITING);
    assert_int_equal(waiter.since, since);
    server = world_next(&world, CALL_CONNECT)->server;
    assert_int_equal(server->worker, 1);
    world_connected(&world, server);
    world_expect_grant(&world, &waiter, server);
    world_return(&world, server);
    world_expect_grant(&world, &younger, server);
    world_return(&world, server);
    world_stop(&world);
}

static void waiter_of_a_lost_grant_gets_an_idle_one(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    struct pool_server *own = world_open(&world, 1);
    struct pool_server *server = send_to_worker_one(&world, &waiter);
    world_return(&world, own);
    assert_int_equal(own->state, POOL_SERVER_IDLE);
    world_lost(&world, server, NULL);
    /* On its way, though it is of the waiter's worker: another thread decided. */
    world_expect_grant(&world, &waiter, own);
    assert_int_equal(own->state, POOL_SERVER_GRANTED);
    assert_int_equal(waiter.state, POOL_WAITER_GRANTED);
    assert_true(pool_grant_arrived(&waiter, own, world.now));
    world_return(&world, own);
    world_stop(&world);
}

static void waiters_of_lost_grants_keep_their_order(void **context)
{
    struct world world;
    struct pool_waiter waiters[2] = {0};
    struct pool_server *servers[2];
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    for (int i = 0; i < 2; i++)
        servers[i] = world_open(&world, 0);
    for (int i = 0; i < 2; i++) {
        world_waits(&world, &waiters[i], 1);
        world_return(&world, servers[i]);
        world_expect_grant(&world, &waiters[i], servers[i]);
    }
    world_lost(&world, servers[0], NULL);
    world_lost(&world, servers[1], NULL);
    for (int i = 0; i < 2; i++)
        servers[i] = world_next(&world, CALL_CONNECT)->server;
    for (int i = 0; i < 2; i++) {
        world_connected(&world, servers[i]);
        world_expect_grant(&world, &waiters[i], servers[i]);
    }
    world_return(&world, servers[0]);
    world_return(&world, servers[1]);
    world_stop(&world);
}

static void cancelled_waiter_of_a_lost_grant_is_told(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = send_to_worker_one(&world, &waiter);
    assert_false(pool_cancel(&waiter));
    world_lost(&world, server, NULL);
    assert_false(pool_is_empty(world.pool));
    world_expect_refusal(&world, &waiter, POOL_REFUSED_GONE);
    world_no_call(&world);
    assert_true(pool_is_empty(world.pool));
    world_stop(&world);
}

static void refused_waiter_cannot_be_cancelled(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 1, 0);
    world.settings->timeout = CLOCK_SECOND;
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiter, 0);
    world_tick(&world, CLOCK_SECOND);
    assert_false(pool_cancel(&waiter));
    world_expect_refusal(&world, &waiter, POOL_REFUSED_TIMEOUT);
    world_return(&world, server);
    world_stop(&world);
}

/* The worker sees end of file while another thread has just taken the connection. */
static void idle_connection_that_was_taken_is_not_lost_yet(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 1, 0);
    world.settings->idle_timeout = CLOCK_SECOND;
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_return(&world, server);
    world_waits(&world, &waiter, 1);
    assert_false(world_idle_lost(&world, server, NULL));
    assert_int_equal(server->state, POOL_SERVER_GRANTED);
    world_expect_grant(&world, &waiter, server);
    world_lost(&world, server, NULL);

    server = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, server);
    world_expect_grant(&world, &waiter, server);
    world_return(&world, server);
    world_tick(&world, CLOCK_SECOND);
    assert_false(world_idle_lost(&world, server, NULL));
    world_expect_close(&world, server, "idle_timeout");

    server = world_open(&world, 0);
    world_return(&world, server);
    assert_true(world_idle_lost(&world, server, NULL));
    assert_true(pool_is_empty(world.pool));
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_is_served_in_order_of_arrival),
        cmocka_unit_test(matching_state_is_no_reason_to_overtake),
        cmocka_unit_test(own_worker_goes_first_within_the_bound),
        cmocka_unit_test(eldest_goes_first_past_the_bound),
        cmocka_unit_test(wait_ends_at_the_timeout),
        cmocka_unit_test(without_timeout_nobody_is_refused),
        cmocka_unit_test(full_line_refuses_newcomers),
        cmocka_unit_test(cancelled_waiter_is_out_of_line),
        cmocka_unit_test(grant_for_a_cancelled_waiter_goes_back_to_the_pool),
        cmocka_unit_test(waiter_of_a_lost_grant_goes_back_to_its_place),
        cmocka_unit_test(waiter_of_a_lost_grant_gets_an_idle_one),
        cmocka_unit_test(waiters_of_lost_grants_keep_their_order),
        cmocka_unit_test(cancelled_waiter_of_a_lost_grant_is_told),
        cmocka_unit_test(refused_waiter_cannot_be_cancelled),
        cmocka_unit_test(idle_connection_that_was_taken_is_not_lost_yet),
    };
    return cmocka_run_group_tests_name("pool_line", tests, NULL, NULL);
}
