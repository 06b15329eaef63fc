/*
 * What lexer_set.c believes: texts that are one plain SET of a setting to a constant, what they
 * set, and what must not be believed because PostgreSQL could make something else of it.
 */
#include "pg/lexer_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct parsed {
    struct buffer name, value;
    enum lexer_set set;
};

static struct parsed parse(const char *sql)
{
    struct parsed parsed = {0};
    parsed.set = lexer_set_parse(sql, strlen(sql), &parsed.name, &parsed.value);
    return parsed;
}

static void release(struct parsed *parsed)
{
    buffer_release(&parsed->name);
    buffer_release(&parsed->value);
}

static void plain_set_is_told(void **state)
{
    static const char *const cases[][3] = {
        {"SET app.user_id = '42'", "app.user_id", "42"},
        {"set session App.User_Id to 'it''s'; ", "app.user_id", "it's"},
        {" /* who */ SET \"app\".\"Who\"='x' -- end", "app.who", "x"},
        {"SET local.x = 1", "local.x", "1"},
        {"SET transaction . x = 1", "transaction.x", "1"},
        {"SET session.x = 1", "session.x", "1"},
        {"SET app.e = ''", "app.e", ""},
        {"SET statement_timeout = 5000", "statement_timeout", "5000"},
        {"SET statement_timeout TO 0;;", "statement_timeout", "0"},
        {"SET jit = OFF", "jit", "off"},
        {"SET TimeZone = 'Asia/Tokyo'", "timezone", "Asia/Tokyo"},
        {"SET search_path = tenant_17", "search_path", "tenant_17"},
        {"SET search_path TO 'public'", "search_path", "public"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parsed parsed = parse(cases[i][0]);
        assert_int_equal(parsed.set, LEXER_SET_SESSION);
        assert_string_equal((const char *)buffer_bytes(&parsed.name), cases[i][1]);
        assert_string_equal((const char *)buffer_bytes(&parsed.value), cases[i][2]);
        release(&parsed);
    }
}

static void local_set_leaves_nothing(void **state)
{
    static const char *const cases[][2] = {
        {"SET LOCAL app.user_id = '42'", "app.user_id"},
        {"set local search_path = a, b", NULL},
        {"SET LOCAL TIME ZONE 'UTC'", NULL},
        {"SET LOCAL ROLE someone;", NULL},
        {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parsed parsed = parse(cases[i][0]);
        assert_int_equal(parsed.set, LEXER_SET_LOCAL);
        if (cases[i][1] == NULL)
            assert_int_equal(buffer_length(&parsed.name), 0);
        else
            assert_string_equal((const char *)buffer_bytes(&parsed.name), cases[i][1]);
        release(&parsed);
    }
}

static void anything_else_is_not_believed(void **state)
{
    static const char *const cases[] = {
        "",
        "SET",
        "SET x",
        "SET x =",
        "SET x = DEFAULT",
        "SET x = 'a', 'b'",
        "SET x = 'a' 'b'",
        "SET x = 'a'; SELECT 1",
        "SET LOCAL x = 'a'; SET y = 'b'",
        "SET TRANSACTION READ ONLY; SET y = 'b'",
        "SET x = 'unfinished",
        "SET x = -1",
        "SET x = 1.5",
        "SET x = 007",
        "SET x = 12345678901",
        "SET x = 1 2",
        "SET x = E'a'  || 'b'",
        "SET x = 'back\\slash'",
        "SET x = 'caf\xc3\xa9'",
        "SET x = U&'a'",
        "SET x FROM CURRENT",
        "SET SESSION AUTHORIZATION alice",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET ROLE alice",
        "SET role = 'alice'",
        "SET \"Role\" = 'alice'",
        "SET \"DateStyle\" = 'SQL'",
        "SET \"Search_Path\" = \"Mixed\"",
        "SET \"prepare:a.b\" = 'x'",
        "SET sort_mem = 1000",
        "SET session_authorization = 'alice'",
        "SET client_encoding = 'LATIN1'",
        "SET DateStyle = 'YMD'",
        "SET default_text_search_config = 'simple'",
        "SET NAMES 'LATIN1'",
        "SET TIME ZONE 'UTC'",
        "SET seed = 0.5",
        "SET transaction_read_only = on",
        "SET search_path = \"Mixed\"",
        "SET search_path = 'two words'",
        "SET search_path = 'a,b'",
        "SET search_path = user",
        "SET temp_tablespaces = 'X'",
        "RESET x",
        "SELECT set_config('x', 'y', false)",
        "BEGIN; SET x = 'y'",
        "/* unfinished SET x = 'y'",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parsed parsed = parse(cases[i]);
        if (parsed.set != LEXER_SET_OTHER)
            fail_msg("believed: %s", cases[i]);
        assert_int_equal(buffer_length(&parsed.name), 0);
        assert_int_equal(buffer_length(&parsed.value), 0);
        release(&parsed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_set_is_told),
        cmocka_unit_test(local_set_leaves_nothing),
        cmocka_unit_test(anything_else_is_not_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
