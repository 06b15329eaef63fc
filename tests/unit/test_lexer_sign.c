/* Exercises what a text tells of sequences, seeds, objects of the session, and named functions. */
#include "pg/lexer_sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static unsigned signs_of(const char *sql)
{
    return lexer_signs(sql, strlen(sql));
}

static void each_word_gives_its_sign(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        unsigned signs;
    } cases[] = {
        {"", 0},
        {"SELECT 1", 0},
        {"select CURRVAL('s')", LEXER_READS_SEQUENCE},
        {"SELECT pg_catalog.lastval()", LEXER_READS_SEQUENCE},
        {"SELECT \"currval\"('s')", LEXER_READS_SEQUENCE},
        {"SELECT my_currval('s'), currval_of, \"CURRVAL\"", 0},
        {"/* currval */ SELECT 1 -- lastval", 0},
        {"SELECT nextval('s'); SELECT currval('s')", LEXER_READS_SEQUENCE | LEXER_DRAWS_SEQUENCE},
        {"INSERT INTO t VALUES (1)", LEXER_DRAWS_SEQUENCE},
        {"DO $$ BEGIN PERFORM lastval(); END $$", LEXER_READS_SEQUENCE},
        {"DO $$ BEGIN EXECUTE 'SELECT lastval()'; END $$", LEXER_READS_SEQUENCE},
        {"SELECT setseed(0.5)", LEXER_SETS_SEED},
        {"SET seed = 0.5", LEXER_SETS_SEED},
        {"select 1; set session Seed to 0.5", LEXER_SETS_SEED},
        {"SET LOCAL \"seed\" TO 0.5", LEXER_SETS_SEED},
        {"SELECT set_config('seed', '0.5', false)", LEXER_SETS_SEED},
        {"SELECT set_config ( $$seed$$, '0.5', false)", LEXER_SETS_SEED},
        {"DO $$ BEGIN IF true THEN SET seed = 0; END IF; END $$", LEXER_SETS_SEED},
        {"UPDATE t SET seed = 1", 0},
        {"SELECT set_config('a.b', 'seed', false)", 0},
        {"SELECT pg_advisory_lock(1)", LEXER_KEEPS_OBJECT},
        {"SELECT pg_advisory_xact_lock(1), pg_advisory_unlock(1)", 0},
        {"CREATE TEMP TABLE t (i int)", LEXER_KEEPS_OBJECT},
        {"CREATE TABLE pg_temp.t (i int)", LEXER_KEEPS_OBJECT},
        {"CREATE TEMPORARY TABLE t (i int) ON COMMIT DROP", 0},
        {"CREATE TEMP TABLE t (i int) ON COMMIT DELETE ROWS", LEXER_KEEPS_OBJECT},
        {"CREATE TEMP TABLE a (i int) ON COMMIT DROP; CREATE TEMP TABLE b ()", LEXER_KEEPS_OBJECT},
        {"SELECT U&\"\\0063urrval\"('s')",
         LEXER_READS_SEQUENCE | LEXER_SETS_SEED | LEXER_KEEPS_OBJECT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (signs_of(cases[i].sql) != cases[i].signs)
            fail_msg("%s: %u", cases[i].sql, signs_of(cases[i].sql));
    }
}

static void seed_is_found_by_its_letters(void **state)
{
    (void)state;
    assert_true(lexer_may_set_seed("SET SEED", 8));
    assert_true(lexer_may_set_seed("setseed(", 8));
    assert_false(lexer_may_set_seed("SET see", 7));
    assert_false(lexer_may_set_seed(NULL, 0));
}

static void names_are_found_as_words_in_any_letter_case(void **state)
{
    (void)state;
    char one[] = "dblink_connect", two[] = "f$1";
    char *const names[] = {one, two};
    static const struct {
        const char *sql;
        const char *found;
    } cases[] = {
        {"SELECT dblink_connect('x')", "dblink_connect"},
        {"SELECT ext.DBLINK_Connect('x')", "dblink_connect"},
        {"SELECT \"dblink_connect\"('x')", "dblink_connect"},
        {"dblink_connect", "dblink_connect"},
        {"SELECT dblink_connect_u('x')", NULL},
        {"SELECT my_dblink_connect('x'), dblink_connect('x')", "dblink_connect"},
        {"SELECT xdblink_connect('x')", NULL},
        {"SELECT f$1()", "f$1"},
        {"SELECT f$12(), ef$1()", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *found = lexer_find_name(cases[i].sql, strlen(cases[i].sql), names, 2);
        if (cases[i].found == NULL)
            assert_null(found);
        else
            assert_string_equal(found, cases[i].found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_gives_its_sign),
        cmocka_unit_test(seed_is_found_by_its_letters),
        cmocka_unit_test(names_are_found_as_words_in_any_letter_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
