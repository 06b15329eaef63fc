/*
 * batch.h: what one wake-up has to send to one stream, gathered so that it goes out in one send:
 * runs of bytes as they were received (not copied), and messages of pgsluice's own between them.
 * Lives on the stack of one wake-up; raw bytes must stay where they are until batch_flush.
 */
#ifndef PGSLUICE_SESSION_BATCH_H
#define PGSLUICE_SESSION_BATCH_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

#define BATCH_PARTS 32

struct batch {
    struct stream *stream;
    struct buffer *made; /* the worker's: where own messages are built */
    unsigned count;
    bool failed;              /* a write failed; what follows is dropped */
    struct buffer *held_back; /* where bytes go that are not to be sent yet; or NULL */
    struct batch_part {
        const uint8_t *bytes; /* NULL: in `made` */
        size_t offset;        /* in `made`, where bytes is NULL */
        size_t size;
    } parts[BATCH_PARTS];
};

void batch_start(struct batch *batch, struct stream *stream, struct buffer *made);
void batch_add_full(struct batch *batch, const uint8_t *bytes, size_t size);
/* The buffer to append own messages to; batch_made_end() after them. */
struct buffer *batch_made_begin(struct batch *batch);
void batch_made_end(struct batch *batch);
/* From here on, bytes are appended to that buffer; what is in the batch is sent. */
void batch_hold_back(struct batch *batch, struct buffer *held_back);
/* Sends; false where the stream has failed. The batch is empty afterwards and can be used on. */
bool batch_flush(struct batch *batch) __attribute__((warn_unused_result));

/* Bytes as received; runs that touch become one part. */
static inline void batch_add(struct batch *batch, const uint8_t *bytes, size_t size)
{
    if (batch->count > 0) {
        struct batch_part *last = &batch->parts[batch->count - 1];
        if (last->bytes != NULL && last->bytes + last->size == bytes) {
            last->size += size;
            return;
        }
    }
    batch_add_full(batch, bytes, size);
}

static inline bool batch_is_empty(const struct batch *batch)
{
    return batch->count == 0;
}

#endif
