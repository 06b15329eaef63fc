/*
 * loop.h: the event loop of one thread (a libevent base). Every function but loop_new,
 * mailbox_post (mailbox.h) and loop_stop is for the owning thread: the one that runs the loop.
 * While none runs it (before its thread starts and after that has ended), the loop belongs to
 * whoever starts and joins the thread.
 */
#ifndef PGSLUICE_IO_LOOP_H
#define PGSLUICE_IO_LOOP_H

#include "base/clock.h"

#include <stdbool.h>

struct loop;

/* `name` is a literal; a thread other than the process's first takes it as its own name. */
struct loop *loop_new(const char *name);
/* After its thread has ended and its streams are closed; releases what was deferred. */
void loop_free(struct loop *loop);
/* Makes the calling thread the owner and runs until loop_stop. */
void loop_run(struct loop *loop);
/*
 * Any thread: the loop ends after the current turn; what was posted to its mailbox before is still
 * delivered. A loop that does not run yet ends as soon as it starts.
 */
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

/*
 * Calls callback(number, context) in the loop after a signal has come, as long as the loop lives.
 * One loop of the process, its main thread's, has signals.
 */
void loop_on_signal(struct loop *loop, int number, void (*callback)(int number, void *context),
                    void *context);

/* The libevent base, as a void pointer: for io's own files and for evhttp. */
void *loop_base(struct loop *loop);
/* For mailbox.c. */
struct mailbox;
struct mailbox *loop_mailbox(struct loop *loop);

#endif
