/* test_md5.c: md5 verifiers and answers to challenges (pg/md5). */
#include "pg/md5.h"

#include "pg_bytes.h"

#include <string.h>

/* As PostgreSQL 15 stored it in pg_authid for CREATE ROLE carol PASSWORD 'pencil'. */
#define CAROLS_VERIFIER "md5bd9b2f028f0da30651d603cf780feee9"

static void verifier_is_postgresqls(void **state)
{
    char text[MD5_TEXT_SIZE];

    (void)state;
    assert_true(md5_verifier("pencil", "carol", text));
    assert_string_equal(text, CAROLS_VERIFIER);
    assert_true(md5_verifier("", "", text));
    assert_string_equal(text, "md5d41d8cd98f00b204e9800998ecf8427e"); /* RFC 1321: MD5 of "" */
}

/* Against md5sum: printf 'bd9b2f028f0da30651d603cf780feee9\001\002\000\377' | md5sum */
static void response_depends_on_the_salt(void **state)
{
    char text[MD5_TEXT_SIZE];
    char other[MD5_TEXT_SIZE];

    (void)state;
    assert_true(md5_response(CAROLS_VERIFIER, BYTES("\x01\x02\x00\xff"), text));
    assert_string_equal(text, "md5fe9e8a0f7711ee1d716037843c08038d");
    assert_true(md5_response(CAROLS_VERIFIER, BYTES("\x01\x02\x00\xfe"), other));
    assert_string_not_equal(text, other);
}

static void other_verifiers_are_refused(void **state)
{
    char text[MD5_TEXT_SIZE];
    const uint8_t salt[4] = {0};

    (void)state;
    assert_false(md5_response("", salt, text));
    assert_false(md5_response("md5", salt, text));
    assert_false(md5_response("xx5bd9b2f028f0da30651d603cf780feee9", salt, text));
    assert_false(md5_response(CAROLS_VERIFIER "0", salt, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifier_is_postgresqls),
        cmocka_unit_test(response_depends_on_the_salt),
        cmocka_unit_test(other_verifiers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
