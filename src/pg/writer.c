/* writer.c: big-endian fields; the length word is written as zero and filled in at the end. */
#include "pg/writer.h"

#include "base/check.h"

#include <string.h>

struct writer writer_begin(struct buffer *buffer, uint8_t type)
{
    struct writer writer = {.buffer = buffer};

    if (type != 0)
        writer_uint8(&writer, type);
    writer.length_at = buffer_length(buffer);
    writer_uint32(&writer, 0);
    return writer;
}

void writer_uint8(struct writer *writer, uint8_t value)
{
    buffer_append(writer->buffer, &value, sizeof value);
}

void writer_uint16(struct writer *writer, uint16_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    buffer_append(writer->buffer, bytes, sizeof bytes);
}

static void store_uint32(uint8_t bytes[4], uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

void writer_uint32(struct writer *writer, uint32_t value)
{
    uint8_t bytes[4];

    store_uint32(bytes, value);
    buffer_append(writer->buffer, bytes, sizeof bytes);
}

void writer_string(struct writer *writer, const char *string)
{
    buffer_append(writer->buffer, string, strlen(string) + 1);
}

void writer_bytes(struct writer *writer, const void *bytes, size_t length)
{
    if (length > 0)
        buffer_append(writer->buffer, bytes, length);
}

void writer_end(struct writer *writer)
{
    size_t length = buffer_length(writer->buffer) - writer->length_at;

    /* The length word is a signed one for the peer. */
    check(length >= 4 && length <= INT32_MAX);
    store_uint32(buffer_bytes(writer->buffer) + writer->length_at, (uint32_t)length);
}
