/*
 * stream_transport.h: how a stream's bytes get into and out of its socket. stream.c knows events
 * and back-pressure, a transport knows one way of sending and receiving.
 */
#ifndef PGSLUICE_IO_STREAM_TRANSPORT_H
#define PGSLUICE_IO_STREAM_TRANSPORT_H

#include "io/stream.h"

/* One attempt each, never waiting. On STREAM_FAILED stream->error says why. */
struct stream_transport {
    enum stream_result (*read)(struct stream *stream, void *bytes, size_t capacity, size_t *size);
    /* STREAM_DONE: all; STREAM_BLOCKED: the first *sent bytes. */
    enum stream_result (*write)(struct stream *stream, const void *bytes, size_t size,
                                size_t *sent);
    enum stream_result (*write_vector)(struct stream *stream, const struct iovec *parts, int count,
                                       size_t *sent);
};

extern const struct stream_transport stream_plain; /* stream_plain.c */

#endif
