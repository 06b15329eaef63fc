/*
 * test_buffer.c: exercises base/buffer.c: order of bytes over many fills and uses, bounded growth,
 * and the buffer that owns nothing.
 */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void zeroed_buffer_is_empty_and_usable(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_length(&buffer), 0);
    assert_null(buffer_bytes(&buffer));
    buffer_append(&buffer, NULL, 0);
    buffer_consume(&buffer, 0);
    assert_null(buffer.memory);
    buffer_append(&buffer, "abc", 3);
    assert_memory_equal(buffer_bytes(&buffer), "abc", 3);
    buffer_release(&buffer);
    assert_null(buffer.memory);
    buffer_append(&buffer, "d", 1);
    assert_int_equal(buffer_length(&buffer), 1);
    buffer_release(&buffer);
}

static void bytes_come_out_in_the_order_they_went_in(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    uint8_t in = 0;
    uint8_t out = 0;
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < 7 + round % 11; i++) {
            buffer_append(&buffer, &in, 1);
            in++;
        }
        size_t take = buffer_length(&buffer) * (size_t)(round % 5) / 4;
        for (size_t i = 0; i < take; i++) {
            assert_int_equal(buffer_bytes(&buffer)[i], out);
            out++;
        }
        buffer_consume(&buffer, take);
    }
    buffer_release(&buffer);
}

static void steady_flow_does_not_grow_it(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    uint8_t piece[100] = {0};
    buffer_append(&buffer, piece, sizeof(piece));
    for (int i = 0; i < 100000; i++) {
        buffer_append(&buffer, piece, sizeof(piece));
        buffer_consume(&buffer, sizeof(piece));
    }
    assert_true(buffer.capacity <= 1024);
    buffer_release(&buffer);
}

static void reserved_room_is_filled_in_place(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_append(&buffer, "x", 1);
    uint8_t *room = buffer_reserve(&buffer, 5000);
    memset(room, 'y', 5000);
    assert_int_equal(buffer_length(&buffer), 1);
    buffer_filled(&buffer, 4000);
    assert_int_equal(buffer_length(&buffer), 4001);
    assert_int_equal(buffer_bytes(&buffer)[0], 'x');
    assert_int_equal(buffer_bytes(&buffer)[4000], 'y');
    buffer_clear(&buffer);
    assert_int_equal(buffer_length(&buffer), 0);
    assert_non_null(buffer.memory);
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_buffer_is_empty_and_usable),
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(steady_flow_does_not_grow_it),
        cmocka_unit_test(reserved_room_is_filled_in_place),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
