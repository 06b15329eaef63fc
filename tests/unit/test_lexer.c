/* test_lexer.c: custom GUC names and watched words in SQL text (pg/lexer). */
#include "pg/lexer.h"

#include "pg_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append_name(const char *name, void *context)
{
    struct buffer *names = context;

    if (buffer_length(names) > 0)
        buffer_append(names, " ", 1);
    buffer_append(names, name, strlen(name));
}

/* The names that are found, with blanks between, and "?" where one may have been missed. */
static void assert_names_of(const char *sql, size_t length, const char *expected)
{
    struct buffer names = {0};

    if ((lexer_settings(sql, length, append_name, &names) & LEXER_NAMES_MISSED) != 0)
        append_name("?", &names);
    buffer_append(&names, "", 1);
    if (strcmp((const char *)buffer_bytes(&names), expected) != 0)
        fail_msg("%.*s: found \"%s\", not \"%s\"", (int)length, sql,
                 (const char *)buffer_bytes(&names), expected);
    buffer_release(&names);
}

/* In memory of its own, so that the address sanitizer sees a read past the end. */
static char *exact_copy(const char *sql, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);

    assert_non_null(copy);
    memcpy(copy, sql, length);
    return copy;
}

static void assert_names(const char *sql, const char *expected)
{
    char *copy = exact_copy(sql, strlen(sql));

    assert_names_of(copy, strlen(sql), expected);
    free(copy);
}

static void names_after_set_and_reset(void **state)
{
    (void)state;
    assert_names("SET my.name = 1", "my.name");
    assert_names("set My.NAME to 'x'", "my.name");
    assert_names("SET LOCAL my.name = 1", "my.name");
    assert_names("SET SESSION my.name = 1", "my.name");
    assert_names("SET session.name = 1; SET LOCAL local.name = 1", "session.name local.name");
    assert_names("RESET my.name", "my.name");
    assert_names("SET a.b.c TO DEFAULT", "a.b.c");
    assert_names("SET a . b = 1", "a.b");
    assert_names("SET a/* c */./* d /* e */ */b = 1", "a.b");
    assert_names("BEGIN; SET a.b = 1; SET c.d = 2; COMMIT", "a.b c.d");
    assert_names("SET a.b = 1; SET a.b = 2", "a.b a.b");
    assert_names("SET $x$", "");
    assert_names("SET a.b$1 = 1", "a.b$1");
    /* Another name under another encoding; a name of another kind. */
    assert_names("SET a.\xc3\xa9$1 = 1", "?");
    assert_names("SET \"prepare:a.b\" = 1", "?");
}

static void undotted_names_are_not_custom(void **state)
{
    (void)state;
    assert_names("", "");
    assert_names("SET", "");
    assert_names("SET work_mem = '1MB'", "");
    assert_names("SET TIME ZONE 'a.b'", "");
    assert_names("SET SESSION AUTHORIZATION alice", "");
    assert_names("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "");
    assert_names("RESET ALL", "");
    assert_names("SELECT a.b FROM a", "");
    assert_names("SELECT offset.a, reset_x.b, \"set\" . c", "");
    assert_names("SET a.", "");
    assert_names("SET a.1", "");
    assert_names("SET .a = 1", "");
    assert_names("SET search_path = a.b", "");
}

static void quoted_names(void **state)
{
    (void)state;
    assert_names("SET \"My\".\"Name\" = 1", "My.Name");
    assert_names("SET \"My.Name\" = 1", "My.Name");
    assert_names("SET my.\"a\"\"b\" = 1", "my.a\"b");
    assert_names("SET U&\"my\".x = 1", "?");
    assert_names("SET LOCAL \"session\".\"x\" = 1", "session.x");
    assert_names("SET \"LOCAL\" = 1", "");
}

static void identifiers_are_cut_as_postgresql_cuts_them(void **state)
{
    char sql[200];
    char expected[200];

    (void)state;
    snprintf(sql, sizeof sql, "SET a.%070d_ = 1", 0);
    memmove(sql + 7, sql + 6, strlen(sql + 6) + 1);
    sql[6] = 'x'; /* an identifier starts with a letter */
    snprintf(expected, sizeof expected, "a.x%062d", 0);
    assert_names(sql, expected);
    /* é would be cut in two */
    snprintf(sql, sizeof sql, "SET a.x%061d\xc3\xa9 = 1", 0);
    snprintf(expected, sizeof expected, "a.x%061d", 0);
    assert_names(sql, expected);
    snprintf(sql, sizeof sql, "SET a.x%060d\xc3\xa9 = 1", 0);
    assert_names(sql, "?");
}

static void names_in_set_config(void **state)
{
    (void)state;
    assert_names("SELECT set_config('my.name', $1, false)", "my.name");
    assert_names("select SET_CONFIG ( 'My.Name' , 'other.name', true)", "My.Name");
    assert_names("select pg_catalog.set_config('a.b', '', false), set_config('c.d', '', true)",
                 "a.b c.d");
    assert_names("select \"set_config\"('a.b', '', false)", "a.b");
    assert_names("select set_config(/* x */ 'a.b'::text, '', false)", "a.b");
    assert_names("select set_config(text 'a.b', '', false)", "a.b");
    assert_names("select set_config(setting_name => 'a.b', new_value => 'c')", "a.b");
    assert_names("select set_config(E'a.b\\'c', '', false)", "a.b'c");
    assert_names("select set_config(N'a.b', '', false)", "a.b");
    assert_names("select set_config($$a.b$$, '', false)", "a.b");
    assert_names("select set_config($x$a.b$x$, '', false)", "a.b");
    assert_names("select set_config('a.it''s', '', false)", "a.it's");
    assert_names("select set_config('work_mem', '1MB', false)", "");
    assert_names("select set_config", "");
    assert_names("select set_configs('a.b', '', false)", "");
}

static void computed_names_are_said_to_be_missed(void **state)
{
    (void)state;
    assert_names("select set_config($1, $2, false)", "?");
    assert_names("select set_config('my.' || $1, $2, false)", "?");
    assert_names("select set_config(name, value, false) from settings", "?");
    assert_names("select set_config(U&'my\\002Ename', '', false)", "?");
    assert_names("select set_config(E'my\\x2ename', '', false)", "?");
    assert_names("select set_config('my.'\n'name', '', false)", "?");
    assert_names("select U&\"set\\005fconfig\"('a.b', '', false)", "a.b");
    assert_names("select set_config($1, $2, false), set_config('a.b', '', false)", "a.b ?");
    assert_names("select set_config('a.b'", "?");
}

static void names_of_local_settings_need_not_be_told(void **state)
{
    (void)state;
    assert_names("select set_config($1, $2, true)", "");
    assert_names("select set_config(name, value, TRUE) from settings", "");
    assert_names("select set_config(el->>0, f(el->>1, 2), true) from json_each(x) el", "");
    assert_names("select set_config((a), (b), true), set_config('c.d', '', false)", "c.d");
    assert_names("select set_config('my.' || $1, 'true', false)", "?");
    assert_names("select set_config($1, true)", "");
    assert_names("select set_config($1, $2, not true)", "?");
    assert_names("select set_config($1, $2, true and $3)", "?");
    assert_names("select set_config($1, $2, f(true))", "?");
    assert_names("select set_config($1, $2, $3)", "?");
    assert_names("select set_config($1, $2, true", "?");
    assert_names("select set_config($1, $2, true; select 1)", "?");
    assert_names("select set_config($1, set_config('a.b', '', false), true)", "?");
    assert_names("select set_config($1, \"set_config\"('a.b', '', false), true)", "?");
    assert_names("select set_config($1, $2, true), set_config($1, $2, false)", "?");
}

static void strings_and_comments_hide_words(void **state)
{
    (void)state;
    assert_names("SELECT 'SET a.b'", "");
    assert_names("SELECT 'it''s; SET a.b = 1'", "");
    assert_names("SELECT E'it\\'s; SET a.b = 1'", "");
    assert_names("SELECT '\\'; SET a.b = 1", "a.b"); /* a backslash is no escape here */
    assert_names("SELECT e'\\\\'; SET a.b = 1", "a.b");
    assert_names("SELECT \"a SET b.c\"", "");
    assert_names("-- SET a.b = 1", "");
    assert_names("-- x\nSET a.b = 1", "a.b");
    assert_names("-- x\rSET a.b = 1", "a.b");
    assert_names("/* SET a.b = 1 */ SET c.d = 1", "c.d");
    assert_names("/* /* */ SET a.b = 1 */ SET c.d = 1", "c.d");
    assert_names("/*/ SET a.b = 1 /*/ */ */ SET c.d = 1", "c.d");
    assert_names("SELECT 1-1; SET a.b = 1", "a.b");
    assert_names("SELECT 4/2; SET a.b = 1", "a.b");
    assert_names("SELECT X'1F', B'01', x'SET a.b'; SET c.d = 1", "c.d");
    assert_names("SELECT $1; SET a.b = $2", "a.b");
    assert_names("SELECT a$b$c; SET a.b = 1; SELECT d$b$", "a.b");
}

static void what_does_not_end_hides_the_rest(void **state)
{
    (void)state;
    assert_names("SELECT '; SET a.b = 1", "");
    assert_names("SELECT \"; SET a.b = 1", "");
    assert_names("SELECT E'\\", "");
    assert_names("SELECT $x$; SET a.b = 1 $y$", "");
    assert_names("/* /* */ SET a.b = 1", "");
    assert_names("SELECT 1 /*", "");
    assert_names("SELECT 1 /", "");
    assert_names("SELECT 1 -", "");
    assert_names("SELECT $", "");
    assert_names("SELECT u&", "");
}

static void bodies_in_dollar_quotes_are_searched(void **state)
{
    (void)state;
    assert_names("DO $$ BEGIN SET a.b = 1; PERFORM set_config('c.d', 'x', false); END $$; "
                 "RESET e.f",
                 "a.b c.d e.f");
    assert_names("DO $a$ BEGIN EXECUTE $b$SET a.b = 1$b$; END $a$", "a.b");
    assert_names("DO $$ BEGIN PERFORM set_config(x, 'x', false); END $$", "?");
    assert_names("SELECT $$ SET a.$$; SET b.c = 1", "b.c");
    /* Deeper than anybody writes. */
    assert_names("$a$$b$$c$$d$$e$$f$$g$$h$$i$SET a.b$i$$h$$g$$f$$e$$d$$c$$b$$a$", "?");
}

static void zero_byte_ends_the_text(void **state)
{
    (void)state;
    assert_names_of("SET a.b = 1\0; SET c.d = 1", 26, "a.b");
    assert_names_of("SET a.b\0", 9, "a.b");
    assert_names_of("\0SET a.b = 1", 12, "");
    assert_names_of(NULL, 0, "");
}

static void settings_for_the_transaction_do_not_last(void **state)
{
    static const struct {
        const char *sql;
        bool lasting;
    } cases[] = {
        {"SELECT 1", false},
        {"SELECT set_config('a.b', 'c', true)", false},
        {"SELECT pg_catalog.set_config('role', $1, true), \"set_config\"($2, $3, TRUE)", false},
        {"SELECT set_config('a.b'::text, (SELECT max(\"Name\") FROM t), true)", false},
        {"SELECT set_config('a.b', 'c', false)", true},
        {"SELECT set_config('a.b', 'c', $1)", true},
        {"SELECT set_config('a.b', 'c', not true)", true},
        {"SELECT set_config('a.b', 'c', true), set_config('a.c', 'c', false)", true},
        {"SELECT set_config('a.b', set_config('a.c', 'd', false), true)", true},
        {"SELECT set_config('a.b', U&\"f\"('a.c', 'd', false), true)", true},
        {"SELECT run('SELECT set_config(''a.b'', ''c'', false)')", true},
        {"SELECT set_config('a.b', 'c', true), run('set_config')", true},
        {"DO $$ BEGIN PERFORM set_config('a.b', 'c', true); END $$", false},
        {"SELECT set_config('a.b', 'c', true", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer names = {0};
        unsigned found = lexer_settings(cases[i].sql, strlen(cases[i].sql), append_name, &names);
        if (((found & LEXER_NAMES_LASTING) != 0) != cases[i].lasting)
            fail_msg("wrong: %s", cases[i].sql);
        buffer_release(&names);
    }
}

static unsigned changes_of(const char *sql)
{
    char *copy = exact_copy(sql, strlen(sql));
    unsigned result = lexer_changes(copy, strlen(sql));

    free(copy);
    return result;
}

static void watched_words_are_seen_anywhere(void **state)
{
    static const struct {
        const char *text;
        unsigned changes;
    } words[] = {
        {"set_config(", LEXER_CHANGES_SETTINGS},
        {"PG_ADVISORY_LOCK(1)", LEXER_CHANGES_OBJECTS},
        {"pg_try_advisory_lock_shared", LEXER_CHANGES_OBJECTS},
        {"pg_advisory_unlock_all", LEXER_CHANGES_OBJECTS},
        {"nextval", LEXER_CHANGES_SEQUENCES},
        {"CurrVal", LEXER_CHANGES_SEQUENCES},
        {"lastval()", LEXER_CHANGES_SEQUENCES},
        {"setval", LEXER_CHANGES_SEQUENCES},
        {"SETSEED", LEXER_CHANGES_SEED},
        {"TEMP", LEXER_CHANGES_OBJECTS},
        {"temporary", LEXER_CHANGES_OBJECTS},
        {"pg_temp.t", LEXER_CHANGES_OBJECTS},
        {"pg_temp_3.t", LEXER_CHANGES_OBJECTS},
        {"U&\"a\"", LEXER_CHANGES_SETTINGS | LEXER_CHANGES_OBJECTS | LEXER_CHANGES_SEQUENCES |
                        LEXER_CHANGES_SEED},
    };
    char sql[256];

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        /* Wherever it stands in relation to the chunks. */
        for (int before = 0; before < 70; before++) {
            for (int after = 0; after < 20; after++) {
                snprintf(sql, sizeof sql, "%*s%s%*s", before, "", words[i].text, after, "");
                if (changes_of(sql) != words[i].changes)
                    fail_msg("not seen: \"%s\"", sql);
            }
        }
    }
}

static void words_that_are_cut_off_are_not_seen(void **state)
{
    static const char *const words[] = {"set_config", "advisory_lock", "nextval",
                                        "setseed",    "setval",        "u&\""};
    char sql[256];

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (int before = 0; before < 40; before++) {
            int length = snprintf(sql, sizeof sql, "%*s%s", before, "", words[i]);
            assert_int_not_equal(lexer_changes(sql, (size_t)length), 0);
            assert_int_equal(lexer_changes(sql, (size_t)length - 1), 0);
        }
    }
}

static void ordinary_text_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(changes_of("SELECT nextval('s'), setseed(1)"),
                     LEXER_CHANGES_SEQUENCES | LEXER_CHANGES_SEED);
    assert_int_equal(changes_of(""), 0);
    assert_int_equal(changes_of("s"), 0);
    assert_int_equal(changes_of("SELECT abalance FROM pgbench_accounts WHERE aid = 1"), 0);
    assert_int_equal(
        changes_of("INSERT INTO t (created_timestamp, info, server, employee) VALUES (1)"), 0);
    assert_int_equal(
        changes_of("SELECT template, attempt, temperature, my_temp, temp_c, temp1 FROM x"), 0);
    assert_int_equal(changes_of("SELECT pg_advisory_xact_lock(1)"), 0);
    assert_int_equal(changes_of("SELECT conf, set_conf, next_val, interval '1 day' FROM config"),
                     0);
}

static void temporary_is_a_word(void **state)
{
    (void)state;
    assert_int_not_equal(changes_of("CREATE TEMP TABLE t AS SELECT 1"), 0);
    assert_int_not_equal(changes_of("SELECT 1 INTO temp t"), 0);
    assert_int_not_equal(changes_of("SELECT 1 INTO TEMPORARY\nt"), 0);
    assert_int_not_equal(changes_of("temp"), 0);
    assert_int_not_equal(changes_of("temporary"), 0);
    assert_int_not_equal(changes_of("SELECT 1 INTO/**/temp/**/t"), 0);
    assert_int_equal(changes_of("temporar"), 0);
    assert_int_equal(changes_of("temporaryy"), 0);
    assert_int_equal(changes_of("xtemp"), 0);
    assert_int_equal(changes_of("temp\xc3\xa9rature"), 0);
}

/* In a copy of its own size, so that a read past its end is seen. */
static bool may_name(const char *sql, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, sql, length);
    bool result = lexer_may_name_settings(copy, length);
    free(copy);
    return result;
}

static void settings_are_seen_wherever_they_stand(void **context)
{
    (void)context;
    for (size_t before = 0; before < 40; before++) {
        for (size_t after = 0; after < 20; after++) {
            char sql[80];
            int length =
                snprintf(sql, sizeof sql, "%.*s%s%.*s", (int)before,
                         "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
                         before % 2 == 0 ? "SET" : "seT", (int)after, "tttttttttttttttttttt");
            assert_true(may_name(sql, (size_t)length));
            assert_false(may_name(sql, before + 2));
        }
    }
    assert_false(may_name("", 0));
    assert_false(may_name("SELECT abalance FROM pgbench_accounts WHERE aid BETWEEN 1 AND 2", 63));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_after_set_and_reset),
        cmocka_unit_test(undotted_names_are_not_custom),
        cmocka_unit_test(quoted_names),
        cmocka_unit_test(identifiers_are_cut_as_postgresql_cuts_them),
        cmocka_unit_test(names_in_set_config),
        cmocka_unit_test(names_of_local_settings_need_not_be_told),
        cmocka_unit_test(computed_names_are_said_to_be_missed),
        cmocka_unit_test(strings_and_comments_hide_words),
        cmocka_unit_test(what_does_not_end_hides_the_rest),
        cmocka_unit_test(bodies_in_dollar_quotes_are_searched),
        cmocka_unit_test(zero_byte_ends_the_text),
        cmocka_unit_test(settings_for_the_transaction_do_not_last),
        cmocka_unit_test(watched_words_are_seen_anywhere),
        cmocka_unit_test(words_that_are_cut_off_are_not_seen),
        cmocka_unit_test(ordinary_text_changes_nothing),
        cmocka_unit_test(temporary_is_a_word),
        cmocka_unit_test(settings_are_seen_wherever_they_stand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
