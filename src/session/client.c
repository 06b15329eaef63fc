#include "session/client.h"
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/message.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "session/ask.h"
#include "session/cancel.h"
#include "session/client_listen.h"
#include "session/client_pin.h"
#include "session/lease.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/guc.h"
#include "state/parameters.h"
#include "state/statement.h"

#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define CLIENT_MAGIC 0x434c4e54u

static void client_on_readable(struct stream *stream);
static void client_on_drained(struct stream *stream);

static const struct stream_handler client_handler = {
    .on_readable = client_on_readable,
    .on_drained = client_on_drained,
};

static struct client *client_of(struct stream *stream)
{
    struct client *client = container_of(stream, struct client, stream);
    return object_cast(struct client, client, CLIENT_MAGIC);
}

const char *client_state_name(enum client_state state)
{
    switch (state) {
    case CLIENT_STARTUP:
        return "startup";
    case CLIENT_AUTHENTICATING:
        return "authenticating";
    case CLIENT_GREETING:
        return "greeting";
    case CLIENT_CANCELLING:
        return "cancelling";
    case CLIENT_IDLE:
        return "idle";
    case CLIENT_WAITING:
        return "waiting";
    case CLIENT_ACTIVE:
        return "active";
    case CLIENT_CONSOLE:
        return "console";
    case CLIENT_CLOSING:
        return "closing";
    case CLIENT_GONE:
        return "gone";
    }
    return "?";
}

/* The worker's list for a state; NULL for none. */
static struct worker_clients *client_list(struct worker *worker, enum client_state state)
{
    switch (state) {
    case CLIENT_STARTUP:
    case CLIENT_AUTHENTICATING:
    case CLIENT_GREETING:
    case CLIENT_CANCELLING:
        return &worker->logins;
    case CLIENT_IDLE:
    case CLIENT_WAITING:
    case CLIENT_ACTIVE:
    case CLIENT_CONSOLE:
        return &worker->clients;
    case CLIENT_CLOSING:
        return &worker->closing;
    case CLIENT_GONE:
        return NULL;
    }
    return NULL;
}

void client_set_state(struct client *client, enum client_state state)
{
    enum client_state old = client->state;
    check(old != CLIENT_GONE);
    check(old != CLIENT_CLOSING || state == CLIENT_GONE);
    struct worker_clients *from = client_list(client->worker, old);
    struct worker_clients *to = client_list(client->worker, state);
    if (from != to) {
        TAILQ_REMOVE(from, client, link);
        if (to != NULL)
            TAILQ_INSERT_TAIL(to, client, link);
    }
    client->state = (uint8_t)state;
    if (log_enabled(LOG_SEVERITY_DEBUG)) {
        char prefix[CLIENT_PREFIX_SIZE];
        client_prefix(client, prefix);
        log_debug(prefix, "%s -> %s", client_state_name(old), client_state_name(state));
    }
}

bool client_is_idle(const struct client *client)
{
    if (client->state != CLIENT_ACTIVE)
        return client->state == CLIENT_IDLE;
    const struct server *server = client->server;
    return server != NULL && server->state == SERVER_LEASED &&
           pipeline_is_empty(&server->pipeline) && server->transaction_status == MESSAGE_IDLE &&
           client->passing == 0;
}

static atomic_uint_fast64_t client_serials;

void client_accept(struct worker *worker, int descriptor)
{
    struct client *client = memory_new(struct client);
    client->magic = CLIENT_MAGIC;
    client->state = CLIENT_STARTUP;
    client->worker = worker;
    client->serial = atomic_fetch_add_explicit(&client_serials, 1, memory_order_relaxed) + 1;
    client->connected_at = client->request_at = loop_now(worker->loop);
    client->slot = worker_take_slot(worker, client);
    /* A predictable secret would let strangers cancel: without randomness there is no service. */
    check(RAND_bytes((unsigned char *)&client->secret, sizeof client->secret) == 1);
    client->startup_gucs = guc_empty();
    client->gucs = guc_empty();
    TAILQ_INSERT_TAIL(&worker->logins, client, link);
    stream_open(&client->stream, worker->loop, descriptor, &client_handler);
    if (worker->draining)
        client_drain(client, true);
}

uint32_t client_pid(const struct client *client)
{
    return cancel_pid(client->worker->number, client->slot);
}

void client_prefix(struct client *client, char prefix[CLIENT_PREFIX_SIZE])
{
    char address[ADDRESS_TEXT_SIZE] = "?";
    struct address peer;
    if (stream_is_open(&client->stream) && stream_peer(&client->stream, &peer))
        address_format(&peer, address);
    const char *database = client->settings != NULL ? client->settings->database : "-";
    const char *user = client->settings != NULL ? client->settings->user : "-";
    if (client->settings == NULL && client_login_user(client) != NULL)
        user = client_login_user(client);
    snprintf(prefix, CLIENT_PREFIX_SIZE, "client %u %.48s/%.48s@%.60s", client_pid(client),
             database, user, address);
}

bool client_send(struct client *client, struct buffer *buffer)
{
    enum stream_result result =
        stream_write(&client->stream, buffer_bytes(buffer), buffer_length(buffer));
    buffer_clear(buffer);
    if (result == STREAM_FAILED) {
        client_close(client, "connection lost");
        return false;
    }
    return true;
}

static void client_release_memory(void *object)
{
    struct client *client = object_cast(struct client, object, CLIENT_MAGIC);
    client->magic = 0;
    free(client);
}

/* After the pool and the mailbox have let go of it. */
void client_free_when_unheld(struct client *client)
{
    if (client->state == CLIENT_GONE && !client->held)
        loop_defer(client->worker->loop, client_release_memory, client);
}

static void client_leave_line(struct client *client)
{
    if (!client->in_line)
        return;
    client->in_line = false;
    client->held = !pool_cancel(&client->waiter);
}

static void client_free_parts(struct client *client)
{
    stream_close(&client->stream);
    client_login_free(&client->login);
    if (client->input != NULL) {
        buffer_release(client->input);
        free(client->input);
        client->input = NULL;
    }
    if (client->custom_names != NULL) {
        pairs_clear(client->custom_names);
        free(client->custom_names);
        client->custom_names = NULL;
    }
    statement_names_clear(&client->statements);
    statement_release(&client->unnamed);
    guc_release(&client->gucs);
    guc_release(&client->startup_gucs);
    parameters_release(&client->told);
    failure_release(&client->failure);
    settings_release(&client->settings);
    worker_free_slot(client->worker, client->slot);
}

/* Gives up the place in line or the lease, and a cancel request that it brought. */
static void client_let_go(struct client *client)
{
    client_leave_line(client);
    client_listen_free(client);
    struct server *server = client->server;
    if (server != NULL)
        lease_abandon(server);
    check(client->server == NULL);
    client_pin_let_go(client);
    if (client->cancel != NULL) {
        cancel_request_orphan(client->cancel);
        client->cancel = NULL;
    }
    if (client->counted) {
        client->counted = false;
        atomic_fetch_sub_explicit(&client->worker->service->client_count, 1, memory_order_relaxed);
    }
}

void client_close(struct client *client, const char *reason)
{
    if (client->state == CLIENT_GONE)
        return;
    struct worker *worker = client->worker;
    char prefix[CLIENT_PREFIX_SIZE];
    bool logged = client->state != CLIENT_CLOSING && client->settings != NULL;
    if (log_enabled(LOG_SEVERITY_DEBUG) || (logged && worker->config->log_connections)) {
        client_prefix(client, prefix);
        log_write(logged && worker->config->log_connections ? LOG_SEVERITY_INFO
                                                            : LOG_SEVERITY_DEBUG,
                  prefix, "closed: %s; age %.1f s, %llu transactions", reason,
                  (double)(loop_now(worker->loop) - client->connected_at) / 1e6,
                  (unsigned long long)client->transactions);
    }
    client_let_go(client);
    client_free_parts(client);
    client_set_state(client, CLIENT_GONE);
    atomic_fetch_sub_explicit(&worker->load, 1, memory_order_relaxed);
    client_free_when_unheld(client);
    worker_check_drained(worker);
}

void client_fatal(struct client *client, const char *sqlstate, const char *message,
                  const char *detail, const char *hint)
{
    struct failure *failure = failure_new(sqlstate, message, detail, hint);
    client_fatal_failure(client, failure);
    failure_release(&failure);
}

void client_fatal_failure(struct client *client, const struct failure *failure)
{
    if (client->state >= CLIENT_CLOSING)
        return;
    char prefix[CLIENT_PREFIX_SIZE];
    client_prefix(client, prefix);
    log_info(prefix, "FATAL %s: %s%s%s", failure->sqlstate, failure->message,
             failure->detail != NULL ? "; " : "", failure->detail != NULL ? failure->detail : "");
    if (client->server != NULL && server_is_within_message(client->server)) {
        client_hang_up(client, failure->message);
        return;
    }
    struct buffer reply = {0};
    failure_write(&reply, "FATAL", failure);
    enum stream_result result =
        stream_write(&client->stream, buffer_bytes(&reply), buffer_length(&reply));
    buffer_release(&reply);
    client_hang_up(client, result == STREAM_FAILED ? "connection lost" : failure->message);
}

void client_hang_up(struct client *client, const char *reason)
{
    if (client->state >= CLIENT_CLOSING)
        return;
    client_let_go(client);
    if (!stream_finish(&client->stream)) {
        client_close(client, reason);
        return;
    }
    stream_resume(&client->stream);
    client->request_at = loop_now(client->worker->loop);
    client_set_state(client, CLIENT_CLOSING);
}

static void client_closing_readable(struct client *client)
{
    size_t size;
    enum stream_result result = stream_read(&client->stream, client->worker->scratch,
                                            sizeof client->worker->scratch, &size);
    if (result == STREAM_END || result == STREAM_FAILED)
        client_close(client, "hung up");
}

static void client_on_readable(struct stream *stream)
{
    struct client *client = client_of(stream);
    switch ((enum client_state)client->state) {
    case CLIENT_STARTUP:
    case CLIENT_AUTHENTICATING:
    case CLIENT_GREETING:
    case CLIENT_CANCELLING:
        client_login_readable(client);
        break;
    case CLIENT_IDLE:
    case CLIENT_WAITING:
    case CLIENT_ACTIVE:
    case CLIENT_CONSOLE:
        client_relay_readable(client);
        break;
    case CLIENT_CLOSING:
        client_closing_readable(client);
        break;
    case CLIENT_GONE:
        check(!"a closed client's stream is silent");
    }
}

/* The counterpart of the pause in server_relay.c: the client took what was kept for it. */
static void client_on_drained(struct stream *stream)
{
    struct client *client = client_of(stream);
    if (client->state == CLIENT_CLOSING) {
        if (!stream_finish(stream))
            client_close(client, "connection lost");
        return;
    }
    if (client->server != NULL && stream_is_open(&client->server->stream))
        stream_resume(&client->server->stream);
    if (client->listening != NULL)
        client_listen_proceed(client);
    if (client->state >= CLIENT_IDLE)
        client_relay_resume(client);
}

void client_drain(struct client *client, bool at_once)
{
    switch ((enum client_state)client->state) {
    case CLIENT_WAITING:
    case CLIENT_ACTIVE:
        if (!at_once) {
            if (client->server != NULL)
                lease_settle(client->server);
            return;
        }
        break;
    case CLIENT_STARTUP:
    case CLIENT_AUTHENTICATING:
    case CLIENT_GREETING:
    case CLIENT_CANCELLING:
    case CLIENT_IDLE:
    case CLIENT_CONSOLE:
        break;
    case CLIENT_CLOSING:
    case CLIENT_GONE:
        return;
    }
    client_fatal(client, SQLSTATE_ADMIN_SHUTDOWN,
                 "terminating connection due to administrator command",
                 "pgsluice is shutting down.", NULL);
}

void client_take_settings(struct client *client)
{
    if (client->pool == NULL)
        return;
    bool unwatched = !settings_follows(client->settings);
    settings_release(&client->settings);
    client->settings = pool_settings(client->pool);
    /* Nobody has looked at what its commands set. */
    if (unwatched && settings_follows(client->settings) && client->server != NULL) {
        client->server->look |= ASK_ALL;
        client_pin_set(client, client->pins | PIN_SETTING);
    }
}
