/*
 * worker.h: one thread's share of everything: its loop, its clients and server connections, the
 * memory that they use in turn. Only the worker's own thread touches it, but for what says
 * otherwise.
 */
#ifndef PGSLUICE_SESSION_WORKER_H
#define PGSLUICE_SESSION_WORKER_H

#include "base/buffer.h"
#include "base/clock.h"
#include "config/config.h"
#include "session/service.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* One recv takes this much at most. */
#define WORKER_READ_SIZE ((size_t)65536)
/* Parts of messages up to this size are kept until they are whole. */
#define WORKER_KEEP_SIZE ((size_t)65536)

struct audience;
struct cancel;
struct client;
struct loop;
struct mailbox_message;
struct notifier;
struct resolver;
struct server;
struct verifier_cache;

TAILQ_HEAD(worker_cancels, cancel);
TAILQ_HEAD(worker_clients, client);
TAILQ_HEAD(worker_servers, server);

struct worker {
    uint32_t magic;
    unsigned number;
    struct service *service;
    struct loop *loop;
    struct resolver *resolver;
    struct config *config; /* the snapshot that new clients see; this worker's own reference */

    /* Bytes just received: valid until the next read on this worker. */
    uint8_t scratch[WORKER_KEEP_SIZE + WORKER_READ_SIZE];
    /* Messages of pgsluice's own, on their way into a batch. */
    struct buffer made;

    struct worker_clients clients; /* logged in */
    struct worker_clients logins;  /* on the way, eldest first */
    struct worker_clients closing; /* told why; waiting for their end of file, eldest first */
    struct worker_servers servers; /* all, in whatever state */
    unsigned departures;           /* counts servers that left: a walk over them must stop */
    struct worker_cancels cancels; /* on their way to servers, eldest first */

    struct audience *audiences; /* owned, by pool: who listens here (audience.h) */
    struct notifier *notifiers; /* owned, by pool: those whose home this is (notifier.h) */

    /* Clients by the slot that their cancel key names; free slots are chained by index,
     * the one that was freed longest ago first. */
    struct worker_slot {
        struct client *client;
        uint32_t next_free;
    } * slots;
    uint32_t slot_count;
    uint32_t first_free;
    uint32_t last_free; /* of a chain that has any */

    atomic_uint load; /* clients; any thread reads */
    microseconds swept_at;
    bool draining;                    /* clients end at their transaction's end */
    bool drained;                     /* told upwards */
    struct verifier_cache *verifiers; /* authentication.c's */
};

struct worker *worker_new(struct service *service, unsigned number, struct config *config);
/* After its thread has ended: every connection must be gone. */
void worker_free(struct worker *worker);
/* Runs on the calling thread until the loop is stopped. */
void worker_run(struct worker *worker);
/* The worker whose thread this is, or NULL. */
struct worker *worker_current(void);
/* The simulator's: makes the calling thread play this worker. */
void worker_play(struct worker *worker);

/* Any thread: hands over an accepted, non-blocking descriptor. */
void worker_give_client(struct worker *worker, int descriptor);
/* Any thread: new configuration (a reference is taken). */
void worker_give_config(struct worker *worker, struct config *config);
/* Any thread: clients end at the end of their transactions; at_once: now. */
void worker_drain(struct worker *worker, bool at_once);
/* Any thread: runs call(worker, context) on the worker's thread, soon. */
void worker_call(struct worker *worker, void (*call)(struct worker *worker, void *context),
                 void *context);

/* A free slot for a client, and back. */
uint32_t worker_take_slot(struct worker *worker, struct client *client);
void worker_free_slot(struct worker *worker, uint32_t slot);
/* The client of a slot, or NULL. */
struct client *worker_slot_client(const struct worker *worker, uint32_t slot);
/* Tells upwards when draining and nothing is left. */
void worker_check_drained(struct worker *worker);

/* Deadlines of the worker's connections; by its timer, and by the simulator. */
void worker_sweep(struct worker *worker, microseconds now);

#endif
