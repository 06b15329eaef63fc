/*
 * writer.h: appends one message to a buffer: writer_begin, the fields, writer_end, which fills in
 * the length. `type` 0 writes a message without a type byte (startup packets).
 */
#ifndef PGSLUICE_PG_WRITER_H
#define PGSLUICE_PG_WRITER_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

struct writer {
    struct buffer *buffer;
    size_t length_at; /* offset of the length word from the buffer's start at that time */
};

struct writer writer_begin(struct buffer *buffer, uint8_t type);
void writer_uint8(struct writer *writer, uint8_t value);
void writer_uint16(struct writer *writer, uint16_t value);
void writer_uint32(struct writer *writer, uint32_t value);
/* With its zero byte. */
void writer_string(struct writer *writer, const char *string);
void writer_bytes(struct writer *writer, const void *bytes, size_t length);
void writer_end(struct writer *writer);

#endif
