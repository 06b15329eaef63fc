/* Exercises the set of functions that change sessions: who is in it, by calls and triggers, and by
 * which words a text is known to use one. */
#include "state/routines.h"

#include "pg/lexer_body.h"
#include "pg/pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SETS "SELECT set_config('app.user', $1, false)"

static unsigned effects_of(const struct routines *routines, const char *sql)
{
    return routines_effects(routines, sql, strlen(sql));
}

static struct routines *of_one(const char *name, const char *body, bool is_trigger)
{
    struct routine routine = {name, body, true, is_trigger};
    return routines_new(&routine, 1);
}

static void innocent_functions_make_no_set(void **state)
{
    (void)state;
    assert_null(routines_new(NULL, 0));
    assert_null(of_one("f", "SELECT 1", false));
    assert_null(of_one("f", "SELECT set_config('a.b', 'x', true)", true));
}

static void name_is_found_as_a_word(void **state)
{
    (void)state;
    static const char *const with[] = {"SELECT login()", "select LOGIN()", "login",
                                       "x.login(1)",     "DO $$login()$$", "SELECT \"login\"()"};
    static const char *const without[] = {
        "", "SELECT 1", "SELECT logins()", "SELECT my_login()", "SELECT log in", "login2"};
    struct routines *routines = of_one("login", SETS, false);
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
        assert_int_equal(effects_of(routines, with[i]), LEXER_BODY_SETTINGS);
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
        assert_int_equal(effects_of(routines, without[i]), 0);
    routines_release(&routines);
    assert_null(routines);
}

static void odd_names_are_found_by_what_can_be_compared(void **state)
{
    (void)state;
    struct routines *routines = of_one("Odd name", SETS, false);
    assert_int_equal(effects_of(routines, "SELECT \"Odd name\"()"), LEXER_BODY_SETTINGS);
    routines_release(&routines);
    routines = of_one("gr\x01\x01"
                      "e",
                      SETS, false);
    assert_int_equal(effects_of(routines, "SELECT gr\xc3\xb6\xc3\x9f"
                                          "e()"),
                     LEXER_BODY_SETTINGS);
    assert_int_equal(effects_of(routines, "SELECT gr()"), 0);
    routines_release(&routines);
    routines = of_one("!?", SETS, false);
    assert_int_equal(effects_of(routines, "SELECT \"!?\"()"), LEXER_BODY_SETTINGS);
    routines_release(&routines);
}

static void callers_count_however_far(void **state)
{
    (void)state;
    struct routine list[40];
    char names[40][16], bodies[40][32];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        snprintf(bodies[i], sizeof bodies[i], "SELECT f%d()", i + 1);
        list[i] = (struct routine){names[i], bodies[i], true, false};
    }
    list[39].body = "SELECT pg_advisory_lock(1), f0()";
    struct routines *routines = routines_new(list, 40);
    unsigned effects = LEXER_BODY_OBJECTS | LEXER_BODY_KEEPS;
    assert_int_equal(effects_of(routines, "SELECT f0()"), effects);
    assert_int_equal(effects_of(routines, "SELECT f39()"), effects);
    assert_int_equal(effects_of(routines, "SELECT f40()"), 0);
    routines_release(&routines);
}

static void functions_of_one_name_are_one(void **state)
{
    (void)state;
    struct routine list[] = {{"f", SETS, true, false}, {"f", "SELECT setseed(1)", true, false}};
    struct routines *routines = routines_new(list, 2);
    assert_int_equal(effects_of(routines, "f"), LEXER_BODY_SETTINGS | LEXER_BODY_SEEDS);
    assert_int_equal(routines_all_effects(routines), LEXER_BODY_SETTINGS | LEXER_BODY_SEEDS);
    routines_release(&routines);
}

static void trigger_is_called_by_commands(void **state)
{
    (void)state;
    struct routine list[] = {{"fired", SETS, true, true},
                             {"writes", "INSERT INTO t VALUES (1)", true, false}};
    struct routines *routines = routines_new(list, 2);
    static const char *const with[] = {"insert into t", "COPY t FROM STDIN", "TRUNCATE t",
                                       "WITH x AS (DELETE FROM t) SELECT 1", "SELECT writes()"};
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
        assert_int_equal(effects_of(routines, with[i]), LEXER_BODY_SETTINGS);
    assert_int_equal(effects_of(routines, "SELECT inserted FROM t"), 0);
    routines_release(&routines);
}

static void execute_is_told(void **state)
{
    (void)state;
    struct routines *routines = of_one("f", SETS, false);
    assert_int_equal(effects_of(routines, "EXECUTE p"), ROUTINES_EXECUTE);
    routines_release(&routines);
}

static void settings_are_listed_once(void **state)
{
    (void)state;
    struct routine list[] = {
        {"a", SETS, true, false},
        {"b", "BEGIN SET app.user = 1; SET app.tenant = 2; SET work_mem = 1; END", true, false},
        {"c", "BEGIN UPDATE t SET a.b = 1; END", true, false},
    };
    struct routines *routines = routines_new(list, 3);
    const struct pairs *settings = routines_settings(routines);
    assert_int_equal(settings->count, 2);
    assert_non_null(pairs_find(settings, "app.user"));
    assert_non_null(pairs_find(settings, "app.tenant"));
    routines_release(&routines);
}

static void too_many_settings_are_hidden_ones(void **state)
{
    (void)state;
    static struct routine list[300];
    static char names[300][16], bodies[300][32];
    for (int i = 0; i < 300; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        snprintf(bodies[i], sizeof bodies[i], "SET a.b%d = 1", i);
        list[i] = (struct routine){names[i], bodies[i], true, false};
    }
    struct routines *routines = routines_new(list, 300);
    assert_int_equal(effects_of(routines, "f0"), LEXER_BODY_SETTINGS);
    assert_int_equal(effects_of(routines, "f299"), LEXER_BODY_SETTINGS | LEXER_BODY_HIDES);
    routines_release(&routines);
}

static void unknown_functions_may_be_called_by_any_text(void **state)
{
    (void)state;
    struct routines *routines = routines_unknown(), *same = routines_retain(routines);
    struct routines *other = routines_unknown();
    assert_int_equal(effects_of(routines, ""), LEXER_BODY_SETTINGS | LEXER_BODY_OBJECTS);
    assert_true(routines_serial(routines) == routines_serial(same));
    assert_true(routines_serial(routines) != routines_serial(other));
    routines_release(&routines);
    assert_int_equal(routines_settings(same)->count, 0);
    routines_release(&same);
    routines_release(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(innocent_functions_make_no_set),
        cmocka_unit_test(name_is_found_as_a_word),
        cmocka_unit_test(odd_names_are_found_by_what_can_be_compared),
        cmocka_unit_test(callers_count_however_far),
        cmocka_unit_test(functions_of_one_name_are_one),
        cmocka_unit_test(trigger_is_called_by_commands),
        cmocka_unit_test(execute_is_told),
        cmocka_unit_test(settings_are_listed_once),
        cmocka_unit_test(too_many_settings_are_hidden_ones),
        cmocka_unit_test(unknown_functions_may_be_called_by_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
