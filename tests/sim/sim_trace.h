/* sim_trace.h: what has happened, for whoever looks for the cause of a failed invariant. */
#ifndef PGSLUICE_TESTS_SIM_TRACE_H
#define PGSLUICE_TESTS_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

/* Prints every event at once, and pgsluice's own log. */
void sim_trace_all(void);
void sim_trace_start(uint64_t seed);
/* One event; the last hundreds are kept. */
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the seed, the reason and the last events, and exits with status 1. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for what aborts or a sanitizer finds. */
void sim_trace_catch(void);

#define sim_require(condition, ...) ((condition) ? (void)0 : sim_fail(__VA_ARGS__))

#endif
