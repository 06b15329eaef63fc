/*
 * problems.h: what is wrong with a configuration, told line by line while reading goes on, so that
 * one run finds every mistake.
 */
#ifndef PGSLUICE_CONFIG_PROBLEMS_H
#define PGSLUICE_CONFIG_PROBLEMS_H

#include <stdio.h>

/* Room for one message about a value. */
#define PROBLEMS_TEXT 512

/* Where something was written. */
struct place {
    const char *file; /* not owned; a file, or the name of an environment variable */
    unsigned line;    /* 0 where there are no lines */
};

struct problems {
    FILE *out; /* not owned */
    unsigned errors;
};

/*
 * One line: "FILE:LINE: WHERE: text". `where` names section and key ("[pool] size") or is NULL.
 * Control characters are replaced, so that a value cannot fake a second line.
 */
void problems_error(struct problems *problems, const struct place *place, const char *where,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same with "warning:" in front of the text; does not count. */
void problems_warning(struct problems *problems, const struct place *place, const char *where,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
