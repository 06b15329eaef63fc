#include "session/refusal.h"

#include "base/memory.h"
#include "config/settings.h"
#include "pg/sqlstate.h"

#include <stdlib.h>

#define REFUSAL_SECONDS(time) ((double)(time) / 1e6)

/* Takes the texts over. */
static struct failure *refusal_new(const char *sqlstate, char *message, char *detail,
                                   const char *hint)
{
    struct failure *failure = failure_new(sqlstate, message, detail, hint);
    free(message);
    free(detail);
    return failure;
}

static char *refusal_figures(const struct pool_refusal *refusal)
{
    return memory_printf("Connections in use: %u; clients that are pinned to one: %u; other "
                         "clients in line: %u.",
                         refusal->in_use, refusal->pinned, refusal->waiting);
}

static const char *refusal_detail(const struct failure *failure)
{
    return failure->detail != NULL ? failure->detail : "";
}

static const char *refusal_blank(const struct failure *failure)
{
    return failure->detail != NULL ? " " : "";
}

static struct failure *refusal_at_limit(const struct settings *settings,
                                        const struct pool_refusal *refusal)
{
    char *message = memory_printf("pool of database \"%s\", user \"%s\" is at its limit: size %u, "
                                  "overflow %u; waited %.1f s for a connection",
                                  settings->database, settings->user, refusal->size,
                                  refusal->overflow, REFUSAL_SECONDS(refusal->waited));
    return refusal_new(SQLSTATE_TOO_MANY_CONNECTIONS, message, refusal_figures(refusal),
                       "Shorten transactions, or raise size, overflow or timeout.");
}

/* Why the pool has not grown to its limit meanwhile. */
static char *refusal_why_no_more(const struct settings *settings,
                                 const struct pool_refusal *refusal)
{
    const struct failure *failure = refusal->failure;
    if (failure != NULL)
        return memory_printf("No more can be opened: %s.%s%s", failure->message,
                             refusal_blank(failure), refusal_detail(failure));
    if (refusal->coming > 0)
        return memory_printf("Connections being opened: %u; connect_timeout allows each host "
                             "%.1f s.",
                             refusal->coming, REFUSAL_SECONDS(settings->connect_timeout));
    return refusal_figures(refusal);
}

static struct failure *refusal_below_limit(const struct settings *settings,
                                           const struct pool_refusal *refusal)
{
    char *message = memory_printf(
        "pool of database \"%s\", user \"%s\" has no free connection: %u in use of size %u, "
        "overflow %u; waited %.1f s for a connection",
        settings->database, settings->user, refusal->in_use, refusal->size, refusal->overflow,
        REFUSAL_SECONDS(refusal->waited));
    return refusal_new(SQLSTATE_TOO_MANY_CONNECTIONS, message,
                       refusal_why_no_more(settings, refusal),
                       "Shorten transactions, or do away with what keeps the pool from growing.");
}

static struct failure *refusal_none_open(const struct settings *settings,
                                         const struct pool_refusal *refusal)
{
    char *message =
        memory_printf("pool of database \"%s\", user \"%s\" could not open a connection to the "
                      "server in time; waited %.1f s",
                      settings->database, settings->user, REFUSAL_SECONDS(refusal->waited));
    return refusal_new(SQLSTATE_CANNOT_CONNECT, message, refusal_why_no_more(settings, refusal),
                       "Is the server slow to let in, or the network silent? A connect_timeout "
                       "below timeout tells which.");
}

static struct failure *refusal_timeout(const struct settings *settings,
                                       const struct pool_refusal *refusal)
{
    if (refusal->open == 0)
        return refusal_none_open(settings, refusal);
    if (refusal->open < refusal->size + refusal->overflow)
        return refusal_below_limit(settings, refusal);
    return refusal_at_limit(settings, refusal);
}

static struct failure *refusal_line_full(const struct settings *settings,
                                         const struct pool_refusal *refusal)
{
    char *message = memory_printf("pool of database \"%s\", user \"%s\" is at its limit: size %u, "
                                  "overflow %u; %u clients are waiting already",
                                  settings->database, settings->user, refusal->size,
                                  refusal->overflow, refusal->max_waiting);
    return refusal_new(SQLSTATE_TOO_MANY_CONNECTIONS, message, refusal_figures(refusal),
                       "Shorten transactions, or raise size, overflow or max_waiting.");
}

/* The server's or the network's word, and how the pool stands. */
static struct failure *refusal_unreachable(const struct settings *settings,
                                           const struct pool_refusal *refusal)
{
    const struct failure *failure = refusal->failure;
    if (failure == NULL)
        return failure_new(SQLSTATE_CANNOT_CONNECT, "cannot connect to the server", NULL, NULL);
    char *detail = memory_printf(
        "%s%sThe pool of database \"%s\", user \"%s\" has %s; failed attempts in a row: %u, the "
        "next in %.1f s at the earliest.",
        refusal_detail(failure), refusal_blank(failure), settings->database, settings->user,
        refusal->ever_opened ? "no connection left" : "never had a connection", refusal->failures,
        REFUSAL_SECONDS(refusal->retry_in));
    return refusal_new(failure->sqlstate, memory_string(failure->message), detail, failure->hint);
}

struct failure *refusal_failure(struct pool *pool, const struct pool_refusal *refusal)
{
    struct settings *settings = pool_settings(pool);
    struct failure *failure = NULL;
    switch (refusal->reason) {
    case POOL_REFUSED_TIMEOUT:
        failure = refusal_timeout(settings, refusal);
        break;
    case POOL_REFUSED_LINE_FULL:
        failure = refusal_line_full(settings, refusal);
        break;
    case POOL_REFUSED_UNREACHABLE:
        failure = refusal_unreachable(settings, refusal);
        break;
    case POOL_REFUSED_SHUTDOWN:
        failure = failure_new(SQLSTATE_ADMIN_SHUTDOWN,
                              "terminating connection due to administrator command",
                              "pgsluice is shutting down.", NULL);
        break;
    case POOL_REFUSED_GONE:
        break;
    }
    settings_release(&settings);
    return failure;
}
