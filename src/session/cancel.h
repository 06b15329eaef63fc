/*
 * cancel.h: cancel requests ("Canceling Requests in Progress"): those that clients bring, and those
 * that go to servers.
 *
 * A client's request names, by the key that pgsluice gave to its sibling, the worker and the slot
 * of the client whose command is to end; it is looked at on that worker. One that goes to a server
 * holds the server connection until the server has closed the cancel connection: only then is the
 * signal delivered, so that it cannot hit the next lease's command.
 */
#ifndef PGSLUICE_SESSION_CANCEL_H
#define PGSLUICE_SESSION_CANCEL_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cancel;
struct cancel_request;
struct client;
struct server;
struct worker;

/*
 * The pid of a cancel key: worker in the upper bits, with room for 2043 and a positive number. It
 * is more than any process has (Linux stays below 2^22), so that a client's pg_cancel_backend() or
 * pg_terminate_backend() of it hits nobody.
 */
#define CANCEL_SLOT_BITS 20
#define CANCEL_FIRST_WORKER 4
uint32_t cancel_pid(unsigned worker, uint32_t slot);

/* `client` brought a cancel request; it is closed when the request has been carried out. */
void cancel_request_start(struct client *client, uint32_t pid, const uint8_t *key,
                          size_t key_length);
/* The client that brought it has gone meanwhile. */
void cancel_request_orphan(struct cancel_request *request);

/* Sends a cancel for what the server connection runs; nothing where one is under way already. */
void cancel_start(struct server *server);
/* The server connection is closing: the cancel goes its way alone. */
void cancel_orphan(struct cancel *cancel);
/* True while pgsluice's own cancel is under way that no command is left for: the client's next one
 * would be hit. */
bool cancel_must_hold(const struct server *server);
/* Deadlines of a worker's cancels, eldest first. */
void cancel_sweep(struct worker *worker, microseconds now);
/* The worker ends: its cancels have a second to be delivered. */
void cancel_hurry(struct worker *worker, microseconds now);

#endif
