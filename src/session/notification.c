#include "session/notification.h"

#include "base/check.h"
#include "base/memory.h"
#include "pg/frame.h"
#include "pg/reader.h"

#include <stdlib.h>
#include <string.h>

/* text_at: where the message's letters begin. */
static struct notification *notification_new(const uint8_t *bytes, size_t size, size_t text_at)
{
    struct notification *notification = memory_zeroed(sizeof *notification + size);
    uint8_t high = 0;
    for (size_t i = text_at; i < size; i++)
        high |= bytes[i];
    notification->references = 1;
    notification->is_ascii = (high & 0x80) == 0;
    notification->channel = "";
    notification->payload = "";
    notification->size = size;
    memcpy(notification->bytes, bytes, size);
    return notification;
}

struct notification *notification_of_frame(const struct frame *frame)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    (void)reader_uint32(&reader); /* the sender's pid */
    size_t channel = frame->size - reader_left(&reader);
    (void)reader_string(&reader);
    size_t payload = frame->size - reader_left(&reader);
    (void)reader_string(&reader);
    if (!reader_finished(&reader))
        return NULL;
    struct notification *notification =
        notification_new(frame->body - FRAME_HEADER_SIZE, frame->size, channel);
    notification->channel = (const char *)notification->bytes + channel;
    notification->payload = (const char *)notification->bytes + payload;
    return notification;
}

struct notification *notification_of_message(const struct buffer *message)
{
    return notification_new(buffer_bytes(message), buffer_length(message), FRAME_HEADER_SIZE);
}

struct notification *notification_retain(struct notification *notification)
{
    unsigned before = __atomic_fetch_add(&notification->references, 1, __ATOMIC_RELAXED);
    check(before != 0);
    return notification;
}

void notification_release(struct notification **notification)
{
    struct notification *given = *notification;
    *notification = NULL;
    if (given == NULL)
        return;
    unsigned before = __atomic_fetch_sub(&given->references, 1, __ATOMIC_ACQ_REL);
    check(before != 0);
    if (before == 1)
        free(given);
}
