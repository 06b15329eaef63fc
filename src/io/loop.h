/*
 * loop.h: the event loop of one thread (a libevent base). Every function but loop_new,
 * mailbox_post (mailbox.h) and loop_stop is for the owning thread: the one that runs the loop.
 */
#ifndef PGSLUICE_IO_LOOP_H
#define PGSLUICE_IO_LOOP_H

#include "base/clock.h"

#include <stdbool.h>

struct loop;

struct loop *loop_new(const char *name);
/* After its thread has ended; frees what was deferred. */
void loop_free(struct loop *loop);
/* Makes the calling thread the owner and runs until loop_stop. */
void loop_run(struct loop *loop);
/* Any thread: the loop ends after the current turn. */
void loop_stop(struct loop *loop);
void loop_assert_owner(const struct loop *loop);
/* The time of the current wake-up; one clock reading a turn. */
microseconds loop_now(struct loop *loop);
/* Calls release(object) at the end of the loop's turn: no callback on the stack touches freed
 * memory. */
void loop_defer(struct loop *loop, void (*release)(void *object), void *object);
/* Calls callback(context) every `interval`, as long as the loop lives. */
void loop_every(struct loop *loop, microseconds interval, void (*callback)(void *context),
                void *context);

/* For io's own files: the libevent base, as a void pointer. */
void *loop_base(struct loop *loop);

#endif
