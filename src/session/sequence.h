/*
 * sequence.h: whose values of sequences (currval, lastval) a server connection has: a client gets
 * its own, or an error, never another client's. Worker's thread.
 *
 * A server connection knows who used it last. Where clients of the pool ask for such values, a
 * lease that changes the client begins with DISCARD SEQUENCES; and whoever has asked once keeps its
 * server connection, so that it finds what it draws from then on.
 */
#ifndef PGSLUICE_SESSION_SEQUENCE_H
#define PGSLUICE_SESSION_SEQUENCE_H

#include <stdbool.h>

struct batch;
struct client;
struct failure;
struct server;

/* A lease begins. */
void sequence_lease(struct client *client, struct server *server);
/* Adds what empties the server of others' values to a batch for it (server->sequences_stale), where
 * nothing of the client's own can be lost by that. */
void sequence_discard(struct server *server, struct batch *batch);

enum sequence_answer {
    SEQUENCE_GO,
    SEQUENCE_WAIT,   /* for replies: then it can be told */
    SEQUENCE_REFUSED /* the values would be another client's */
};

/* The client's next message asks for values: what is another client's is discarded ahead of it, if
 * it can be. */
enum sequence_answer sequence_ask(struct client *client, struct batch *batch)
    __attribute__((warn_unused_result));
/* As much of it as can be done ahead of a Parse. */
void sequence_prepare(struct client *client, struct batch *batch);
/* 55000; one reference for the caller. */
struct failure *sequence_refusal(void) __attribute__((warn_unused_result));

#endif
