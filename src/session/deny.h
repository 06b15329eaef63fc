/*
 * deny.h: statements that would pin a client which may not be pinned (pin = deny, or max_pinned are
 * already): their last replies are held back until the server has said what they left, and then let
 * go or replaced by an error. Worker's thread.
 *
 * Such a lease is guarded: one cycle, up to its ReadyForQuery, is under way at a time. Within a
 * transaction block, an error is made to happen on the server too; outside one, the server
 * connection is reset at the lease's end. Held bytes are bounded: past DENY_MOST_HELD they go, and
 * the error comes behind them, as one at the commit would.
 */
#ifndef PGSLUICE_SESSION_DENY_H
#define PGSLUICE_SESSION_DENY_H

#include "pg/tag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct client;
struct failure;
struct frame;
struct server;

#define DENY_MOST_HELD ((size_t)65536)

/* A lease begins. */
void deny_lease(struct client *client, struct server *server);
/* A client's message of this type must wait for the cycle before it to end. Only for guarded. */
bool deny_must_wait(const struct server *server, uint8_t type);
/* The client's next statement may pin it, as its text tells. True where it must wait for replies
 * before it is sent. */
bool deny_expect(struct client *client) __attribute__((warn_unused_result));
/* The same as the tag of a command tells that has just ended. */
void deny_watch(struct server *server, enum tag tag);
/* deny_due: what comes from here on, this command's end first, is held back. */
void deny_begin(struct server *server, struct batch *batch);
/* A wake-up's bytes were worked on: bounds what is held. */
void deny_received(struct server *server);
/* Where replies are held back: goes on as far as it can be told. True where own messages are under
 * way: the lease must not end. */
bool deny_settle(struct server *server);
/* The answer to a question asked within a transaction has come (server->denying). */
void deny_take_answer(struct server *server);
/* Outside a transaction: the session has these pins now. The client has them, or gets an error. */
void deny_take_pins(struct client *client, struct server *server, unsigned pins);
/* The lease ends: what is held is dropped. */
void deny_end(struct server *server);
/* The server connection has ended: the client gets what is held, and will be told. */
void deny_lost(struct server *server);

/* An error for a message of ours in place of a refused one: puts the refusal into the batch. False
 * where the server's own error is to be forwarded. */
bool deny_replace_error(struct batch *batch, const struct frame *frame,
                        const struct failure *refusal);

#endif
