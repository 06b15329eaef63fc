/* test_writer.c: messages get their fields and their length (pg/writer). */
#include "pg/writer.h"

#include "pg_bytes.h"

static void writes_fields_in_network_order(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    struct writer writer = writer_begin(&buffer, 'x');
    writer_uint8(&writer, 1);
    writer_uint16(&writer, 0x0203);
    writer_uint32(&writer, 0xfffefdfc);
    writer_string(&writer, "name");
    writer_string(&writer, "");
    writer_bytes(&writer, "a\0b", 3);
    writer_bytes(&writer, NULL, 0);
    writer_end(&writer);
    assert_wrote(&buffer, "x\0\0\0\x14\x01\x02\x03\xff\xfe\xfd\xfcname\0\0a\0b");
    buffer_release(&buffer);
}

static void message_without_type_has_only_a_length(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    struct writer writer = writer_begin(&buffer, 0);
    writer_uint8(&writer, 7);
    writer_end(&writer);
    assert_wrote(&buffer, "\0\0\0\5\7");
    buffer_release(&buffer);
}

static void messages_follow_one_another(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    buffer_append(&buffer, "used", 4);
    buffer_consume(&buffer, 2); /* a start that is not the memory's */
    struct writer writer = writer_begin(&buffer, 'a');
    writer_end(&writer);
    writer = writer_begin(&buffer, 'b');
    writer_uint8(&writer, 'c');
    writer_end(&writer);
    assert_wrote(&buffer, "eda\0\0\0\4b\0\0\0\5c");
    buffer_release(&buffer);
}

static void length_is_right_after_the_buffer_moved(void **state)
{
    static const uint8_t zeroes[100000];
    struct buffer buffer = {0};

    (void)state;
    struct writer writer = writer_begin(&buffer, 'd');
    writer_bytes(&writer, zeroes, sizeof zeroes);
    writer_end(&writer);
    assert_int_equal(buffer_length(&buffer), 100005);
    assert_memory_equal(buffer_bytes(&buffer), "d\x00\x01\x86\xa4\0", 6);
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_fields_in_network_order),
        cmocka_unit_test(message_without_type_has_only_a_length),
        cmocka_unit_test(messages_follow_one_another),
        cmocka_unit_test(length_is_right_after_the_buffer_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
