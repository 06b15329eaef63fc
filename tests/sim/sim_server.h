/*
 * sim_server.h: the model PostgreSQL server: it accepts, logs in (trust), runs statements one step
 * at a time, cancels, can be slow, die, refuse and come back. It keeps book of every token that it
 * ran and checks what pgsluice promises of the connections that it leases on.
 */
#ifndef PGSLUICE_TESTS_SIM_SERVER_H
#define PGSLUICE_TESTS_SIM_SERVER_H

#include "base/clock.h"

#include <stdbool.h>

struct sim_backend;

struct sim_server_faults {
    bool kills;        /* backends are terminated, the server restarts, connections break */
    bool silences;     /* connections and attempts to connect that answer nothing */
    unsigned sleeping; /* how long a SLEEP is, in milliseconds, at most */
};

void sim_server_start(const struct sim_server_faults *faults);
/* From now on all is well. */
void sim_server_calm(void);
void sim_server_stop(void);
unsigned sim_server_backend_count(void);

/* What can happen now: each is one event of one backend. */
unsigned sim_server_collect(struct sim_backend **backends, unsigned most);
void sim_server_step(struct sim_backend *backend);
/* When the next sleeper wakes, or the server comes back. */
microseconds sim_server_due(void);
/* Something goes wrong with the server. */
void sim_server_fault(void);

/* Whether a token is committed; how often it ran. */
bool sim_server_has(const char *token);
unsigned sim_server_runs(const char *token);
/* How many commands of a client's were cancelled. */
unsigned sim_server_cancelled(unsigned client);
unsigned long long sim_server_statements(void);

#endif
