#include "admin/console.h"
#include "admin/show_row.h"
#include "base/memory.h"
#include "io/loop.h"
#include "pg/reply.h"
#include "pool/registry.h"
#include "session/client.h"
#include "session/client_pin.h"
#include "session/worker.h"

#include <stdlib.h>
#include <uthash.h>

/* PgBouncer's columns first, in its order, then our own. */
static const struct reply_column columns[] = {
    {"database", REPLY_TEXT},   {"user", REPLY_TEXT},       {"cl_active", REPLY_INT8},
    {"cl_waiting", REPLY_INT8}, {"sv_active", REPLY_INT8},  {"sv_idle", REPLY_INT8},
    {"sv_used", REPLY_INT8},    {"sv_tested", REPLY_INT8},  {"sv_login", REPLY_INT8},
    {"maxwait", REPLY_INT8},    {"maxwait_us", REPLY_INT8}, {"pool_mode", REPLY_TEXT},
    {"size", REPLY_INT8},       {"overflow", REPLY_INT8},   {"leases", REPLY_INT8},
    {"waits", REPLY_INT8},      {"timeouts", REPLY_INT8},   {"opened", REPLY_INT8},
    {"lost", REPLY_INT8},       {"pinned", REPLY_INT8},     {"max_pinned", REPLY_INT8},
};

static const char *mode_name(enum settings_mode mode)
{
    switch (mode) {
    case SETTINGS_TRANSACTION:
        return "transaction";
    case SETTINGS_SESSION:
        return "session";
    case SETTINGS_STATEMENT:
        return "statement";
    }
    return "?";
}

/* As PgBouncer counts: clients that are idle, or have a server connection. */
struct show_pools_clients {
    const struct pool *pool; /* the key */
    uint64_t active;
    uint64_t pinned;
    UT_hash_handle hh;
};

struct show_pools {
    struct buffer *reply;
    struct show_pools_clients *clients;
    microseconds now;
};

static struct show_pools_clients count_of(const struct show_pools_clients *clients,
                                          const struct pool *pool)
{
    const struct show_pools_clients *found;
    HASH_FIND_PTR(clients, &pool, found);
    return found != NULL ? *found : (struct show_pools_clients){0};
}

static void show_pool(struct pool *pool, void *context)
{
    struct show_pools *show = context;
    struct settings *settings = pool_settings(pool);
    struct pool_counts counts = pool_count(pool, show->now);
    struct show_pools_clients clients = count_of(show->clients, pool);
    struct show_row row = {0};
    show_row_text(&row, settings->database);
    show_row_text(&row, settings->user);
    show_row_number(&row, clients.active);
    show_row_number(&row, counts.waiting);
    show_row_number(&row, counts.leased + counts.granted);
    show_row_number(&row, counts.idle);
    show_row_number(&row, 0);
    show_row_number(&row, 0);
    show_row_number(&row, counts.connecting);
    show_row_number(&row, (uint64_t)(counts.longest_wait / CLOCK_SECOND));
    show_row_number(&row, (uint64_t)(counts.longest_wait % CLOCK_SECOND));
    show_row_text(&row, mode_name(settings->mode));
    show_row_number(&row, settings->size);
    show_row_number(&row, settings->overflow);
    show_row_number(&row, counts.leases);
    show_row_number(&row, counts.waits);
    show_row_number(&row, counts.timeouts);
    show_row_number(&row, counts.opened);
    show_row_number(&row, counts.lost);
    show_row_number(&row, clients.pinned);
    show_row_number(&row, pool_max_pinned(pool));
    show_row_send(&row, show->reply);
    settings_release(&settings);
}

static void begin(struct console_request *request, struct worker *worker)
{
    (void)worker;
    reply_row_description(console_request_reply(request), columns,
                          sizeof columns / sizeof columns[0]);
}

static void visit(struct console_request *request, struct worker *worker)
{
    struct show_pools_clients *counts = *console_request_state(request), *found;
    const struct client *client;
    TAILQ_FOREACH (client, &worker->clients, link) {
        if (client->pool == NULL || (client->state == CLIENT_WAITING && client->server == NULL))
            continue;
        HASH_FIND_PTR(counts, &client->pool, found);
        if (found == NULL) {
            found = memory_new(struct show_pools_clients);
            found->pool = client->pool;
            HASH_ADD_PTR(counts, pool, found);
        }
        found->active++;
        found->pinned += client_pin_holds(client);
    }
    *console_request_state(request) = counts;
}

static void end(struct console_request *request, struct worker *worker)
{
    struct show_pools show = {.reply = console_request_reply(request),
                              .clients = *console_request_state(request),
                              .now = loop_now(worker->loop)};
    struct show_pools_clients *item, *next;
    registry_visit(worker->service->registry, show_pool, &show);
    HASH_ITER (hh, show.clients, item, next) {
        HASH_DEL(show.clients, item);
        free(item);
    }
}

const struct console_command console_show_pools = {
    .words = "SHOW POOLS", .begin = begin, .visit = visit, .end = end, .tag = "SHOW"};
