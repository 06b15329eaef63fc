/*
 * notification.h: a message for clients that listen, kept once for all of them: the bytes as they
 * go out. Immutable and reference-counted (atomically): any thread may hold one.
 */
#ifndef PGSLUICE_SESSION_NOTIFICATION_H
#define PGSLUICE_SESSION_NOTIFICATION_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame;

struct notification {
    unsigned references; /* atomic */
    bool is_ascii;       /* reads the same in every client_encoding */
    const char *channel; /* within bytes; "" for what is no NotificationResponse */
    const char *payload; /* the same */
    size_t size;
    uint8_t bytes[]; /* the whole message */
};

/* From a NotificationResponse, with one reference; NULL where it is malformed. */
struct notification *notification_of_frame(const struct frame *frame)
    __attribute__((warn_unused_result));
/* A message of pgsluice's own. */
struct notification *notification_of_message(const struct buffer *message)
    __attribute__((warn_unused_result));
struct notification *notification_retain(struct notification *notification);
/* Gives one reference back and nulls the pointer; a NULL inside is fine. */
void notification_release(struct notification **notification);

#endif
