/*
 * client.h: a connection from an application. It belongs to one worker for life.
 *
 * client.c            birth, states, death, errors told to it
 * client_login.c      startup packet to ReadyForQuery
 * client_relay.c      its messages, to the server connection that it leases
 */
#ifndef PGSLUICE_SESSION_CLIENT_H
#define PGSLUICE_SESSION_CLIENT_H

#include "base/buffer.h"
#include "base/clock.h"
#include "io/mailbox.h"
#include "io/stream.h"
#include "pg/pairs.h"
#include "pool/pool.h"
#include "state/pin.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct cancel_request;
struct client_login;
struct failure;
struct guc_set;
struct listening;
struct parameters;
struct server;
struct statement;
struct statement_names;
struct worker;

enum client_state {
    CLIENT_STARTUP,        /* its startup packet is awaited */
    CLIENT_AUTHENTICATING, /* its password, or the next step of SASL */
    CLIENT_GREETING,       /* waits for a server connection to learn what to tell it */
    CLIENT_CANCELLING,     /* brought a cancel request, which is under way */
    CLIENT_IDLE,           /* no lease, nothing asked */
    CLIENT_WAITING,        /* in line for a server connection */
    CLIENT_ACTIVE,         /* leases one */
    CLIENT_CONSOLE,        /* of the admin console */
    CLIENT_CLOSING,        /* was told why; its end of file is awaited */
    CLIENT_GONE,           /* closed; memory goes when nothing points at it */
};

/* As small as can be: there are many, and most are idle. What only a login, a wait or a lease
 * needs is elsewhere. */
struct client {
    uint32_t magic;
    uint8_t state;        /* enum client_state; client_set_state only */
    uint16_t pins;        /* reasons to keep its server connection: pin.h; see client_pin.h */
    bool skipping : 1;    /* an extended message was refused: all is skipped up to Sync */
    bool discarding : 1;  /* `passing` bytes are thrown away, not passed on */
    bool busy : 1;        /* its bytes are being worked on: do not start again from within */
    bool resume_soon : 1; /* something came while busy; of the console: its input is worked off */
    bool in_line : 1;     /* `waiter` is the pool's */
    bool held : 1;        /* GONE, but a grant or refusal is still on its way to it */
    bool counted : 1;     /* in service->client_count */
    bool pin_counted : 1; /* in its pool's count of pinned clients */
    bool pin_warned : 1;  /* was told that it is pinned */
    bool void_block : 1;  /* its BEGIN found no connection: `failure` is for what follows */
    bool void_ending : 1; /* the same, and a server is to answer the ROLLBACK: if one can be had */
    struct stream stream;
    struct worker *worker;

    struct pool *pool;         /* from login on; not owned: pools live on */
    struct settings *settings; /* the pool's, owned reference */
    struct pool_waiter waiter;
    struct server *server; /* leased, or NULL; it points back */

    struct buffer *input; /* owned; bytes that wait for more, or for a lease; or NULL */
    size_t passing;       /* bytes of a message that still go by unread */

    struct guc_set *startup_gucs;       /* owned reference: what it asked for at login */
    struct guc_set *gucs;               /* owned reference: what it has now */
    struct parameters *told;            /* owned reference: the ParameterStatus values it knows */
    struct pairs *custom_names;         /* owned; dotted GUC names that it ever named; or NULL */
    struct statement_names *statements; /* owned */
    struct statement *unnamed;          /* owned reference, or NULL */
    struct listening *listening; /* owned; or NULL: it listens to nothing (client_listen.h) */

    struct client_login *login;    /* owned; until logged in */
    struct failure *failure;       /* owned reference: why its request is refused; or NULL */
    struct cancel_request *cancel; /* CANCELLING: owned by cancel.c */

    uint32_t slot;
    uint32_t secret; /* of its cancel key */
    microseconds connected_at;
    microseconds request_at; /* its last request's first byte, or the state's begin */
    microseconds pinned_at;  /* where `pins` is not 0 */
    uint64_t transactions;
    uint64_t serial; /* no other client of this process has it */

    struct mailbox_message message; /* refusals come by it */
    struct failure *refusal;  /* owned reference, with `message`: written before it is posted */
    TAILQ_ENTRY(client) link; /* in the worker's list for its state */
};

/* Room for client_prefix. */
#define CLIENT_PREFIX_SIZE 192

/* An accepted descriptor, non-blocking; the worker's thread. */
void client_accept(struct worker *worker, int descriptor);

/* "client 12 app/alice@10.0.0.1:4711": for the log. */
void client_prefix(struct client *client, char prefix[CLIENT_PREFIX_SIZE]);
const char *client_state_name(enum client_state state);
/* The pid that the client was told: names worker and slot. */
uint32_t client_pid(const struct client *client);

void client_set_state(struct client *client, enum client_state state);
/* Has asked for nothing and is in no transaction, though it may keep its server connection. */
bool client_is_idle(const struct client *client);

/*
 * The one way out. The reason goes to the log (at debug level unless the configuration logs
 * connections). Gives back what it holds: its place in line, its lease (lease_abandon).
 */
void client_close(struct client *client, const char *reason);
/* Tells a FATAL error, then closes once the client has had the chance to read it. */
void client_fatal(struct client *client, const char *sqlstate, const char *message,
                  const char *detail, const char *hint);
void client_fatal_failure(struct client *client, const struct failure *failure);
/* The same without a word: it was told already. */
void client_hang_up(struct client *client, const char *reason);
/* Frees a client that is GONE, once its `held` is cleared. */
void client_free_when_unheld(struct client *client);
/* Sends what the buffer holds and clears it; false where that closed the client. */
bool client_send(struct client *client, struct buffer *buffer);

/* Draining: ends the client where it has nothing under way. */
void client_drain(struct client *client, bool at_once);
/* New configuration: the pool's settings again. */
void client_take_settings(struct client *client);

/* client_login.c: */
void client_login_readable(struct client *client);
/* What a client in its state is told is not known yet: a server connection has to say. */
void client_login_ask_server(struct client *client);
/* A server connection in the client's state has told its parameters: the login ends. */
void client_login_greet(struct client *client, struct parameters *parameters);
void client_login_free(struct client_login **login);
/* The names under which it logs in, or NULL; valid until the login ends. */
const char *client_login_user(const struct client *client);

/* client_console.c: */
void client_console_readable(struct client *client);
void client_console_resume(struct client *client);
/* The console's answer, up to and with ReadyForQuery, for the client of a slot if it is still the
 * one with this secret; on its worker's thread. */
void client_console_finish(struct worker *worker, uint32_t slot, uint32_t secret,
                           struct buffer *replies);

/* client_relay.c: */
void client_relay_readable(struct client *client);
/* Works on the bytes that are kept: after a grant, a refusal, a drained server connection. */
void client_relay_resume(struct client *client);
/* The client's request in line, or its first message, is refused with this (a reference is taken):
 * ERROR, then ReadyForQuery where the protocol says so. */
void client_relay_refuse(struct client *client, struct failure *failure);

#endif
