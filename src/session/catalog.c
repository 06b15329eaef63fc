#include "session/catalog.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "session/ask.h"
#include "session/client.h"
#include "session/question.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/parameters.h"
#include "state/routines.h"
#include "state/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CATALOG_TRUST (60 * CLOCK_SECOND)
/* After a question that has failed. */
#define CATALOG_RETRY (5 * CLOCK_SECOND)

/* Beyond one of these, nothing is looked through. */
#define CATALOG_MOST_ROUTINES "20000"
#define CATALOG_MOST_BYTES "2097152"

struct catalog {
    const struct pool *pool; /* the key */
    /* Read without the lock: */
    _Atomic microseconds due_at; /* 0: at once */
    _Atomic uint64_t generation; /* of `routines`; 0: nothing is known */
    /* Under the lock: */
    struct routines *routines; /* owned reference, or NULL */
    char *mark;                /* owned; what the server has called this state; or NULL */
    uint64_t asked;            /* counts questions and what makes them due */
    uint64_t answered;         /* the question that `routines` is from */
    uint64_t expired;          /* what was asked before this is out of date */
    UT_hash_handle hh;
};

static struct lock catalog_lock;
static struct catalog *catalogs;
static pthread_once_t catalog_once = PTHREAD_ONCE_INIT;

static void catalog_init(void)
{
    lock_init(&catalog_lock, "catalogs");
}

static void catalog_take_lock(void)
{
    pthread_once(&catalog_once, catalog_init);
    lock_take(&catalog_lock);
}

struct catalog *catalog_of(const struct pool *pool)
{
    struct catalog *catalog;
    catalog_take_lock();
    HASH_FIND_PTR(catalogs, &pool, catalog);
    if (catalog == NULL) {
        catalog = memory_new(struct catalog);
        catalog->pool = pool;
        HASH_ADD_PTR(catalogs, pool, catalog);
    }
    lock_release(&catalog_lock);
    return catalog;
}

void catalog_follow(struct server *server)
{
    struct catalog *catalog = server->catalog;
    if (atomic_load_explicit(&catalog->generation, memory_order_acquire) ==
        server->catalog_generation)
        return;
    catalog_take_lock();
    struct routines *before = server->routines;
    server->routines = routines_retain(catalog->routines);
    server->catalog_generation = atomic_load(&catalog->generation);
    lock_release(&catalog_lock);
    routines_release(&before);
}

/* Of those who find it old, one asks; where it is missing or known to be wrong, each does. */
bool catalog_is_due(struct server *server)
{
    struct catalog *catalog = server->catalog;
    microseconds now = loop_now(server->worker->loop);
    microseconds due_at = atomic_load_explicit(&catalog->due_at, memory_order_relaxed);
    if (now < due_at)
        return false;
    return due_at == 0 ||
           atomic_compare_exchange_strong(&catalog->due_at, &due_at, now + CATALOG_TRUST);
}

/* ---- The question ---- */

/* Ahead of it: whatever the session's settings are, it ends soon and waits for nobody. */
#define CATALOG_LIMITS                                                                             \
    "SET TRANSACTION NOT DEFERRABLE;"                                                              \
    "SELECT '', pg_catalog.concat(pg_catalog.set_config('statement_timeout', '3s', true),"         \
    " pg_catalog.set_config('lock_timeout', '200ms', true),"                                       \
    " pg_catalog.set_config('jit', 'off', true));"

/* Functions in C are what they are called (session_functions), and PostgreSQL's own are known. */
#define CATALOG_ROUTINES                                                                           \
    "WITH routines AS MATERIALIZED (SELECT p.oid AS o, p.xmin AS x, p.prolang AS l,"               \
    " pg_catalog.octet_length(p.prosrc) AS s, p.oid OPERATOR(pg_catalog.=) ANY"                    \
    " (SELECT tgfoid FROM pg_catalog.pg_trigger WHERE NOT tgisinternal) AS t"                      \
    " FROM pg_catalog.pg_proc AS p"                                                                \
    " WHERE p.prolang OPERATOR(pg_catalog.>=) 14::pg_catalog.oid"                                  \
    " AND p.pronamespace OPERATOR(pg_catalog.<>) 11::pg_catalog.oid),"                             \
    " mark AS MATERIALIZED (SELECT pg_catalog.hashtextextended(pg_catalog.concat("                 \
    "pg_catalog.string_agg(pg_catalog.concat(o, ':', x, ':', t), ',' ORDER BY o)),"                \
    " 0::pg_catalog.int8) AS m,"                                                                   \
    " pg_catalog.count(*) OPERATOR(pg_catalog.<=) " CATALOG_MOST_ROUTINES "::pg_catalog.int8"      \
    " AND coalesce(pg_catalog.sum(s), 0::pg_catalog.int8) "                                        \
    "OPERATOR(pg_catalog.<=) " CATALOG_MOST_BYTES "::pg_catalog.int8 AS few FROM routines)"        \
    " SELECT '" QUESTION_ROUTINE "', pg_catalog.concat(few, m) FROM mark UNION ALL"                \
    " SELECT pg_catalog.concat('" QUESTION_ROUTINE "', CASE WHEN t THEN 't' ELSE 'f' END,"         \
    " CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_language AS g"                                   \
    " WHERE g.oid OPERATOR(pg_catalog.=) l AND g.lanname OPERATOR(pg_catalog.=)"                   \
    " ANY (ARRAY['sql', 'plpgsql']::pg_catalog.name[])) THEN 's' ELSE 'o' END,"                    \
    " pg_catalog.regexp_replace(p.proname::pg_catalog.text, E'[^\\x02-\\x7f]', E'\\x01', 'g')),"   \
    " pg_catalog.regexp_replace("

#define CATALOG_BODY "p.prosrc"
/* A body as PostgreSQL 14 and later may keep it. */
#define CATALOG_BODY_14                                                                            \
    "CASE WHEN p.prosqlbody IS NULL THEN p.prosrc"                                                 \
    " ELSE pg_catalog.pg_get_function_sqlbody(p.oid) END"

#define CATALOG_REST                                                                               \
    ", E'[^\\x02-\\x7f]', E'\\x01', 'g')"                                                          \
    " FROM routines, pg_catalog.pg_proc AS p WHERE p.oid OPERATOR(pg_catalog.=) o"                 \
    " AND (SELECT few AND pg_catalog.concat(few, m) OPERATOR(pg_catalog.<>) '"

static bool catalog_has_sql_bodies(const struct server *server)
{
    const char *version = parameters_find(server->parameters, "server_version");
    return version != NULL && strtol(version, NULL, 10) >= 14;
}

/* A mark: "t" or "f", and a number. */
static bool catalog_is_mark(const char *mark)
{
    return (mark[0] == 't' || mark[0] == 'f') && mark[1] != '\0' &&
           mark[1 + strspn(mark + 1, "-0123456789")] == '\0';
}

bool catalog_ask(struct server *server)
{
    struct catalog *catalog = server->catalog;
    question_free(&server->question);
    server->question = question_new();
    server->question->asked = ASK_CATALOG;
    catalog_take_lock();
    server->question->number = ++catalog->asked;
    char *sql =
        memory_printf("%s%s%s%s%s'::pg_catalog.text FROM mark)", CATALOG_LIMITS, CATALOG_ROUTINES,
                      catalog_has_sql_bodies(server) ? CATALOG_BODY_14 : CATALOG_BODY, CATALOG_REST,
                      catalog->mark != NULL ? catalog->mark : "");
    lock_release(&catalog_lock);
    bool sent = server_query(server, SERVER_NOTE_ASK, sql);
    free(sql);
    return sent;
}

/* ---- The answer ---- */

/* Its mark, which owns nothing; or NULL. */
static const char *catalog_answered_mark(const struct question *question)
{
    const char *mark = pairs_find(&question->routines, "");
    return !question->malformed && mark != NULL && catalog_is_mark(mark) ? mark : NULL;
}

static struct routines *catalog_read(const struct pairs *rows)
{
    struct routine *list = memory_zeroed((rows->count + 1) * sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const struct pair *row = &rows->items[i];
        if (strlen(row->name) < 2) /* the mark's */
            continue;
        list[count++] = (struct routine){
            .name = row->name + 2,
            .body = row->value,
            .is_trigger = row->name[0] == 't',
            .is_sql = row->name[1] == 's',
        };
    }
    struct routines *routines = routines_new(list, count);
    free(list);
    return routines;
}

/* Where functions have changed for one pool, they have for others of its database. */
static void catalog_expire_others(const struct catalog *changed)
{
    for (struct catalog *catalog = catalogs; catalog != NULL; catalog = catalog->hh.next) {
        if (catalog == changed)
            continue;
        catalog->expired = ++catalog->asked;
        atomic_store(&catalog->due_at, 0);
    }
}

/* Under the lock. The set is consumed where it is taken, else left to the caller. */
static void catalog_store(struct catalog *catalog, uint64_t number, const char *mark,
                          struct routines **routines)
{
    if (number < catalog->answered)
        return;
    catalog->answered = number;
    if (catalog->mark != NULL && strcmp(catalog->mark, mark) == 0)
        return;
    if (catalog->mark != NULL)
        catalog_expire_others(catalog);
    free(catalog->mark);
    catalog->mark = memory_string(mark);
    struct routines *before = catalog->routines;
    catalog->routines = *routines;
    *routines = before;
    atomic_store(&catalog->generation, number);
}

static bool catalog_is_known(struct catalog *catalog, const char *mark)
{
    catalog_take_lock();
    bool known = catalog->mark != NULL && strcmp(catalog->mark, mark) == 0;
    lock_release(&catalog_lock);
    return known;
}

static void catalog_set_due(struct catalog *catalog, uint64_t number, microseconds due_at)
{
    if (number >= catalog->expired)
        atomic_store(&catalog->due_at, due_at);
}

static void catalog_failed(struct server *server, const struct question *question)
{
    char prefix[SERVER_PREFIX_SIZE];
    server_prefix(server, prefix);
    log_debug(prefix, "does not tell what functions there are: %s",
              server->failure != NULL ? server->failure->message : "no answer");
    catalog_take_lock();
    catalog_set_due(server->catalog, question->number,
                    loop_now(server->worker->loop) + CATALOG_RETRY);
    lock_release(&catalog_lock);
}

static void catalog_tell_many(const struct server *server)
{
    char prefix[SERVER_PREFIX_SIZE];
    server_prefix(server, prefix);
    log_warning(prefix, "the database has too many functions to look them through: each "
                        "transaction's session state is asked for");
}

void catalog_take_answer(struct server *server, bool failed)
{
    struct question *question = server->question;
    struct catalog *catalog = server->catalog;
    server->question = NULL;
    const char *mark = failed ? NULL : catalog_answered_mark(question);
    if (mark == NULL) {
        catalog_failed(server, question);
    } else {
        bool few = mark[0] == 't';
        bool known = catalog_is_known(catalog, mark);
        if (!known && !few)
            catalog_tell_many(server);
        struct routines *routines = NULL; /* a set is made outside of the lock: it takes a while */
        if (!known)
            routines = few ? catalog_read(&question->routines) : routines_unknown();
        catalog_take_lock();
        catalog_store(catalog, question->number, mark, &routines);
        catalog_set_due(catalog, question->number, loop_now(server->worker->loop) + CATALOG_TRUST);
        lock_release(&catalog_lock);
        routines_release(&routines);
    }
    failure_release(&server->failure);
    question_free(&question);
    catalog_follow(server);
}

void catalog_expire(const struct server *server)
{
    catalog_take_lock();
    server->catalog->expired = ++server->catalog->asked;
    atomic_store(&server->catalog->due_at, 0);
    lock_release(&catalog_lock);
}

void catalog_expire_all(void)
{
    catalog_take_lock();
    catalog_expire_others(NULL);
    lock_release(&catalog_lock);
}

void catalog_forget_all(void)
{
    struct catalog *catalog, *next;
    catalog_take_lock();
    HASH_ITER (hh, catalogs, catalog, next) {
        HASH_DEL(catalogs, catalog);
        routines_release(&catalog->routines);
        free(catalog->mark);
        free(catalog);
    }
    lock_release(&catalog_lock);
}
