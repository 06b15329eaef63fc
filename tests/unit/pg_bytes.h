/*
 * pg_bytes.h: for the tests of src/pg: messages written out byte by byte, as C string literals,
 * from the PostgreSQL manual's "Message Formats". Includes what every cmocka test needs.
 */
#ifndef PGSLUICE_TESTS_PG_BYTES_H
#define PGSLUICE_TESTS_PG_BYTES_H

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BYTES(literal) ((const uint8_t *)(literal))
/* Of a literal, without its own zero byte. */
#define LENGTH(literal) (sizeof(literal) - 1)

/* The buffer holds exactly the literal's bytes; empties it for the next message. */
#define assert_wrote(buffer, literal)                                                              \
    do {                                                                                           \
        assert_int_equal(buffer_length(buffer), LENGTH(literal));                                  \
        assert_memory_equal(buffer_bytes(buffer), literal, LENGTH(literal));                       \
        buffer_clear(buffer);                                                                      \
    } while (0)

#endif
