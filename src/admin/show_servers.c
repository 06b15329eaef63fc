#include "admin/console.h"
#include "admin/show_row.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/reply.h"
#include "session/client.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/parameters.h"
#include "state/statement.h"

#include <stdio.h>

/* PgBouncer's columns first, in its order, then our own. */
static const struct reply_column columns[] = {
    {"type", REPLY_TEXT},
    {"user", REPLY_TEXT},
    {"database", REPLY_TEXT},
    {"state", REPLY_TEXT},
    {"addr", REPLY_TEXT},
    {"port", REPLY_INT4},
    {"local_addr", REPLY_TEXT},
    {"local_port", REPLY_INT4},
    {"connect_time", REPLY_TEXT},
    {"request_time", REPLY_TEXT},
    {"wait", REPLY_INT4},
    {"wait_us", REPLY_INT4},
    {"close_needed", REPLY_INT4},
    {"ptr", REPLY_TEXT},
    {"link", REPLY_TEXT},
    {"remote_pid", REPLY_INT4},
    {"tls", REPLY_TEXT},
    {"application_name", REPLY_TEXT},
    {"prepared_statements", REPLY_INT4},
    {"leases", REPLY_INT8},
    {"worker", REPLY_INT4},
};

static void begin(struct console_request *request, struct worker *worker)
{
    (void)worker;
    reply_row_description(console_request_reply(request), columns,
                          sizeof columns / sizeof columns[0]);
}

static void show_server(struct console_request *request, const struct worker *worker,
                        const struct server *server)
{
    microseconds now = loop_now(worker->loop);
    char id[32], link[32] = "";
    snprintf(id, sizeof id, "%u", server->backend_pid);
    if (server->client != NULL)
        snprintf(link, sizeof link, "%u", client_pid(server->client));
    const char *application =
        server->parameters != NULL ? parameters_find(server->parameters, "application_name") : NULL;
    struct show_row row = {0};
    show_row_text(&row, "S");
    show_row_text(&row, server->settings->user);
    show_row_text(&row, server->settings->database);
    show_row_text(&row, server_state_name(server->state));
    show_row_address(&row, server->address.length > 0 ? &server->address : NULL);
    show_row_text(&row, "");
    show_row_number(&row, 0);
    show_row_time(&row, server->member.opened_at, now);
    show_row_time(&row, server->leased_at, now);
    show_row_number(&row, 0);
    show_row_number(&row, 0);
    show_row_number(&row, server->retire);
    show_row_text(&row, id);
    show_row_text(&row, link);
    show_row_number(&row, server->backend_pid);
    show_row_text(&row, "");
    show_row_text(&row, application != NULL ? application : "");
    show_row_number(&row, statement_cache_count(server->prepared));
    show_row_number(&row, server->leases);
    show_row_number(&row, worker->number);
    show_row_send(&row, console_request_reply(request));
}

static void visit(struct console_request *request, struct worker *worker)
{
    const struct server *server;
    TAILQ_FOREACH (server, &worker->servers, link)
        show_server(request, worker, server);
}

const struct console_command console_show_servers = {
    .words = "SHOW SERVERS", .begin = begin, .visit = visit, .tag = "SHOW"};
