#include "session/batch.h"
#include "base/check.h"
#include "io/stream.h"

#include <string.h>

/* Up to here, copying parts together is cheaper than handing the kernel a vector. */
#define BATCH_JOIN_SIZE 4096

void batch_start(struct batch *batch, struct stream *stream, struct buffer *made)
{
    batch->stream = stream;
    batch->made = made;
    batch->count = 0;
    batch->failed = false;
    batch->held_back = NULL;
    buffer_clear(made);
}

static struct batch_part *batch_new_part(struct batch *batch)
{
    if (batch->count == BATCH_PARTS && !batch_flush(batch))
        batch->failed = true;
    return &batch->parts[batch->count++];
}

void batch_add_full(struct batch *batch, const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return;
    if (batch->held_back != NULL) {
        buffer_append(batch->held_back, bytes, size);
        return;
    }
    struct batch_part *part = batch_new_part(batch);
    *part = (struct batch_part){.bytes = bytes, .size = size};
}

struct buffer *batch_made_begin(struct batch *batch)
{
    if (batch->held_back != NULL)
        return batch->held_back;
    struct batch_part *last = batch->count > 0 ? &batch->parts[batch->count - 1] : NULL;
    if (last == NULL || last->bytes != NULL) {
        last = batch_new_part(batch);
        *last = (struct batch_part){.offset = buffer_length(batch->made)};
    }
    return batch->made;
}

void batch_made_end(struct batch *batch)
{
    if (batch->held_back != NULL)
        return;
    check(batch->count > 0);
    struct batch_part *last = &batch->parts[batch->count - 1];
    check(last->bytes == NULL);
    last->size = buffer_length(batch->made) - last->offset;
}

void batch_hold_back(struct batch *batch, struct buffer *held_back)
{
    if (!batch_flush(batch))
        batch->failed = true; /* as batch_flush() will say again */
    batch->held_back = held_back;
}

static enum stream_result batch_send_joined(struct batch *batch)
{
    uint8_t joined[BATCH_JOIN_SIZE];
    size_t size = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        const struct batch_part *part = &batch->parts[i];
        const uint8_t *bytes =
            part->bytes != NULL ? part->bytes : buffer_bytes(batch->made) + part->offset;
        memcpy(joined + size, bytes, part->size);
        size += part->size;
    }
    return stream_write(batch->stream, joined, size);
}

static enum stream_result batch_send_vector(struct batch *batch)
{
    struct iovec vector[BATCH_PARTS];
    for (unsigned i = 0; i < batch->count; i++) {
        const struct batch_part *part = &batch->parts[i];
        const uint8_t *bytes =
            part->bytes != NULL ? part->bytes : buffer_bytes(batch->made) + part->offset;
        vector[i] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = part->size};
    }
    return stream_write_vector(batch->stream, vector, (int)batch->count);
}

bool batch_flush(struct batch *batch)
{
    size_t size = 0;
    for (unsigned i = 0; i < batch->count; i++)
        size += batch->parts[i].size;
    enum stream_result result = STREAM_DONE;
    if (size > 0 && !batch->failed) {
        if (batch->count == 1 && batch->parts[0].bytes != NULL)
            result = stream_write(batch->stream, batch->parts[0].bytes, size);
        else if (size <= BATCH_JOIN_SIZE)
            result = batch_send_joined(batch);
        else
            result = batch_send_vector(batch);
    }
    batch->count = 0;
    buffer_clear(batch->made);
    if (result == STREAM_FAILED)
        batch->failed = true;
    return !batch->failed;
}
