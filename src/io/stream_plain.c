/* stream_plain.c: the transport that is the bare socket. */
#include "io/stream_transport.h"

#include <errno.h>
#include <sys/socket.h>

static enum stream_result failure_of(struct stream *stream, int error)
{
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return STREAM_BLOCKED;
    }
    stream->error = error;
    return STREAM_FAILED;
}

static enum stream_result plain_read(struct stream *stream, void *bytes, size_t capacity,
                                     size_t *size)
{
    ssize_t received;
    do {
        received = recv(stream->descriptor, bytes, capacity, 0);
    } while (received < 0 && errno == EINTR);
    if (received < 0) {
        return failure_of(stream, errno);
    }
    *size = (size_t)received;
    return received > 0 ? STREAM_DONE : STREAM_END;
}

static enum stream_result plain_write(struct stream *stream, const void *bytes, size_t size,
                                      size_t *sent)
{
    ssize_t taken;
    do {
        taken = send(stream->descriptor, bytes, size, MSG_NOSIGNAL);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0) {
        return failure_of(stream, errno);
    }
    *sent = (size_t)taken;
    return *sent == size ? STREAM_DONE : STREAM_BLOCKED;
}

static enum stream_result plain_write_vector(struct stream *stream, const struct iovec *parts,
                                             int count, size_t *sent)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                             .msg_iovlen = (size_t)count};
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    ssize_t taken;
    do {
        taken = sendmsg(stream->descriptor, &message, MSG_NOSIGNAL);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0) {
        return failure_of(stream, errno);
    }
    *sent = (size_t)taken;
    return *sent == size ? STREAM_DONE : STREAM_BLOCKED;
}

const struct stream_transport stream_plain = {plain_read, plain_write, plain_write_vector};
