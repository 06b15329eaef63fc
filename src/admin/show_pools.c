#include "admin/console.h"
#include "admin/show_row.h"
#include "io/loop.h"
#include "pg/reply.h"
#include "pool/registry.h"
#include "session/worker.h"

/* PgBouncer's columns first, in its order, then our own. Clients are counted by the workers'
 * visits: see show_pools_clients in the rows' last columns. */
static const struct reply_column columns[] = {
    {"database", REPLY_TEXT},   {"user", REPLY_TEXT},       {"cl_active", REPLY_INT8},
    {"cl_waiting", REPLY_INT8}, {"sv_active", REPLY_INT8},  {"sv_idle", REPLY_INT8},
    {"sv_used", REPLY_INT8},    {"sv_tested", REPLY_INT8},  {"sv_login", REPLY_INT8},
    {"maxwait", REPLY_INT8},    {"maxwait_us", REPLY_INT8}, {"pool_mode", REPLY_TEXT},
    {"size", REPLY_INT8},       {"overflow", REPLY_INT8},   {"leases", REPLY_INT8},
    {"waits", REPLY_INT8},      {"timeouts", REPLY_INT8},   {"opened", REPLY_INT8},
    {"lost", REPLY_INT8},
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

struct show_pools {
    struct buffer *reply;
    microseconds now;
};

static void show_pool(struct pool *pool, void *context)
{
    struct show_pools *show = context;
    struct settings *settings = pool_settings(pool);
    struct pool_counts counts = pool_count(pool, show->now);
    struct show_row row = {0};
    show_row_text(&row, settings->database);
    show_row_text(&row, settings->user);
    show_row_number(&row, counts.leased);
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
    show_row_send(&row, show->reply);
    settings_release(&settings);
}

static void begin(struct console_request *request, struct worker *worker)
{
    struct show_pools show = {.reply = console_request_reply(request),
                              .now = loop_now(worker->loop)};
    reply_row_description(show.reply, columns, sizeof columns / sizeof columns[0]);
    registry_visit(worker->service->registry, show_pool, &show);
}

const struct console_command console_show_pools = {
    .words = "SHOW POOLS", .begin = begin, .tag = "SHOW"};
