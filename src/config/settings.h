/*
 * settings.h: what one pool is to do: [pool], [database] and [user] merged for one (database,
 * user). Immutable and reference-counted (atomically): any thread may hold one.
 */
#ifndef PGSLUICE_CONFIG_SETTINGS_H
#define PGSLUICE_CONFIG_SETTINGS_H

#include "base/clock.h"
#include "pg/pairs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum settings_mode { SETTINGS_TRANSACTION, SETTINGS_SESSION, SETTINGS_STATEMENT };
/* What is done about the state that transactions leave in a session. */
enum settings_state {
    SETTINGS_STATE_ASK,
    SETTINGS_STATE_ALWAYS,
    SETTINGS_STATE_RESET,
    SETTINGS_STATE_OFF
};
enum settings_pre_ping { SETTINGS_PING_OFF, SETTINGS_PING_ON, SETTINGS_PING_ALWAYS };
enum settings_startup_check { SETTINGS_CHECK_OFF, SETTINGS_CHECK_WARN, SETTINGS_CHECK_REQUIRE };
/* What becomes of a client that would keep its server connection beyond its transaction. */
/* What becomes of who listens when the connection that listens for all was lost. */
enum settings_lost { SETTINGS_LOST_NOTICE, SETTINGS_LOST_CLOSE };
enum settings_pin { SETTINGS_PIN_ALLOW, SETTINGS_PIN_WARN, SETTINGS_PIN_DENY };
/* libpq's target_session_attrs. */
enum settings_target {
    SETTINGS_TARGET_ANY,
    SETTINGS_TARGET_READ_WRITE,
    SETTINGS_TARGET_READ_ONLY,
    SETTINGS_TARGET_PRIMARY,
    SETTINGS_TARGET_STANDBY,
    SETTINGS_TARGET_PREFER_STANDBY,
};

/* The words for it in a url and in the configuration, in the enum's order; NULL ends them. */
extern const char *const settings_target_names[];

/* One host of a libpq URI. */
struct settings_host {
    char *host;     /* name, address, or folder of a Unix socket (starts with / or @) */
    char *hostaddr; /* numeric address to connect to instead, or NULL */
    unsigned port;
};

struct settings {
    unsigned references; /* atomic */

    char *database; /* the name by which clients know it */
    char *user;     /* the client's user */
    bool is_named;  /* from [database NAME], not [database *] */

    /* Where and as whom server connections log in. */
    struct settings_host *hosts; /* owned; at least one */
    size_t host_count;
    char *server_database;
    char *server_user;
    char *server_password; /* NULL where none is known (trust, peer); from the url, `password`, the
                              passfile or the user list's plain secret, in that order */
    char *server_secret; /* md5… or SCRAM-SHA-256$… verifier of the user list where there is no
                            plain password; or NULL */
    enum settings_target target;
    struct pairs server_settings; /* sent in the startup packet: `server_settings`, then the url's
                                     options and application_name, … */

    enum settings_mode mode;
    enum settings_state state;
    unsigned size;
    unsigned overflow;
    unsigned warm;
    unsigned max_waiting; /* 0: off */
    unsigned prepared_statements;
    enum settings_pre_ping pre_ping;
    enum settings_startup_check startup_check;
    enum settings_lost listen_lost;
    enum settings_pin pin;
    unsigned max_pinned;      /* 0: all but one of size and overflow */
    char **session_functions; /* owned; in lower case */
    size_t session_function_count;
    uint64_t session_functions_serial; /* of the list: another list has another one; 0: none */
    /* Lengths of time; 0 is off. */
    microseconds timeout;
    microseconds recycle;
    microseconds pre_ping_after;
    microseconds pre_ping_timeout;
    microseconds idle_timeout;
    microseconds connect_timeout;
    microseconds command_timeout;
    microseconds transaction_timeout;
    microseconds idle_transaction_timeout;
};

/* True where a client's session state follows it from one server connection to the next. */
static inline bool settings_follows(const struct settings *settings)
{
    return settings->mode != SETTINGS_SESSION && settings->state != SETTINGS_STATE_OFF;
}

struct settings *settings_retain(struct settings *settings);
/* Gives one reference back and nulls the pointer. */
void settings_release(struct settings **settings);
/* Empties a struct that settings_release() does not free: one on the stack or in another. */
void settings_clear(struct settings *settings);
/* True where server connections opened under one may serve the other (same hosts, user, …). */
bool settings_same_server(const struct settings *one, const struct settings *other);

#endif
