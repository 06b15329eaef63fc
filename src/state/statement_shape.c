/* statement_shape.c: what a statement returns, as a number. */
#include "base/hash.h"
#include "pg/reader.h"
#include "state/statement.h"

#include <string.h>

/* Not one of those that have a meaning of their own. */
static uint64_t as_shape(uint64_t hash)
{
    return hash > STATEMENT_SHAPE_NONE ? hash : hash + 2;
}

uint64_t statement_shape_of(const uint8_t *body, size_t length)
{
    uint64_t hash = HASH_START;
    struct reader reader;
    reader_init(&reader, body, length);
    uint16_t columns = reader_uint16(&reader);
    for (unsigned i = 0; i < columns; i++) {
        const char *name = reader_string(&reader);
        (void)reader_uint32(&reader); /* its table */
        (void)reader_uint16(&reader); /* and its number there */
        uint32_t type = reader_uint32(&reader);
        (void)reader_uint16(&reader); /* the type's size */
        uint32_t modifier = reader_uint32(&reader);
        (void)reader_uint16(&reader); /* format */
        if (reader.failed)
            break;
        hash = hash_bytes(hash, name, strlen(name) + 1);
        hash = hash_bytes(hash, &type, sizeof type);
        hash = hash_bytes(hash, &modifier, sizeof modifier);
    }
    return as_shape(hash);
}

uint64_t statement_shape_of_long(size_t length)
{
    return as_shape(hash_bytes(HASH_START, &length, sizeof length));
}
