/* sim_random.h: the one source of chance in a simulation; a seed decides all of it. */
#ifndef PGSLUICE_TESTS_SIM_RANDOM_H
#define PGSLUICE_TESTS_SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void sim_random_start(uint64_t seed);
uint64_t sim_random(void);
/* 0 to count - 1 */
unsigned sim_choose(unsigned count);
/* True this often in a thousand times. */
bool sim_chance(unsigned per_mille);
/* 1 to most: often all, sometimes a single byte. */
size_t sim_size(size_t most);

#endif
