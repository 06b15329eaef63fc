/*
 * test_parameters.c: parameters.c: sets that are equal are one object, names keep the server's
 * spelling and are found in any, and the difference between two comes out as ParameterStatus
 * messages.
 */
#include "state/parameters.h"

#include "base/buffer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct parameters *sample(void)
{
    struct pairs pairs = {0};
    pairs_add(&pairs, "TimeZone", "UTC");
    pairs_add(&pairs, "server_version", "15.1");
    pairs_add(&pairs, "DateStyle", "ISO");
    pairs_add(&pairs, "application_name", "");
    struct parameters *parameters = parameters_intern(&pairs);
    pairs_clear(&pairs);
    return parameters;
}

static void test_equal_sets_are_one_object(void **state)
{
    (void)state;
    struct parameters *one = sample();
    struct parameters *other = sample();
    struct parameters *retained = parameters_retain(one);
    assert_ptr_equal(one, other);
    assert_ptr_equal(one, retained);
    parameters_release(&one);
    parameters_release(&other);
    assert_null(one);
    assert_string_equal(parameters_find(retained, "TimeZone"), "UTC");
    parameters_release(&retained);
    parameters_release(&retained);
}

static void test_names_keep_their_spelling(void **state)
{
    (void)state;
    struct parameters *parameters = sample();
    const struct pairs *pairs = parameters_pairs(parameters);
    assert_int_equal(pairs->count, 4);
    assert_string_equal(pairs->items[0].name, "application_name");
    assert_string_equal(pairs->items[1].name, "DateStyle");
    assert_string_equal(pairs->items[2].name, "server_version");
    assert_string_equal(pairs->items[3].name, "TimeZone");
    assert_string_equal(parameters_find(parameters, "datestyle"), "ISO");
    assert_null(parameters_find(parameters, "date"));
    parameters_release(&parameters);
}

static void test_no_parameters_is_a_set(void **state)
{
    (void)state;
    struct parameters *none = parameters_intern(&(struct pairs){0});
    struct parameters *one = parameters_with(none, "TimeZone", "UTC");
    assert_int_equal(parameters_pairs(none)->count, 0);
    assert_null(parameters_find(none, "TimeZone"));
    assert_string_equal(parameters_find(one, "TimeZone"), "UTC");
    parameters_release(&none);
    parameters_release(&one);
}

static void test_with_comes_back_to_the_same_object(void **state)
{
    (void)state;
    struct parameters *before = sample();
    struct parameters *named = parameters_with(before, "application_name", "psql");
    struct parameters *same = parameters_with(named, "application_name", "psql");
    struct parameters *back = parameters_with(named, "application_name", "");
    assert_string_equal(parameters_find(named, "application_name"), "psql");
    assert_string_equal(parameters_find(named, "server_version"), "15.1");
    assert_ptr_not_equal(named, before);
    assert_ptr_equal(same, named);
    assert_ptr_equal(back, before);
    parameters_release(&before);
    parameters_release(&named);
    parameters_release(&same);
    parameters_release(&back);
}

static void assert_messages(const struct parameters *from, const struct parameters *to,
                            const char *expected, size_t size)
{
    struct buffer messages = {0};
    parameters_write_difference(from, to, &messages);
    assert_int_equal(buffer_length(&messages), size);
    if (size > 0)
        assert_memory_equal(buffer_bytes(&messages), expected, size);
    buffer_release(&messages);
}

static void test_difference_is_parameter_status(void **state)
{
    (void)state;
    static const char changed[] = "S\0\0\0\x0f"
                                  "DateStyle\0\0"
                                  "S\0\0\0\x0b"
                                  "new\0ok";
    static const char all[] = "S\0\0\0\x0b"
                              "a_b\0ok";
    struct parameters *from = sample();
    struct parameters *styled = parameters_with(from, "DateStyle", "");
    struct parameters *to = parameters_with(styled, "new", "ok");
    struct parameters *none = parameters_intern(&(struct pairs){0});
    struct parameters *one = parameters_with(none, "a_b", "ok");

    assert_messages(from, to, changed, sizeof changed);
    assert_messages(to, to, NULL, 0);
    assert_messages(to, none, NULL, 0);
    assert_messages(NULL, one, all, sizeof all);
    parameters_release(&from);
    parameters_release(&styled);
    parameters_release(&to);
    parameters_release(&none);
    parameters_release(&one);
}

static void *change_and_release(void *context)
{
    unsigned *mismatches = context;
    for (unsigned i = 0; i < 20000; i++) {
        struct parameters *before = sample();
        struct parameters *named =
            parameters_with(before, "application_name", i % 2 == 0 ? "even" : "odd");
        struct parameters *back = parameters_with(named, "application_name", "");
        if (back != before || strcmp(parameters_find(named, "timezone"), "UTC") != 0)
            ++*mismatches;
        parameters_release(&before);
        parameters_release(&named);
        parameters_release(&back);
    }
    return NULL;
}

static void test_threads_share_sets(void **state)
{
    (void)state;
    pthread_t threads[2];
    unsigned mismatches[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, change_and_release, &mismatches[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(mismatches[0] + mismatches[1], 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_sets_are_one_object),
        cmocka_unit_test(test_names_keep_their_spelling),
        cmocka_unit_test(test_no_parameters_is_a_set),
        cmocka_unit_test(test_with_comes_back_to_the_same_object),
        cmocka_unit_test(test_difference_is_parameter_status),
        cmocka_unit_test(test_threads_share_sets),
    };
    return cmocka_run_group_tests_name("parameters", tests, NULL, NULL);
}
