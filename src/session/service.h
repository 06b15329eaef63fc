/*
 * service.h: what all workers share, and the table by which session calls the rooms above it.
 * Made by the daemon before any worker runs; the pointers do not change afterwards.
 */
#ifndef PGSLUICE_SESSION_SERVICE_H
#define PGSLUICE_SESSION_SERVICE_H

#include "config/config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct client;
struct registry;
struct worker;

/* Calls upwards; any worker's thread. */
struct service_upward {
    /* A client of the admin console sent a simple query; the callee writes all replies up to and
     * with ReadyForQuery, now or later on the client's worker (console_finish). */
    void (*console_query)(struct client *client, const char *sql);
    /* The last client and server connection of a draining worker are gone. */
    void (*worker_drained)(struct worker *worker);
};

struct service {
    struct worker **workers;
    unsigned worker_count;
    struct registry *registry;
    const struct service_upward *upward;
    atomic_uint client_count; /* logged in or on the way; held against max_clients */
    atomic_bool stopping;     /* set before the pools are shut; new clients are told 57P01 */
};

/* The database names of the admin console. */
bool service_is_console(const char *database);

#endif
