/* pairs.h: an ordered list of (name, value) strings: startup parameters, server settings. */
#ifndef PGSLUICE_PG_PAIRS_H
#define PGSLUICE_PG_PAIRS_H

#include <stddef.h>

struct pair {
    char *name;  /* owned */
    char *value; /* owned */
};

/* A zeroed struct is a valid, empty list. */
struct pairs {
    struct pair *items; /* owned */
    size_t count;
};

/* Appends copies. */
void pairs_add(struct pairs *pairs, const char *name, const char *value);
/* Replaces the value of a name (compared as PostgreSQL compares GUC names: ASCII case folded). */
void pairs_set(struct pairs *pairs, const char *name, const char *value);
/* The last value of the name, case folded, or NULL. */
const char *pairs_find(const struct pairs *pairs, const char *name);
void pairs_copy(struct pairs *to, const struct pairs *from);
/* Frees the content; the struct can be used again. */
void pairs_clear(struct pairs *pairs);

#endif
