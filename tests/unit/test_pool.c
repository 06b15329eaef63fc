/* test_pool.c: which connection a lease gets, and where one goes that comes back (src/pool). */
#include "pool_world.h"

static const char state_a, state_b;

static void leased_one_is_used_again(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    world_return(&world, server);
    assert_int_equal(server->state, POOL_SERVER_IDLE);
    assert_ptr_equal(world_granted_now(&world, 0, NULL), server);
    world_return(&world, server);
    struct pool_counts counts = world_counts(&world);
    assert_int_equal(counts.opened, 1);
    assert_int_equal(counts.leases, 2);
    assert_int_equal(counts.waits, 1);
    world_stop(&world);
}

static void most_recently_used_goes_first(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 3, 0);
    world_start(&world);

    struct pool_server *one = world_open(&world, 0);
    struct pool_server *two = world_open(&world, 0);
    struct pool_server *three = world_open(&world, 0);
    world_return(&world, two);
    world_return(&world, three);
    world_return(&world, one);
    assert_ptr_equal(world_granted_now(&world, 0, NULL), one);
    assert_ptr_equal(world_granted_now(&world, 0, NULL), three);
    assert_ptr_equal(world_granted_now(&world, 0, NULL), two);
    world_return(&world, one);
    world_return(&world, two);
    world_return(&world, three);
    world_stop(&world);
}

static void same_session_state_is_preferred(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 3, 0);
    world_start(&world);

    struct pool_server *one = world_open(&world, 0);
    struct pool_server *two = world_open(&world, 0);
    struct pool_server *three = world_open(&world, 0);
    one->session_state = &state_a;
    two->session_state = &state_a;
    three->session_state = &state_b;
    world_return(&world, one);
    world_return(&world, two);
    world_return(&world, three);
    /* Not the most recently used of all, but the most recently used that matches. */
    assert_ptr_equal(world_granted_now(&world, 0, &state_a), two);
    assert_ptr_equal(world_granted_now(&world, 0, &state_a), one);
    /* None matches any more. */
    assert_ptr_equal(world_granted_now(&world, 0, &state_a), three);
    world_return(&world, one);
    world_return(&world, two);
    world_return(&world, three);
    world_stop(&world);
}

static void idle_one_of_own_worker_goes_before_a_match_elsewhere(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 2, 0);
    world_start(&world);

    struct pool_server *own = world_open(&world, 0);
    struct pool_server *other = world_open(&world, 1);
    own->session_state = &state_b;
    other->session_state = &state_a;
    world_return(&world, own);
    world_return(&world, other);
    assert_ptr_equal(world_granted_now(&world, 0, &state_a), own);
    world_return(&world, own);
    world_stop(&world);
}

static void idle_one_elsewhere_goes_before_opening(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 5, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 1);
    world_return(&world, server);
    world_waits(&world, &waiter, 0);
    world_expect_grant(&world, &waiter, server);
    world_no_call(&world);
    assert_int_equal(waiter.state, POOL_WAITER_GRANTED);
    assert_int_equal(server->state, POOL_SERVER_GRANTED);
    assert_ptr_equal(server->granted_to, &waiter);
    assert_int_equal(world_counts(&world).granted, 1);

    assert_true(pool_grant_arrived(&waiter, server, world.now));
    assert_int_equal(waiter.state, POOL_WAITER_NONE);
    assert_int_equal(server->state, POOL_SERVER_LEASED);
    assert_int_equal(server->worker, 0);
    world_return(&world, server);
    assert_ptr_equal(world_granted_now(&world, 0, NULL), server);
    world_return(&world, server);
    world_stop(&world);
}

static void overflow_is_closed_when_nobody_waits(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 1, 1);
    world_start(&world);

    struct pool_server *one = world_open(&world, 0);
    struct pool_server *two = world_open(&world, 0);
    world_return(&world, one);
    world_expect_close(&world, one, "more than the pool's size are open");
    world_return(&world, two);
    assert_int_equal(two->state, POOL_SERVER_IDLE);
    world_stop(&world);
}

static void overflow_is_granted_on_while_somebody_waits(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 1, 1);
    world_start(&world);

    struct pool_server *one = world_open(&world, 0);
    struct pool_server *two = world_open(&world, 0);
    world_waits(&world, &waiter, 0);
    world_no_call(&world);
    world_return(&world, one);
    world_expect_grant(&world, &waiter, one);
    world_return(&world, two);
    world_expect_close(&world, two, "more than the pool's size are open");
    world_return(&world, one);
    world_stop(&world);
}

static void no_more_are_opened_than_size_and_overflow(void **context)
{
    struct world world;
    struct pool_waiter waiters[5] = {0};
    struct pool_server *servers[3];
    (void)context;
    world_init(&world, 2, 1);
    world_start(&world);

    for (int i = 0; i < 5; i++)
        world_waits(&world, &waiters[i], 0);
    for (int i = 0; i < 3; i++)
        servers[i] = world_next(&world, CALL_CONNECT)->server;
    world_no_call(&world);
    assert_int_equal(world_counts(&world).connecting, 3);
    assert_int_equal(world_counts(&world).waiting, 5);
    for (int i = 0; i < 3; i++) {
        world_connected(&world, servers[i]);
        world_expect_grant(&world, &waiters[i], servers[i]);
    }
    for (int i = 0; i < 2; i++) {
        world_return(&world, servers[i]);
        world_expect_grant(&world, &waiters[3 + i], servers[i]);
    }
    world_return(&world, servers[2]);
    world_expect_close(&world, servers[2], "more than the pool's size are open");
    world_return(&world, servers[0]);
    world_return(&world, servers[1]);
    world_stop(&world);
}

static void closing_one_takes_its_place_until_it_is_gone(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 1, 0);
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    pool_return_and_close(server, "unknown state", world.now);
    assert_int_equal(world_counts(&world).closing, 1);
    struct world_call *call = world_next(&world, CALL_CLOSE);
    assert_string_equal(call->reason, "unknown state");
    world_waits(&world, &waiter, 0);
    world_no_call(&world);
    world_lost(&world, server, NULL);
    server = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, server);
    world_expect_grant(&world, &waiter, server);
    world_return(&world, server);
    assert_int_equal(world_counts(&world).lost, 0);
    world_stop(&world);
}

static void size_zero_keeps_nothing(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 0, 1);
    world.settings->warm = 1;
    world_start(&world);

    world_tick(&world, CLOCK_SECOND);
    world_no_call(&world);
    struct pool_server *server = world_open(&world, 0);
    world_waits(&world, &waiter, 0);
    /* The waiter gets a fresh one, not the one that comes back. */
    world_return(&world, server);
    world_expect_close(&world, server, "the pool's size is 0");
    server = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, server);
    world_expect_grant(&world, &waiter, server);
    world_return(&world, server);
    world_expect_close(&world, server, "the pool's size is 0");
    assert_true(pool_is_empty(world.pool));
    world_stop(&world);
}

static void connection_that_comes_too_late_is_kept_or_closed(void **context)
{
    struct world world;
    struct pool_waiter waiters[2] = {0};
    (void)context;
    world_init(&world, 2, 1);
    world_start(&world);

    struct pool_server *leased = world_open(&world, 0);
    world_waits(&world, &waiters[0], 0);
    world_waits(&world, &waiters[1], 0);
    struct pool_server *late = world_next(&world, CALL_CONNECT)->server;
    struct pool_server *later = world_next(&world, CALL_CONNECT)->server;
    world_return(&world, leased);
    world_expect_grant(&world, &waiters[0], leased);
    assert_true(pool_cancel(&waiters[1]));
    world_connected(&world, late);
    assert_int_equal(late->state, POOL_SERVER_IDLE);
    world_connected(&world, later);
    world_expect_close(&world, later, "more than the pool's size are open");
    world_return(&world, leased);
    world_stop(&world);
}

static void expired_ones_are_not_leased_again(void **context)
{
    struct world world;
    struct pool_waiter waiter = {0};
    (void)context;
    world_init(&world, 2, 0);
    world.settings->recycle = 100 * CLOCK_SECOND;
    world_start(&world);

    struct pool_server *returned = world_open(&world, 0);
    struct pool_server *idle = world_open(&world, 0);
    microseconds age = idle->expires_at - world.now;
    assert_in_range(age, 90 * CLOCK_SECOND, 100 * CLOCK_SECOND);
    assert_true(age != returned->expires_at - world.now); /* jitter */
    world_return(&world, idle);
    world.now += 100 * CLOCK_SECOND;
    world_waits(&world, &waiter, 0);
    struct world_call *call = world_next(&world, CALL_CLOSE);
    assert_ptr_equal(call->server, idle);
    assert_string_equal(call->reason, "recycle");
    /* Closed on return too, though somebody waits; and replaced. */
    world_return(&world, returned);
    world_expect_close(&world, returned, "recycle");
    struct pool_server *fresh = world_next(&world, CALL_CONNECT)->server;
    world_connected(&world, fresh);
    world_expect_grant(&world, &waiter, fresh);
    world_lost(&world, idle, NULL);
    world_return(&world, fresh);
    world_stop(&world);
}

static void ping_is_needed_after_a_rest(void **context)
{
    struct world world;
    (void)context;
    world_init(&world, 1, 0);
    world.settings->pre_ping = SETTINGS_PING_ON;
    world.settings->pre_ping_after = CLOCK_SECOND;
    world_start(&world);

    struct pool_server *server = world_open(&world, 0);
    assert_false(pool_needs_ping(world.pool, server, world.now));
    assert_false(pool_needs_ping(world.pool, server, world.now + CLOCK_SECOND));
    assert_true(pool_needs_ping(world.pool, server, world.now + CLOCK_SECOND + 1));
    world.now += 10 * CLOCK_SECOND;
    world_return(&world, server);
    assert_false(pool_needs_ping(world.pool, server, world.now + CLOCK_SECOND));

    world.settings->pre_ping = SETTINGS_PING_ALWAYS;
    pool_reconfigure(world.pool, world.settings, world.now);
    assert_true(pool_needs_ping(world.pool, server, world.now + 1));
    assert_false(pool_needs_ping(world.pool, server, world.now));
    world.settings->pre_ping = SETTINGS_PING_OFF;
    pool_reconfigure(world.pool, world.settings, world.now);
    assert_false(pool_needs_ping(world.pool, server, world.now + 1000 * CLOCK_SECOND));
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leased_one_is_used_again),
        cmocka_unit_test(most_recently_used_goes_first),
        cmocka_unit_test(same_session_state_is_preferred),
        cmocka_unit_test(idle_one_of_own_worker_goes_before_a_match_elsewhere),
        cmocka_unit_test(idle_one_elsewhere_goes_before_opening),
        cmocka_unit_test(overflow_is_closed_when_nobody_waits),
        cmocka_unit_test(overflow_is_granted_on_while_somebody_waits),
        cmocka_unit_test(no_more_are_opened_than_size_and_overflow),
        cmocka_unit_test(closing_one_takes_its_place_until_it_is_gone),
        cmocka_unit_test(size_zero_keeps_nothing),
        cmocka_unit_test(connection_that_comes_too_late_is_kept_or_closed),
        cmocka_unit_test(expired_ones_are_not_leased_again),
        cmocka_unit_test(ping_is_needed_after_a_rest),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
