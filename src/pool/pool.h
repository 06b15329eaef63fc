/*
 * pool.h: the policy of one pool, for one (database, user): which client gets which server
 * connection, and when connections are opened, kept and closed. The semantics are those of
 * SQLAlchemy's QueuePool.
 *
 * No I/O and no clock: time is an argument, connections are reached through a table of methods.
 * Any thread may call; a pool has one lock, held for the policy only. Methods are called after it
 * has been released, on the calling thread, in the order in which the policy decided.
 *
 * Server connections belong to the worker whose number they carry. A grant to a waiter of the
 * server's own worker is immediate; to one of another worker it has two phases: the policy marks
 * server and waiter (GRANTED) and calls methods->granted(); the session moves the descriptor and
 * calls pool_grant_arrived() on the waiter's worker, which says whether the waiter still wants it.
 *
 * Whose memory may go when. A thread that is not the server's worker may decide on an *idle* server
 * connection only (grant it, close it); from that decision until the call of granted() or close()
 * has reached the server's worker, the object must stay: so a worker that sees an idle connection
 * end asks with pool_idle_lost(). A server that is connecting or leased is its holder's alone. A
 * waiter's object must stay from POOL_WAITS until its grant or refusal has arrived, or
 * pool_cancel() says true.
 */
#ifndef PGSLUICE_POOL_POOL_H
#define PGSLUICE_POOL_POOL_H

#include "base/clock.h"
#include "config/settings.h"
#include "pg/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct pool;

enum pool_server_state {
    POOL_SERVER_NEW,        /* made, not yet known to any pool */
    POOL_SERVER_CONNECTING, /* from methods->create until pool_connected or pool_lost */
    POOL_SERVER_IDLE,       /* in the idle list of its worker */
    POOL_SERVER_GRANTED,    /* on its way to a waiter of another worker */
    POOL_SERVER_LEASED,     /* until pool_return or pool_lost */
    POOL_SERVER_CLOSING,    /* the pool has called methods->close: pool_lost follows */
    POOL_SERVER_GONE,       /* no pool counts it */
};

struct pool_waiter;

/* The pool's part of a server connection; embedded in it. Guarded by the pool's lock. */
struct pool_server {
    struct pool *pool;
    enum pool_server_state state;
    unsigned worker;
    unsigned generation;       /* of the pool's settings when it was opened; see pool_reconfigure */
    microseconds opened_at;    /* while CONNECTING: when the attempt began */
    microseconds expires_at;   /* recycle with jitter; 0: never */
    microseconds idle_since;   /* state IDLE */
    microseconds verified_at;  /* when the server was last heard from */
    const void *session_state; /* compared by pointer with the waiter's; set by the session before
                                  pool_connected / pool_return */
    struct pool_waiter *granted_to; /* state GRANTED */
    TAILQ_ENTRY(pool_server) link;  /* idle list, most recently used first */
};

enum pool_waiter_state {
    POOL_WAITER_NONE,
    POOL_WAITER_WAITING,
    POOL_WAITER_GRANTED,   /* methods->granted was called for another worker's server */
    POOL_WAITER_CANCELLED, /* was GRANTED, has gone since; the grant has yet to arrive */
    POOL_WAITER_REFUSED,   /* methods->refused was called and has yet to be acknowledged */
};

/* The pool's part of a client; embedded in it. Guarded by the pool's lock while not NONE. */
struct pool_waiter {
    struct pool *pool;
    enum pool_waiter_state state;
    unsigned worker;
    uint64_t ticket; /* order of arrival over all workers */
    microseconds since;
    const void *session_state;
    TAILQ_ENTRY(pool_waiter) link; /* its worker's line, by ticket */
};

enum pool_refusal_reason {
    POOL_REFUSED_TIMEOUT,     /* waited longer than `timeout` */
    POOL_REFUSED_LINE_FULL,   /* `max_waiting` are waiting already */
    POOL_REFUSED_UNREACHABLE, /* no live connection, and the last attempt to open one failed */
    POOL_REFUSED_SHUTDOWN,
    POOL_REFUSED_GONE, /* no error: the waiter was CANCELLED, and the server on its way to it is
                          lost */
};

/* Why a client gets no connection, with the figures for its error. */
struct pool_refusal {
    enum pool_refusal_reason reason;
    struct failure *failure; /* UNREACHABLE: what the server or the network said. TIMEOUT: the same
                                where attempts to open more fail at present, for the error's detail,
                                or NULL. Borrowed */
    microseconds waited;
    unsigned size, overflow, max_waiting;
    /* Of the pool at that moment. */
    unsigned open;         /* connections that are logged in */
    unsigned in_use;       /* of these: leased, or on their way to a client */
    unsigned coming;       /* attempts under way */
    unsigned pinned;       /* clients that keep one */
    unsigned waiting;      /* clients in line, without the one that is refused */
    unsigned failures;     /* waves of attempts that have failed since the last success */
    microseconds retry_in; /* until the next attempt is allowed; 0: now. Where failures > 0 */
    bool ever_opened;      /* one has been logged in since the start */
};

enum pool_answer {
    POOL_GRANTED, /* *server is leased, on the caller's worker */
    POOL_WAITS,   /* granted() or refused() will be called, or has been before the answer came */
    POOL_REFUSES, /* *refusal says why; release refusal->failure if it is set */
};

/* How the session does what the policy decides. None is called with a lock held. */
struct pool_methods {
    /* Makes a server connection object for a worker (memory only) and returns its pool part. */
    struct pool_server *(*create)(struct pool *pool, unsigned worker);
    /* Starts to open it, on its worker (posts there if need be); ends in pool_connected or
     * pool_lost. */
    void (*connect)(struct pool_server *server);
    /* Closes it (posts to its worker if need be); ends in pool_lost, which may be called from
     * within. reason is a literal. */
    void (*close)(struct pool_server *server, const char *reason);
    /* Gives a server to a waiter. server->state (which stays, and may be read here) tells how.
     * LEASED: on the thread of both, the waiter is NONE already. GRANTED: on any thread; the
     * session moves the server to the waiter's worker (it may be there already, where a third
     * thread decides) and calls pool_grant_arrived. Where the connection turns out to be dead on
     * the way, it calls pool_lost instead. */
    void (*granted)(struct pool_waiter *waiter, struct pool_server *server);
    /* The waiter's wait has ended without a connection. The refusal is copied by the callee before
     * it returns (failure_retain). The callee calls pool_refusal_arrived on the waiter's worker.
     * Runs on any thread. */
    void (*refused)(struct pool_waiter *waiter, const struct pool_refusal *refusal);
};

/* What SHOW POOLS tells. */
struct pool_counts {
    unsigned connecting, idle, granted, leased, closing;
    unsigned waiting; /* in line; not those to whom a connection is on its way */
    unsigned pinned;  /* pool_pin() */
    microseconds longest_wait;
    uint64_t leases;   /* since start, as all that follow: leases begun */
    uint64_t waits;    /* answers POOL_WAITS */
    uint64_t timeouts; /* refusals for TIMEOUT */
    uint64_t opened;   /* logged in */
    uint64_t lost;     /* ended by themselves, with a failure, after they were logged in */
};

/* Settings are retained. `workers`: their number. owner: the caller's, see pool_owner. seed:
 * jitter. */
struct pool *pool_new(struct settings *settings, unsigned workers,
                      const struct pool_methods *methods, void *owner, uint64_t seed);
/* No server connection, no waiter may be left. */
void pool_free(struct pool *pool);
void *pool_owner(struct pool *pool);
/* The current settings, with one reference for the caller. */
struct settings *pool_settings(struct pool *pool);

/*
 * A client asks for a server connection, on its worker; its waiter is NONE, and is not touched
 * where the answer is not POOL_WAITS. In this order: an idle one of the worker with the same
 * session_state, most recently used first; the most recently used of the worker; an idle one of
 * another worker (two phases: POOL_WAITS); a new one within size and overflow; a place in line.
 * Nobody who waits is overtaken, but within the fairness bound: a worker's own waiters go first
 * while the eldest of all has waited less than POOL_FAIRNESS. `max_waiting` does not count those
 * for whom a connection is being opened.
 */
#define POOL_FAIRNESS (5 * CLOCK_MILLISECOND)
enum pool_answer pool_lease(struct pool *pool, struct pool_waiter *waiter, unsigned worker,
                            const void *session_state, microseconds now,
                            struct pool_server **server, struct pool_refusal *refusal)
    __attribute__((warn_unused_result));
/* True where the lease should begin with a ping. Called by the lease's holder; takes no lock. */
bool pool_needs_ping(struct pool *pool, const struct pool_server *server, microseconds now);
/*
 * The lease ends, on the server's worker; the server is out of any transaction, its session_state
 * known. The policy grants it on, keeps it, or closes it.
 */
void pool_return(struct pool_server *server, microseconds now);
/* As pool_return, but the connection must not be used again. */
void pool_return_and_close(struct pool_server *server, const char *reason, microseconds now);

/*
 * A client is to keep its server connection beyond its transaction: counts it. False where
 * `max_pinned` do so already and it is not `forced`: then it is not counted. Any thread; no lock.
 */
bool pool_pin(struct pool *pool, bool forced) __attribute__((warn_unused_result));
void pool_unpin(struct pool *pool);
unsigned pool_pinned(struct pool *pool);
unsigned pool_max_pinned(struct pool *pool);
/* Clients of this pool ask for currval or lastval: true from the first pool_ask_sequences() on. Any
 * thread; no lock. */
void pool_ask_sequences(struct pool *pool);
bool pool_asks_sequences(struct pool *pool);

/* A server connection is logged in and idle. */
void pool_connected(struct pool_server *server, microseconds now);
/*
 * The connection is gone, its socket closed (another may be opened in its place from within); the
 * caller frees it afterwards. For every state but IDLE (that is
 * pool_idle_lost): CONNECTING and LEASED on its worker; CLOSING in answer to methods->close;
 * GRANTED after the call of methods->granted has reached the thread that finds it dead. `failure`
 * (borrowed, may be NULL) says why where the server or network failed; NULL where it was closed on
 * purpose or at the pool's wish. A failed CONNECTING backs off and, where no live connection and no
 * other attempt is left, refuses all who wait. The loss of a live connection with a failure makes
 * all that were last heard from before suspect. A GRANTED server's waiter gets an idle one if there
 * is one, or goes back to its place at the head of the line; where it has CANCELLED meanwhile,
 * methods->refused is called with POOL_REFUSED_GONE, so that its object becomes free by
 * pool_refusal_arrived as with any refusal.
 */
void pool_lost(struct pool_server *server, struct failure *failure, microseconds now);
/*
 * On the server's worker: a connection that it holds as idle has ended or must go. True: done as by
 * pool_lost, the caller frees it. False: nothing was done, for another thread has just decided to
 * close or to grant it, and the call of methods->close or methods->granted is on its way to this
 * worker: the object stays (stop reading from it), and pool_lost follows when the call arrives.
 */
bool pool_idle_lost(struct pool_server *server, struct failure *failure, microseconds now)
    __attribute__((warn_unused_result));

/* On the waiter's worker, second phase. True: the lease begins (LEASED, server->worker is the
 * waiter's). False: the waiter was cancelled; the server was returned to the pool on this worker
 * (state may be anything now), and the waiter is NONE: its memory is the caller's again. */
bool pool_grant_arrived(struct pool_waiter *waiter, struct pool_server *server, microseconds now)
    __attribute__((warn_unused_result));
/* On the waiter's worker. The waiter is NONE again. */
void pool_refusal_arrived(struct pool_waiter *waiter);
/*
 * The client no longer wants (gone, or cancelled). True: it is out of line, NONE. False: a grant or
 * refusal is under way; the waiter's memory must stay until it arrives.
 */
bool pool_cancel(struct pool_waiter *waiter) __attribute__((warn_unused_result));

/* About ten times a second, from any one thread: timeouts in line, idle_timeout, recycle of idle
 * connections, `warm` (on the workers in turn), retries after backoff. */
void pool_tick(struct pool *pool, microseconds now);

/* New settings: surplus idle connections close now, leased ones on return; where the server itself
 * changed (settings_same_server), every old connection does. */
void pool_reconfigure(struct pool *pool, struct settings *settings, microseconds now);
/* Suspends opening; refuses all who wait (SHUTDOWN) and closes idle connections. Irrevocable. */
void pool_shutdown(struct pool *pool, microseconds now);
struct pool_counts pool_count(struct pool *pool, microseconds now);
/* No connection and no waiter: may be freed. */
bool pool_is_empty(struct pool *pool);
/* For tests and the simulator: checks() that counts, lists and states agree, that nobody waits
 * while a connection is idle or could be opened, and that nothing is kept above size. */
void pool_check(struct pool *pool);

/* Attempts to open a connection back off from here, doubling with jitter, up to there; until one
 * succeeds there is one at a time. */
#define POOL_BACKOFF_LEAST (100 * CLOCK_MILLISECOND)
#define POOL_BACKOFF_MOST (5 * CLOCK_SECOND)

#endif
