/*
 * listener.h: a listening socket (TCP or Unix) on a loop. Owner thread only.
 *
 * A client that cannot get a descriptor because the process or the system has no more is not left
 * hanging: each listener keeps a spare one for it, so that it can be told.
 */
#ifndef PGSLUICE_IO_LISTENER_H
#define PGSLUICE_IO_LISTENER_H

#include "io/address.h"
#include "io/stream.h"

struct loop;
struct listener;

/* Both may close or pause the listener. */
struct listener_handler {
    /* `descriptor` is non-blocking, close-on-exec and the callee's from now on. A TCP socket has
     * the options that the listener was given. */
    void (*on_accept)(int descriptor, const struct address *peer, void *context);
    /* The same where descriptors have run out: the callee says so to the peer and closes the
     * descriptor before it returns. */
    void (*on_refuse)(int descriptor, const struct address *peer, void *context);
};

/*
 * Opens and starts. A Unix socket's file that nobody answers on is replaced, and the new one can be
 * reached by every user of the system. On failure NULL, and *error is an errno (EADDRINUSE also
 * where a file that is no socket stands in the way).
 */
struct listener *listener_open(struct loop *loop, const struct address *address,
                               const struct stream_options *options,
                               const struct listener_handler *handler, void *context, int *error)
    __attribute__((warn_unused_result));
/*
 * The same for a descriptor that listens already, which the listener owns from now on where it does
 * not fail (EINVAL: it is no listening stream socket). The file of a Unix socket stays at
 * listener_close: who made it removes it.
 */
struct listener *listener_adopt(struct loop *loop, int descriptor,
                                const struct stream_options *options,
                                const struct listener_handler *handler, void *context, int *error)
    __attribute__((warn_unused_result));
/* Clients wait in the kernel's queue while paused. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
/* Closes the socket and, where listener_open made it, removes a Unix socket's file. */
void listener_close(struct listener *listener);

/* Where it listens; a port that was given as 0 is the one that the system chose. */
const struct address *listener_address(const struct listener *listener);
int listener_descriptor(const struct listener *listener);
/* Of the sockets that are accepted from now on. */
void listener_set_options(struct listener *listener, const struct stream_options *options);

#endif
