/* Exercises environment variables in values: set, empty, missing, with defaults, malformed. */
#include "config/expand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void assert_expands(const char *text, const char *expected)
{
    char problem[200] = "";
    char *result = expand_variables(text, problem, sizeof(problem));
    assert_string_equal(problem, "");
    assert_non_null(result);
    assert_string_equal(result, expected);
    free(result);
}

static void assert_refused(const char *text, const char *expected)
{
    char problem[200] = "";
    assert_null(expand_variables(text, problem, sizeof(problem)));
    assert_string_equal(problem, expected);
}

static void plain_text_and_lone_dollars_stay(void **state)
{
    (void)state;
    assert_expands("", "");
    assert_expands("price 5$, $HOME $$", "price 5$, $HOME $$");
}

static void set_variable_is_put_in(void **state)
{
    (void)state;
    assert_expands("a${TEST_SET}b${TEST_SET}", "avaluebvalue");
    assert_expands("${TEST_SET:-other}", "value");
}

static void default_serves_for_unset_and_empty(void **state)
{
    (void)state;
    assert_expands("${TEST_UNSET:-other}", "other");
    assert_expands("${TEST_EMPTY:-other}", "other");
    assert_expands("${TEST_UNSET:-}", "");
    assert_expands("${TEST_EMPTY}", "");
}

static void what_was_put_in_is_not_expanded_again(void **state)
{
    (void)state;
    assert_expands("${TEST_NESTED}", "${TEST_SET}");
}

static void doubled_dollar_stands_for_itself(void **state)
{
    (void)state;
    assert_expands("$${TEST_SET}", "${TEST_SET}");
}

static void mistakes_are_told(void **state)
{
    (void)state;
    assert_refused("x${TEST_UNSET}", "the environment variable TEST_UNSET is not set");
    assert_refused("${TEST_SET", "expected a \"}\" that ends \"${\"");
    assert_refused("${}", "expected ${NAME} or ${NAME:-default}");
    assert_refused("${1A}", "expected ${NAME} or ${NAME:-default}");
    assert_refused("${TEST SET}", "expected ${NAME} or ${NAME:-default}");
    assert_refused("${TEST_SET:x}", "expected ${NAME} or ${NAME:-default}");
}

static int set_variables(void **state)
{
    (void)state;
    unsetenv("TEST_UNSET");
    return setenv("TEST_SET", "value", 1) | setenv("TEST_EMPTY", "", 1) |
           setenv("TEST_NESTED", "${TEST_SET}", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_and_lone_dollars_stay),
        cmocka_unit_test(set_variable_is_put_in),
        cmocka_unit_test(default_serves_for_unset_and_empty),
        cmocka_unit_test(what_was_put_in_is_not_expanded_again),
        cmocka_unit_test(doubled_dollar_stands_for_itself),
        cmocka_unit_test(mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, set_variables, NULL);
}
