/* sim_random.c: splitmix64, also in the place of OpenSSL's randomness. */
#include "sim_random.h"

#include <openssl/rand.h>

static uint64_t state;

void sim_random_start(uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15U + 1;
}

uint64_t sim_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

unsigned sim_choose(unsigned count)
{
    return (unsigned)(sim_random() % count);
}

bool sim_chance(unsigned per_mille)
{
    return sim_choose(1000) < per_mille;
}

size_t sim_size(size_t most)
{
    if (most <= 1 || sim_chance(600))
        return most;
    if (sim_chance(300))
        return 1;
    return 1 + (size_t)(sim_random() % most);
}

/* The secrets of cancel keys are the seed's too. */
int RAND_bytes(unsigned char *bytes, int count)
{
    for (int i = 0; i < count; i++)
        bytes[i] = (unsigned char)sim_random();
    return 1;
}
