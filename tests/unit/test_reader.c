/* test_reader.c: typed reads stay inside the message (pg/reader). */
#include "pg/reader.h"

#include "pg/frame.h"
#include "pg_bytes.h"

static void reads_fields_in_network_order(void **state)
{
    const char bytes[] = "\x01\x02\x03\xff\xfe\xfd\xfcname\0\0xyz";
    struct reader reader;

    (void)state;
    reader_init(&reader, BYTES(bytes), LENGTH(bytes));
    assert_int_equal(reader_uint8(&reader), 1);
    assert_int_equal(reader_uint16(&reader), 0x0203);
    assert_int_equal(reader_uint32(&reader), 0xfffefdfc);
    assert_string_equal(reader_string(&reader), "name");
    assert_string_equal(reader_string(&reader), "");
    assert_int_equal(reader_left(&reader), 3);
    assert_false(reader_finished(&reader));
    assert_memory_equal(reader_bytes(&reader, 3), "xyz", 3);
    assert_true(reader_finished(&reader));
}

static void strings_point_into_the_message(void **state)
{
    const uint8_t *bytes = BYTES("ab\0cd");
    struct reader reader;

    (void)state;
    reader_init(&reader, bytes, 6);
    assert_ptr_equal(reader_string(&reader), bytes);
    assert_ptr_equal(reader_string(&reader), bytes + 3);
    assert_true(reader_finished(&reader));
}

static void short_message_fails_each_kind_of_read(void **state)
{
    const uint8_t *bytes = BYTES("abc");
    struct reader reader;

    (void)state;
    reader_init(&reader, bytes, 0);
    assert_int_equal(reader_uint8(&reader), 0);
    assert_true(reader.failed);

    reader_init(&reader, bytes, 1);
    assert_int_equal(reader_uint16(&reader), 0);
    assert_true(reader.failed);

    reader_init(&reader, bytes, 3);
    assert_int_equal(reader_uint32(&reader), 0);
    assert_true(reader.failed);

    reader_init(&reader, bytes, 3);
    assert_string_equal(reader_string(&reader), ""); /* its zero byte is not in the message */
    assert_true(reader.failed);

    reader_init(&reader, bytes, 3);
    assert_null(reader_bytes(&reader, 4));
    assert_true(reader.failed);
    assert_false(reader_finished(&reader));
}

static void failure_lasts(void **state)
{
    struct reader reader;

    (void)state;
    reader_init(&reader, BYTES("abcd\0"), 5);
    reader_bytes(&reader, SIZE_MAX);
    assert_true(reader.failed);
    assert_int_equal(reader_uint8(&reader), 0);
    assert_int_equal(reader_uint16(&reader), 0);
    assert_int_equal(reader_uint32(&reader), 0);
    assert_string_equal(reader_string(&reader), "");
    assert_null(reader_bytes(&reader, 0));
    assert_int_equal(reader_left(&reader), 0);
    assert_false(reader_finished(&reader));
}

static void nothing_can_be_read_as_nothing(void **state)
{
    struct reader reader;

    (void)state;
    reader_init(&reader, NULL, 0);
    assert_true(reader_finished(&reader));
    reader_bytes(&reader, 0);
    assert_true(reader_finished(&reader));
    assert_string_equal(reader_string(&reader), "");
    assert_true(reader.failed);
}

static void frame_is_read_without_its_header(void **state)
{
    struct frame frame;
    struct reader reader;

    (void)state;
    assert_int_equal(frame_from_server(BYTES("Z\0\0\0\5TZ"), 7, &frame), FRAME_WHOLE);
    reader_init_frame(&reader, &frame);
    assert_int_equal(reader_uint8(&reader), 'T');
    assert_true(reader_finished(&reader));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_fields_in_network_order),
        cmocka_unit_test(strings_point_into_the_message),
        cmocka_unit_test(short_message_fails_each_kind_of_read),
        cmocka_unit_test(failure_lasts),
        cmocka_unit_test(nothing_can_be_read_as_nothing),
        cmocka_unit_test(frame_is_read_without_its_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
