#include "io/stream.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/loop.h"
#include "io/stream_transport.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * What a stream needs only while it waits until its socket can be written to; most streams never
 * have one. An event of its own lets libevent change the descriptor's registration with one call.
 */
struct stream_output {
    struct event event;
    struct buffer kept; /* empty while connecting */
};

static void on_read_event(evutil_socket_t descriptor, short events, void *context);
static void on_write_event(evutil_socket_t descriptor, short events, void *context);

static void watch_reading(struct stream *stream)
{
    if (!stream->paused && !stream->connecting) {
        check(event_add(&stream->event, NULL) == 0);
    }
}

static void assign_events(struct stream *stream)
{
    void *base = loop_base(stream->loop);
    check(event_assign(&stream->event, base, stream->descriptor, EV_READ | EV_PERSIST,
                       on_read_event, stream) == 0);
    if (stream->output != NULL) {
        check(event_assign(&stream->output->event, base, stream->descriptor, EV_WRITE | EV_PERSIST,
                           on_write_event, stream) == 0);
    }
}

static void output_watch(struct stream *stream)
{
    check(event_add(&stream->output->event, NULL) == 0);
}

static void output_free(struct stream *stream)
{
    if (stream->output != NULL) {
        if (stream->loop != NULL) {
            event_del(&stream->output->event);
        }
        buffer_release(&stream->output->kept);
        free(stream->output);
        stream->output = NULL;
    }
}

static void set_up(struct stream *stream, struct loop *loop, int descriptor,
                   const struct stream_handler *handler)
{
    loop_assert_owner(loop);
    *stream = (struct stream){
        .loop = loop, .handler = handler, .transport = &stream_plain, .descriptor = descriptor};
    assign_events(stream);
}

static void output_new(struct stream *stream)
{
    stream->output = memory_new(struct stream_output);
    check(event_assign(&stream->output->event, loop_base(stream->loop), stream->descriptor,
                       EV_WRITE | EV_PERSIST, on_write_event, stream) == 0);
    output_watch(stream);
}

void stream_open(struct stream *stream, struct loop *loop, int descriptor,
                 const struct stream_handler *handler)
{
    set_up(stream, loop, descriptor, handler);
    watch_reading(stream);
}

int stream_connect(struct stream *stream, struct loop *loop, const struct address *address,
                   const struct stream_options *options, const struct stream_handler *handler)
{
    *stream = (struct stream){.descriptor = -1};
    int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return errno;
    }
    stream_set_options(descriptor, options);
    /* An interrupted connect goes on by itself. A connection that stands at once is told like any
     * other: its socket can be written to. */
    if (connect(descriptor, &address->any, address->length) < 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        int error = errno;
        close(descriptor);
        return error;
    }
    set_up(stream, loop, descriptor, handler);
    stream->connecting = true;
    output_new(stream);
    return 0;
}

void stream_close(struct stream *stream)
{
    if (!stream_is_open(stream)) {
        return;
    }
    output_free(stream);
    if (stream->loop != NULL) {
        loop_assert_owner(stream->loop);
        event_del(&stream->event);
        stream->loop = NULL;
    }
    close(stream->descriptor);
    stream->descriptor = -1;
    stream->transport = NULL;
    stream->connecting = false;
}

bool stream_is_open(const struct stream *stream)
{
    return stream->transport != NULL;
}

enum stream_result stream_read(struct stream *stream, void *bytes, size_t capacity, size_t *size)
{
    check(stream_is_open(stream) && capacity > 0);
    int earlier = stream->error;
    enum stream_result result = stream->transport->read(stream, bytes, capacity, size);
    if (__builtin_expect(earlier != 0, 0)) {
        /* The kernel may have told the failure to the write and have nothing left to wake for. */
        if (result == STREAM_DONE && stream->loop != NULL) {
            event_active(&stream->event, EV_READ, 0);
        } else if (result == STREAM_BLOCKED) {
            stream->error = earlier;
            result = STREAM_FAILED;
        }
    }
    return result;
}

/* Keeps what remains of `parts` after their first `sent` bytes. */
static void keep(struct stream *stream, const struct iovec *parts, int count, size_t sent)
{
    if (stream->output == NULL) {
        output_new(stream);
    }
    for (int i = 0; i < count; i++) {
        size_t skipped = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        sent -= skipped;
        buffer_append(&stream->output->kept, (const char *)parts[i].iov_base + skipped,
                      parts[i].iov_len - skipped);
    }
}

static bool can_write(struct stream *stream)
{
    check(stream->loop != NULL && !stream->connecting);
    return stream->error == 0;
}

enum stream_result stream_write(struct stream *stream, const void *bytes, size_t size)
{
    if (!can_write(stream)) {
        return STREAM_FAILED;
    }
    size_t sent = 0;
    enum stream_result result = STREAM_BLOCKED;
    if (stream->output == NULL) {
        result = stream->transport->write(stream, bytes, size, &sent);
    }
    if (result == STREAM_BLOCKED) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
        keep(stream, &part, 1, sent);
    }
    return result;
}

enum stream_result stream_write_vector(struct stream *stream, const struct iovec *parts, int count)
{
    if (!can_write(stream)) {
        return STREAM_FAILED;
    }
    size_t sent = 0;
    enum stream_result result = STREAM_BLOCKED;
    if (stream->output == NULL) {
        result = stream->transport->write_vector(stream, parts, count, &sent);
    }
    if (result == STREAM_BLOCKED) {
        keep(stream, parts, count, sent);
    }
    return result;
}

bool stream_is_blocked(const struct stream *stream)
{
    return stream->output != NULL && !stream->connecting;
}

size_t stream_kept_size(const struct stream *stream)
{
    return stream->output != NULL ? buffer_length(&stream->output->kept) : 0;
}

bool stream_is_quiet(struct stream *stream)
{
    check(stream_is_open(stream));
    char byte;
    ssize_t received;
    do {
        received = recv(stream->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    return received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* The registration stays until something comes in: a pause that ends sooner costs nothing. */
void stream_pause(struct stream *stream)
{
    stream->paused = true;
}

void stream_resume(struct stream *stream)
{
    if (stream->paused) {
        stream->paused = false;
        if (stream->loop != NULL) {
            watch_reading(stream);
        }
    }
}

void stream_detach(struct stream *stream)
{
    check(stream->loop != NULL && !stream->connecting);
    loop_assert_owner(stream->loop);
    event_del(&stream->event);
    if (stream->output != NULL) {
        event_del(&stream->output->event);
    }
    stream->loop = NULL;
}

void stream_attach(struct stream *stream, struct loop *loop)
{
    check(stream_is_open(stream) && stream->loop == NULL);
    loop_assert_owner(loop);
    stream->loop = loop;
    assign_events(stream);
    watch_reading(stream);
    if (stream->output != NULL) {
        output_watch(stream);
    }
    if (stream->error != 0) {
        event_active(&stream->event, EV_READ, 0); /* the other loop may not have told */
    }
}

static void on_read_event(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct stream *stream = context;
    if (stream->paused) {
        event_del(&stream->event);
        return;
    }
    stream->handler->on_readable(stream);
}

static void finish_connect(struct stream *stream)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        error = errno;
    }
    output_free(stream);
    if (error == 0) {
        stream->connecting = false;
        watch_reading(stream);
    }
    stream->handler->on_connected(stream, error);
}

/* The holder hears of it in on_readable, even where it had paused: it waits for on_drained. */
static void fail_output(struct stream *stream)
{
    output_free(stream);
    stream->paused = false;
    watch_reading(stream);
    event_active(&stream->event, EV_READ, 0);
}

static void send_kept(struct stream *stream)
{
    struct buffer *kept = &stream->output->kept;
    size_t sent = 0;
    enum stream_result result =
        stream->transport->write(stream, buffer_bytes(kept), buffer_length(kept), &sent);
    switch (result) {
    case STREAM_DONE:
        output_free(stream);
        stream->handler->on_drained(stream);
        break;
    case STREAM_BLOCKED:
        buffer_consume(kept, sent);
        break;
    case STREAM_END:
    case STREAM_FAILED:
        fail_output(stream);
        break;
    }
}

static void on_write_event(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct stream *stream = context;
    if (stream->connecting) {
        finish_connect(stream);
    } else {
        send_kept(stream);
    }
}
