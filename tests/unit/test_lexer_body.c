/* Exercises what the bodies of functions do to a session, by statements, strings that EXECUTE runs,
 * and settings whose names they tell or hide. */
#include "pg/lexer_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S LEXER_BODY_SETTINGS
#define O LEXER_BODY_OBJECTS
#define K LEXER_BODY_KEEPS
#define H LEXER_BODY_HIDES

static void note_name(const char *name, void *context)
{
    char *names = context;
    if (strcmp(names, name) == 0) /* what stands in dollar quotes is told twice */
        return;
    if (names[0] != '\0')
        strcat(names, " ");
    strcat(names, name);
}

static void expect(const char *body, bool is_sql, unsigned effects, const char *names)
{
    char found[256] = "";
    unsigned got = lexer_body(body, strlen(body), is_sql, note_name, found);
    if (got != effects)
        fail_msg("%s: %u, not %u", body, got, effects);
    if (strcmp(found, names) != 0)
        fail_msg("%s: names \"%s\", not \"%s\"", body, found, names);
}

static void bodies_tell_their_effects(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        unsigned effects;
        const char *names;
    } cases[] = {
        {"", 0, ""},
        {"SELECT 1", 0, ""},
        {"BEGIN UPDATE t SET a = 1; RETURN; END", 0, ""},
        {"SELECT set_config('app.user', $1, false)", S, "app.user"},
        {"SELECT set_config('app.user', $1, true)", 0, "app.user"},
        {"SELECT set_config($1, $2, true)", 0, ""},
        {"SELECT set_config($1, $2, false)", S | H, ""},
        {"SELECT set_config('app.' || $1, $2, false)", S | H, ""},
        {"BEGIN SET app.user = 'x'; END", S, "app.user"},
        {"BEGIN IF true THEN SET SESSION work_mem = 1; END IF; END", S, ""},
        {"BEGIN SET LOCAL work_mem = 1; SET TRANSACTION READ ONLY; END", 0, ""},
        {"BEGIN SET CONSTRAINTS ALL DEFERRED; END", 0, ""},
        {"BEGIN RESET ROLE; END", S, ""},
        {"BEGIN EXECUTE 'SET app.user = ' || quote_literal(x); END", S, "app.user"},
        {"BEGIN EXECUTE 'SET ROLE ' || quote_ident(x); END", S, ""},
        {"BEGIN EXECUTE format('SET ROLE %I', x); END", S, ""},
        {"BEGIN EXECUTE format('SET %I = %L', n, v); END", S | H, ""},
        {"BEGIN EXECUTE 'SET ' || n || ' = 1'; END", S | H, ""},
        {"BEGIN EXECUTE 'SET app.' || n || ' = 1'; END", S | H, ""},
        {"BEGIN EXECUTE 'SET my' || n || ' = 1'; END", S | H, ""},
        {"BEGIN EXECUTE $q$SET app.user = 1$q$; END", S, "app.user"},
        {"BEGIN EXECUTE 'SELECT set_config(''app.user'', $1, false)' USING x; END", S, "app.user"},
        {"BEGIN EXECUTE format('SELECT set_config(%L, %L, false)', n, v); END", S | H, ""},
        {"BEGIN EXECUTE 'UPDATE t SET a = 1'; END", 0, ""},
        {"SELECT pg_advisory_lock(1)", O | K, ""},
        {"SELECT pg_advisory_xact_lock(1)", 0, ""},
        {"SELECT pg_advisory_unlock_all()", O, ""},
        {"BEGIN CREATE TEMP TABLE t (i int); END", O | K, ""},
        {"BEGIN CREATE TEMP TABLE t (i int) ON COMMIT DROP; END", O, ""},
        {"BEGIN LISTEN news; END", O, ""},
        {"BEGIN EXECUTE 'PREPARE p AS SELECT 1'; END", O, ""},
        {"BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'; END", O | K, ""},
        {"DECLARE hold int; BEGIN RETURN; END", O | K, ""}, /* on the safe side */
        {"DECLARE c CURSOR FOR SELECT 1; BEGIN OPEN c; END", 0, ""},
        {"SELECT setseed(0.5)", LEXER_BODY_SEEDS, ""},
        {"BEGIN LOAD 'auto_explain'; END", LEXER_BODY_LOADS, ""},
        {"-- SET a.b = 1\nSELECT 1", 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].body, true, cases[i].effects, cases[i].names);
}

static void other_languages_hold_sql_in_any_quotes(void **state)
{
    (void)state;
    expect("plpy.execute(\"SET app.user = 'x'\")", false, S, "app.user");
    expect("plpy.execute('SET app.user = 1')", false, S, "app.user");
    expect("plpy.execute(\"SELECT set_config('app.user', 'x', false)\")", false, S, "app.user");
    expect("x = set([1])", false, 0, "");
    expect("return 1", false, 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_tell_their_effects),
        cmocka_unit_test(other_languages_hold_sql_in_any_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
