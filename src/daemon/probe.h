/*
 * probe.h: one connection to a database by libpq, to see whether it can be reached: the startup
 * check and --test-connect. Blocks up to connect_timeout for each host; never on a worker's thread.
 */
#ifndef PGSLUICE_DAEMON_PROBE_H
#define PGSLUICE_DAEMON_PROBE_H

#include "config/settings.h"

#include <stdatomic.h>
#include <stdbool.h>

struct probe_result {
    bool reached;
    /* Who answered, or was asked last. */
    char host[256];
    char port[8];
    bool encrypted;
    char server_version[64];
    char current_database[128];
    long
        connections; /* of clients, to that database: rows of pg_stat_activity, this one included */
    long running;    /* those of them that run a query, as far as the user may see */
    long limit;      /* connections that the server allows its user; the least of what follows */
    char limit_of[256]; /* which limit that is, in words */
    double milliseconds;
    char error[1024]; /* the server's own words with their SQLSTATE, on one line; host by host */
};

/* stop (may be NULL): gives up soon after it turns true. */
void probe_database(const struct settings *settings, const atomic_bool *stop,
                    struct probe_result *result);

#endif
