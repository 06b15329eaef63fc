/* test_frame.c: which runs of bytes are messages, from clients and from servers (pg/frame). */
#include "pg/frame.h"

#include "pg_bytes.h"

#include <stdbool.h>
#include <string.h>

/* A header of the type with the length word. */
static enum frame_result find(bool from_client, char type, uint32_t word, struct frame *frame)
{
    uint8_t header[FRAME_HEADER_SIZE] = {(uint8_t)type, (uint8_t)(word >> 24),
                                         (uint8_t)(word >> 16), (uint8_t)(word >> 8),
                                         (uint8_t)word};

    return from_client ? frame_from_client(header, sizeof header, frame)
                       : frame_from_server(header, sizeof header, frame);
}

static enum frame_result client(char type, uint32_t word)
{
    struct frame frame = {0};

    return find(true, type, word, &frame);
}

static enum frame_result server(char type, uint32_t word)
{
    struct frame frame = {0};

    return find(false, type, word, &frame);
}

static void whole_message_is_described(void **state)
{
    const uint8_t *bytes = BYTES("Q\0\0\0\x0dselect 1\0more");
    struct frame frame;

    (void)state;
    assert_int_equal(frame_from_client(bytes, 18, &frame), FRAME_WHOLE);
    assert_int_equal(frame.type, 'Q');
    assert_int_equal(frame.size, 14);
    assert_ptr_equal(frame.body, bytes + 5);
    assert_int_equal(frame_from_client(bytes, 14, &frame), FRAME_WHOLE);
}

static void every_cut_of_a_message_is_a_part(void **state)
{
    const uint8_t *bytes = BYTES("Z\0\0\0\x05I");
    struct frame frame = {0};

    (void)state;
    assert_int_equal(frame_from_server(bytes, 0, &frame), FRAME_NOTHING);
    assert_int_equal(frame.type, 0);
    for (size_t length = 1; length < 5; length++) {
        frame = (struct frame){0};
        assert_int_equal(frame_from_server(bytes, length, &frame), FRAME_NOTHING);
        assert_int_equal(frame.type, 'Z');
    }
    assert_int_equal(frame_from_server(bytes, 5, &frame), FRAME_PART);
    assert_int_equal(frame.size, 6);
    assert_int_equal(frame_from_server(bytes, 6, &frame), FRAME_WHOLE);
}

static void message_without_body_is_whole(void **state)
{
    struct frame frame;

    (void)state;
    assert_int_equal(frame_from_client(BYTES("S\0\0\0\4"), 5, &frame), FRAME_WHOLE);
    assert_int_equal(frame.size, 5);
}

static void length_word_counts_itself(void **state)
{
    (void)state;
    for (uint32_t word = 0; word < 4; word++) {
        assert_int_equal(client('Q', word), FRAME_BAD_LENGTH);
        assert_int_equal(client('S', word), FRAME_BAD_LENGTH);
        assert_int_equal(server('D', word), FRAME_BAD_LENGTH);
        assert_int_equal(server('Z', word), FRAME_BAD_LENGTH);
    }
    assert_int_equal(client('S', 4), FRAME_WHOLE);
}

static void client_lengths_are_bounded(void **state)
{
    (void)state;
    for (const char *type = "QPBFd"; *type != '\0'; type++) {
        assert_int_equal(client(*type, 0x3ffffffe), FRAME_PART);
        assert_int_equal(client(*type, 0x3fffffff), FRAME_BAD_LENGTH);
        assert_int_equal(client(*type, 0x7fffffff), FRAME_BAD_LENGTH);
        assert_int_equal(client(*type, 0xffffffff), FRAME_BAD_LENGTH);
    }
    for (const char *type = "CDEHSXcf"; *type != '\0'; type++) {
        assert_int_equal(client(*type, 10000), FRAME_PART);
        assert_int_equal(client(*type, 10001), FRAME_BAD_LENGTH);
        assert_int_equal(client(*type, 0xffffffff), FRAME_BAD_LENGTH);
    }
}

static void server_lengths_are_bounded(void **state)
{
    (void)state;
    for (const char *type = "TDdVENAtS"; *type != '\0'; type++) {
        assert_int_equal(server(*type, 0x3fffffff), FRAME_PART);
        assert_int_equal(server(*type, 0x40000000), FRAME_BAD_LENGTH);
        assert_int_equal(server(*type, 0xffffffff), FRAME_BAD_LENGTH);
    }
    for (const char *type = "RK123CcWGHIvnsZ"; *type != '\0'; type++) {
        assert_int_equal(server(*type, 30000), FRAME_PART);
        assert_int_equal(server(*type, 30001), FRAME_BAD_LENGTH);
    }
}

static void other_types_do_not_exist(void **state)
{
    (void)state;
    for (int type = 0; type < 256; type++) {
        bool of_client = type != 0 && strchr("BCDEFHPQSXcdf", type) != NULL;
        bool of_server = type != 0 && strchr("RK123CcdWGHDIEVvnNAtS1sZT", type) != NULL;
        if (!of_client)
            assert_int_equal(client((char)type, 8), FRAME_BAD_TYPE);
        else
            assert_int_equal(client((char)type, 8), FRAME_PART);
        if (!of_server)
            assert_int_equal(server((char)type, 8), FRAME_BAD_TYPE);
        else
            assert_int_equal(server((char)type, 8), FRAME_PART);
    }
    /* Whatever their length word says. */
    for (uint32_t word = 0; word < 8; word++)
        assert_int_equal(client('p', word), FRAME_BAD_TYPE);
    assert_int_equal(server('Q', 0xffffffff), FRAME_BAD_TYPE);
}

static void bad_frame_tells_its_type(void **state)
{
    struct frame frame = {0};

    (void)state;
    find(true, 'Q', 3, &frame);
    assert_int_equal(frame.type, 'Q');
    find(false, '?', 4, &frame);
    assert_int_equal(frame.type, '?');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_message_is_described),
        cmocka_unit_test(every_cut_of_a_message_is_a_part),
        cmocka_unit_test(message_without_body_is_whole),
        cmocka_unit_test(length_word_counts_itself),
        cmocka_unit_test(client_lengths_are_bounded),
        cmocka_unit_test(server_lengths_are_bounded),
        cmocka_unit_test(other_types_do_not_exist),
        cmocka_unit_test(bad_frame_tells_its_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
