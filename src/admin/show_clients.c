#include "admin/console.h"
#include "admin/show_row.h"
#include "config/settings.h"
#include "io/loop.h"
#include "io/stream.h"
#include "pg/reply.h"
#include "session/client.h"
#include "session/client_listen.h"
#include "session/client_pin.h"
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
    {"pinned", REPLY_TEXT},
    {"pinned_at", REPLY_TEXT},
    {"transactions", REPLY_INT8},
    {"worker", REPLY_INT4},
    {"channels", REPLY_INT4},
};

static void begin(struct console_request *request, struct worker *worker)
{
    (void)worker;
    reply_row_description(console_request_reply(request), columns,
                          sizeof columns / sizeof columns[0]);
}

/* PgBouncer's word for a state: active is who is idle or leases, waiting is who waits. */
static const char *state_text(const struct client *client)
{
    return client->state == CLIENT_WAITING ? "waiting" : "active";
}

static void show_client(struct console_request *request, const struct worker *worker,
                        const struct client *client)
{
    microseconds now = loop_now(worker->loop);
    microseconds wait = client->state == CLIENT_WAITING ? now - client->request_at : 0;
    char id[32], link[32] = "";
    snprintf(id, sizeof id, "%u", client_pid(client));
    if (client->server != NULL)
        snprintf(link, sizeof link, "%u", client->server->backend_pid);
    const char *application =
        client->told != NULL ? parameters_find(client->told, "application_name") : NULL;
    char pins[PIN_TEXT_SIZE];
    struct address peer;
    pin_format(client->pins | (client_listen_keeps(client) ? PIN_LISTEN : 0), pins);
    struct show_row row = {0};
    show_row_text(&row, "C");
    show_row_text(&row,
                  client->settings != NULL ? client->settings->user : client_login_user(client));
    show_row_text(&row, client->settings != NULL ? client->settings->database : "pgsluice");
    show_row_text(&row, state_text(client));
    show_row_address(&row, stream_peer(&client->stream, &peer) ? &peer : NULL);
    show_row_text(&row, "");
    show_row_number(&row, 0);
    show_row_time(&row, client->connected_at, now);
    show_row_time(&row, client->request_at, now);
    show_row_number(&row, (uint64_t)(wait / CLOCK_SECOND));
    show_row_number(&row, (uint64_t)(wait % CLOCK_SECOND));
    show_row_number(&row, 0);
    show_row_text(&row, id);
    show_row_text(&row, link);
    show_row_number(&row, client->server != NULL ? client->server->backend_pid : 0);
    show_row_text(&row, "");
    show_row_text(&row, application != NULL ? application : "");
    show_row_number(&row, statement_names_count(client->statements));
    show_row_text(&row, pins);
    if (client_pin_holds(client))
        show_row_time(&row, client->pinned_at, now);
    else
        show_row_text(&row, "");
    show_row_number(&row, client->transactions);
    show_row_number(&row, worker->number);
    show_row_number(&row, client_listen_count(client));
    show_row_send(&row, console_request_reply(request));
}

static void visit(struct console_request *request, struct worker *worker)
{
    const struct client *client;
    TAILQ_FOREACH (client, &worker->clients, link)
        show_client(request, worker, client);
}

const struct console_command console_show_clients = {
    .words = "SHOW CLIENTS", .begin = begin, .visit = visit, .tag = "SHOW"};
