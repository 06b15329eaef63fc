/* test_reply.c: what pgsluice says as a backend, byte by byte (pg/reply). */
#include "pg/reply.h"

#include "pg_bytes.h"

static void authentication_requests(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    reply_authentication_ok(&buffer);
    assert_wrote(&buffer, "R\0\0\0\x08\0\0\0\0");
    reply_authentication_cleartext(&buffer);
    assert_wrote(&buffer, "R\0\0\0\x08\0\0\0\3");
    reply_authentication_md5(&buffer, BYTES("\x01\x00\xff\x7f"));
    assert_wrote(&buffer, "R\0\0\0\x0c\0\0\0\5\x01\x00\xff\x7f");
    reply_authentication_sasl(&buffer);
    assert_wrote(&buffer, "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
    reply_authentication_sasl_continue(&buffer, "r=x");
    assert_wrote(&buffer, "R\0\0\0\x0b\0\0\0\x0br=x");
    reply_authentication_sasl_final(&buffer, "v=y");
    assert_wrote(&buffer, "R\0\0\0\x0b\0\0\0\x0cv=y");
    buffer_release(&buffer);
}

static void messages_after_login(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    reply_backend_key(&buffer, 0x01020304, 0xfffefdfc);
    assert_wrote(&buffer, "K\0\0\0\x0c\x01\x02\x03\x04\xff\xfe\xfd\xfc");
    reply_parameter_status(&buffer, "TimeZone", "UTC");
    assert_wrote(&buffer, "S\0\0\0\x11TimeZone\0UTC\0");
    reply_ready(&buffer, 'E');
    assert_wrote(&buffer, "Z\0\0\0\x05"
                          "E");
    buffer_release(&buffer);
}

static void errors_and_notices(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    reply_error(&buffer, "ERROR", "53300", "full", "20 of 20", "wait");
    assert_wrote(&buffer, "E\0\0\0\x30SERROR\0VERROR\0C53300\0Mfull\0D20 of 20\0Hwait\0\0");
    reply_error(&buffer, "FATAL", "08P01", "", NULL, NULL);
    assert_wrote(&buffer, "E\0\0\0\x1cSFATAL\0VFATAL\0C08P01\0M\0\0");
    reply_notice(&buffer, "WARNING", "01000", "look");
    assert_wrote(&buffer, "N\0\0\0\x24SWARNING\0VWARNING\0C01000\0Mlook\0\0");
    buffer_release(&buffer);
}

static void result_rows(void **state)
{
    const struct reply_column columns[] = {
        {"a", REPLY_TEXT},
        {"b", REPLY_INT4},
        {"c", REPLY_INT8},
    };
    const char *const values[] = {"text", NULL, ""};
    struct buffer buffer = {0};

    (void)state;
    reply_row_description(&buffer, columns, 3);
    assert_wrote(&buffer, "T\0\0\0\x42\0\3"
                          "a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
                          "b\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
                          "c\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0");
    reply_data_row(&buffer, values, 3);
    assert_wrote(&buffer, "D\0\0\0\x16\0\3\0\0\0\4text\xff\xff\xff\xff\0\0\0\0");
    reply_row_description(&buffer, NULL, 0);
    assert_wrote(&buffer, "T\0\0\0\x06\0\0");
    reply_command_complete(&buffer, "SHOW");
    assert_wrote(&buffer, "C\0\0\0\x09SHOW\0");
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authentication_requests),
        cmocka_unit_test(messages_after_login),
        cmocka_unit_test(errors_and_notices),
        cmocka_unit_test(result_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
