/* sim_invariant.h: what must hold inside pgsluice between any two events. */
#ifndef PGSLUICE_TESTS_SIM_INVARIANT_H
#define PGSLUICE_TESTS_SIM_INVARIANT_H

#include <stdbool.h>

struct pool_methods;
struct service;

/* session's own methods, each grant looked at for its order. */
const struct pool_methods *sim_invariant_methods(void);
void sim_invariant_start(struct service *service);
/* After an event. */
void sim_invariant_check(void);
/* Nobody leases, waits, connects or closes. */
bool sim_invariant_at_rest(void);

/* Puts the state of every connection into the trace. */
void sim_invariant_explain(void);

#endif
