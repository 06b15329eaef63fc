/* The clients of one case: a thread each, places to meet, one outcome. */

#include "crowd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { TIME_LIMIT = 60 }; /* seconds, for one case */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void crowd_break(struct crowd *crowd, const char *detail)
{
    pthread_mutex_lock(&crowd->lock);
    if (!crowd->broken)
        snprintf(crowd->outcome.detail, sizeof(crowd->outcome.detail), "%s", detail);
    crowd->broken = true;
    pthread_cond_broadcast(&crowd->moved);
    pthread_mutex_unlock(&crowd->lock);
}

void crowd_meet(struct client *client)
{
    struct crowd *crowd = client->crowd;
    pthread_mutex_lock(&crowd->lock);
    unsigned round = crowd->round;
    if (++crowd->arrived == crowd->count) {
        crowd->arrived = 0;
        crowd->round++;
        pthread_cond_broadcast(&crowd->moved);
    }
    while (round == crowd->round && !crowd->broken)
        pthread_cond_wait(&crowd->moved, &crowd->lock);
    bool broken = crowd->broken;
    pthread_mutex_unlock(&crowd->lock);
    if (broken)
        pthread_exit(NULL);
}

struct client *crowd_other(struct client *client)
{
    struct client *other = &client->crowd->members[client->crowd->count + client->number];
    if (other->connection == NULL)
        client_open(other);
    return other;
}

const char *crowd_table(const struct client *client)
{
    static _Thread_local char ring[4][80];
    static _Thread_local unsigned next;
    char *name = ring[next++ % 4];
    snprintf(name, sizeof(ring[0]), "%s_%s", client->crowd->row->prefix,
             client->crowd->which->name);
    return name;
}

void crowd_observe(struct client *client, const char *format, ...)
{
    char *text = client->crowd->outcome.observed;
    size_t length = strlen(text), room = sizeof(client->crowd->outcome.observed) - length;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, room, format, arguments);
    va_end(arguments);
}

static void *live(void *argument)
{
    struct client *client = argument;
    client_open(client);
    crowd_meet(client);
    client->crowd->which->run(client);
    return NULL;
}

/* A thread that hangs in libpq comes back when its socket is shut down. */
static void stop_members(struct crowd *crowd)
{
    crowd_break(crowd, "not done within its time limit");
    for (int i = 0; i < 2 * crowd->count; i++) {
        if (crowd->members[i].connection != NULL)
            shutdown(PQsocket(crowd->members[i].connection), SHUT_RDWR);
    }
}

static void join_members(struct crowd *crowd, const pthread_t *threads)
{
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += TIME_LIMIT;
    for (int i = 0; i < crowd->count; i++) {
        if (pthread_timedjoin_np(threads[i], NULL, &limit) == 0)
            continue;
        stop_members(crowd);
        pthread_join(threads[i], NULL);
    }
}

static void run_members(struct crowd *crowd)
{
    pthread_t *threads = calloc((size_t)crowd->count, sizeof(*threads));
    for (int i = 0; i < 2 * crowd->count; i++) {
        crowd->members[i] =
            (struct client){.crowd = crowd, .mode = crowd->row->mode, .number = i % crowd->count};
    }
    for (int i = 0; i < crowd->count; i++) {
        if (pthread_create(&threads[i], NULL, live, &crowd->members[i]) != 0)
            abort();
    }
    join_members(crowd, threads);
    for (int i = 0; i < 2 * crowd->count; i++)
        client_close(&crowd->members[i]);
    free(threads);
}

void crowd_run(const struct row *row, const struct crowd_case *which, int count,
               struct crowd_outcome *outcome)
{
    if (which->most != 0 && count > which->most)
        count = which->most;
    struct crowd crowd = {
        .row = row,
        .which = which,
        .members = calloc(2 * (size_t)count, sizeof(struct client)),
        .count = count,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .moved = PTHREAD_COND_INITIALIZER,
    };
    double start = now();
    run_members(&crowd);
    *outcome = crowd.outcome;
    outcome->passed = !crowd.broken;
    outcome->seconds = now() - start;
    free(crowd.members);
}
