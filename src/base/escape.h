/* escape.h: text of unknown origin made safe to show on one line of a log or a terminal. */
#ifndef PGSLUICE_BASE_ESCAPE_H
#define PGSLUICE_BASE_ESCAPE_H

#include <stddef.h>

/* One byte of text becomes this many at most. */
#define ESCAPE_GROWTH 4

/*
 * Writes `text` with its control characters as \n, \r, \t or \xNN and each byte that is not part
 * of valid UTF-8 as \xNN. Writes `capacity` bytes at most, a zero byte included; what does not fit
 * is left out, never half a character. Returns the length without the zero byte.
 */
size_t escape_line(char *out, size_t capacity, const char *text);

#endif
