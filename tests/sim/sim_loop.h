/*
 * sim_loop.h: the loops of src/io played by one thread in virtual time: whoever drives the
 * simulation chooses what comes next.
 */
#ifndef PGSLUICE_TESTS_SIM_LOOP_H
#define PGSLUICE_TESTS_SIM_LOOP_H

#include "base/clock.h"

#include <stdbool.h>

struct loop;

void sim_clock_set(microseconds now);
/* From here to sim_loop_leave the loop's thread is the one that runs; leaving ends its turn. */
void sim_loop_enter(struct loop *loop);
void sim_loop_leave(void);
/* The loop whose thread runs, or NULL. */
struct loop *sim_loop_current(void);

bool sim_loop_has_mail(const struct loop *loop);
void sim_loop_deliver(struct loop *loop);
/* When its next timer is due. */
microseconds sim_loop_due(const struct loop *loop);
void sim_loop_fire(struct loop *loop);

#endif
