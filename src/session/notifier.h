/*
 * notifier.h: the one server connection of a pool that listens for all of its clients. It lives on
 * one worker, the pool's home, and carries the union of the channels that the workers' audiences
 * (audience.h) want; what it hears, and what becomes of it, it posts to them, in order.
 *
 * It is one connection beyond the pool's `size`, open while any client of the pool listens and for
 * a minute after. A lost one is opened anew, with the pool's backoff.
 */
#ifndef PGSLUICE_SESSION_NOTIFIER_H
#define PGSLUICE_SESSION_NOTIFIER_H

#include "base/buffer.h"
#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct failure;
struct frame;
struct pool;
struct server;
struct worker;

/* What an audience asks of its pool's notifier. */
enum notifier_wish {
    NOTIFIER_WANT,   /* a channel */
    NOTIFIER_UNWANT, /* a channel that it wanted */
    /* "audience_synced(number)", once all channels wanted before are listened to, and all
     * notifications of transactions that ended before were posted. */
    NOTIFIER_SYNC,
};

/* Any worker's thread: posts to the pool's home. channel may be NULL with NOTIFIER_SYNC. */
void notifier_ask(struct pool *pool, struct worker *from, enum notifier_wish wish, uint64_t number,
                  const char *channel);

/*
 * The channel that every notifier of this process listens to, besides: nobody else knows its name.
 * A notification on it marks one place in the order of all. Its payload is "WORKER SLOT TOKEN".
 */
const char *notifier_fence(void);
/* What a fence's payload says whose it is, "WORKER SLOT TOKEN"; false where it does not. */
bool notifier_read_fence(const char *payload, unsigned *worker, unsigned *slot, uint64_t *token);
/* Appends LISTEN or UNLISTEN and the quoted name, with a semicolon. */
void notifier_write_command(struct buffer *sql, const char *command, const char *channel);

/* The rest is for the home worker. The connection, in server.c's and server_relay.c's words: */
void notifier_connected(struct server *server);
void notifier_replied(struct server *server, bool worked);
void notifier_hear(struct server *server, const struct frame *frame);
void notifier_lost(struct server *server, const struct failure *failure);

/* Some ten times a second: opens what is to be opened, pings, closes what nobody needs. */
void notifier_sweep(struct worker *worker, microseconds now);
/* The worker drains: its notifiers' connections end. */
void notifier_drain(struct worker *worker);
/* At the worker's end. */
void notifier_free_all(struct worker *worker);

#endif
