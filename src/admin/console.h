/*
 * console.h: the admin console: simple queries of clients of the database "pgsluice". One command,
 * one descriptor. A command that shows what workers own asks one worker after the other, each on
 * its own thread, and ends on the worker of the client that asked.
 */
#ifndef PGSLUICE_ADMIN_CONSOLE_H
#define PGSLUICE_ADMIN_CONSOLE_H

#include "base/buffer.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct client;
struct worker;
struct console_request;

/* What the console cannot do by itself. Any thread. */
struct console_actions {
    /* Reads the configuration again; calls done on any thread. problems: what is wrong, or NULL. */
    void (*reload)(void (*done)(void *context, const char *problems), void *context);
    void (*shutdown)(void);
};

void console_use_actions(const struct console_actions *actions);

/* service_upward.console_query */
void console_query(struct client *client, const char *sql);

/* One command. */
struct console_command {
    const char *words; /* "SHOW POOLS" */
    /* Runs on the client's worker: begins the reply (columns), or the whole of it. */
    void (*begin)(struct console_request *request, struct worker *worker);
    /* Runs on each worker in turn: adds its rows. NULL: `begin` was all. */
    void (*visit)(struct console_request *request, struct worker *worker);
    /* Runs on the client's worker after all visits, and always: adds what is left to add, frees the
     * request's state. NULL: nothing. */
    void (*end)(struct console_request *request, struct worker *worker);
    const char *tag; /* of CommandComplete */
    /* The command ends later by console_request_finish. */
    bool is_deferred;
};

extern const struct console_command console_show_clients;
extern const struct console_command console_show_config;
extern const struct console_command console_show_pools;
extern const struct console_command console_show_servers;
extern const struct console_command console_show_version;
extern const struct console_command console_reload;
extern const struct console_command console_shutdown;

/* For commands: the reply so far. */
struct buffer *console_request_reply(struct console_request *request);
/* What a command gathers while it visits; NULL at first. */
void **console_request_state(struct console_request *request);
const struct console_actions *console_request_actions(const struct console_request *request);
/* Any thread: a deferred command's end; error (may be NULL) is told as an ERROR. */
void console_request_finish(struct console_request *request, const char *error);

#endif
