/* test_request.c: what pgsluice says as a frontend, byte by byte (pg/request). */
#include "pg/request.h"

#include "pg_bytes.h"

static void simple_and_extended_query(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    request_query(&buffer, "select 1");
    assert_wrote(&buffer, "Q\0\0\0\x0dselect 1\0");
    request_parse(&buffer, "s1", BYTES("select $1\0\0\1\0\0\0\x17"), 16);
    assert_wrote(&buffer, "P\0\0\0\x17s1\0select $1\0\0\1\0\0\0\x17");
    request_close(&buffer, 'S', "s1");
    assert_wrote(&buffer, "C\0\0\0\x08Ss1\0");
    request_describe(&buffer, 'P', "");
    assert_wrote(&buffer, "D\0\0\0\x06P\0");
    request_bind(&buffer, "p", "s1");
    assert_wrote(&buffer, "B\0\0\0\x0Fp\0s1\0\0\0\0\0\0\0");
    request_flush(&buffer);
    assert_wrote(&buffer, "H\0\0\0\x04");
    request_sync(&buffer);
    assert_wrote(&buffer, "S\0\0\0\x04");
    buffer_release(&buffer);
}

static void endings(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    request_copy_fail(&buffer, "no");
    assert_wrote(&buffer, "f\0\0\0\x07no\0");
    request_terminate(&buffer);
    assert_wrote(&buffer, "X\0\0\0\x04");
    buffer_release(&buffer);
}

static void login(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    request_password(&buffer, "secret");
    assert_wrote(&buffer, "p\0\0\0\x0bsecret\0");
    request_sasl_initial(&buffer, "SCRAM-SHA-256", "n,,n=,r=x");
    assert_wrote(&buffer, "p\0\0\0\x1fSCRAM-SHA-256\0\0\0\0\x09n,,n=,r=x");
    request_sasl_response(&buffer, "c=biws");
    assert_wrote(&buffer, "p\0\0\0\x0a"
                          "c=biws");
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_and_extended_query),
        cmocka_unit_test(endings),
        cmocka_unit_test(login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
