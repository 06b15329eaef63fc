/* reader.c: every read goes through take(), which alone moves and bounds the position. */
#include "pg/reader.h"

#include "pg/frame.h"

#include <string.h>

void reader_init(struct reader *reader, const uint8_t *bytes, size_t length)
{
    reader->at = bytes;
    reader->end = length > 0 ? bytes + length : bytes;
    reader->failed = false;
}

void reader_init_frame(struct reader *reader, const struct frame *frame)
{
    reader_init(reader, frame->body, frame->size - FRAME_HEADER_SIZE);
}

static void fail(struct reader *reader)
{
    reader->failed = true;
    reader->at = reader->end;
}

/* The next bytes, or NULL where there are not so many (then reader->failed is set). */
static const uint8_t *take(struct reader *reader, size_t length)
{
    const uint8_t *bytes = reader->at;

    if (reader->failed || length > reader_left(reader)) {
        fail(reader);
        return NULL;
    }
    if (length > 0)
        reader->at += length;
    return bytes;
}

uint8_t reader_uint8(struct reader *reader)
{
    const uint8_t *bytes = take(reader, 1);

    return bytes == NULL ? 0 : bytes[0];
}

uint16_t reader_uint16(struct reader *reader)
{
    const uint8_t *bytes = take(reader, 2);

    return bytes == NULL ? 0 : (uint16_t)((unsigned)bytes[0] << 8 | bytes[1]);
}

uint32_t reader_uint32(struct reader *reader)
{
    const uint8_t *bytes = take(reader, 4);

    if (bytes == NULL)
        return 0;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

const char *reader_string(struct reader *reader)
{
    const uint8_t *zero = NULL;

    if (reader_left(reader) > 0)
        zero = memchr(reader->at, '\0', reader_left(reader));
    if (zero == NULL) {
        fail(reader);
        return "";
    }
    return (const char *)take(reader, (size_t)(zero - reader->at) + 1);
}

const uint8_t *reader_bytes(struct reader *reader, size_t length)
{
    return take(reader, length);
}

size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

bool reader_finished(const struct reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}
