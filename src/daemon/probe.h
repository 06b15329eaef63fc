/*
 * probe.h: one connection to a database by libpq, to see whether it can be reached: the startup
 * check and --test-connect. Blocks up to connect_timeout; never on a worker's thread.
 */
#ifndef PGSLUICE_DAEMON_PROBE_H
#define PGSLUICE_DAEMON_PROBE_H

#include "config/settings.h"

#include <stdatomic.h>
#include <stdbool.h>

struct probe_result {
    bool reached;
    char server_version[64];
    char current_database[128];
    long active_connections; /* of that database, as the server counts them */
    double milliseconds;
    char error[512]; /* the server's own words, on one line */
};

/* stop (may be NULL): gives up soon after it turns true. */
void probe_database(const struct settings *settings, const atomic_bool *stop,
                    struct probe_result *result);

#endif
