#include "io/listener.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/listener_socket.h"
#include "io/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So many clients a wake-up at most: others on the loop have their turn too. */
#define LISTENER_BURST 64
/* How long to let be what cannot be accepted now. */
#define LISTENER_REST (50 * CLOCK_MILLISECOND)

struct listener {
    struct loop *loop;
    const struct listener_handler *handler;
    void *context;
    struct address address;
    struct event readable;
    struct event rested; /* the timer that ends a rest */
    int descriptor;      /* -1 when closed */
    int spare;           /* given up for a client that is refused; -1 where even that is lost */
    bool paused;
    bool resting_told; /* in the log, since a client was accepted last */
    bool owns_file;
    struct stat file; /* where owns_file */
};

static void on_readable(evutil_socket_t descriptor, short events, void *context);
static void on_rested(evutil_socket_t descriptor, short events, void *context);

static int spare_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void start(struct listener *listener)
{
    if (!listener->paused) {
        check(event_add(&listener->readable, NULL) == 0);
    }
}

static struct listener *listener_new(struct loop *loop, int descriptor,
                                     const struct stream_options *options,
                                     const struct listener_handler *handler, void *context)
{
    loop_assert_owner(loop);
    struct listener *listener = memory_new(struct listener);
    listener->loop = loop;
    listener->handler = handler;
    listener->context = context;
    listener->descriptor = descriptor;
    listener->spare = spare_open();
    listener->address.length = sizeof(listener->address.storage);
    check(getsockname(descriptor, &listener->address.any, &listener->address.length) == 0);
    listener_set_options(listener, options);
    void *base = loop_base(loop);
    check(event_assign(&listener->readable, base, descriptor, EV_READ | EV_PERSIST, on_readable,
                       listener) == 0);
    check(evtimer_assign(&listener->rested, base, on_rested, listener) == 0);
    start(listener);
    return listener;
}

struct listener *listener_open(struct loop *loop, const struct address *address,
                               const struct stream_options *options,
                               const struct listener_handler *handler, void *context, int *error)
{
    int descriptor = listener_socket_open(address);
    if (descriptor < 0) {
        *error = errno;
        return NULL;
    }
    struct listener *listener = listener_new(loop, descriptor, options, handler, context);
    listener->owns_file = listener_socket_file(&listener->address, &listener->file);
    return listener;
}

struct listener *listener_adopt(struct loop *loop, int descriptor,
                                const struct stream_options *options,
                                const struct listener_handler *handler, void *context, int *error)
{
    if (!listener_socket_listens(descriptor)) {
        *error = EINVAL;
        return NULL;
    }
    if (evutil_make_socket_nonblocking(descriptor) < 0 ||
        evutil_make_socket_closeonexec(descriptor) < 0) {
        *error = errno;
        return NULL;
    }
    return listener_new(loop, descriptor, options, handler, context);
}

void listener_pause(struct listener *listener)
{
    listener->paused = true;
    event_del(&listener->readable);
    event_del(&listener->rested);
}

void listener_resume(struct listener *listener)
{
    listener->paused = false;
    start(listener);
}

/* Called back into by on_readable, perhaps: the memory stays until the turn's end. */
void listener_close(struct listener *listener)
{
    loop_assert_owner(listener->loop);
    listener_pause(listener);
    if (listener->owns_file) {
        listener_socket_remove_file(&listener->address, &listener->file);
    }
    close(listener->descriptor);
    listener->descriptor = -1;
    if (listener->spare >= 0) {
        close(listener->spare);
    }
    loop_defer(listener->loop, free, listener);
}

const struct address *listener_address(const struct listener *listener)
{
    return &listener->address;
}

int listener_descriptor(const struct listener *listener)
{
    return listener->descriptor;
}

void listener_set_options(struct listener *listener, const struct stream_options *options)
{
    stream_set_options(listener->descriptor, options);
}

static int accept_one(struct listener *listener, struct address *peer)
{
    peer->length = sizeof(peer->storage);
    return accept4(listener->descriptor, &peer->any, &peer->length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* The socket stays readable: without a rest the loop would turn for nothing. */
static void rest(struct listener *listener, int error)
{
    if (!listener->resting_told) {
        listener->resting_told = true;
        log_warning(NULL, "could not accept clients, who wait until it can be done: %s",
                    strerror(error));
    }
    struct timeval length = {.tv_sec = LISTENER_REST / CLOCK_SECOND,
                             .tv_usec = LISTENER_REST % CLOCK_SECOND};
    event_del(&listener->readable);
    check(event_add(&listener->rested, &length) == 0);
}

static void on_rested(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    start(context);
}

/* 0, or the errno for which no client could be had even so. */
static int refuse_one(struct listener *listener)
{
    if (listener->spare >= 0) {
        close(listener->spare);
        listener->spare = -1;
    }
    struct address peer;
    int descriptor = accept_one(listener, &peer);
    int error = descriptor < 0 ? errno : 0;
    if (error == 0) {
        listener->handler->on_refuse(descriptor, &peer, listener->context);
    }
    if (listener->descriptor >= 0) {
        listener->spare = spare_open();
    }
    return error;
}

/* Whether to go on accepting after accept4 failed. */
static bool handle_failure(struct listener *listener, int error)
{
    if (error == EMFILE || error == ENFILE) {
        error = refuse_one(listener);
    }
    switch (error) {
    case EAGAIN: /* nobody waits (any more) */
        return false;
    case 0:
    case EINTR:
    case ECONNABORTED:
    /* Linux passes errors on that the client's own network made. */
    case EPERM:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
        return true;
    default:
        break;
    }
    rest(listener, error);
    return false;
}

static void on_readable(evutil_socket_t unused, short events, void *context)
{
    (void)unused;
    (void)events;
    struct listener *listener = context;
    bool more = true;
    for (int i = 0; i < LISTENER_BURST && more && !listener->paused; i++) {
        struct address peer;
        int descriptor = accept_one(listener, &peer);
        if (descriptor >= 0) {
            listener->resting_told = false;
            listener->handler->on_accept(descriptor, &peer, listener->context);
        } else {
            more = handle_failure(listener, errno);
        }
    }
}
