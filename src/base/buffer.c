#include "base/buffer.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_SMALLEST 256

static void buffer_move_to_start(struct buffer *buffer)
{
    size_t length = buffer_length(buffer);
    memmove(buffer->memory, buffer->memory + buffer->start, length);
    buffer->start = 0;
    buffer->end = length;
}

static void buffer_grow(struct buffer *buffer, size_t size)
{
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_SMALLEST;
    while (capacity - buffer->end < size) {
        check(capacity <= SIZE_MAX / 2);
        capacity *= 2;
    }
    buffer->memory = memory_resize(buffer->memory, capacity);
    buffer->capacity = capacity;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (buffer->memory == NULL || buffer->capacity - buffer->end < size) {
        /* Moving pays only where it wins at least as much as it copies: else bytes that go in and
         * out of a nearly full buffer would be moved over and over. */
        if (buffer->start > 0 && buffer->start >= buffer_length(buffer)) {
            buffer_move_to_start(buffer);
        }
        if (buffer->memory == NULL || buffer->capacity - buffer->end < size) {
            buffer_grow(buffer, size);
        }
    }
    return buffer->memory + buffer->end;
}

void buffer_filled(struct buffer *buffer, size_t size)
{
    check(size <= buffer->capacity - buffer->end);
    buffer->end += size;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
    if (size > 0) {
        memcpy(buffer_reserve(buffer, size), bytes, size);
        buffer_filled(buffer, size);
    }
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    check(size <= buffer_length(buffer));
    buffer->start += size;
    if (buffer->start == buffer->end) {
        buffer_clear(buffer);
    }
}

void buffer_clear(struct buffer *buffer)
{
    buffer->start = 0;
    buffer->end = 0;
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->memory);
    *buffer = (struct buffer){0};
}
