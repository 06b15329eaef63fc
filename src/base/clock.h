/* clock.h: time. Rooms that do no I/O never read it: they are given `now`. */
#ifndef PGSLUICE_BASE_CLOCK_H
#define PGSLUICE_BASE_CLOCK_H

#include <stdint.h>

/* A point on the monotonic clock, or a length of time; always microseconds. */
typedef int64_t microseconds;

#define CLOCK_MILLISECOND ((microseconds)1000)
#define CLOCK_SECOND ((microseconds)1000000)
/* No limit, as a length of time ("off" in the configuration). */
#define CLOCK_OFF ((microseconds)0)

microseconds clock_monotonic(void);

#endif
