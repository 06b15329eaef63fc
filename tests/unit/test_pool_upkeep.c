/* test_pool_upkeep.c: warm connections, idle_timeout, recycling of idle ones, new settings,
 * shutdown (src/pool). */
#include "pool_world.h"

/* Opens `count` at once and returns them, the first one first, a second apart. */
static void fill(struct world *world, struct pool_server **servers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        servers[i] = world_open(world, 0);
    for (unsigned i = 0; i < count; i++) {
        world_return(world, servers[i]);
        world->now += CLOCK_SECOND;
    }
}

static void warm_ones_are_opened_on_the_workers_in_turn(void **context)
{
    struct world world;
    struct pool_server *servers[3];
    (void)context;
    world_init(&world, 5, 0);
    world.settings->warm = 3;
    world_start(&world);

    world_tick(&world, 0);
    for (unsigned i = 0; i < 3; i++) {
        servers[i] = world_next(&world, CALL_CONNECT)->server;
        assert_int_equal(servers[i]->worker, i);
    }
    world_tick(&world, CLOCK_SECOND);
    world_no_call(&world);
    for (unsigned i = 0; i < 3; i++)
        world_connected(&world, servers[i]);
    assert_int_equal(world_counts(&world).idle, 3);
    world_tick(&world, CLOCK_SECOND);
    world_stop(&world);
}

static void warm_does_not_exceed_size(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 1, 5);
    world.settings->warm = 3;
    world_start(&world);

    world_tick(&world, 0);
    world_connected(&world, world_next(&world, CALL_CONNECT)->server);
    world_tick(&world, 0);
    world_stop(&world);
}

static void warm_attempts_back_off(void **context)
{
    struct world world;
    struct failure *failure = failure_new("57P03", "starting up", NULL, NULL);
    (void)context;
    world_init(&world, 2, 0);
    world.settings->warm = 1;
    world_start(&world);

    world_tick(&world, 0);
    world_lost(&world, world_next(&world, CALL_CONNECT)->server, failure);
    world_tick(&world, POOL_BACKOFF_LEAST - 1);
    world_no_call(&world);
    world_tick(&world, POOL_BACKOFF_LEAST + 1);
    world_connected(&world, world_next(&world, CALL_CONNECT)->server);
    world_stop(&world);
    failure_release(&failure);
}

static void a_login_that_was_refused_is_tried_again_for_a_client_only(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    struct failure *failure = failure_new("28P01", "password authentication failed", NULL, NULL);
    (void)context;
    world_init(&world, 2, 0);
    world.settings->warm = 1;
    world_start(&world);

    world_tick(&world, 0);
    world_lost(&world, world_next(&world, CALL_CONNECT)->server, failure);
    world_tick(&world, POOL_BACKOFF_MOST);
    world_tick(&world, POOL_BACKOFF_MOST);
    world_no_call(&world);
    world_waits(&world, &waiter, 0);
    struct pool_server *server = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, server);
    assert_ptr_equal(world_next(&world, CALL_GRANTED)->waiter, &waiter);
    world_return(&world, server);
    world_stop(&world);
    failure_release(&failure);
}

static void long_idle_ones_are_closed_down_to_warm(void **context)
{
    struct world world;
    struct pool_server *servers[3];
    (void)context;
    world_init(&world, 3, 0);
    world.settings->warm = 1;
    world.settings->idle_timeout = 60 * CLOCK_SECOND;
    world_start(&world);

    fill(&world, servers, 3);
    world_tick(&world, 57 * CLOCK_SECOND - 1);
    world_no_call(&world);
    world_tick(&world, 1);
    world_expect_close(&world, servers[0], "idle_timeout");
    world_no_call(&world);
    world_tick(&world, 1000 * CLOCK_SECOND);
    world_expect_close(&world, servers[1], "idle_timeout");
    world_no_call(&world);
    assert_int_equal(servers[2]->state, POOL_SERVER_IDLE);
    world_stop(&world);
}

static void least_recently_used_of_all_workers_is_closed_first(void **context)
{
    struct world world;
    struct pool_server *servers[3];
    (void)context;
    world_init(&world, 3, 0);
    world_start(&world);

    for (unsigned i = 0; i < 3; i++)
        servers[i] = world_open(&world, i);
    static const unsigned order[] = {1, 0, 2};
    for (unsigned i = 0; i < 3; i++) {
        world_return(&world, servers[order[i]]);
        world.now += CLOCK_SECOND;
    }
    world_resize(&world, 1, 0);
    world_expect_close(&world, servers[1], "the pool's size has changed");
    world_expect_close(&world, servers[0], "the pool's size has changed");
    world_no_call(&world);
    world_stop(&world);
}

static void idle_timeout_off_closes_nothing(void **context)
{
    struct world world;
    struct pool_server *servers[2];
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    fill(&world, servers, 2);
    world_tick(&world, 100000 * CLOCK_SECOND);
    world_stop(&world);
}

static void expired_idle_ones_are_renewed(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 1, 0);
    world.settings->warm = 1;
    world.settings->recycle = 1000 * CLOCK_SECOND;
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_return(&world, server);
    world_tick(&world, 899 * CLOCK_SECOND);
    world_no_call(&world);
    world_tick(&world, 101 * CLOCK_SECOND);
    world_expect_close(&world, server, "recycle");
    world_tick(&world, 0);
    world_connected(&world, world_next(&world, CALL_CONNECT)->server);
    world_stop(&world);
}

static void smaller_size_closes_idle_now_and_leased_on_return(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 4, 0);
    world_start(&world);

    struct pool_server *idle = world_open(&world, 0);
    struct pool_server *leased[3];
    for (int i = 0; i < 3; i++)
        leased[i] = world_open(&world, 0);
    world_return(&world, idle);
    world_resize(&world, 1, 1);
    world_expect_close(&world, idle, "the pool's size has changed");
    assert_int_equal(leased[0]->state, POOL_SERVER_LEASED);
    world_waits(&world, &waiter, 0);
    /* Above size and overflow even those who wait must: it is closed. */
    world_return(&world, leased[0]);
    world_expect_close(&world, leased[0], "more than the pool's size are open");
    world_return(&world, leased[1]);
    world_expect_grant(&world, &waiter, leased[1]);
    world_return(&world, leased[1]);
    world_expect_close(&world, leased[1], "more than the pool's size are open");
    world_return(&world, leased[2]);
    assert_int_equal(leased[2]->state, POOL_SERVER_IDLE);
    world_stop(&world);
}

static void larger_size_serves_those_who_wait(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *first = world_open(&world, 0);
    world_waits(&world, &waiter, 0);
    world_no_call(&world);
    world_resize(&world, 2, 0);
    struct pool_server *second = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, second);
    world_expect_grant(&world, &waiter, second);
    world_return(&world, first);
    world_return(&world, second);
    assert_int_equal(world_counts(&world).idle, 2);
    world_stop(&world);
}

static void move_to_another_server(struct world *world)
{
    struct settings *settings = world_settings(4, 0);

    free(settings->server_database);
    settings->server_database = memory_string("elsewhere");
    pool_reconfigure(world->pool, settings, world->now);
    pool_check(world->pool);
    settings_release(&settings);
}

static void another_server_retires_every_connection(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 4, 0);
    world_start(&world);

    struct pool_server *idle = world_open(&world, 0);
    struct pool_server *leased = world_open(&world, 0);
    world_waits(&world, &waiter, 0);
    struct pool_server *connecting = world_next(&world, CALL_CONNECT)->server;
    assert_true(pool_cancel(&waiter));
    world_return(&world, idle);
    move_to_another_server(&world);
    world_expect_close(&world, idle, "the configuration has changed");
    world_return(&world, leased);
    world_expect_close(&world, leased, "the configuration has changed");
    world_connected(&world, connecting);
    world_expect_close(&world, connecting, "the configuration has changed");
    struct settings *settings = pool_settings(world.pool);
    assert_string_equal(settings->server_database, "elsewhere");
    settings_release(&settings);
    world_stop(&world);
}

/* The old host may be silent: nobody waits for attempts to reach it, nor for its backoff. */
static void another_server_is_tried_at_once(void **context)
{
    struct world world;
    struct pool_waiter waiters[2] = {0};
    struct failure *failure = failure_new("08001", "no route to host", NULL, NULL);
    (void)context;
    world_init(&world, 4, 0);
    world_start(&world);

    world_waits(&world, &waiters[0], 0);
    struct pool_server *failed = world_next(&world, CALL_CONNECT)->server;
    world_waits(&world, &waiters[1], 0);
    struct pool_server *hanging = world_next(&world, CALL_CONNECT)->server;
    world_lost(&world, failed, failure);
    move_to_another_server(&world);
    struct pool_server *fresh = world_next(&world, CALL_CONNECT)->server;
    struct pool_server *other = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, fresh);
    world_expect_grant(&world, &waiters[0], fresh);
    world_return(&world, fresh);
    world_expect_grant(&world, &waiters[1], fresh);
    world_return(&world, fresh);
    world_lost(&world, other, NULL);
    /* What the old one still says counts for nothing. */
    world_lost(&world, hanging, failure);
    struct pool_server *first = world_granted_now(&world, 0, NULL);
    struct pool_server *second = world_open(&world, 0);
    world_return(&world, first);
    world_return(&world, second);
    failure_release(&failure);
    world_stop(&world);
}

static void success_at_the_old_server_says_nothing_about_the_new(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0}, newcomer = {0};
    struct pool_server *none = NULL;
    struct failure *failure = failure_new("08001", "no route to host", NULL, NULL);
    (void)context;
    world_init(&world, 4, 0);
    world_start(&world);

    world_waits(&world, &waiter, 0);
    struct pool_server *old = world_next(&world, CALL_CONNECT)->server;
    move_to_another_server(&world);
    world_lost(&world, world_next(&world, CALL_CONNECT)->server, failure);
    world_expect_refusal(&world, &waiter, POOL_REFUSED_UNREACHABLE);
    world_connected(&world, old);
    world_expect_close(&world, old, "the configuration has changed");
    assert_int_equal(world_lease(&world, &newcomer, 0, NULL, &none), POOL_REFUSES);
    world_stop(&world);
    failure_release(&failure);
}

static void shutdown_refuses_and_closes(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 2, 0);
    world.settings->warm = 2;
    world_start(&world);

    struct pool_server *leased = world_open(&world, 0);
    world_waits(&world, &waiter, 0);
    struct pool_server *connecting = world_next(&world, CALL_CONNECT)->server;
    world.now += CLOCK_SECOND;
    pool_shutdown(world.pool, world.now);
    struct pool_refusal refusal = world_expect_refusal(&world, &waiter, POOL_REFUSED_SHUTDOWN);
    assert_int_equal(refusal.waited, CLOCK_SECOND);
    world_connected(&world, connecting);
    world_expect_close(&world, connecting, "shutting down");

    struct pool_server *none = NULL;
    assert_int_equal(world_lease(&world, &waiter, 0, NULL, &none), POOL_REFUSES);
    world_tick(&world, CLOCK_SECOND);
    world_no_call(&world);
    /* A running transaction comes to its end. */
    assert_int_equal(leased->state, POOL_SERVER_LEASED);
    assert_false(pool_is_empty(world.pool));
    world_return(&world, leased);
    world_expect_close(&world, leased, "shutting down");
    world_stop(&world);
}

static void shutdown_refuses_the_waiter_of_a_lost_grant(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_return(&world, server);
    world_waits(&world, &waiter, 1);
    world_expect_grant(&world, &waiter, server);
    pool_shutdown(world.pool, world.now);
    world_no_call(&world);
    world_lost(&world, server, NULL);
    world_expect_refusal(&world, &waiter, POOL_REFUSED_SHUTDOWN);
    world_stop(&world);
}

/* More calls in one step than the list on the stack holds. */
static void long_line_is_refused_whole(void **context)
{
    struct world world;
    struct pool_waiter waiters[100] = {0};
    (void)context;
    world_init(&world, 1, 0);
    world.settings->timeout = CLOCK_SECOND;
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    for (unsigned i = 0; i < 100; i++)
        world_waits(&world, &waiters[i], 1);
    world_tick(&world, CLOCK_SECOND);
    for (unsigned i = 0; i < 100; i++)
        world_expect_refusal(&world, &waiters[i], POOL_REFUSED_TIMEOUT);
    world_return(&world, server);
    world_stop(&world);
}

static void pins_are_bounded_unless_they_are_forced(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 3, 1);
    world_start(&world);
    assert_int_equal(pool_max_pinned(world.pool), 3); /* auto: one is left */
    for (unsigned i = 0; i < 3; i++)
        assert_true(pool_pin(world.pool, false));
    assert_false(pool_pin(world.pool, false));
    assert_true(pool_pin(world.pool, true));
    assert_int_equal(world_counts(&world).pinned, 4);
    pool_unpin(world.pool);
    assert_false(pool_pin(world.pool, false));
    for (unsigned i = 0; i < 3; i++)
        pool_unpin(world.pool);
    assert_int_equal(pool_pinned(world.pool), 0);
    world_stop(&world);
}

static void a_pool_of_one_may_be_pinned(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);
    assert_true(pool_pin(world.pool, false));
    assert_false(pool_pin(world.pool, false));
    pool_unpin(world.pool);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pins_are_bounded_unless_they_are_forced),
        cmocka_unit_test(a_pool_of_one_may_be_pinned),
        cmocka_unit_test(warm_ones_are_opened_on_the_workers_in_turn),
        cmocka_unit_test(warm_does_not_exceed_size),
        cmocka_unit_test(warm_attempts_back_off),
        cmocka_unit_test(a_login_that_was_refused_is_tried_again_for_a_client_only),
        cmocka_unit_test(long_idle_ones_are_closed_down_to_warm),
        cmocka_unit_test(least_recently_used_of_all_workers_is_closed_first),
        cmocka_unit_test(idle_timeout_off_closes_nothing),
        cmocka_unit_test(expired_idle_ones_are_renewed),
        cmocka_unit_test(smaller_size_closes_idle_now_and_leased_on_return),
        cmocka_unit_test(larger_size_serves_those_who_wait),
        cmocka_unit_test(another_server_retires_every_connection),
        cmocka_unit_test(another_server_is_tried_at_once),
        cmocka_unit_test(success_at_the_old_server_says_nothing_about_the_new),
        cmocka_unit_test(shutdown_refuses_and_closes),
        cmocka_unit_test(shutdown_refuses_the_waiter_of_a_lost_grant),
        cmocka_unit_test(long_line_is_refused_whole),
    };
    return cmocka_run_group_tests_name("pool_upkeep", tests, NULL, NULL);
}
