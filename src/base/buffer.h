/*
 * buffer.h: a growing run of bytes that is filled at its end and used up from its start.
 * A zeroed struct is a valid, empty buffer that owns no memory.
 */
#ifndef PGSLUICE_BASE_BUFFER_H
#define PGSLUICE_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *memory; /* owned */
    size_t start;    /* the first byte not yet used up */
    size_t end;      /* one past the last byte */
    size_t capacity;
};

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline uint8_t *buffer_bytes(const struct buffer *buffer)
{
    return buffer->memory == NULL ? NULL : buffer->memory + buffer->start;
}

/* Makes room for `size` more bytes and returns where they go; buffer_filled() then counts them. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_filled(struct buffer *buffer, size_t size);
void buffer_append(struct buffer *buffer, const void *bytes, size_t size);
/* Uses up `size` bytes from the start. */
void buffer_consume(struct buffer *buffer, size_t size);
/* Empties it and keeps the memory. */
void buffer_clear(struct buffer *buffer);
/* Empties it and gives the memory back; the buffer can be used again. */
void buffer_release(struct buffer *buffer);

#endif
