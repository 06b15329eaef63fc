/*
 * test_lexer_statement.c: the names of prepared statements in SQL text, and which texts are looked
 * through for them.
 */
#include "pg/lexer_statement.h"
#include "pg_bytes.h"

#include <string.h>

/* All names of a text with a blank behind each; those behind EXECUTE with a star ahead. */
static void assert_names(const char *sql, const char *expected)
{
    struct lexer_token_source source = {sql, sql + strlen(sql)};
    struct buffer name = {0}, found = {0};
    bool executes;

    while (lexer_next_statement_name(&source, &name, &executes)) {
        if (executes)
            buffer_append(&found, "*", 1);
        buffer_append(&found, buffer_bytes(&name), buffer_length(&name) - 1);
        buffer_append(&found, " ", 1);
    }
    buffer_append(&found, "", 1);
    assert_string_equal((const char *)buffer_bytes(&found), expected);
    buffer_release(&name);
    buffer_release(&found);
}

static void names_behind_the_verbs(void **state)
{
    (void)state;
    assert_names("EXECUTE foo(1)", "*foo ");
    assert_names("PREPARE foo AS SELECT 1", "foo ");
    assert_names("deallocate foo;", "foo ");
    assert_names("DEALLOCATE PREPARE foo", "foo ");
    assert_names("EXPLAIN (ANALYZE) EXECUTE foo", "*foo ");
    assert_names("CREATE TABLE t AS EXECUTE foo", "*foo ");
    assert_names("PREPARE a AS SELECT 1; EXECUTE b; DEALLOCATE c", "a *b c ");
    assert_names("EXECUTE /* x */ -- y\n foo", "*foo ");
}

static void names_as_the_server_reads_them(void **state)
{
    (void)state;
    assert_names("EXECUTE Foo; EXECUTE \"Foo\"", "*foo *Foo ");
    assert_names("EXECUTE \"a\"\"b c\"", "*a\"b c ");
    assert_names("EXECUTE execute", "*execute ");
    assert_names("DEALLOCATE ALL", "all ");
}

static void what_is_no_name(void **state)
{
    (void)state;
    assert_names("SELECT 'EXECUTE a', $$EXECUTE b$$ /* EXECUTE c */ -- EXECUTE d", "");
    assert_names("SELECT \"execute\" a, executes b, execute_ c", "");
    assert_names("EXECUTE", "");
    assert_names("EXECUTE 'a'", "");
    assert_names("", "");
}

static bool may(const char *sql, bool many)
{
    return lexer_may_name_statements(sql, strlen(sql), many);
}

static void texts_that_are_looked_through(void **state)
{
    (void)state;
    assert_true(may("EXECUTE a", false));
    assert_true(may(" \n/* x */execute a", false));
    assert_true(may("-- x\nprepare a as select 1", false));
    assert_true(may("Deallocate a", false));
    assert_true(may("EXPLAIN EXECUTE a", false));
    assert_true(may("create table t as execute a", false));
    assert_true(may("SELECT 1; EXECUTE a", true));
    assert_true(may(";EXECUTE a", true));
    assert_true(may("SELECT ';'; EXECUTE a", true));
    assert_true(may("SELECT $$;--$$; EXECUTE a", true));
}

static void texts_that_are_not(void **state)
{
    (void)state;
    assert_false(may("", true));
    assert_false(may("SELECT 1", true));
    assert_false(may("SELECT 1;", true));
    assert_false(may("SELECT 1 ; ;\n", true));
    assert_false(may("SELECT 1; EXECUTE a", false));
    assert_false(may("COMMIT", true));
    assert_false(may("DELETE FROM t", true));
    assert_false(may("(SELECT 1)", true));
    assert_false(may("executed", true));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_behind_the_verbs), cmocka_unit_test(names_as_the_server_reads_them),
        cmocka_unit_test(what_is_no_name),        cmocka_unit_test(texts_that_are_looked_through),
        cmocka_unit_test(texts_that_are_not),
    };
    return cmocka_run_group_tests_name("lexer_statement", tests, NULL, NULL);
}
