/* test_pairs.c: lists of names and values (pg/pairs). */
#include "pg/pairs.h"

#include "pg_bytes.h"

#include <stdio.h>

static void keeps_order_and_copies(void **state)
{
    struct pairs pairs = {0};
    char name[] = "user";
    char value[] = "alice";

    (void)state;
    pairs_add(&pairs, name, value);
    pairs_add(&pairs, "database", "app");
    name[0] = value[0] = '?';
    assert_int_equal(pairs.count, 2);
    assert_string_equal(pairs.items[0].name, "user");
    assert_string_equal(pairs.items[0].value, "alice");
    assert_string_equal(pairs.items[1].name, "database");
    pairs_clear(&pairs);
    assert_int_equal(pairs.count, 0);
    assert_null(pairs_find(&pairs, "user"));
}

static void finds_the_last_value_whatever_the_letter_case(void **state)
{
    struct pairs pairs = {0};

    (void)state;
    pairs_add(&pairs, "DateStyle", "ISO");
    pairs_add(&pairs, "datestyle", "German");
    assert_int_equal(pairs.count, 2);
    assert_string_equal(pairs_find(&pairs, "DATESTYLE"), "German");
    assert_null(pairs_find(&pairs, "DateStyl"));
    assert_null(pairs_find(&pairs, "DateStyle1"));
    assert_null(pairs_find(&pairs, ""));
    pairs_clear(&pairs);
}

static void only_ascii_is_folded(void **state)
{
    struct pairs pairs = {0};

    (void)state;
    pairs_add(&pairs, "my.\xc3\xa9", "1"); /* é */
    assert_null(pairs_find(&pairs, "my.\xc3\x89"));
    assert_non_null(pairs_find(&pairs, "MY.\xc3\xa9"));
    pairs_add(&pairs, "a[", "2");
    assert_null(pairs_find(&pairs, "a{"));
    pairs_clear(&pairs);
}

static void set_replaces_or_adds(void **state)
{
    struct pairs pairs = {0};

    (void)state;
    pairs_set(&pairs, "TimeZone", "UTC");
    pairs_set(&pairs, "search_path", "a");
    pairs_set(&pairs, "timezone", "CET");
    assert_int_equal(pairs.count, 2);
    assert_string_equal(pairs.items[0].name, "TimeZone");
    assert_string_equal(pairs.items[0].value, "CET");
    /* From its own value. */
    pairs_set(&pairs, "timezone", pairs_find(&pairs, "TimeZone"));
    assert_string_equal(pairs.items[0].value, "CET");
    pairs_clear(&pairs);
}

static void copy_is_independent(void **state)
{
    struct pairs from = {0};
    struct pairs to = {0};

    (void)state;
    pairs_add(&from, "a", "1");
    pairs_add(&to, "old", "x");
    pairs_copy(&to, &from);
    pairs_set(&from, "a", "2");
    assert_int_equal(to.count, 1);
    assert_string_equal(pairs_find(&to, "a"), "1");
    pairs_copy(&to, &to);
    assert_string_equal(pairs_find(&to, "a"), "1");
    pairs_clear(&from);
    pairs_copy(&to, &from);
    assert_int_equal(to.count, 0);
    pairs_clear(&to);
}

static void grows(void **state)
{
    struct pairs pairs = {0};
    char name[16];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        pairs_add(&pairs, name, name);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_string_equal(pairs.items[i].value, name);
    }
    pairs_clear(&pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_copies),
        cmocka_unit_test(finds_the_last_value_whatever_the_letter_case),
        cmocka_unit_test(only_ascii_is_folded),
        cmocka_unit_test(set_replaces_or_adds),
        cmocka_unit_test(copy_is_independent),
        cmocka_unit_test(grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
