/*
 * config.h: the whole configuration as one immutable, reference-counted (atomically) snapshot.
 * Loading reads files: only at start, on the main thread, or on reload.
 */
#ifndef PGSLUICE_CONFIG_CONFIG_H
#define PGSLUICE_CONFIG_CONFIG_H

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum config_auth { CONFIG_AUTH_TRUST, CONFIG_AUTH_PASSWORD, CONFIG_AUTH_MD5, CONFIG_AUTH_SCRAM };

/* One place to listen on. */
struct config_listen {
    char *address; /* numeric IPv4/IPv6 address, "*" for all, or a folder for a Unix socket */
    bool is_unix;
    unsigned port; /* of `port`, or of an "address:port" / "[address]:port" item */
};

struct config {
    unsigned references; /* atomic */
    char *file;          /* or NULL: from the environment alone */

    /* [pgsluice] */
    struct config_listen *listen; /* owned */
    size_t listen_count;
    unsigned port;    /* of Unix sockets, and of the items above that name none */
    unsigned workers; /* 0 in the file ("auto") is already resolved to the number of cores */
    unsigned max_clients;
    enum config_auth auth;
    char *auth_file; /* or NULL */
    enum log_severity log_level;
    bool log_connections;
    bool tcp_keepalive;
    microseconds tcp_keepalive_idle; /* 0: the system's */
    microseconds tcp_keepalive_interval;
    unsigned tcp_keepalive_count;
    microseconds tcp_user_timeout;
    microseconds client_login_timeout;
    microseconds client_idle_timeout;
    microseconds shutdown_timeout;
    char **admin_users; /* owned */
    size_t admin_user_count;

    struct config_sections *sections; /* config's own: [pool], [database], [user], user list */
};

/*
 * Reads a file (NULL: none, the environment alone) with its includes and the user list. Mistakes
 * are written to `problems`, one line each: "FILE:LINE: [section] key: what was expected, what it
 * got"; so are warnings ("FILE:LINE: warning: …"), which do not fail. NULL where there was a
 * mistake.
 */
struct config *config_load(const char *file, FILE *problems) __attribute__((warn_unused_result));
/*
 * The same from memory under the name of a file, for tests and fuzzers: no other file is read
 * (%include, auth_file, service and passfile are mistakes), and no environment variable but those
 * named in the text.
 */
struct config *config_load_text(const char *name, const char *text, size_t length, FILE *problems)
    __attribute__((warn_unused_result));
struct config *config_retain(struct config *config);
void config_release(struct config **config);

/*
 * The settings of the pool for a client's database and user, with one reference for the caller;
 * NULL where no [database] matches. Any thread.
 */
struct settings *config_resolve(const struct config *config, const char *database, const char *user)
    __attribute__((warn_unused_result));

/* The named databases ([database NAME], or the one of DATABASE_URL), in the file's order. */
size_t config_database_count(const struct config *config);
const char *config_database_name(const struct config *config, size_t index);
/*
 * The user as whom a named database can be reached without a client (from `user` or the url), or
 * NULL. Such databases are warmed and checked at start.
 */
const char *config_database_user(const struct config *config, size_t index);

/*
 * What a client must prove: the user list's secret for this user (plain, md5…, SCRAM-SHA-256$…), or
 * without a list the password in the database's url where the url's user is this one. NULL: there
 * is no such user. `database` may be NULL (admin console): without a list, the first named database
 * whose url has this user answers. Valid as long as the snapshot.
 */
const char *config_secret(const struct config *config, const char *database, const char *user);
bool config_is_admin(const struct config *config, const char *user);

/* One effective setting as SHOW CONFIG prints it; secrets are masked. */
struct config_row {
    const char *key; /* "size", "listen", … */
    char value[256];
    char default_value[128];
    bool changeable; /* takes effect on reload */
};
/* The [pgsluice] and [pool] keys; index from 0; false past the last. */
bool config_row(const struct config *config, size_t index, struct config_row *row);
/* Names of keys that differ and need a restart, comma-separated, into text; false if none. */
bool config_restart_needed(const struct config *old, const struct config *new, char *text,
                           size_t size);

/* From the table of keys: the commented example file, and the man page's list (mdoc or man). */
void config_write_example(FILE *file);
void config_write_manual(FILE *file);

#endif
