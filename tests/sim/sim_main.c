/*
 * sim_main.c: a seeded simulation of pool, state and session over simulated connections. Each seed
 * is one schedule of model clients, a model PostgreSQL server, faults and time; what every client
 * is told is compared with what a server of its own would have told it.
 *
 * sim [--seeds N] [--first SEED] [--steps N] [--trace]
 */
#include "sim_random.h"
#include "sim_trace.h"
#include "sim_world.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    unsigned long long seeds, first;
    unsigned steps;
    bool trace;
};

static unsigned long long number(const char *text)
{
    char *end;
    unsigned long long value = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || *end != '\0' || end == text) {
        fprintf(stderr, "a number is missing\n");
        exit(2);
    }
    return value;
}

static struct options read_options(char **arguments)
{
    struct options options = {.seeds = 3000, .first = 1, .steps = 1500};
    for (; *arguments != NULL; arguments++) {
        if (strcmp(*arguments, "--seeds") == 0)
            options.seeds = number(*++arguments);
        else if (strcmp(*arguments, "--first") == 0)
            options.first = number(*++arguments);
        else if (strcmp(*arguments, "--steps") == 0)
            options.steps = (unsigned)number(*++arguments);
        else if (strcmp(*arguments, "--trace") == 0)
            options.trace = true;
        else {
            fprintf(stderr, "usage: sim [--seeds N] [--first SEED] [--steps N] [--trace]\n");
            exit(2);
        }
    }
    return options;
}

int main(int count, char **arguments)
{
    (void)count;
    struct options options = read_options(arguments + 1);
    struct sim_totals totals = {0};
    log_set_severity(LOG_SEVERITY_FATAL);
    sim_trace_catch();
    if (options.trace)
        sim_trace_all();
    for (unsigned long long i = 0; i < options.seeds; i++)
        sim_world_run(options.first + i, options.steps, &totals);
    printf("%llu schedules passed: %llu clients, %llu statements, %llu answers, %llu events\n",
           options.seeds, totals.clients, totals.statements, totals.answers, totals.events);
    printf("%llu leases, %llu waits, %llu timeouts, %llu connections opened, %llu lost\n",
           totals.leases, totals.waits, totals.timeouts, totals.opened, totals.lost);
    return 0;
}
