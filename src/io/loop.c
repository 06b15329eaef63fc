#include "io/loop.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/mailbox.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* An object that waits for the turn's end. */
struct deferred {
    void (*release)(void *object);
    void *object;
};

/* What loop_every and loop_on_signal made. */
struct watch {
    SLIST_ENTRY(watch) link;
    struct event *event; /* owned */
    int timer;           /* owned descriptor, or -1 */
    void (*on_time)(void *context);
    void (*on_signal)(int number, void *context);
    void *context;
};

struct loop {
    struct event_base *base;   /* owned */
    struct mailbox *mailbox;   /* owned */
    const char *name;          /* a literal */
    pthread_t owner;           /* valid while running */
    atomic_bool stopping;      /* set by any thread */
    bool running;              /* written by the owner only */
    microseconds now;          /* of this turn; 0 until somebody asks */
    struct deferred *deferred; /* owned array, kept for the next turn */
    size_t deferred_count;
    size_t deferred_capacity;
    SLIST_HEAD(, watch) watches; /* owned */
};

static void on_libevent_log(int severity, const char *text)
{
    enum log_severity ours = severity == EVENT_LOG_DEBUG  ? LOG_SEVERITY_DEBUG
                             : severity == EVENT_LOG_MSG  ? LOG_SEVERITY_INFO
                             : severity == EVENT_LOG_WARN ? LOG_SEVERITY_WARNING
                                                          : LOG_SEVERITY_ERROR;
    log_write(ours, "libevent", "%s", text);
}

static void on_libevent_failure(int error)
{
    log_panic("libevent cannot go on: error %d", error);
}

/* Bases have no locks, since each is one thread's; what libevent shares between bases has. */
static void set_up_libevent(void)
{
    event_set_log_callback(on_libevent_log);
    event_set_fatal_callback(on_libevent_failure);
    check(evthread_use_pthreads() == 0);
}

static struct event_base *base_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_libevent);
    struct event_config *config = event_config_new();
    check(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base == NULL) {
        log_fatal("could not create an event loop");
    }
    return base;
}

struct loop *loop_new(const char *name)
{
    struct loop *loop = memory_new(struct loop);
    loop->name = name;
    loop->base = base_new();
    loop->mailbox = mailbox_new(loop->base);
    SLIST_INIT(&loop->watches);
    return loop;
}

static void release_deferred(struct loop *loop)
{
    /* A release may defer more, and the array may move. */
    for (size_t i = 0; i < loop->deferred_count; i++) {
        struct deferred deferred = loop->deferred[i];
        deferred.release(deferred.object);
    }
    loop->deferred_count = 0;
}

void loop_free(struct loop *loop)
{
    check(!loop->running);
    mailbox_free(loop->mailbox);
    struct watch *watch;
    while ((watch = SLIST_FIRST(&loop->watches)) != NULL) {
        SLIST_REMOVE_HEAD(&loop->watches, link);
        event_free(watch->event);
        if (watch->timer >= 0)
            close(watch->timer);
        free(watch);
    }
    /* A cancelled lookup ends in a callback that evdns has put off: give it its turn. */
    event_base_loop(loop->base, EVLOOP_NONBLOCK);
    release_deferred(loop);
    event_base_free(loop->base);
    free(loop->deferred);
    free(loop);
}

static void loop_begin(struct loop *loop)
{
    check(!loop->running);
    loop->owner = pthread_self();
    loop->running = true;
    /* The first thread's name is the process's. */
    if (gettid() != getpid()) {
        pthread_setname_np(pthread_self(), loop->name);
    }
}

static void loop_end_turn(struct loop *loop)
{
    release_deferred(loop);
    loop->now = 0;
}

void loop_run(struct loop *loop)
{
    loop_begin(loop);
    while (!atomic_load_explicit(&loop->stopping, memory_order_acquire)) {
        check(event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) >= 0);
        loop_end_turn(loop);
    }
    mailbox_deliver(loop->mailbox);
    loop_end_turn(loop);
    atomic_store(&loop->stopping, false);
    loop->running = false;
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    mailbox_wake(loop->mailbox);
}

void loop_assert_owner(const struct loop *loop)
{
    check(!loop->running || pthread_equal(loop->owner, pthread_self()));
}

microseconds loop_now(struct loop *loop)
{
    if (!loop->running) {
        return clock_monotonic();
    }
    if (loop->now == 0) {
        loop->now = clock_monotonic();
    }
    return loop->now;
}

void loop_defer(struct loop *loop, void (*release)(void *object), void *object)
{
    loop_assert_owner(loop);
    if (loop->deferred_count == loop->deferred_capacity) {
        loop->deferred_capacity = loop->deferred_capacity > 0 ? loop->deferred_capacity * 2 : 16;
        loop->deferred =
            memory_resize(loop->deferred, loop->deferred_capacity * sizeof(struct deferred));
    }
    loop->deferred[loop->deferred_count++] = (struct deferred){release, object};
}

static void on_time(evutil_socket_t timer, short events, void *context)
{
    (void)events;
    uint64_t expirations;
    struct watch *watch = context;
    if (read(timer, &expirations, sizeof(expirations)) == sizeof(expirations))
        watch->on_time(watch->context);
}

static void on_signal(evutil_socket_t number, short events, void *context)
{
    (void)events;
    struct watch *watch = context;
    watch->on_signal((int)number, watch->context);
}

static void loop_watch(struct loop *loop, struct watch *watch, struct event *event)
{
    loop_assert_owner(loop);
    watch->event = event;
    check(event != NULL && event_add(event, NULL) == 0);
    SLIST_INSERT_HEAD(&loop->watches, watch, link);
}

void loop_every(struct loop *loop, microseconds interval, void (*callback)(void *context),
                void *context)
{
    struct watch *watch = memory_new(struct watch);
    watch->on_time = callback;
    watch->context = context;
    struct timespec period = {.tv_sec = interval / CLOCK_SECOND,
                              .tv_nsec = interval % CLOCK_SECOND * 1000};
    struct itimerspec times = {.it_interval = period, .it_value = period};
    /*
     * A timer of libevent's would give every epoll_wait a limit, and the kernel would set and
     * cancel a timer of its own at each wake-up. This one is set once.
     */
    watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    check(watch->timer >= 0 && timerfd_settime(watch->timer, 0, &times, NULL) == 0);
    loop_watch(loop, watch,
               event_new(loop->base, watch->timer, EV_READ | EV_PERSIST, on_time, watch));
}

void loop_on_signal(struct loop *loop, int number, void (*callback)(int number, void *context),
                    void *context)
{
    struct watch *watch = memory_new(struct watch);
    watch->on_signal = callback;
    watch->context = context;
    watch->timer = -1;
    loop_watch(loop, watch, evsignal_new(loop->base, number, on_signal, watch));
}

void *loop_base(struct loop *loop)
{
    return loop->base;
}

struct mailbox *loop_mailbox(struct loop *loop)
{
    return loop->mailbox;
}
