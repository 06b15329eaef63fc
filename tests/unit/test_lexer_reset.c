/*
 * What lexer_reset.c takes for a text that only gives back what a session has, as drivers' pools
 * send it, and what else may stand there.
 */
#include "pg/lexer_reset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *sql;
    enum lexer_reset reset;
} cases[] = {
    {"SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;", LEXER_RESET_SETTINGS},
    {"DISCARD ALL", LEXER_RESET_SETTINGS},
    {"discard/* */all;;", LEXER_RESET_SETTINGS},
    {"RESET ALL; SET SESSION AUTHORIZATION DEFAULT", LEXER_RESET_SETTINGS},
    {"unlisten *", LEXER_RESET_OBJECTS},
    {"DEALLOCATE ALL; CLOSE ALL", LEXER_RESET_OBJECTS},
    {"SELECT pg_advisory_unlock_all()", LEXER_RESET_OBJECTS},
    {"", LEXER_RESET_OTHER},
    {";", LEXER_RESET_OTHER},
    {"RESET ALL; SELECT 1", LEXER_RESET_OTHER},
    {"RESET ALL; SET x.y = 'z'", LEXER_RESET_OTHER},
    {"RESET ALL 1", LEXER_RESET_OTHER},
    {"RESET timezone", LEXER_RESET_OTHER},
    {"RESET \"ALL\"", LEXER_RESET_OTHER},
    {"DISCARD TEMP", LEXER_RESET_OTHER},
    {"CLOSE c", LEXER_RESET_OTHER},
    {"UNLISTEN a", LEXER_RESET_OTHER},
    {"SELECT pg_advisory_unlock_all(), pg_advisory_lock(1)", LEXER_RESET_OTHER},
    {"SELECT my.pg_advisory_unlock_all()", LEXER_RESET_OTHER},
    {"SET SESSION AUTHORIZATION app", LEXER_RESET_OTHER},
};

static void only_what_gives_back_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *sql = cases[i].sql;
        if (lexer_reset_parse(sql, strlen(sql)) != cases[i].reset)
            fail_msg("%s: %d", sql, (int)lexer_reset_parse(sql, strlen(sql)));
    }
}

static void what_begins_so_is_looked_at(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].reset != LEXER_RESET_OTHER)
            assert_true(lexer_may_reset(cases[i].sql, strlen(cases[i].sql)));
    }
}

static void frequent_texts_are_not(void **state)
{
    static const char *const frequent[] = {
        "",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "DELETE FROM t WHERE id = 1",
        "UPDATE t SET a = 1",
        "SELECT abalance FROM pgbench_accounts",
        "INSERT INTO t VALUES (1)",
        "RELEASE SAVEPOINT a",
        "CREATE TABLE t (a int)",
        "DROP TABLE t",
    };
    (void)state;
    for (size_t i = 0; i < sizeof frequent / sizeof frequent[0]; i++)
        assert_false(lexer_may_reset(frequent[i], strlen(frequent[i])));
}

static void a_long_text_is_something_else(void **state)
{
    char sql[2000];
    (void)state;
    memset(sql, ' ', sizeof sql);
    memcpy(sql, "RESET ALL", 9);
    assert_int_equal(lexer_reset_parse(sql, sizeof sql), LEXER_RESET_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_gives_back_is_told),
        cmocka_unit_test(what_begins_so_is_looked_at),
        cmocka_unit_test(frequent_texts_are_not),
        cmocka_unit_test(a_long_text_is_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
