/* Exercises settings as a counted object, and when two of them mean the same server. */
#include "config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"

static struct settings *example(void)
{
    struct settings *settings = memory_new(struct settings);
    settings->references = 1;
    settings->host_count = 1;
    settings->hosts = memory_zeroed(sizeof(*settings->hosts));
    settings->hosts[0].host = memory_string("db");
    settings->hosts[0].port = 5432;
    settings->server_database = memory_string("app");
    settings->server_user = memory_string("alice");
    settings->server_password = memory_string("secret");
    pairs_add(&settings->server_settings, "jit", "off");
    return settings;
}

static void last_release_frees(void **state)
{
    (void)state;
    struct settings *settings = example();
    struct settings *second = settings_retain(settings);
    settings_release(&settings);
    assert_null(settings);
    assert_string_equal(second->server_user, "alice");
    settings_release(&second);
    assert_null(second);
    settings_release(&second);
}

static void pool_limits_do_not_change_the_server(void **state)
{
    (void)state;
    struct settings *one = example();
    struct settings *other = example();
    other->size = 99;
    other->timeout = CLOCK_SECOND;
    assert_true(settings_same_server(one, other));
    settings_release(&one);
    settings_release(&other);
}

static void host_login_and_parameters_change_the_server(void **state)
{
    (void)state;
    for (int change = 0; change < 6; change++) {
        struct settings *one = example();
        struct settings *other = example();
        if (change == 0)
            other->hosts[0].port = 5433;
        else if (change == 1)
            other->hosts[0].hostaddr = memory_string("10.0.0.1");
        else if (change == 2)
            other->server_user[0] = 'A';
        else if (change == 3)
            memory_wipe_string(other->server_password), other->server_password = NULL;
        else if (change == 4)
            pairs_set(&other->server_settings, "jit", "on");
        else
            other->target = SETTINGS_TARGET_PRIMARY;
        assert_false(settings_same_server(one, other));
        settings_release(&one);
        settings_release(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_release_frees),
        cmocka_unit_test(pool_limits_do_not_change_the_server),
        cmocka_unit_test(host_login_and_parameters_change_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
