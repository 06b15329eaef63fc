/* Exercises run-time parameters as written in server_settings and in a url's options. */
#include "config/server_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_list(const char *text, const char *name, const char *value, size_t count)
{
    struct pairs pairs = {0};
    char problem[200] = "";
    assert_true(server_settings_parse_list(text, &pairs, problem, sizeof(problem)));
    assert_int_equal(pairs.count, count);
    assert_string_equal(pairs_find(&pairs, name), value);
    pairs_clear(&pairs);
}

static void lists_are_read(void **state)
{
    (void)state;
    assert_list("jit=off, statement_timeout = 60s ", "statement_timeout", "60s", 2);
    assert_list("search_path = '\"$user\", it''s',jit=on,", "search_path", "\"$user\", it's", 2);
    assert_list("app.tenant=x y", "app.tenant", "x y", 1);
    assert_list("jit=off,JIT=on", "jit", "on", 1);
}

static void assert_list_refused(const char *text, const char *expected)
{
    struct pairs pairs = {0};
    char problem[200] = "";
    assert_false(server_settings_parse_list(text, &pairs, problem, sizeof(problem)));
    assert_string_equal(problem, expected);
    pairs_clear(&pairs);
}

static void mistakes_in_lists_are_told(void **state)
{
    (void)state;
    assert_list_refused("jit", "expected \"name = value\" pairs with commas between them");
    assert_list_refused("1x=2", "expected \"name = value\" pairs with commas between them");
    assert_list_refused("jit=off,,a=b", "expected \"name = value\" pairs with commas between them");
    assert_list_refused("jit=", "expected a value for \"jit\", in single quotes that end if any");
    assert_list_refused("a='x", "expected a value for \"a\", in single quotes that end if any");
    assert_list_refused("a='x' y", "expected a comma behind the value of \"a\"");
    assert_list_refused("User=bob", "\"User\" is not a run-time parameter");
    assert_list_refused("_pq_.x=1", "\"_pq_.x\" is not a run-time parameter");
}

static void options_are_read(void **state)
{
    (void)state;
    struct pairs pairs = {0};
    char problem[200] = "";
    assert_true(server_settings_parse_options(" -c geqo=off -cjit=on --work-mem=4MB -c a.b=x\\ y ",
                                              &pairs, problem, sizeof(problem)));
    assert_int_equal(pairs.count, 4);
    assert_string_equal(pairs_find(&pairs, "geqo"), "off");
    assert_string_equal(pairs_find(&pairs, "jit"), "on");
    assert_string_equal(pairs_find(&pairs, "work_mem"), "4MB");
    assert_string_equal(pairs_find(&pairs, "a.b"), "x y");
    pairs_clear(&pairs);
}

static void assert_options_refused(const char *text, const char *expected)
{
    struct pairs pairs = {0};
    char problem[200] = "";
    assert_false(server_settings_parse_options(text, &pairs, problem, sizeof(problem)));
    assert_string_equal(problem, expected);
    pairs_clear(&pairs);
}

static void mistakes_in_options_are_told(void **state)
{
    (void)state;
    assert_options_refused("-c", "expected \"name=value\" behind \"-c\" in options");
    assert_options_refused("-c jit", "expected \"name=value\" in options, got \"jit\"");
    assert_options_refused("-d 5",
                           "expected \"-c name=value\" or \"--name=value\" in options, got \"-d\"");
    assert_options_refused("-c user=x", "\"user\" is not a run-time parameter");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(mistakes_in_lists_are_told),
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(mistakes_in_options_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
