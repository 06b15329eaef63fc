/*
 * url.h: a database's url: what libpq takes (URI or keyword string, read by libpq itself), and
 * SQLAlchemy's postgresql+DRIVER://.
 */
#ifndef PGSLUICE_CONFIG_URL_H
#define PGSLUICE_CONFIG_URL_H

#include "config/passfile.h"
#include "config/problems.h"
#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

struct url {
    struct settings_host *hosts; /* owned; at least one */
    size_t host_count;
    char *database;              /* owned, as all strings; NULL where not given */
    char *user;                  /* or NULL */
    char *password;              /* or NULL */
    struct passfile *passfile;   /* owned; or NULL */
    enum settings_target target; /* where has_target */
    bool has_target;
    microseconds connect_timeout; /* 0: not given */
    struct pairs server_settings; /* application_name, client_encoding, options */
};

/*
 * What the text leaves open comes from its `service` and then from libpq's environment variables,
 * but user, password and database do not. NULL: the mistakes were written to `problems`, with
 * `place` and `where`, and without any part of the text that may be secret. Without `may_read` no
 * file is opened: a service or passfile is a mistake then. Main thread only.
 */
struct url *url_parse(const char *text, bool may_read, const struct place *place, const char *where,
                      struct problems *problems) __attribute__((warn_unused_result));
/* Wipes, frees, and nulls the pointer; NULL is fine. */
void url_free(struct url **url);
/* The passfile's password for one of the hosts, or NULL; valid as long as the url. */
const char *url_passfile_password(const struct url *url, const char *database, const char *user);

#endif
