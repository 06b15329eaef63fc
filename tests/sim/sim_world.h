/* sim_world.h: one simulation: pgsluice's workers between model clients and a model server. */
#ifndef PGSLUICE_TESTS_SIM_WORLD_H
#define PGSLUICE_TESTS_SIM_WORLD_H

#include <stdint.h>

/* What went by over all seeds, to see that each way was gone. */
struct sim_totals {
    unsigned long long clients, statements, answers, events, leases, waits, timeouts, opened, lost;
};

/* Ends the program (sim_fail) where an invariant does not hold. */
void sim_world_run(uint64_t seed, unsigned steps, struct sim_totals *totals);

#endif
