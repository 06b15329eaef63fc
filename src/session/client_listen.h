/*
 * client_listen.h: a client that listens without a connection of its own.
 *
 * Its LISTEN and UNLISTEN run on the server connection that it leases; the server's own word
 * (question.h) then tells its channels. Each new channel is handed over to the pool's shared
 * connection (notifier.h): once that listens too, NOTIFY puts a mark, the fence, into the order of
 * all notifications; up to it the client hears what the leased connection brings, from it on what
 * the shared one does: none is lost, none comes twice. The leased connection is told to UNLISTEN
 * and goes back. Until then the client keeps it.
 *
 * A lease of such a client begins with LISTEN for its channels, ahead of its first byte, so that
 * the server's word is the whole truth afterwards, whatever it did. As on a connection of its own,
 * notifications are written between transactions only, and what was committed before the end of the
 * client's own transaction comes ahead of its ReadyForQuery: that waits for a sync of the shared
 * connection.
 */
#ifndef PGSLUICE_SESSION_CLIENT_LISTEN_H
#define PGSLUICE_SESSION_CLIENT_LISTEN_H

#include "pg/pairs.h"
#include "session/audience.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct batch;
struct client;
struct frame;
struct notification;
struct server;

enum listening_state {
    LISTENING_SHARED,  /* nothing is to be handed over */
    LISTENING_WANTED,  /* new channels: the shared connection is asked to listen to them */
    LISTENING_READY,   /* it does: the hand-over can begin when the lease is settled */
    LISTENING_FENCING, /* the fence was sent */
    LISTENING_STUCK,   /* the hand-over has failed: is tried anew behind its next transaction */
};

/* Of a client that listens; owned by it. */
struct listening {
    struct client *client;
    struct audience *audience;
    enum listening_state state;
    struct audience_seats seats;
    uint64_t sync;   /* the one that is waited for */
    uint64_t token;  /* FENCING: of the hand-over */
    bool waits;      /* for the sync; in the audience's list */
    bool due;        /* in the audience's list of those to proceed */
    bool missed;     /* the shared connection was lost while it was the client's source */
    bool overflow;   /* more than the limit waits */
    bool unreadable; /* a notification is not to be had in its client_encoding */

    /* What was heard and not yet written: a ring. */
    struct notification **queue; /* owned, with a reference each */
    unsigned queue_capacity, queue_head, queue_count;
    size_t queue_bytes;

    TAILQ_ENTRY(listening) in_audience;
    TAILQ_ENTRY(listening) in_waiting;
    TAILQ_ENTRY(listening) in_due;
};

/* So much may wait for a client that does not read. */
#define CLIENT_LISTEN_LIMIT ((size_t)8 << 20)

/* How many channels the client has. */
unsigned client_listen_count(const struct client *client);
/* True while its messages must wait: for a hand-over, for its ReadyForQuery, or for the end of what
 * was refused. */
bool client_listen_holds(const struct server *server);
/* True while it keeps its server connection, because that hears for it. */
bool client_listen_keeps(const struct client *client);
/* At the client's end. */
void client_listen_free(struct client *client);

/* For audience.c: a notification or notice for it; nothing is written yet. A reference is taken. */
void client_listen_queue(struct listening *listening, struct notification *notification);
/* Something it waits for may have come: writes what may be written, goes on with a hand-over. The
 * client, and others, may be closed by it. */
void client_listen_proceed(struct client *client);

/* For the lease. Its begin: appends the LISTEN of the shared channels to a batch for the server. */
void client_listen_front(struct client *client, struct batch *batch);
/* A NotificationResponse on the leased connection: true where the client is to see it. */
bool client_listen_hears(struct server *server, const struct frame *frame);
/* ReadyForQuery for the client, outside of a transaction: true where it is to be forwarded now,
 * what goes ahead of it is in the batch then; false where it is held back. */
bool client_listen_ready(struct server *server, struct batch *batch);
/* The answer to the question: the channels that the leased connection listens to. */
void client_listen_take_answer(struct client *client, struct server *server,
                               const struct pairs *channels);
/* The lease has nothing else to do: true where own queries about listening have to be answered
 * first; lease_settle follows. */
bool client_listen_settle(struct client *client, struct server *server);

#endif
