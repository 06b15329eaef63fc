/* sim_loop.c: stands in for src/io/loop.c, mailbox.c and src/base/clock.c. */
#include "sim_loop.h"

#include "sim_trace.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/loop.h"
#include "io/mailbox.h"

#include <stdlib.h>

#define MOST_TIMERS 4

struct deferred {
    void (*release)(void *object);
    void *object;
};

struct timer {
    microseconds interval, due;
    void (*callback)(void *context);
    void *context;
};

struct loop {
    struct mailbox_message *first, **end;
    struct deferred *deferred;
    size_t deferred_count;
    struct timer timers[MOST_TIMERS];
    unsigned timer_count;
};

static microseconds virtual_now;
static struct loop *current;

void sim_clock_set(microseconds now)
{
    virtual_now = now;
}

microseconds clock_monotonic(void)
{
    return virtual_now;
}

struct loop *loop_new(const char *name)
{
    struct loop *loop = memory_new(struct loop);
    (void)name;
    loop->end = &loop->first;
    return loop;
}

static void release_deferred(struct loop *loop)
{
    for (size_t i = 0; i < loop->deferred_count; i++) {
        struct deferred deferred = loop->deferred[i];
        deferred.release(deferred.object);
    }
    loop->deferred_count = 0;
}

void loop_free(struct loop *loop)
{
    check(loop->first == NULL);
    release_deferred(loop);
    free(loop->deferred);
    free(loop);
}

void sim_loop_enter(struct loop *loop)
{
    check(current == NULL);
    current = loop;
}

void sim_loop_leave(void)
{
    release_deferred(current);
    current = NULL;
}

struct loop *sim_loop_current(void)
{
    return current;
}

void loop_run(struct loop *loop)
{
    (void)loop;
    sim_fail("simulated loops are played");
}

void loop_stop(struct loop *loop)
{
    (void)loop;
    sim_fail("simulated loops are played");
}

/* Before its first turn a loop belongs to whoever makes it. */
void loop_assert_owner(const struct loop *loop)
{
    check(current == loop || current == NULL);
}

microseconds loop_now(struct loop *loop)
{
    loop_assert_owner(loop);
    return virtual_now;
}

void loop_defer(struct loop *loop, void (*release)(void *object), void *object)
{
    loop_assert_owner(loop);
    loop->deferred =
        memory_resize(loop->deferred, (loop->deferred_count + 1) * sizeof *loop->deferred);
    loop->deferred[loop->deferred_count++] = (struct deferred){release, object};
}

void loop_every(struct loop *loop, microseconds interval, void (*callback)(void *context),
                void *context)
{
    check(loop->timer_count < MOST_TIMERS);
    loop->timers[loop->timer_count++] =
        (struct timer){interval, virtual_now + interval, callback, context};
}

void loop_on_signal(struct loop *loop, int number, void (*callback)(int number, void *context),
                    void *context)
{
    (void)loop, (void)number, (void)callback, (void)context;
}

void *loop_base(struct loop *loop)
{
    (void)loop;
    return NULL;
}

struct mailbox *loop_mailbox(struct loop *loop)
{
    (void)loop;
    return NULL;
}

void mailbox_post(struct loop *loop, struct mailbox_message *message)
{
    check(!message->posted);
    message->posted = true;
    message->next = NULL;
    *loop->end = message;
    loop->end = &message->next;
}

bool sim_loop_has_mail(const struct loop *loop)
{
    return loop->first != NULL;
}

/* As the real one: all that is there now, in order, in one turn. */
void sim_loop_deliver(struct loop *loop)
{
    struct mailbox_message *message = loop->first;
    loop->first = NULL;
    loop->end = &loop->first;
    while (message != NULL) {
        struct mailbox_message *next = message->next;
        message->posted = false;
        message->deliver(message);
        message = next;
    }
}

static struct timer *next_timer(const struct loop *loop)
{
    const struct timer *next = NULL;
    for (unsigned i = 0; i < loop->timer_count; i++) {
        if (next == NULL || loop->timers[i].due < next->due)
            next = &loop->timers[i];
    }
    return (struct timer *)(uintptr_t)next;
}

microseconds sim_loop_due(const struct loop *loop)
{
    const struct timer *next = next_timer(loop);
    return next != NULL ? next->due : INT64_MAX;
}

void sim_loop_fire(struct loop *loop)
{
    struct timer *timer = next_timer(loop);
    timer->due = virtual_now + timer->interval;
    timer->callback(timer->context);
}
