/*
 * pool_internal.h: what the files of the pool share; nobody else includes it.
 *
 * pool.c         the steps of one lease: lease, return, lost, grants, cancel
 * pool_upkeep.c  birth and death of a pool, tick, new settings, shutdown, counts
 * pool_server.c  the states of a server connection, and where one goes that has become free
 * pool_idle.c    idle lists
 * pool_line.c    the line of waiters
 * pool_opening.c attempts to open connections, backoff
 * pool_pin.c     how many clients keep a connection
 * pool_actions.c the lock, and the methods' calls that are run after it
 * pool_check.c   the invariants
 *
 * Every function here needs the pool's lock held, but for pool_actions_lock().
 */
#ifndef PGSLUICE_POOL_POOL_INTERNAL_H
#define PGSLUICE_POOL_POOL_INTERNAL_H

#include "base/lock.h"
#include "pool/pool.h"

#include <stdatomic.h>

TAILQ_HEAD(pool_idle_list, pool_server);
TAILQ_HEAD(pool_wait_list, pool_waiter);

/* What a pool keeps for one worker. */
struct pool_worker {
    struct pool_idle_list idle;    /* most recently used first */
    struct pool_wait_list waiting; /* by ticket: the eldest first */
    unsigned idle_count;
    unsigned waiting_count;
    unsigned coming; /* attempts that are to end on this worker, of the current generation */
};

struct pool {
    struct lock lock;
    /* Set once, read without the lock. */
    const struct pool_methods *methods;
    void *owner;
    unsigned worker_count;
    /* What pool_needs_ping() reads without the lock, relaxed: a little late is early enough. */
    atomic_int pre_ping;
    _Atomic microseconds pre_ping_after;
    _Atomic microseconds suspect_before; /* last heard from before that: to be verified */
    atomic_uint max_pinned;
    atomic_uint pinned;
    atomic_bool asks_sequences;

    /* All that follows is guarded by the lock. */
    struct settings *settings; /* one reference */
    unsigned generation;       /* of settings; one more where the server itself changed */
    bool shutting_down;
    uint64_t random;
    unsigned next_worker; /* for connections that no waiter asked for */

    unsigned servers[POOL_SERVER_GONE]; /* by state; CONNECTING counts from the decision to open */
    unsigned coming; /* CONNECTING of the current generation: older ones will not be used */
    unsigned waiting;
    unsigned refused; /* waiters REFUSED, not yet acknowledged */
    uint64_t next_ticket;
    uint64_t leases, waits, timeouts, opened, lost;

    unsigned failures;            /* steps of backoff since the last success; 0: none */
    microseconds retry_at;        /* where failures > 0 */
    struct failure *last_failure; /* one reference; NULL where failures is 0 */

    struct pool_worker workers[];
};

/* Connections that a client uses or could use. */
static inline unsigned pool_live(const struct pool *pool)
{
    return pool->servers[POOL_SERVER_IDLE] + pool->servers[POOL_SERVER_GRANTED] +
           pool->servers[POOL_SERVER_LEASED];
}

/* How many connections may exist; what is closing takes its place until it is gone. */
static inline unsigned pool_limit(const struct pool *pool)
{
    return pool->settings->size + pool->settings->overflow;
}

static inline unsigned pool_total(const struct pool *pool)
{
    return pool_live(pool) + pool->servers[POOL_SERVER_CONNECTING] +
           pool->servers[POOL_SERVER_CLOSING];
}

/* pool_actions.c */

enum pool_action_kind {
    POOL_ACTION_OPEN,
    POOL_ACTION_CLOSE,
    POOL_ACTION_GRANT,
    POOL_ACTION_REFUSE,
};

struct pool_action {
    enum pool_action_kind kind;
    union {
        struct {
            unsigned worker, generation;
            microseconds now;
        } open;
        struct {
            struct pool_server *server;
            const char *reason;
        } close;
        struct {
            struct pool_waiter *waiter;
            struct pool_server *server;
        } grant;
        struct {
            struct pool_waiter *waiter;
            struct pool_refusal refusal; /* with a reference of its own to the failure */
        } refuse;
    };
};

#define POOL_ACTIONS_FEW 4

/*
 * The methods' calls that one step decides; on the stack of the public function, from the taking of
 * the lock to its release. After the release nothing of the pool is read that could be gone: the
 * last step of another thread may end with pool_free().
 */
struct pool_actions {
    struct pool *pool;
    const struct pool_methods *methods;
    struct settings *old_settings; /* released after the lock; NULL */
    struct pool_action *items;     /* `few`, or owned where there are more */
    unsigned count, capacity;
    struct pool_action few[POOL_ACTIONS_FEW];
};

void pool_actions_lock(struct pool_actions *actions, struct pool *pool);
/* Releases the lock, then calls the methods in order. */
void pool_actions_unlock(struct pool_actions *actions);
void pool_actions_open(struct pool_actions *actions, unsigned worker, microseconds now);
void pool_actions_close(struct pool_actions *actions, struct pool_server *server,
                        const char *reason);
void pool_actions_grant(struct pool_actions *actions, struct pool_waiter *waiter,
                        struct pool_server *server);
/* Takes a reference of its own to the refusal's failure. */
void pool_actions_refuse(struct pool_actions *actions, struct pool_waiter *waiter,
                         const struct pool_refusal *refusal);

/* pool_server.c */

/* The setter of pool_server.state: list and counts move along; an illegal step fails a check(). */
void pool_server_move(struct pool *pool, struct pool_server *server, enum pool_server_state to);
/* Why the connection must not be leased again: a literal; NULL where it may. */
const char *pool_server_unfit(const struct pool *pool, const struct pool_server *server,
                              microseconds now);
void pool_server_close(struct pool *pool, struct pool_server *server, const char *reason,
                       struct pool_actions *actions);
/* Sends it on its way to a waiter (out of line). */
void pool_server_send(struct pool *pool, struct pool_server *server, struct pool_waiter *waiter,
                      struct pool_actions *actions);
/* On its worker: leases it to a waiter (out of line) of the same, or sends it to one of another. */
void pool_server_grant(struct pool *pool, struct pool_server *server, struct pool_waiter *waiter,
                       struct pool_actions *actions);
/* On its worker: a connection that nobody holds any more goes to a waiter, is kept, or closed. */
void pool_server_place(struct pool *pool, struct pool_server *server, microseconds now,
                       struct pool_actions *actions);

/* pool_pin.c */

/* New settings. */
void pool_pin_configure(struct pool *pool);

/* pool_idle.c */

void pool_idle_put(struct pool *pool, struct pool_server *server);
void pool_idle_remove(struct pool *pool, struct pool_server *server);
/* The worker's best for that session state, or NULL; it stays in its list. */
struct pool_server *pool_idle_best(struct pool *pool, unsigned worker, const void *session_state);
/* The same of the worker that has most idle ones, or NULL. */
struct pool_server *pool_idle_best_elsewhere(struct pool *pool, const void *session_state);
/* The least recently used of all workers, or NULL. */
struct pool_server *pool_idle_oldest(struct pool *pool);
/* Closes all idle ones that are unfit: expired, older, suspect, or all while shutting down. */
void pool_idle_close_unfit(struct pool *pool, microseconds now, struct pool_actions *actions);

/* pool_line.c */

/* Fills a waiter in: it has a ticket, and stands in no line yet. */
void pool_line_admit(struct pool *pool, struct pool_waiter *waiter, unsigned worker,
                     const void *session_state, microseconds now);
/* To the end of its worker's line. */
void pool_line_join(struct pool *pool, struct pool_waiter *waiter);
/* Back to its place by ticket. */
void pool_line_rejoin(struct pool *pool, struct pool_waiter *waiter);
void pool_line_leave(struct pool *pool, struct pool_waiter *waiter);
/* The next to get a connection of this worker; NULL where nobody waits. It stays in line. */
struct pool_waiter *pool_line_next(struct pool *pool, unsigned worker, microseconds now);
/* A worker that has more waiters than connections coming, that of the eldest first. */
unsigned pool_line_needy_worker(struct pool *pool);
/* The wait of one has ended: out of line where it stands there, REFUSED. */
void pool_line_refuse(struct pool *pool, struct pool_waiter *waiter,
                      enum pool_refusal_reason reason, microseconds now,
                      struct pool_actions *actions);
void pool_line_refuse_all(struct pool *pool, enum pool_refusal_reason reason, microseconds now,
                          struct pool_actions *actions);
/* Refuses those who have waited for `timeout`. */
void pool_line_refuse_late(struct pool *pool, microseconds now, struct pool_actions *actions);
microseconds pool_line_longest_wait(const struct pool *pool, microseconds now);
/* The figures of a refusal; failure borrowed from the pool. */
struct pool_refusal pool_line_refusal(struct pool *pool, enum pool_refusal_reason reason,
                                      microseconds waited, microseconds now);

/* pool_opening.c */

/* Attempts fail, and the next is not due yet. */
bool pool_opening_is_suspended(const struct pool *pool, microseconds now);
/* One more may be opened: limit, backoff, shutdown. */
bool pool_opening_allowed(const struct pool *pool, microseconds now);
/* Opens what the line needs and may; refuses it where nothing can come. Ends every step that may
 * have taken something from the waiters or given them room. */
void pool_opening_serve_line(struct pool *pool, microseconds now, struct pool_actions *actions);
/* Opens up to `warm`. */
void pool_opening_keep_warm(struct pool *pool, microseconds now, struct pool_actions *actions);
/* An attempt is none any more, however it ended; called by pool_server_move() alone. */
void pool_opening_ended(struct pool *pool, const struct pool_server *server);
void pool_opening_succeeded(struct pool *pool);
/* began: when the attempt did. */
void pool_opening_failed(struct pool *pool, struct failure *failure, microseconds began,
                         microseconds now);
/* The settings name another server: attempts under way no longer count as coming, and failures are
 * forgotten. */
void pool_opening_start_anew(struct pool *pool);
/* When a connection that opens now is to be replaced; 0: never. */
microseconds pool_opening_expiry(struct pool *pool, microseconds now);

#endif
