/* What quote.c writes into SQL text: strings and names, whatever stands in them. */
#include "pg/quote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef void quoting(struct buffer *sql, const char *text);

static void assert_quoted(quoting *quote, const char *text, const char *expected)
{
    struct buffer sql = {0};
    quote(&sql, text);
    buffer_append(&sql, "", 1);
    assert_string_equal((const char *)buffer_bytes(&sql), expected);
    buffer_release(&sql);
}

static void literals_double_quotes_and_backslashes(void **state)
{
    (void)state;
    assert_quoted(quote_literal, "", "E''");
    assert_quoted(quote_literal, "plain", "E'plain'");
    assert_quoted(quote_literal, "it's \\ \"x\"", "E'it''s \\\\ \"x\"'");
    assert_quoted(quote_literal, "''", "E''''''");
}

static void identifiers_double_their_quotes(void **state)
{
    (void)state;
    assert_quoted(quote_identifier, "Mixed Case", "\"Mixed Case\"");
    assert_quoted(quote_identifier, "a\"b'c\\", "\"a\"\"b'c\\\"");
}

static void ascii_is_told_from_the_rest(void **state)
{
    (void)state;
    assert_true(quote_is_ascii(""));
    assert_true(quote_is_ascii("a~\x7f"));
    assert_false(quote_is_ascii("caf\xc3\xa9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_double_quotes_and_backslashes),
        cmocka_unit_test(identifiers_double_their_quotes),
        cmocka_unit_test(ascii_is_told_from_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
