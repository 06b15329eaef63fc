/*
 * server.h: a connection to PostgreSQL. It belongs to one worker at a time; the pool decides who
 * leases it.
 *
 * server.c        birth, states, death, deadlines, own messages
 * server_login.c  name resolution to the first ReadyForQuery
 * server_relay.c  its messages, to the client that leases it
 * server_error.c  its errors
 */
#ifndef PGSLUICE_SESSION_SERVER_H
#define PGSLUICE_SESSION_SERVER_H

#include "base/buffer.h"
#include "base/clock.h"
#include "io/address.h"
#include "io/mailbox.h"
#include "io/stream.h"
#include "pool/pool.h"
#include "state/pipeline.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct batch;
struct cancel;
struct catalog;
struct client;
struct failure;
struct frame;
struct guc_set;
struct lend;
struct notifier;
struct parameters;
struct question;
struct replay;
struct replay_broken;
struct routines;
struct server_login;
struct statement;
struct statement_cache;
struct worker;

extern const struct stream_handler server_stream_handler;

enum server_state {
    SERVER_NEW,
    SERVER_LOGIN,     /* from name resolution to the first ReadyForQuery */
    SERVER_IDLE,      /* in the pool */
    SERVER_PREPARING, /* leased: what must be answered before the client's bytes may go */
    SERVER_LEASED,    /* relays */
    SERVER_CLEANING,  /* its client has gone: cancels, rolls back, resets */
    SERVER_MOVING,    /* between two workers */
    SERVER_LISTENING, /* no pool's: a notifier's */
    SERVER_CLOSED,    /* memory goes when nothing points at it */
};

/* What an own message in the pipeline is for (pipeline_entry.note). */
enum server_note {
    SERVER_NOTE_NONE,
    SERVER_NOTE_PING,
    SERVER_NOTE_SWITCH, /* brings the session into the client's state */
    SERVER_NOTE_ASK,    /* what is the session's state? */
    SERVER_NOTE_ROLLBACK,
    SERVER_NOTE_RESET, /* DISCARD ALL */
    SERVER_NOTE_SYNC,
    SERVER_NOTE_PREPARE,    /* a Parse put in front; subject: struct server_undo */
    SERVER_NOTE_EVICT,      /* a Close of a statement that nobody used for long */
    SERVER_NOTE_UNNAMED,    /* puts another in the unnamed statement's place; subject: undo */
    SERVER_NOTE_NAMED,      /* a client's own Parse of a named statement; subject: undo */
    SERVER_NOTE_NAME_TAKEN, /* a Parse that must fail: the name is taken; subject: undo */
    SERVER_NOTE_REPLAY,     /* PREPARE of what a client has prepared elsewhere: replay.h */
    SERVER_NOTE_RESULT,     /* Describe and Sync behind it: what does it return? */
    SERVER_NOTE_CLOSE,      /* a client's own Close of a statement; subject: undo */
    SERVER_NOTE_SEQUENCES,  /* DISCARD SEQUENCES (sequence.h) */
    SERVER_NOTE_DENY,       /* makes a transaction fail (deny.h) */
    SERVER_NOTE_SET,        /* a client's own plain SET, or RESET ALL; subject: undo */
    SERVER_NOTE_SHAPE,      /* a Describe that asks for a statement's shape; subject: undo */
    SERVER_NOTE_CHANGED,    /* what a statement returns has changed: a Bind that must fail, and a
                             * client's Describe whose rows it must not see */
    SERVER_NOTE_LISTEN,     /* a notifier's */
    SERVER_NOTE_FRONT,      /* LISTEN for the channels of the client, ahead of its messages */
    SERVER_NOTE_FENCE,      /* ends what the client hears by this connection */
    SERVER_NOTE_UNLISTEN,
    SERVER_NOTE_UNREAD, /* a Bind of a statement that is too long to be read */
    SERVER_NOTE_LEND,   /* Parse or Describe under a client's name (client_lend.h); subject: undo */
};

/* What has to be undone where the server does not carry a message out. Owned by the entry. */
struct server_undo {
    struct statement *statement; /* owned reference, or NULL */
    struct statement *previous;  /* owned reference: the unnamed one before, or NULL */
    char *value;                 /* owned; of a SET: the setting's, or NULL: SET LOCAL */
    uint64_t shape;              /* of the statement, as the client knew it */
    struct failure *refusal;     /* owned reference: what the client reads in place of the error */
    bool cached;                 /* statement was added to the server's cache */
    bool resets;                 /* a RESET ALL: all settings become what they were at login */
    bool tells;                  /* a Describe: the client is owed its ParseComplete */
    char name[];                 /* the client's name of it; of a SET: the setting's */
};

/* Takes a reference to statement (may be NULL). */
struct server_undo *server_undo_new(const char *name, struct statement *statement)
    __attribute__((warn_unused_result));
void server_undo_free(struct server_undo *undo);

struct server {
    uint32_t magic;
    uint8_t state;              /* enum server_state; server_set_state only */
    uint8_t transaction_status; /* as in the last ReadyForQuery */
    uint8_t look;              /* enum ask: what may have changed, to be asked at the lease's end */
    bool passing_forward : 1;  /* `passing` bytes go to the client */
    bool reset_needed : 1;     /* DISCARD ALL before anybody else gets it */
    bool retire : 1;           /* close it when the lease ends */
    bool timed_out : 1;        /* pgsluice cancelled its command: command_timeout */
    bool cancel_asked : 1;     /* by its client, whose command has not ended yet */
    bool clean_cancelled : 1;  /* CLEANING: the cancel was sent */
    bool own_query_failed : 1; /* an error came for the own query at the pipeline's head */
    /* What a wake-up's replies have brought, to be acted on when its bytes are worked off: */
    bool switched : 1;           /* NOTE_SWITCH has come back */
    bool switch_failed : 1;      /* with an error: `failure` says why */
    bool answered : 1;           /* NOTE_ASK has come back */
    bool ask_failed : 1;         /* with an error */
    bool statement_violated : 1; /* a transaction block in statement mode */
    uint8_t violated;            /* type byte of a message that must not have come; or 0 */
    bool dying : 1;              /* has ended while the pool was about to grant or close it */
    bool fatal : 1;              /* the server said FATAL: `failure` has it */
    bool fatal_forwarded : 1;    /* the client has it too */
    bool forgetting : 1;         /* a client's DEALLOCATE or DISCARD has yet to be answered */
    bool resetting : 1;          /* the last command was RESET or DISCARD ALL */
    bool redescribe : 1;         /* statements may have been prepared anew under the same names */
    bool half_sent : 1;          /* it has the begin of a message whose rest will never come */
    bool overheard : 1;          /* it has said a notification that nobody asked for */
    bool listened : 1;           /* NOTE_LISTEN has come back */
    bool listen_failed : 1;      /* with an error */
    bool hears : 1;              /* it listens to channels: UNLISTEN before anybody else gets it */
    bool fronted : 1;            /* to all that its client listens to */
    bool relistens : 1;          /* its client may have left channels: the server is to be asked */
    bool handing : 1;            /* NOTE_FENCE or NOTE_UNLISTEN is out: new messages wait */
    bool deaf : 1;               /* what it hears from here on, the shared connection brings */
    bool ready_held : 1;         /* its client's ReadyForQuery waits (client_listen.h) */
    bool unnamed_synced : 1;     /* a Sync went out behind the last message about the unnamed one */
    bool unnamed_unknown : 1;    /* such a message was not carried out: nobody knows which it has */
    bool checked : 1;            /* `checking` has another shape than its client knows */
    bool unread : 1;             /* such a statement was bound */
    bool unnamed_unkept : 1;     /* it has one of its client's that is too long to be kept */
    /* A lease that may pin its client though that must not be (deny.h): */
    bool guarded : 1;  /* one cycle at a time */
    bool deny_due : 1; /* from the next command's end on, replies are held back */
    bool denying : 1;  /* the question under way is about pins within a transaction */
    bool undo_due : 1; /* DISCARD ALL when the lease ends */
    /* Whose values of sequences it has (sequence.h): */
    bool drew : 1;            /* this lease may have drawn some */
    bool sequences_own : 1;   /* they are this client's, if there are any */
    bool sequences_stale : 1; /* to be discarded ahead of the client's bytes */
    uint16_t deny_pins;       /* reasons that tags have told and the client has not got yet */
    struct stream stream;
    struct worker *worker;
    struct pool_server member;
    struct settings *settings; /* owned reference: as it was opened */
    struct client *client;     /* that leases it, or NULL */
    struct notifier *notifier; /* whose connection it is: no pool counts it; or NULL */

    struct buffer *input; /* owned; the part of a message that is not whole; or NULL */
    size_t passing;       /* bytes of a message that still go by unread */

    struct pipeline pipeline;         /* done(context = this) */
    struct guc_set *gucs;             /* owned reference: the session's state */
    struct guc_set *switching_to;     /* owned reference: gucs once NOTE_SWITCH has come back */
    struct replay *replay;            /* owned: statements that are being prepared or described */
    struct replay_broken *broken;     /* owned: those that could not be prepared; or NULL */
    struct guc_set *replayed_for;     /* owned reference: the state for which `gucs` is the nearest
                                         that it can reach; or NULL */
    struct catalog *catalog;          /* its pool's, not owned */
    struct routines *routines;        /* owned reference: what that told when the lease began */
    uint64_t catalog_generation;      /* of `routines` */
    struct parameters *parameters;    /* owned reference: as last reported */
    struct statement_cache *prepared; /* owned */
    unsigned named_pending;           /* Parse messages of named statements without reply yet */
    unsigned closes_pending;          /* Close messages of the same */
    unsigned prepares_pending;        /* Parse messages that were put in front */
    unsigned unnamed_pending;         /* messages that put another in the unnamed one's place */
    struct statement *unnamed;        /* owned reference: its unnamed statement if known, or NULL */
    struct lend *lend;                /* owned: what it has under its client's names; or NULL */
    struct statement *checking;       /* owned reference: whose shape the client's message awaits */
    uint64_t sequence_holder;         /* serial of the client that used it last; 0: none */
    struct buffer *held;              /* owned: replies held back (deny.h), or NULL */
    size_t held_rest;                 /* its first bytes end a message whose begin was sent */
    struct failure *refusal;          /* owned reference: the error that follows, or NULL */
    struct question *question;        /* owned: rows of an ask; or NULL */
    struct belief *belief;            /* owned: what plain SETs have set (belief.h); or NULL */
    struct statement *bound_set;      /* owned reference: the unnamed portal's, if a plain SET */
    struct failure *failure;          /* owned reference: the last error of an own message, or of
                                         the connection; or NULL */

    struct server_login *login; /* owned; SERVER_LOGIN only */
    struct address address;     /* of the host that it reached */
    const char *host;           /* name of it, in settings */
    uint32_t backend_pid;
    uint8_t *cancel_key; /* owned */
    size_t cancel_key_length;
    struct cancel *cancel; /* under way, or NULL: not leased on before it has ended */

    microseconds deadline; /* login, ping, cleaning; 0: none */
    microseconds leased_at;
    microseconds transaction_at;         /* its first command was sent; 0: none is open */
    microseconds command_at;             /* the pipeline's head was sent, or became the head */
    microseconds idle_in_transaction_at; /* 0: not */
    microseconds cancelled_at;           /* the last cancel was sent; 0: none for this command */
    uint64_t leases;

    /* For `message`, written before it is posted: */
    struct worker *target;    /* MOVING: where to */
    struct client *grantee;   /* MOVING: for whom */
    const char *close_reason; /* a literal */
    struct mailbox_message message;
    TAILQ_ENTRY(server) link; /* the worker's servers */
};

#define SERVER_PREFIX_SIZE 192

/* Memory only. Any thread: it belongs to `worker`, on whose thread server_open is called. */
struct server *server_new(struct pool *pool, struct worker *worker);
void server_open(struct server *server);
void server_prefix(const struct server *server, char prefix[SERVER_PREFIX_SIZE]);
const char *server_state_name(enum server_state state);
void server_set_state(struct server *server, enum server_state state);

/* A simple query goes out, which drops the unnamed statement. */
void server_drop_unnamed(struct server *server);

/*
 * The one way out. failure (may be NULL; a reference is taken) says why where the server or the
 * network failed; reason goes to the log. Tells the leasing client, then the pool (pool_lost).
 */
void server_close(struct server *server, struct failure *failure, const char *reason);

/* The connection has ended by itself: the server's last words, or errno of the stream, say why. */
void server_lost(struct server *server);
/* 08006 with host, address, backend and errno (0: end of file); one reference for the caller. */
struct failure *server_lost_failure(const struct server *server, int error)
    __attribute__((warn_unused_result));
/* As the pool wishes: the last word in its methods->close, or for a granted one that is dead. */
void server_close_for_pool(struct server *server, const char *reason);
/* Off its worker, and on to another (that worker's thread). */
void server_leave_worker(struct server *server);
void server_join_worker(struct server *server, struct worker *worker);

/* A message to the client has gone only in part: words behind it would be read as its rest. */
static inline bool server_is_within_message(const struct server *server)
{
    return server->passing > 0 && server->passing_forward;
}

/* Sends own messages; false where that closed the server connection. */
bool server_send(struct server *server, struct buffer *messages);
/* Sends one own simple query. */
bool server_query(struct server *server, enum server_note note, const char *sql);

/* Deadlines: called some ten times a second. */
void server_sweep(struct server *server, microseconds now);

/* server_login.c: */
void server_login_start(struct server *server);
void server_login_connected(struct server *server, int error);
void server_login_readable(struct server *server);
void server_login_timeout(struct server *server);
void server_login_free(struct server_login **login);

/* server_error.c: one ErrorResponse. `head` is the entry that it answers, or NULL; `undo` that of a
 * Parse whose name is taken, or NULL. True where the frame is to be forwarded as it is. */
bool server_error_take(struct server *server, struct batch *batch, const struct frame *frame,
                       const struct pipeline_entry *head, const struct server_undo *undo,
                       enum pipeline_verdict verdict);

/* server_relay.c: */
void server_relay_readable(struct server *server);
/* A connection that nobody uses, and that is not the pool's idle one: works on what has come on it
 * since, in memory of its own. False where it has ended, and was closed by that. */
bool server_relay_is_alive(struct server *server);
/* Where the pipeline is in doubt and no message of the client's is half-way: settles it. */
void server_relay_probe(struct server *server);

/* server_done.c: the pipeline's done(). */
void server_done(const struct pipeline_entry *entry, enum pipeline_end end, void *context);

/* server_shape.c: a reply to an own Describe; of use with NOTE_SHAPE and NOTE_LEND; `frame` may be
 * there in part.
 */
void server_take_shape(struct server *server, struct batch *batch,
                       const struct pipeline_entry *entry, const struct frame *frame,
                       size_t available);
/* Nothing waits for a statement's shape any more. */
void server_end_check(struct server *server);

/* server_watch.c: a command of the client's has ended: did it touch the session's state? */
void server_watch_command(struct server *server, const struct frame *frame, enum server_note note);
/* A ParameterStatus: true where the client is to see it as it is. */
bool server_watch_parameter(struct server *server, struct batch *batch, const struct frame *frame,
                            bool is_ours);

#endif
