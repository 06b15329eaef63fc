/* The clients of one case: a thread each, places to meet, one outcome. */

#ifndef DRIVERS_LIBPQ_CROWD_H
#define DRIVERS_LIBPQ_CROWD_H

#include <pthread.h>
#include <stdbool.h>

#include "client.h"

struct row {
    const char *name;
    const char *prefix; /* of its tables' names */
    enum client_mode mode;
};

struct crowd_case {
    const char *name;
    void (*run)(struct client *client);
    int most; /* clients at the same time; 0: as many as there are */
};

struct crowd_outcome {
    bool passed;
    char detail[600];
    char observed[2000];
    double seconds;
};

struct crowd {
    const struct row *row;
    const struct crowd_case *which;
    struct client *members; /* count clients, then each one's second connection */
    int count;

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t moved;
    int arrived;
    unsigned round;
    bool broken;
    struct crowd_outcome outcome;
};

/* Runs one case to its end or its time limit. */
void crowd_run(const struct row *row, const struct crowd_case *which, int count,
               struct crowd_outcome *outcome);

/* Waits until every client of the case is here; ends the thread when one of them has failed. */
void crowd_meet(struct client *client);

/* The client's second connection, opened at its first use. */
struct client *crowd_other(struct client *client);

/* The name of a table of this row and case. In a ring of few. */
const char *crowd_table(const struct client *client);

/* Adds to what is compared with a direct connection. Called by one client only. */
void crowd_observe(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Marks the case as failed, unless it is already. */
void crowd_break(struct crowd *crowd, const char *detail);

#endif
