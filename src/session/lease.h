/*
 * lease.h: pairing of a client and a server connection, from grant to return. Both are the calling
 * worker's.
 */
#ifndef PGSLUICE_SESSION_LEASE_H
#define PGSLUICE_SESSION_LEASE_H

#include "base/clock.h"
#include "pool/pool.h"

#include <stdbool.h>

struct batch;
struct client;
struct failure;
struct server;

/* How long a server connection may take to become clean after its client has gone. */
#define LEASE_CLEANING_LIMIT (10 * CLOCK_SECOND)

/* How session does what a pool decides (pool.h). */
extern const struct pool_methods lease_methods;

enum lease_answer {
    LEASE_READY,     /* client->server: its bytes may go now */
    LEASE_PREPARING, /* client->server: client_relay_resume follows */
    LEASE_WAITS,     /* client_relay_resume follows, or a refusal */
    LEASE_REFUSED,   /* client->failure says why */
};

/* Asks the pool for a server connection. */
enum lease_answer lease_begin(struct client *client) __attribute__((warn_unused_result));
/* The server connection that it got has ended, and nothing of the client's had been sent: asks for
 * another. client_relay_resume follows, or a refusal. */
void lease_retry(struct client *client);
/* Adds what brings the server's session into the client's state, where they differ, to a batch for
 * the server: goes ahead of the client's bytes. False where these have to wait for the answer:
 * client_relay_resume follows; or the client is closed. */
bool lease_add_switch(struct client *client, struct batch *batch);

/*
 * After all bytes of a wake-up have gone out: ends the lease where nothing is owed, the server is
 * out of any transaction, and nothing pins the client; asks for the session's state before, where
 * that may have changed. The server goes to the next in line, within this call.
 */
void lease_settle(struct server *server);
/* The client has gone: rolls back and cleans the server connection where that is cheap, closes it
 * where not. */
void lease_abandon(struct server *server);
/* Further steps of cleaning, after replies. */
void lease_clean(struct server *server);
/* What the server has told since may differ from what this client was told last: tells the
 * difference. The client may be closed by it. */
void lease_tell_parameters(struct client *client, struct server *server);
/* lease.c, for lease_clean.c and lease_pool.c: granted while it waited; back into the pool, where
 * whom it grants the connection to is served before this returns; a connection that has been quiet
 * for a while may have ended: looks, and closes it then. */
void lease_granted(struct client *client, struct server *server);
void lease_return(struct server *server);
bool lease_is_open(struct server *server, microseconds now);
/* Own messages at the beginning of a lease were answered (ping, switch): goes on. */
void lease_prepared(struct server *server);

#endif
