#include "session/server.h"
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/message.h"
#include "pg/request.h"
#include "pg/sqlstate.h"
#include "session/belief.h"
#include "session/cancel.h"
#include "session/catalog.h"
#include "session/client.h"
#include "session/client_lend.h"
#include "session/deny.h"
#include "session/lease.h"
#include "session/notifier.h"
#include "session/question.h"
#include "session/replay.h"
#include "session/worker.h"
#include "state/guc.h"
#include "state/parameters.h"
#include "state/routines.h"
#include "state/statement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_MAGIC 0x53525652u

static void server_on_readable(struct stream *stream);
static void server_on_drained(struct stream *stream);
static void server_on_connected(struct stream *stream, int error);

const struct stream_handler server_stream_handler = {
    .on_readable = server_on_readable,
    .on_drained = server_on_drained,
    .on_connected = server_on_connected,
};

static struct server *server_of(struct stream *stream)
{
    struct server *server = container_of(stream, struct server, stream);
    return object_cast(struct server, server, SERVER_MAGIC);
}

const char *server_state_name(enum server_state state)
{
    switch (state) {
    case SERVER_NEW:
        return "new";
    case SERVER_LOGIN:
        return "login";
    case SERVER_IDLE:
        return "idle";
    case SERVER_PREPARING:
        return "preparing";
    case SERVER_LEASED:
        return "active";
    case SERVER_CLEANING:
        return "cleaning";
    case SERVER_MOVING:
        return "moving";
    case SERVER_LISTENING:
        return "listen";
    case SERVER_CLOSED:
        return "closed";
    }
    return "?";
}

void server_set_state(struct server *server, enum server_state state)
{
    enum server_state old = server->state;
    check(old != SERVER_CLOSED);
    server->state = (uint8_t)state;
    if (log_enabled(LOG_SEVERITY_DEBUG) && old != state) {
        char prefix[SERVER_PREFIX_SIZE];
        server_prefix(server, prefix);
        log_debug(prefix, "%s -> %s", server_state_name(old), server_state_name(state));
    }
}

struct server *server_new(struct pool *pool, struct worker *worker)
{
    struct server *server = memory_new(struct server);
    server->magic = SERVER_MAGIC;
    server->worker = worker;
    server->settings = pool_settings(pool);
    server->transaction_status = MESSAGE_IDLE;
    server->pipeline.done = server_done;
    server->pipeline.context = server;
    server->gucs = guc_empty();
    server->catalog = catalog_of(pool);
    return server;
}

void server_open(struct server *server)
{
    TAILQ_INSERT_TAIL(&server->worker->servers, server, link);
    server_set_state(server, SERVER_LOGIN);
    if (server->worker->draining)
        server_close(server, NULL, "pgsluice is shutting down");
    else
        server_login_start(server);
}

void server_prefix(const struct server *server, char prefix[SERVER_PREFIX_SIZE])
{
    char address[ADDRESS_TEXT_SIZE] = "?";
    if (server->address.length > 0)
        address_format(&server->address, address);
    snprintf(prefix, SERVER_PREFIX_SIZE, "server %u %.48s/%.48s@%.60s", server->backend_pid,
             server->settings->database, server->settings->user, address);
}

static void server_free_parts(struct server *server)
{
    stream_close(&server->stream);
    server_login_free(&server->login);
    if (server->input != NULL) {
        buffer_release(server->input);
        free(server->input);
        server->input = NULL;
    }
    pipeline_release(&server->pipeline);
    statement_cache_clear(&server->prepared);
    statement_release(&server->unnamed);
    statement_release(&server->checking);
    client_lend_end(server);
    question_free(&server->question);
    belief_free(&server->belief);
    statement_release(&server->bound_set);
    guc_release(&server->gucs);
    guc_release(&server->switching_to);
    replay_free(&server->replay);
    replay_forget_broken(server);
    parameters_release(&server->parameters);
    routines_release(&server->routines);
    failure_release(&server->failure);
    free(server->cancel_key);
    server->cancel_key = NULL;
    if (server->cancel != NULL)
        cancel_orphan(server->cancel);
    server->cancel = NULL;
}

static void server_release_memory(void *object)
{
    struct server *server = object_cast(struct server, object, SERVER_MAGIC);
    settings_release(&server->settings);
    server->magic = 0;
    free(server);
}

/* The leasing client learns that its server connection is gone. */
static void server_tell_client(struct server *server, struct client *client,
                               const struct failure *failure)
{
    if (server->fatal_forwarded || server_is_within_message(server)) {
        client_hang_up(client, "its server connection was closed");
        return;
    }
    if (failure != NULL) {
        client_fatal_failure(client, failure);
        return;
    }
    client_fatal(client, SQLSTATE_CONNECTION_FAILURE, "server closed the connection unexpectedly",
                 NULL, NULL);
}

static void server_log_end(const struct server *server, const struct failure *failure,
                           const char *reason)
{
    char prefix[SERVER_PREFIX_SIZE];
    server_prefix(server, prefix);
    if (failure != NULL)
        log_warning(prefix, "closed: %s: %s %s%s%s", reason, failure->sqlstate, failure->message,
                    failure->detail != NULL ? "; " : "",
                    failure->detail != NULL ? failure->detail : "");
    else
        log_debug(prefix, "closed: %s", reason);
}

static void server_say_goodbye(struct server *server)
{
    /* Behind half a message, a Terminate would be taken for the rest of it. */
    if (server->state == SERVER_LOGIN || server->half_sent || !stream_is_open(&server->stream) ||
        stream_is_blocked(&server->stream))
        return;
    struct buffer message = {0};
    request_terminate(&message);
    enum stream_result ignored =
        stream_write(&server->stream, buffer_bytes(&message), buffer_length(&message));
    (void)ignored;
    buffer_release(&message);
}

/* Takes the object down; the pool has been told, or is told here (tell_pool). */
static void server_end(struct server *server, struct failure *failure, const char *reason,
                       bool tell_pool)
{
    struct worker *worker = server->worker;
    struct client *client = server->client;
    bool was_preparing = server->state == SERVER_PREPARING;
    if (failure != NULL)
        failure_retain(failure);
    deny_lost(server);
    server_log_end(server, failure, reason);
    if (client != NULL && client->passing > 0 && !client->discarding)
        server->half_sent = true;
    if (failure == NULL)
        server_say_goodbye(server);
    server->client = NULL;
    if (client != NULL)
        client->server = NULL;
    server_free_parts(server);
    TAILQ_REMOVE(&worker->servers, server, link);
    worker->departures++;
    server_set_state(server, SERVER_CLOSED);
    if (server->notifier != NULL)
        notifier_lost(server, failure);
    else if (tell_pool)
        pool_lost(&server->member, failure, loop_now(worker->loop));
    if (client != NULL && was_preparing)
        lease_retry(client);
    else if (client != NULL)
        server_tell_client(server, client, failure);
    failure_release(&failure);
    loop_defer(worker->loop, server_release_memory, server);
    worker_check_drained(worker);
}

void server_close(struct server *server, struct failure *failure, const char *reason)
{
    if (server->state == SERVER_CLOSED || server->dying)
        return;
    if (server->state != SERVER_IDLE) {
        server_end(server, failure, reason, true);
        return;
    }
    if (pool_idle_lost(&server->member, failure, loop_now(server->worker->loop))) {
        server_end(server, failure, reason, false);
        return;
    }
    server->dying = true; /* the pool's wish, on its way here, will end it */
    stream_pause(&server->stream);
    failure_release(&server->failure);
    server->failure = failure != NULL ? failure_retain(failure) : NULL;
}

void server_close_for_pool(struct server *server, const char *reason)
{
    server_end(server, server->dying ? server->failure : NULL, reason, true);
}

void server_leave_worker(struct server *server)
{
    TAILQ_REMOVE(&server->worker->servers, server, link);
    stream_detach(&server->stream);
    server_set_state(server, SERVER_MOVING);
    server->worker->departures++;
    worker_check_drained(server->worker);
}

void server_join_worker(struct server *server, struct worker *worker)
{
    server->worker = worker;
    TAILQ_INSERT_TAIL(&worker->servers, server, link);
    stream_attach(&server->stream, worker->loop);
    server_set_state(server, SERVER_IDLE);
}

struct failure *server_lost_failure(const struct server *server, int error)
{
    char address[ADDRESS_TEXT_SIZE];
    address_format(&server->address, address);
    char *detail =
        memory_printf("Server %s at %s, backend %u: %s.", server->host != NULL ? server->host : "",
                      address, server->backend_pid, error != 0 ? strerror(error) : "end of file");
    struct failure *failure = failure_new(
        SQLSTATE_CONNECTION_FAILURE, "server closed the connection unexpectedly", detail, NULL);
    free(detail);
    return failure;
}

bool server_send(struct server *server, struct buffer *messages)
{
    enum stream_result result =
        stream_write(&server->stream, buffer_bytes(messages), buffer_length(messages));
    buffer_clear(messages);
    if (result != STREAM_FAILED)
        return true;
    server_lost(server);
    return false;
}

void server_lost(struct server *server)
{
    struct failure *failure = server->fatal && server->failure != NULL
                                  ? failure_retain(server->failure)
                                  : server_lost_failure(server, server->stream.error);
    server_close(server, failure, "connection lost");
    failure_release(&failure);
}

void server_drop_unnamed(struct server *server)
{
    statement_release(&server->unnamed);
    server->unnamed_unknown = false;
    server->unnamed_unkept = false;
}

bool server_query(struct server *server, enum server_note note, const char *sql)
{
    struct buffer message = {0};
    request_query(&message, sql);
    struct pipeline_entry entry = {.kind = PIPELINE_QUERY, .ours = true, .note = (uint8_t)note};
    if (pipeline_is_empty(&server->pipeline))
        server->command_at = loop_now(server->worker->loop);
    pipeline_push(&server->pipeline, entry);
    server_drop_unnamed(server);
    bool sent = server_send(server, &message);
    buffer_release(&message);
    return sent;
}

static void server_on_readable(struct stream *stream)
{
    struct server *server = server_of(stream);
    if (server->state == SERVER_LOGIN)
        server_login_readable(server);
    else
        server_relay_readable(server);
}

/* The counterpart of the pause in client_relay.c: the server took what was kept for it. */
static void server_on_drained(struct stream *stream)
{
    struct server *server = server_of(stream);
    if (server->client == NULL)
        return;
    stream_resume(&server->client->stream);
    client_relay_resume(server->client);
}

static void server_on_connected(struct stream *stream, int error)
{
    server_login_connected(server_of(stream), error);
}

/* ---- Deadlines ---- */

/* A cancel that comes before the server has read the command is lost: then another is sent. */
#define SERVER_CANCEL_AGAIN CLOCK_SECOND
#define SERVER_CANCEL_SOON_AGAIN (100 * CLOCK_MILLISECOND)
/* One that comes so long after the command was sent has found it. A client may have waited in line
 * for seconds, and ask just when pgsluice has sent its command. */
#define SERVER_CANCEL_FINDS (250 * CLOCK_MILLISECOND)

static void server_cancel_again(struct server *server, microseconds now, microseconds after)
{
    if (server->cancel == NULL && !server->pipeline.copying_in &&
        now - server->cancelled_at >= after && pipeline_may_be_at_clients(&server->pipeline))
        cancel_start(server);
}

/* A client's library asks once only. What it has sent behind its command must not be hit. */
static void server_sweep_asked_cancel(struct server *server, microseconds now)
{
    microseconds age = server->cancelled_at - server->command_at;
    bool was_sent = server->cancelled_at != 0;
    bool more_follows = server->pipeline.ready_owed > 1;
    if (server->pipeline.count == 0 ||
        (was_sent && (more_follows || age < 0 || age >= SERVER_CANCEL_FINDS)))
        server->cancel_asked = false;
    else
        server_cancel_again(server, now, SERVER_CANCEL_SOON_AGAIN);
}

static void server_sweep_command(struct server *server, microseconds now)
{
    microseconds limit = server->client->settings->command_timeout;
    if (limit == CLOCK_OFF || now - server->command_at < limit ||
        !pipeline_may_be_at_clients(&server->pipeline))
        return;
    if (server->timed_out)
        server_cancel_again(server, now, SERVER_CANCEL_AGAIN);
    else
        cancel_start(server);
    server->timed_out = true;
}

static void server_sweep_transaction(struct server *server, microseconds now)
{
    struct client *client = server->client;
    const struct settings *settings = client->settings;
    if (settings->transaction_timeout != CLOCK_OFF && server->transaction_at != 0 &&
        now - server->transaction_at >= settings->transaction_timeout) {
        client_fatal(client, SQLSTATE_TRANSACTION_TIMEOUT,
                     "terminating connection due to transaction timeout", NULL, NULL);
        return;
    }
    /* A sequence without its Sync yet is answered by no ReadyForQuery that would begin this. */
    if (server->idle_in_transaction_at == 0 && server->pipeline.count == 0 &&
        server->pipeline.unsynced)
        server->idle_in_transaction_at = now;
    if (settings->idle_transaction_timeout != CLOCK_OFF && server->idle_in_transaction_at != 0 &&
        now - server->idle_in_transaction_at >= settings->idle_transaction_timeout)
        client_fatal(client, SQLSTATE_IDLE_IN_TRANSACTION_TIMEOUT,
                     "terminating connection due to idle-in-transaction timeout", NULL, NULL);
}

static void server_sweep_deadline(struct server *server)
{
    server->deadline = 0;
    switch ((enum server_state)server->state) {
    case SERVER_LOGIN:
        server_login_timeout(server);
        break;
    case SERVER_LISTENING:
    case SERVER_PREPARING: {
        struct failure *failure = server_lost_failure(server, ETIMEDOUT);
        server_close(server, failure, "a ping was not answered in time");
        failure_release(&failure);
        break;
    }
    case SERVER_CLEANING:
        server_cancel_again(server, server->cancelled_at, 0);
        server_close(server, NULL, "did not become clean in time");
        break;
    case SERVER_LEASED:
        if (server->undo_due)
            server_close(server, NULL, "could not be reset in time");
        break;
    case SERVER_NEW:
    case SERVER_IDLE:
    case SERVER_MOVING:
    case SERVER_CLOSED:
        break;
    }
}

void server_sweep(struct server *server, microseconds now)
{
    if (server->state == SERVER_CLEANING)
        server_cancel_again(server, now, SERVER_CANCEL_SOON_AGAIN);
    if (server->deadline != 0 && now >= server->deadline)
        server_sweep_deadline(server);
    if (server->state == SERVER_LEASED && server->cancel_asked)
        server_sweep_asked_cancel(server, now);
    if (server->state == SERVER_LEASED && server->client != NULL)
        server_sweep_command(server, now);
    if (server->state == SERVER_LEASED && server->client != NULL)
        server_sweep_transaction(server, now);
}
