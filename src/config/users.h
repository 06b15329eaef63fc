/*
 * users.h: the user list: one line a user, "name" "secret", where the secret is a password, an md5
 * hash or a SCRAM verifier as PostgreSQL stores them. A quote within quotes is written twice.
 */
#ifndef PGSLUICE_CONFIG_USERS_H
#define PGSLUICE_CONFIG_USERS_H

#include "config/problems.h"

#include <stddef.h>

enum users_secret { USERS_PLAIN, USERS_MD5, USERS_SCRAM };

struct users_entry {
    char *name;   /* owned */
    char *secret; /* owned */
    unsigned line;
};

/* Sorted by name. A zeroed struct is a valid, empty list. */
struct users {
    struct users_entry *entries; /* owned */
    size_t count;
};

/* Reads a stream that `file` is the name of; every bad line goes to `problems`, no secret does. */
void users_read(struct users *users, FILE *stream, const char *file, struct problems *problems);
/* The user's secret or NULL; valid as long as the list. Any thread. */
const char *users_find(const struct users *users, const char *name);
enum users_secret users_secret_kind(const char *secret);
/* Frees the content and wipes the secrets. */
void users_clear(struct users *users);

#endif
