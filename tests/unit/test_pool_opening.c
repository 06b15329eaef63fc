/* test_pool_opening.c: when connections are opened, and what happens where that fails or a live one
 * dies (src/pool). */
#include "pool_world.h"

static struct failure *refused_by_server(void)
{
    return failure_new("28P01", "password authentication failed", NULL, NULL);
}

/* One attempt for one waiter fails: both are gone. Returns when it failed. */
static void fail_once(struct world *world, struct failure *failure)
{
    struct pool_waiter waiter = {0};

    world_waits(world, &waiter, 0);
    world_lost(world, world_next(world, CALL_CONNECT)->server, failure);
    struct pool_refusal refusal = world_expect_refusal(world, &waiter, POOL_REFUSED_UNREACHABLE);
    assert_ptr_equal(refusal.failure, failure);
}

/* A newcomer is refused at once: opening is suspended. */
static bool is_suspended(struct world *world)
{
    struct pool_waiter waiter = {0};
    struct pool_server *server = NULL;
    enum pool_answer answer = world_lease(world, &waiter, 0, NULL, &server);

    if (answer == POOL_REFUSES)
        return true;
    assert_int_equal(answer, POOL_WAITS);
    assert_true(pool_cancel(&waiter));
    return false;
}

static void failed_attempt_refuses_all_who_wait(void **context)
{
    struct world world;
    struct pool_waiter waiters[3] = {0};
    struct failure *failure = refused_by_server();
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    for (unsigned i = 0; i < 3; i++)
        world_waits(&world, &waiters[i], i);
    struct pool_server *one = world_next(&world, CALL_CONNECT)->server;
    struct pool_server *two = world_next(&world, CALL_CONNECT)->server;
    world.now += CLOCK_SECOND;
    world_lost(&world, one, failure);
    world_no_call(&world); /* another attempt is under way */
    world_lost(&world, two, failure);
    for (int i = 0; i < 3; i++) {
        struct pool_refusal refusal =
            world_expect_refusal(&world, &waiters[i], POOL_REFUSED_UNREACHABLE);
        assert_ptr_equal(refusal.failure, failure);
        assert_int_equal(refusal.waited, CLOCK_SECOND);
        assert_int_equal(refusal.open, 0);
        assert_int_equal(refusal.waiting, 2 - i);
        assert_int_equal(refusal.failures, 1);
        assert_true(refusal.retry_in > 0 && refusal.retry_in <= 2 * POOL_BACKOFF_LEAST);
        assert_false(refusal.ever_opened);
    }
    world_stop(&world);
    failure_release(&failure);
}

static void newcomers_are_refused_while_attempts_are_suspended(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    struct pool_server *server = NULL;
    struct pool_refusal refusal;
    struct failure *failure = refused_by_server();
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    fail_once(&world, failure);
    enum pool_answer answer =
        pool_lease(world.pool, &waiter, 0, NULL, world.now, &server, &refusal);
    assert_int_equal(answer, POOL_REFUSES);
    assert_int_equal(refusal.reason, POOL_REFUSED_UNREACHABLE);
    assert_ptr_equal(refusal.failure, failure);
    failure_release(&refusal.failure);
    world_no_call(&world);

    /* When it is due the next one may try, and success ends it. */
    world.now += 2 * POOL_BACKOFF_LEAST;
    server = world_open(&world, 0);
    world_return(&world, server);
    world_stop(&world);
    failure_release(&failure);
}

static void delays_double_up_to_the_most(void **context)
{
    struct world world;
    struct failure *failure = refused_by_server();
    microseconds most = POOL_BACKOFF_LEAST;
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    for (int i = 0; i < 10; i++) {
        most = most * 2 < POOL_BACKOFF_MOST ? most * 2 : POOL_BACKOFF_MOST;
        fail_once(&world, failure);
        world.now += most / 2 - 1;
        assert_true(is_suspended(&world));
        world.now += most / 2 + 1;
    }
    assert_int_equal(most, POOL_BACKOFF_MOST);

    /* A success forgets all that. */
    struct pool_server *server = world_open(&world, 0);
    pool_return_and_close(server, "test", world.now);
    world_expect_close(&world, server, "test");
    fail_once(&world, failure);
    world.now += 2 * POOL_BACKOFF_LEAST;
    assert_false(is_suspended(&world));
    world_connected(&world, world_next(&world, CALL_CONNECT)->server);
    world_stop(&world);
    failure_release(&failure);
}

static void attempts_that_fail_together_are_one_step(void **context)
{
    struct world world;
    struct pool_waiter waiters[10] = {0};
    struct pool_server *servers[10];
    struct failure *failure = refused_by_server();
    (void)context;
    world_init(&world, 10, 0);
    world_start(&world);

    for (int i = 0; i < 10; i++) {
        world_waits(&world, &waiters[i], 0);
        servers[i] = world_next(&world, CALL_CONNECT)->server;
    }
    for (int i = 0; i < 10; i++)
        world_lost(&world, servers[i], failure);
    for (int i = 0; i < 10; i++)
        world_expect_refusal(&world, &waiters[i], POOL_REFUSED_UNREACHABLE);
    world.now += 2 * POOL_BACKOFF_LEAST;
    assert_false(is_suspended(&world));
    world_connected(&world, world_next(&world, CALL_CONNECT)->server);
    world_stop(&world);
    failure_release(&failure);
}

static void one_attempt_at_a_time_until_one_succeeds(void **context)
{
    struct world world;
    struct pool_waiter waiters[3] = {0};
    struct pool_server *servers[3];
    struct failure *failure = refused_by_server();
    (void)context;
    world_init(&world, 3, 0);
    world_start(&world);

    fail_once(&world, failure);
    world.now += 2 * POOL_BACKOFF_LEAST;
    for (int i = 0; i < 3; i++)
        world_waits(&world, &waiters[i], 0);
    servers[0] = world_next(&world, CALL_CONNECT)->server;
    world_no_call(&world);
    world_connected(&world, servers[0]);
    world_expect_grant(&world, &waiters[0], servers[0]);
    servers[1] = world_next(&world, CALL_CONNECT)->server;
    servers[2] = world_next(&world, CALL_CONNECT)->server;
    for (int i = 1; i < 3; i++) {
        world_connected(&world, servers[i]);
        world_expect_grant(&world, &waiters[i], servers[i]);
    }
    for (int i = 0; i < 3; i++)
        world_return(&world, servers[i]);
    world_stop(&world);
    failure_release(&failure);
}

static void with_a_live_connection_they_wait_and_it_is_tried_again(void **context)
{
    struct world world;
    struct pool_waiter waiters[2] = {0};
    struct failure *failure = refused_by_server();
    (void)context;
    world_init(&world, 2, 0);
    world.settings->timeout = CLOCK_SECOND;
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiters[0], 0);
    world_lost(&world, world_next(&world, CALL_CONNECT)->server, failure);
    world_no_call(&world);
    world_waits(&world, &waiters[1], 0);
    world_no_call(&world);
    world_tick(&world, POOL_BACKOFF_LEAST - 1);
    world_no_call(&world);
    world_tick(&world, POOL_BACKOFF_LEAST + 1);
    struct pool_server *second = world_next(&world, CALL_CONNECT)->server;
    /* The end of the wait tells what stood in the way. */
    world_tick(&world, CLOCK_SECOND);
    for (int i = 0; i < 2; i++) {
        struct pool_refusal refusal =
            world_expect_refusal(&world, &waiters[i], POOL_REFUSED_TIMEOUT);
        assert_ptr_equal(refusal.failure, failure);
    }
    world_connected(&world, second);
    assert_int_equal(second->state, POOL_SERVER_IDLE);
    world_return(&world, server);
    world_stop(&world);
    failure_release(&failure);
}

/* A line that is full only because nothing could be opened for a while. */
static void newcomer_to_a_full_line_waits_where_one_may_open_again(void **context)
{
    struct world world;
    struct pool_waiter waiters[3] = {0};
    struct pool_server *none = NULL;
    struct failure *failure = refused_by_server();
    (void)context;
    world_init(&world, 2, 0);
    world.settings->max_waiting = 1;
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiters[0], 0);
    world_lost(&world, world_next(&world, CALL_CONNECT)->server, failure);
    assert_int_equal(world_lease(&world, &waiters[1], 0, NULL, &none), POOL_REFUSES);
    world.now += 2 * POOL_BACKOFF_LEAST;
    world_waits(&world, &waiters[1], 0);
    struct pool_server *second = world_next(&world, CALL_CONNECT)->server;
    assert_int_equal(world_lease(&world, &waiters[2], 0, NULL, &none), POOL_REFUSES);
    world_connected(&world, second);
    world_expect_grant(&world, &waiters[0], second);
    world_return(&world, server);
    world_expect_grant(&world, &waiters[1], server);
    world_return(&world, server);
    world_return(&world, second);
    world_stop(&world);
    failure_release(&failure);
}

static void last_live_connection_gone_while_suspended_refuses(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    struct failure *failure = refused_by_server();
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiter, 0);
    world_lost(&world, world_next(&world, CALL_CONNECT)->server, failure);
    world_no_call(&world);
    world_lost(&world, server, NULL);
    world_expect_refusal(&world, &waiter, POOL_REFUSED_UNREACHABLE);
    world_stop(&world);
    failure_release(&failure);
}

static void lost_live_connection_is_replaced_for_those_who_wait(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    struct failure *failure = refused_by_server();
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiter, 2);
    world_lost(&world, server, failure);
    server = world_next(&world, CALL_CONNECT)->server;
    assert_int_equal(server->worker, 2);
    world_connected(&world, server);
    world_expect_grant(&world, &waiter, server);
    assert_int_equal(world_counts(&world).lost, 1);
    world_return(&world, server);
    world_stop(&world);
    failure_release(&failure);
}

/* One opened at once, two returned at once; one fails a second later. Leaves the other. */
static struct pool_server *fail_one_of_two(struct world *world)
{
    struct failure *failure = refused_by_server();
    struct pool_server *one = world_open(world, 0);
    struct pool_server *two = world_open(world, 0);

    world_return(world, one);
    world_return(world, two);
    world->now += CLOCK_SECOND;
    assert_true(world_idle_lost(world, one, failure));
    failure_release(&failure);
    return two;
}

static void failure_of_one_makes_the_older_suspect(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 2, 0);
    world.settings->pre_ping = SETTINGS_PING_ON;
    world.settings->pre_ping_after = 100 * CLOCK_SECOND;
    world_start(&world);

    struct pool_server *server = fail_one_of_two(&world);
    assert_ptr_equal(world_granted_now(&world, 0, NULL), server);
    assert_true(pool_needs_ping(world.pool, server, world.now));
    /* Heard from since. */
    world_return(&world, server);
    assert_ptr_equal(world_granted_now(&world, 0, NULL), server);
    assert_false(pool_needs_ping(world.pool, server, world.now));
    struct pool_server *fresh = world_open(&world, 0);
    assert_false(pool_needs_ping(world.pool, fresh, world.now));
    world_return(&world, server);
    world_return(&world, fresh);
    world_stop(&world);
}

static void suspects_that_may_not_be_pinged_are_closed(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 2, 0);
    world.settings->pre_ping = SETTINGS_PING_OFF;
    world_start(&world);

    struct pool_server *server = fail_one_of_two(&world);
    world_expect_close(&world, server, "suspect after another connection of the pool was lost");
    assert_true(pool_is_empty(world.pool));
    world_stop(&world);
}

static void end_on_purpose_makes_nobody_suspect(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    struct pool_server *one = world_open(&world, 0);
    struct pool_server *two = world_open(&world, 0);
    world.now += CLOCK_SECOND;
    world_lost(&world, one, NULL);
    assert_false(pool_needs_ping(world.pool, two, world.now));
    assert_int_equal(world_counts(&world).lost, 0);
    world_return(&world, two);
    world_stop(&world);
}

static void attempts_given_up_on_purpose_do_not_suspend(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    world_waits(&world, &waiter, 1);
    world_lost(&world, world_next(&world, CALL_CONNECT)->server, NULL);
    struct pool_server *server = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, server);
    world_expect_grant(&world, &waiter, server);
    world_return(&world, server);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_attempt_refuses_all_who_wait),
        cmocka_unit_test(newcomers_are_refused_while_attempts_are_suspended),
        cmocka_unit_test(delays_double_up_to_the_most),
        cmocka_unit_test(attempts_that_fail_together_are_one_step),
        cmocka_unit_test(one_attempt_at_a_time_until_one_succeeds),
        cmocka_unit_test(with_a_live_connection_they_wait_and_it_is_tried_again),
        cmocka_unit_test(newcomer_to_a_full_line_waits_where_one_may_open_again),
        cmocka_unit_test(last_live_connection_gone_while_suspended_refuses),
        cmocka_unit_test(lost_live_connection_is_replaced_for_those_who_wait),
        cmocka_unit_test(failure_of_one_makes_the_older_suspect),
        cmocka_unit_test(suspects_that_may_not_be_pinged_are_closed),
        cmocka_unit_test(end_on_purpose_makes_nobody_suspect),
        cmocka_unit_test(attempts_given_up_on_purpose_do_not_suspend),
    };
    return cmocka_run_group_tests_name("pool_opening", tests, NULL, NULL);
}
