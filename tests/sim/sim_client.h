/*
 * sim_client.h: model clients. Each compares every message that it gets with what a session of its
 * own would have said (sim_session.h): somebody else's reply, a lost or doubled one, a setting that
 * is not its own, show at once.
 */
#ifndef PGSLUICE_TESTS_SIM_CLIENT_H
#define PGSLUICE_TESTS_SIM_CLIENT_H

#include "base/clock.h"

#include <stdbool.h>

struct sim_client;

struct sim_client_rules {
    bool rough;         /* connections may be lost, errors of the server's end may come */
    bool may_wait_long; /* 53300 may come */
    bool leaves;        /* clients disappear at any moment */
    bool cancels;
    unsigned units;    /* for each client, at most */
    unsigned thinking; /* milliseconds between two units, at most */
    const char *users[2];
};

/* All clients and cancel requests of one simulation. */
void sim_clients_start(const struct sim_client_rules *rules);
/* A new client; the descriptor is pgsluice's end. */
int sim_client_new(void);
/* No new units, no disappearing; what is open is ended. rough: FATAL may come from now on. */
void sim_clients_finish(void);
void sim_clients_expect_shutdown(void);
/* Frees all; each must be gone. */
void sim_clients_stop(void);
/* Clients that are not gone. */
unsigned sim_clients_alive(void);
unsigned sim_clients_made(void);
/* Says of each that is not gone what it waits for. */
void sim_clients_explain(void);

/* Clients with something to do now. */
unsigned sim_clients_collect(struct sim_client **clients, unsigned most);
void sim_client_step(struct sim_client *client);
/* A cancel request; its descriptor is pgsluice's end, or -1 where there is nobody to cancel. */
int sim_client_new_cancel(void);
microseconds sim_clients_due(void);
unsigned long long sim_clients_answers(void);

#endif
