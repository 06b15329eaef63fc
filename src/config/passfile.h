/*
 * passfile.h: libpq's password file (PostgreSQL manual, "The Password File"):
 * host:port:database:user:password, "*" for any, a backslash before ":" and "\".
 */
#ifndef PGSLUICE_CONFIG_PASSFILE_H
#define PGSLUICE_CONFIG_PASSFILE_H

#include <stddef.h>

struct passfile;

/* ~/.pgpass; the caller frees it. NULL: no home folder. */
char *passfile_default_path(void) __attribute__((warn_unused_result));
/*
 * NULL: there is no such file, or libpq would not use it either (`problem` says why; empty where
 * it is only absent).
 */
struct passfile *passfile_read(const char *path, char *problem, size_t size)
    __attribute__((warn_unused_result));
/* The password of the first line that fits, or NULL; valid as long as the passfile. Any thread. */
const char *passfile_find(const struct passfile *passfile, const char *host, unsigned port,
                          const char *database, const char *user);
/* Wipes, frees, and nulls the pointer; NULL is fine. */
void passfile_free(struct passfile **passfile);

#endif
