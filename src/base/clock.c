#include "base/clock.h"

#include <time.h>

microseconds clock_monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (microseconds)now.tv_sec * CLOCK_SECOND + now.tv_nsec / 1000;
}
