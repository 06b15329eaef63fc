/*
 * Exercises the table of keys: that it is whole, that each default is good and each bound holds,
 * and what values of each type are taken.
 */
#include "config/keys.h"

#include "config/lists.h"
#include "config/units.h"
#include "config_text.h"

#include <ctype.h>

static bool apply(const struct key *key, const char *value, void *target)
{
    char problem[512];
    return keys_apply(key, value, target, problem, sizeof(problem));
}

/* Applies to a struct that is thrown away, and compares the value in its plainest form. */
static void check_value(const struct key *key, const char *value, bool is_good, const char *form)
{
    char text[64] = "";
    struct config config = {0};
    struct settings settings = {0};
    void *target = (key->sections & KEYS_PGSLUICE) != 0 ? (void *)&config : (void *)&settings;
    if (apply(key, value, target) != is_good)
        fail_msg("%s = %s", key->name, value);
    if (form != NULL) {
        assert_true(keys_format(key, target, text, sizeof(text)));
        assert_string_equal(text, form);
    }
    lists_clear(&config);
    free(config.auth_file);
    settings_clear(&settings);
}

static void every_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        const struct key *key = &keys_table[i];
        assert_non_null(key->name);
        assert_ptr_equal(keys_find(key->name), key);
        assert_int_equal(keys_index(key), i);
        assert_int_not_equal(key->sections, 0);
        assert_non_null(key->default_value);
        assert_true(isupper((unsigned char)key->help[0]));
        assert_int_equal(key->help[strlen(key->help) - 1], '.');
        assert_true((key->type == KEYS_CHOICE) == (key->choices != NULL));
        assert_true((key->type == KEYS_OTHER) == (key->set != NULL));
        assert_true(key->expected != NULL || key->type <= KEYS_CHOICE);
    }
}

static void every_default_is_good_and_in_its_plainest_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        const struct key *key = &keys_table[i];
        if (key->type != KEYS_URL)
            check_value(key, key->default_value, true,
                        key->type <= KEYS_CHOICE ? key->default_value : NULL);
    }
}

static void every_bound_holds(void **state)
{
    (void)state;
    char text[64];
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        const struct key *key = &keys_table[i];
        if (key->type != KEYS_NUMBER && key->type != KEYS_TIME)
            continue;
        const char *unit = key->type == KEYS_TIME ? "us" : "";
        snprintf(text, sizeof(text), "%lld%s", (long long)key->most, unit);
        check_value(key, text, true, NULL);
        snprintf(text, sizeof(text), "%lld%s", (long long)key->most + 1, unit);
        check_value(key, text, false, NULL);
        snprintf(text, sizeof(text), "%lld%s", (long long)key->least, unit);
        check_value(key, text, true, NULL);
        if (key->least > 1)
            snprintf(text, sizeof(text), "%lld%s", (long long)key->least - 1, unit);
        else if (key->least == 1 && key->zero == NULL)
            snprintf(text, sizeof(text), "0%s", unit);
        else
            continue;
        check_value(key, text, false, NULL);
    }
}

static void words_of_each_type_are_taken(void **state)
{
    (void)state;
    const struct key *keepalive = keys_find("tcp_keepalive");
    check_value(keepalive, "yes", true, "on");
    check_value(keepalive, "0", true, "off");
    check_value(keepalive, "maybe", false, NULL);
    check_value(keys_find("mode"), "session", true, "session");
    check_value(keys_find("mode"), "Session", false, NULL);
    check_value(keys_find("recycle"), "off", true, "off");
    check_value(keys_find("recycle"), "0", true, "off");
    check_value(keys_find("recycle"), "90", true, "90s");
    check_value(keys_find("workers"), "auto", true, "auto");
    check_value(keys_find("workers"), "off", false, NULL);
    check_value(keys_find("size"), "off", false, NULL);
}

static void enums_have_the_order_of_their_words(void **state)
{
    (void)state;
    struct config config = {0};
    struct settings settings = {0};
    assert_true(apply(keys_find("auth"), "scram-sha-256", &config));
    assert_int_equal(config.auth, CONFIG_AUTH_SCRAM);
    assert_true(apply(keys_find("log_level"), "error", &config));
    assert_int_equal(config.log_level, LOG_SEVERITY_ERROR);
    assert_true(apply(keys_find("mode"), "statement", &settings));
    assert_int_equal(settings.mode, SETTINGS_STATEMENT);
    assert_true(apply(keys_find("pre_ping"), "always", &settings));
    assert_int_equal(settings.pre_ping, SETTINGS_PING_ALWAYS);
    assert_true(apply(keys_find("startup_check"), "require", &settings));
    assert_int_equal(settings.startup_check, SETTINGS_CHECK_REQUIRE);
    assert_true(apply(keys_find("target_session_attrs"), "prefer-standby", &settings));
    assert_int_equal(settings.target, SETTINGS_TARGET_PREFER_STANDBY);
    _Static_assert(sizeof(enum config_auth) == sizeof(unsigned), "keys_value.c writes unsigned");
}

static void places_to_listen_are_read(void **state)
{
    (void)state;
    struct config config = {0};
    assert_true(
        apply(keys_find("listen"), " 127.0.0.1, [::1]:7, ::1 ,10.0.0.1:8,*:9, *,/run/x", &config));
    static const struct config_listen expected[] = {
        {(char *)(uintptr_t) "127.0.0.1", false, 0}, {(char *)(uintptr_t) "::1", false, 7},
        {(char *)(uintptr_t) "::1", false, 0},       {(char *)(uintptr_t) "10.0.0.1", false, 8},
        {(char *)(uintptr_t) "*", false, 9},         {(char *)(uintptr_t) "*", false, 0},
        {(char *)(uintptr_t) "/run/x", true, 0},
    };
    assert_int_equal(config.listen_count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(config.listen[i].address, expected[i].address);
        assert_int_equal(config.listen[i].port, expected[i].port);
        assert_int_equal(config.listen[i].is_unix, expected[i].is_unix);
    }
    lists_clear(&config);
}

static void places_that_are_none_are_refused(void **state)
{
    (void)state;
    /* Where PostgreSQL's name for a socket does not fit behind the folder. */
    char long_folder[94];
    memset(long_folder, '/', sizeof(long_folder) - 1);
    long_folder[sizeof(long_folder) - 1] = '\0';
    const char *const values[] = {
        "",     "localhost", ",",      "127.0.0.1:",  "127.0.0.1:0", "127.0.0.1:65536",
        "[::1", "[::1]x",    "[::1]:", "[1.2.3.4]:5", "::1:",        "1.2.3",
        "[]",   ":7",        "*,*",    "[::1]:7x",    "1.2.3.4:5:6", long_folder,
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        check_value(keys_find("listen"), values[i], false, NULL);
    long_folder[92] = '\0';
    check_value(keys_find("listen"), long_folder, true, NULL);
}

static void admin_users_are_read(void **state)
{
    (void)state;
    struct config config = {0};
    assert_true(apply(keys_find("admin_users"), "alice, bob b", &config));
    assert_int_equal(config.admin_user_count, 2);
    assert_string_equal(config.admin_users[1], "bob b");
    assert_true(config_is_admin(&config, "alice"));
    assert_false(config_is_admin(&config, "bob"));
    assert_true(apply(keys_find("admin_users"), "", &config));
    assert_int_equal(config.admin_user_count, 0);
    assert_false(apply(keys_find("admin_users"), "alice,,bob", &config));
    lists_clear(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(every_default_is_good_and_in_its_plainest_form),
        cmocka_unit_test(every_bound_holds),
        cmocka_unit_test(words_of_each_type_are_taken),
        cmocka_unit_test(enums_have_the_order_of_their_words),
        cmocka_unit_test(places_to_listen_are_read),
        cmocka_unit_test(places_that_are_none_are_refused),
        cmocka_unit_test(admin_users_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
