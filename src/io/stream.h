/*
 * stream.h: a connected descriptor on a loop: reads, writes, back-pressure, detach and attach to
 * another loop. Embedded in client and server connections; owner thread only.
 *
 * Reading is level-triggered: on_readable is called while there are bytes (or end of file) and
 * reading is not paused; the callee reads into memory of its own. Read interest stays registered;
 * a pause takes it away only once something comes in.
 * Writing sends at once; what the socket does not take is copied and kept, and on_drained is called
 * when it has gone. The holder stops reading from the peer while stream_is_blocked().
 *
 * Where sending kept bytes fails, they are dropped, a pause ends, and on_readable is called:
 * stream_read gives what the peer had still sent, then STREAM_END or STREAM_FAILED.
 *
 * A handler may close the stream, or detach it, in any of its functions; the memory that holds the
 * stream has to live until the loop's turn ends (loop_defer).
 *
 * Plain sockets today; `transport` is the seam where TLS comes in.
 */
#ifndef PGSLUICE_IO_STREAM_H
#define PGSLUICE_IO_STREAM_H

#include "base/buffer.h"
#include "base/clock.h"
#include "io/address.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct loop;
struct stream;
struct stream_transport; /* in stream_transport.h */
struct stream_output;    /* in stream.c */

struct stream_handler {
    /* Bytes, end of file or an error can be read. */
    void (*on_readable)(struct stream *stream);
    /* All kept bytes have gone out; not called from within stream_write. */
    void (*on_drained)(struct stream *stream);
    /* stream_connect's end: error is 0, or an errno and the stream is good for stream_close only.
     * May be NULL for accepted streams. */
    void (*on_connected)(struct stream *stream, int error);
};

/* A zeroed struct is a closed stream. The fields are for io's own files; `error` is for all. */
struct stream {
    struct event event; /* for reading */
    struct loop *loop;  /* NULL while detached or closed */
    const struct stream_handler *handler;
    const struct stream_transport *transport; /* NULL when closed */
    struct stream_output *output; /* owned; kept bytes, NULL unless blocked or connecting */
    int descriptor;
    int error;   /* errno of the failure that stream_read or stream_write met */
    bool paused; /* reading */
    bool connecting;
};

enum stream_result {
    STREAM_DONE,    /* read: *size bytes; write: all is sent */
    STREAM_BLOCKED, /* read: nothing there now; write: the rest is kept */
    STREAM_END,     /* read: end of file */
    STREAM_FAILED,  /* stream->error; after a failed write what came in before can still be read */
};

struct stream_options {
    bool keepalive;
    microseconds keepalive_idle; /* 0: the system's */
    microseconds keepalive_interval;
    unsigned keepalive_count;
    microseconds user_timeout; /* TCP_USER_TIMEOUT; 0: the system's */
};

/*
 * Sets TCP_NODELAY, keepalive, TCP_USER_TIMEOUT on a TCP socket; a Unix socket is left alone. Not
 * needed for accepted sockets: they have the options of their listener (listener.h).
 */
void stream_set_options(int descriptor, const struct stream_options *options);

/* A connected, non-blocking descriptor, which the stream owns from now on. Starts reading. */
void stream_open(struct stream *stream, struct loop *loop, int descriptor,
                 const struct stream_handler *handler);
/*
 * Starts a connection; on_connected is called later, from the loop, never from within. Returns 0 or
 * the errno of an attempt that failed at once (then the stream is closed).
 */
int stream_connect(struct stream *stream, struct loop *loop, const struct address *address,
                   const struct stream_options *options, const struct stream_handler *handler)
    __attribute__((warn_unused_result));
/* Closes the descriptor; kept bytes are dropped. Safe on a closed stream. */
void stream_close(struct stream *stream);
bool stream_is_open(const struct stream *stream);

/* One recv. */
enum stream_result stream_read(struct stream *stream, void *bytes, size_t capacity, size_t *size)
    __attribute__((warn_unused_result));
/* One send where nothing is kept; otherwise appends to what is kept. Not while connecting. */
enum stream_result stream_write(struct stream *stream, const void *bytes, size_t size)
    __attribute__((warn_unused_result));
/* The same for up to IOV_MAX parts: one sendmsg. */
enum stream_result stream_write_vector(struct stream *stream, const struct iovec *parts, int count)
    __attribute__((warn_unused_result));
/* Bytes are kept: the socket did not take all that was written. */
bool stream_is_blocked(const struct stream *stream);
/* How many. */
size_t stream_kept_size(const struct stream *stream);
/*
 * True where an idle connection is still open with nothing to read: one non-blocking peek. For use
 * before bytes are entrusted to a connection that has been quiet.
 */
bool stream_is_quiet(struct stream *stream);

/* Who is at the other end; false where the socket does not say. */
bool stream_peer(const struct stream *stream, struct address *peer);
/*
 * Half-closes: nothing more is written, what the peer still sends can be read. Where bytes are kept
 * nothing is done yet: call again from on_drained. False where the connection has failed.
 */
bool stream_finish(struct stream *stream) __attribute__((warn_unused_result));

static inline bool stream_is_paused(const struct stream *stream)
{
    return stream->paused;
}
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/*
 * Takes the stream off its loop (owner thread), and puts it on another (its owner thread). Kept
 * bytes and a pause go along. Not while connecting.
 */
void stream_detach(struct stream *stream);
void stream_attach(struct stream *stream, struct loop *loop);

#endif
