/* units.h: numbers with a unit, as PostgreSQL writes them: "30s", "1.5 h", "64kB". */
#ifndef PGSLUICE_CONFIG_UNITS_H
#define PGSLUICE_CONFIG_UNITS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for what units_format_time() writes. */
#define UNITS_TEXT 32

/* A whole number without sign or unit. False: it is none, or too large. */
bool units_parse_number(const char *text, int64_t *value) __attribute__((warn_unused_result));
/* us, ms, s, min, h or d; a bare number counts in `base`. False: malformed or too large. */
bool units_parse_time(const char *text, microseconds base, microseconds *value)
    __attribute__((warn_unused_result));
/* In the largest unit that leaves no fraction: "90min", "1500ms", "0". */
void units_format_time(microseconds value, char *text, size_t size);

#endif
