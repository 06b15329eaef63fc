#include "session/lease.h"
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/message.h"
#include "pg/pairs.h"
#include "pg/request.h"
#include "pg/sqlstate.h"
#include "session/batch.h"
#include "session/cancel.h"
#include "session/client.h"
#include "session/greeting.h"
#include "session/question.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/guc.h"
#include "state/parameters.h"
#include "state/statement.h"

#include <stdlib.h>

/* An idle connection that was heard from less long ago is believed to be open without a look. */
#define LEASE_TRUST (5 * CLOCK_MILLISECOND)
/* How long a server connection may take to become clean after its client has gone. */
#define LEASE_CLEANING_LIMIT (10 * CLOCK_SECOND)

void lease_tell_parameters(struct client *client, struct server *server)
{
    if (client->told == server->parameters || client->told == NULL)
        return;
    struct buffer messages = {0};
    parameters_write_difference(client->told, server->parameters, &messages);
    parameters_release(&client->told);
    client->told = parameters_retain(server->parameters);
    if (buffer_length(&messages) > 0)
        (void)client_send(client, &messages);
    buffer_release(&messages);
}

/* A leased connection that has been quiet for a while may have ended: looks. */
static bool lease_is_open(struct server *server, microseconds now)
{
    if (!server->fatal && now - server->member.idle_since <= LEASE_TRUST)
        return true;
    return server_relay_is_alive(server);
}

static void lease_link(struct client *client, struct server *server)
{
    check(client->server == NULL && server->client == NULL);
    client->server = server;
    server->client = client;
    server->leased_at = loop_now(server->worker->loop);
    server->transaction_at = 0;
    server->leases++;
    server->unnamed_unknown |= server->unnamed_unkept; /* which is another client's */
    server->unnamed_unkept = false;
}

/* In the client's state, or on the way there by what goes out now; the client's bytes may follow.
 */
static void lease_is_ready(struct client *client, struct server *server)
{
    server_set_state(server, SERVER_LEASED);
    if (client->state != CLIENT_GREETING) {
        if (client->state != CLIENT_ACTIVE)
            client_set_state(client, CLIENT_ACTIVE);
        if (client->gucs == server->gucs)
            lease_tell_parameters(client, server);
    }
}

/* Its commands run with rights of their own. */
static bool lease_has_rights(const struct client *client)
{
    const struct pairs *set = guc_pairs(client->gucs);
    return set->count > 0 &&
           (pairs_find(set, "role") != NULL || pairs_find(set, "session_authorization") != NULL);
}

/* A login waits for the answer to its settings: they may be refused. So does a command whose rights
 * are among them: it must not run with those of another. */
static bool lease_switch_first(struct client *client, struct server *server)
{
    if (client->gucs == server->gucs ||
        (client->state != CLIENT_GREETING && !lease_has_rights(client)))
        return false;
    struct buffer sql = {0};
    guc_write_switch(server->gucs, client->gucs, &sql);
    buffer_append(&sql, "", 1);
    server->switching_to = guc_retain(client->gucs);
    server_set_state(server, SERVER_PREPARING);
    microseconds limit = server->settings->connect_timeout;
    server->deadline = limit != CLOCK_OFF ? server->leased_at + limit : 0;
    bool sent = server_query(server, SERVER_NOTE_SWITCH, (const char *)buffer_bytes(&sql));
    buffer_release(&sql);
    (void)sent; /* where it was not, server_close has seen to the client */
    return true;
}

/* Linked: what must be answered first? */
static enum lease_answer lease_prepare(struct client *client, struct server *server)
{
    microseconds now = loop_now(server->worker->loop);
    if (pool_needs_ping(client->pool, &server->member, now)) {
        server_set_state(server, SERVER_PREPARING);
        server->deadline = server->settings->pre_ping_timeout != CLOCK_OFF
                               ? now + server->settings->pre_ping_timeout
                               : 0;
        (void)server_query(server, SERVER_NOTE_PING, "");
        return LEASE_PREPARING;
    }
    if (lease_switch_first(client, server))
        return LEASE_PREPARING;
    lease_is_ready(client, server);
    return client->server == server ? LEASE_READY : LEASE_WAITS; /* the client may have gone */
}

void lease_add_switch(struct client *client, struct batch *batch)
{
    struct server *server = client->server;
    if (server->gucs == client->gucs || server->switching_to != NULL || server->question != NULL ||
        server->transaction_status != MESSAGE_IDLE || !pipeline_is_empty(&server->pipeline))
        return;
    struct buffer sql = {0};
    guc_write_switch(server->gucs, client->gucs, &sql);
    buffer_append(&sql, "", 1);
    server->switching_to = guc_retain(client->gucs);
    request_query(batch_made_begin(batch), (const char *)buffer_bytes(&sql));
    batch_made_end(batch);
    buffer_release(&sql);
    struct pipeline_entry entry = {
        .kind = PIPELINE_QUERY, .ours = true, .note = SERVER_NOTE_SWITCH};
    pipeline_push(&server->pipeline, entry);
    server_drop_unnamed(server);
}

/* The refusal as the client and the log read it. */
static struct failure *lease_refusal_failure(struct pool *pool, const struct pool_refusal *refusal)
{
    struct settings *settings = pool_settings(pool);
    double waited = (double)refusal->waited / 1e6;
    struct failure *failure = NULL;
    char *text;
    switch (refusal->reason) {
    case POOL_REFUSED_TIMEOUT:
        text = memory_printf("pool of database \"%s\", user \"%s\" is at its limit: size %u, "
                             "overflow %u; waited %.1f s for a connection",
                             settings->database, settings->user, refusal->size, refusal->overflow,
                             waited);
        failure = failure_new(SQLSTATE_TOO_MANY_CONNECTIONS, text,
                              refusal->failure != NULL ? refusal->failure->message : NULL,
                              "Shorten transactions, or raise size, overflow or timeout.");
        free(text);
        break;
    case POOL_REFUSED_LINE_FULL:
        text = memory_printf("pool of database \"%s\", user \"%s\" is at its limit: size %u, "
                             "overflow %u; %u clients are waiting already",
                             settings->database, settings->user, refusal->size, refusal->overflow,
                             refusal->max_waiting);
        failure = failure_new(SQLSTATE_TOO_MANY_CONNECTIONS, text, NULL,
                              "Shorten transactions, or raise size, overflow or max_waiting.");
        free(text);
        break;
    case POOL_REFUSED_UNREACHABLE:
        failure =
            refusal->failure != NULL
                ? failure_retain(refusal->failure)
                : failure_new(SQLSTATE_CANNOT_CONNECT, "cannot connect to the server", NULL, NULL);
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

enum lease_answer lease_begin(struct client *client)
{
    struct worker *worker = client->worker;
    if (client->held) /* a grant that it no longer wanted has yet to arrive */
        return LEASE_WAITS;
    for (;;) {
        struct pool_server *member;
        struct pool_refusal refusal;
        microseconds now = loop_now(worker->loop);
        client->in_line = true; /* at once: it may be granted one from within */
        switch (pool_lease(client->pool, &client->waiter, worker->number, client->gucs, now,
                           &member, &refusal)) {
        case POOL_WAITS:
            return LEASE_WAITS;
        case POOL_REFUSES:
            client->in_line = false;
            failure_release(&client->failure);
            client->failure = lease_refusal_failure(client->pool, &refusal);
            failure_release(&refusal.failure);
            return LEASE_REFUSED;
        case POOL_GRANTED:
            client->in_line = false;
            break;
        }
        struct server *server = container_of(member, struct server, member);
        server_set_state(server, SERVER_LEASED);
        if (!lease_is_open(server, now))
            continue;
        lease_link(client, server);
        return lease_prepare(client, server);
    }
}

/* Granted while it waited. */
static void lease_granted(struct client *client, struct server *server)
{
    client->in_line = false;
    server_set_state(server, SERVER_LEASED);
    lease_link(client, server);
    if (lease_prepare(client, server) == LEASE_READY)
        lease_prepared(server);
}

void lease_prepared(struct server *server)
{
    struct client *client = server->client;
    server->deadline = 0;
    if (client == NULL || server->state == SERVER_CLEANING) {
        lease_clean(server);
        return;
    }
    if (client->state == CLIENT_GREETING) {
        if (server->failure != NULL) {
            struct failure *failure = failure_retain(server->failure);
            client_fatal_failure(client, failure);
            failure_release(&failure);
            return;
        }
    }
    if (lease_switch_first(client, server))
        return;
    if (client->state == CLIENT_GREETING) {
        server_set_state(server, SERVER_LEASED);
        greeting_store(client->pool, client->gucs, server->parameters);
        client_login_greet(client, server->parameters);
    } else {
        lease_is_ready(client, server);
    }
    if (client->state < CLIENT_CLOSING)
        client_relay_resume(client);
    if (client->server == server)
        lease_settle(server);
}

/* Asks what the session's state is, behind the client's last command. */
static void lease_ask(struct client *client, struct server *server)
{
    struct buffer sql = {0};
    question_write(&sql, server->settings->server_user, client->custom_names, client->gucs);
    buffer_append(&sql, "", 1);
    server->look = false;
    question_free(&server->question);
    server->question = question_new();
    (void)server_query(server, SERVER_NOTE_ASK, (const char *)buffer_bytes(&sql));
    buffer_release(&sql);
}

/* Back into the pool; whom it grants the connection to is served before this returns. */
static void lease_return(struct server *server)
{
    microseconds now = loop_now(server->worker->loop);
    server->deadline = 0;
    server->idle_in_transaction_at = 0;
    server->member.session_state = server->gucs;
    server->clean_cancelled = false;
    server->retire |= server->violated != 0 || server->fatal;
    failure_release(&server->failure);
    server_set_state(server, SERVER_IDLE);
    if (server->retire)
        pool_return_and_close(&server->member, "its state is not known", now);
    else
        pool_return(&server->member, now);
}

/* True where the client keeps its server connection between transactions. */
static bool lease_is_kept(const struct client *client)
{
    if (client->worker->draining)
        return false;
    return client->settings->mode == SETTINGS_SESSION || client->pins != 0;
}

static void lease_end(struct client *client, struct server *server)
{
    client->server = NULL;
    server->client = NULL;
    client->transactions++;
    client->request_at = loop_now(client->worker->loop);
    /* Each may have been paused for the other's sake: nobody else ends that. */
    stream_resume(&server->stream);
    if (client->worker->draining) {
        server->reset_needed |= client->settings->mode == SETTINGS_SESSION || client->pins != 0;
        client_drain(client, true);
    } else {
        client_set_state(client, CLIENT_IDLE);
    }
    if (server->reset_needed) {
        server_set_state(server, SERVER_CLEANING);
        server->deadline = loop_now(server->worker->loop) + LEASE_CLEANING_LIMIT;
        lease_clean(server);
    } else {
        lease_return(server);
    }
    if (client->state == CLIENT_IDLE &&
        (client->input != NULL || stream_is_paused(&client->stream)))
        client_relay_resume(client);
}

/* In session mode the server knows best, but for what the client came with: a RESET must lead back
 * to that, not to the server's default. */
static bool lease_must_ask(const struct client *client)
{
    return client->settings->mode != SETTINGS_SESSION || guc_pairs(client->startup_gucs)->count > 0;
}

void lease_settle(struct server *server)
{
    if (server->state == SERVER_CLEANING) {
        lease_clean(server);
        return;
    }
    struct client *client = server->client;
    if (server->state != SERVER_LEASED || client == NULL || !pipeline_is_empty(&server->pipeline) ||
        server->transaction_status != MESSAGE_IDLE || server->passing > 0 ||
        (client->passing > 0 && !client->discarding) || client->state == CLIENT_GREETING)
        return;
    if (server->cancel != NULL) /* it must not hit an own query */
        return;
    if (server->look && lease_must_ask(client)) {
        lease_ask(client, server);
        return;
    }
    if (lease_is_kept(client))
        client->request_at = loop_now(client->worker->loop); /* it is idle from here on */
    else
        lease_end(client, server);
}

/* The rest of a message that is half sent will never come: the connection is of no use. */
static bool lease_is_broken_off(const struct client *client, const struct server *server)
{
    return (client->passing > 0 && !client->discarding) || stream_is_blocked(&server->stream);
}

void lease_abandon(struct server *server)
{
    struct client *client = server->client;
    check(client != NULL && client->server == server);
    bool broken_off = lease_is_broken_off(client, server);
    server->half_sent = broken_off;
    if (client->pins != 0 || client->settings->mode == SETTINGS_SESSION || server->look)
        server->reset_needed = true;
    server->look = false;
    client->server = NULL;
    server->client = NULL;
    stream_resume(&server->stream);
    server_set_state(server, SERVER_CLEANING);
    if (broken_off) {
        if (!pipeline_is_empty(&server->pipeline))
            cancel_start(server);
        server_close(server, NULL, "its client left in the middle of a message");
        return;
    }
    server->deadline = loop_now(server->worker->loop) + LEASE_CLEANING_LIMIT;
    lease_clean(server);
}

/* Ends extended messages that have no Sync. What they did is not the client's wish before it has
 * sent one: a Sync alone would commit it. After an error the server skips the ROLLBACK. */
static void lease_end_sequence(struct server *server, struct buffer *messages)
{
    struct pipeline_entry entry = {.kind = PIPELINE_QUERY, .ours = true, .note = SERVER_NOTE_SYNC};
    if (!server->pipeline.skipping) {
        request_query(messages, "ROLLBACK");
        pipeline_push(&server->pipeline, entry);
        statement_release(&server->unnamed);
        server->unnamed_unknown = true; /* it may be skipped */
    }
    entry.kind = PIPELINE_SYNC;
    request_sync(messages);
    pipeline_push(&server->pipeline, entry);
}

/* What the client began and will not end is ended for it: COPY IN, extended messages, a command. */
static bool lease_end_commands(struct server *server)
{
    struct pipeline *pipeline = &server->pipeline;
    const struct pipeline_entry *head = pipeline_head(pipeline);
    struct buffer messages = {0};
    if (head != NULL && !head->ours && !server->clean_cancelled && !pipeline->copying_in)
        cancel_start(server);
    /* An Execute that is not answered yet may begin a COPY IN; outside of one the server ignores
     * CopyFail. */
    bool may_copy_in = pipeline->unsynced && pipeline->count > 0 && !pipeline->skipping;
    if (pipeline->copying_in || may_copy_in) {
        request_copy_fail(&messages, "the client has disconnected");
        pipeline_push(pipeline, (struct pipeline_entry){.kind = PIPELINE_COPY_END, .ours = true});
    }
    if (pipeline->ready_owed == 0 || pipeline->skipping || pipeline->unsynced)
        lease_end_sequence(server, &messages);
    server->clean_cancelled = true;
    bool sent = buffer_length(&messages) == 0 || server_send(server, &messages);
    buffer_release(&messages);
    return sent;
}

void lease_clean(struct server *server)
{
    if (server->state != SERVER_CLEANING)
        return;
    struct pipeline *pipeline = &server->pipeline;
    if (!pipeline_is_empty(pipeline)) {
        bool needs_end = !server->clean_cancelled || pipeline->copying_in ||
                         (pipeline->count == 0 && pipeline->doubtful == 0);
        if (needs_end)
            (void)lease_end_commands(server);
        return;
    }
    if (server->cancel != NULL || server->passing > 0)
        return;
    if (server->transaction_status != MESSAGE_IDLE) {
        (void)server_query(server, SERVER_NOTE_ROLLBACK, "ROLLBACK");
        return;
    }
    if (server->reset_needed || server->look) {
        server->look = false;
        (void)server_query(server, SERVER_NOTE_RESET, "DISCARD ALL");
        return;
    }
    lease_return(server);
}

/* ---- What the pool decides ---- */

static struct pool_server *lease_method_create(struct pool *pool, unsigned worker)
{
    struct service *service = pool_owner(pool);
    return &server_new(pool, service->workers[worker])->member;
}

static void lease_open_arrived(struct mailbox_message *message)
{
    server_open(container_of(message, struct server, message));
}

static void lease_method_connect(struct pool_server *member)
{
    struct server *server = container_of(member, struct server, member);
    if (worker_current() == server->worker) {
        server_open(server);
        return;
    }
    server->message.deliver = lease_open_arrived;
    mailbox_post(server->worker->loop, &server->message);
}

static void lease_close_arrived(struct mailbox_message *message)
{
    struct server *server = container_of(message, struct server, message);
    server_close_for_pool(server, server->close_reason);
}

static void lease_method_close(struct pool_server *member, const char *reason)
{
    struct server *server = container_of(member, struct server, member);
    if (worker_current() == server->worker) {
        server_close_for_pool(server, reason);
        return;
    }
    server->close_reason = reason;
    server->message.deliver = lease_close_arrived;
    mailbox_post(server->worker->loop, &server->message);
}

void lease_retry(struct client *client)
{
    client->in_line = false;
    if (client->state == CLIENT_GREETING)
        client_login_ask_server(client);
    else
        client_relay_resume(client);
}

/* On the new worker's thread. */
static void lease_move_arrived(struct mailbox_message *message)
{
    struct server *server = container_of(message, struct server, message);
    struct client *client = server->grantee;
    struct worker *worker = server->target;
    server->grantee = NULL;
    server->target = NULL;
    server_join_worker(server, worker);
    if (pool_grant_arrived(&client->waiter, &server->member, loop_now(worker->loop))) {
        server_set_state(server, SERVER_LEASED);
        if (lease_is_open(server, loop_now(worker->loop)))
            lease_granted(client, server);
        else
            lease_retry(client);
        return;
    }
    client->held = false;
    if (client->state == CLIENT_GONE)
        client_free_when_unheld(client);
    else if (client->state < CLIENT_CLOSING)
        client_relay_resume(client);
}

/* On the old worker's thread. */
static void lease_move_out(struct server *server)
{
    if (server->dying) {
        server->grantee = NULL;
        server_close_for_pool(server, "found dead on its way to another worker");
        return;
    }
    server_leave_worker(server);
    server->message.deliver = lease_move_arrived;
    mailbox_post(server->target->loop, &server->message);
}

static void lease_move_out_arrived(struct mailbox_message *message)
{
    lease_move_out(container_of(message, struct server, message));
}

static void lease_method_granted(struct pool_waiter *waiter, struct pool_server *member)
{
    struct client *client = container_of(waiter, struct client, waiter);
    struct server *server = container_of(member, struct server, member);
    if (member->state == POOL_SERVER_LEASED) {
        check(worker_current() == server->worker);
        lease_granted(client, server);
        return;
    }
    server->grantee = client;
    server->target = client->worker;
    if (worker_current() == server->worker) {
        lease_move_out(server);
        return;
    }
    server->message.deliver = lease_move_out_arrived;
    mailbox_post(server->worker->loop, &server->message);
}

/* On the client's worker. */
static void lease_refusal_arrived(struct mailbox_message *message)
{
    struct client *client = container_of(message, struct client, message);
    struct failure *failure = client->refusal;
    client->refusal = NULL;
    pool_refusal_arrived(&client->waiter);
    client->in_line = false;
    bool was_held = client->held;
    client->held = false;
    if (client->state == CLIENT_GONE)
        client_free_when_unheld(client);
    else if (was_held && client->state < CLIENT_CLOSING)
        client_relay_resume(client);
    else if (failure != NULL && client->state < CLIENT_CLOSING)
        client_relay_refuse(client, failure);
    failure_release(&failure);
}

static void lease_method_refused(struct pool_waiter *waiter, const struct pool_refusal *refusal)
{
    struct client *client = container_of(waiter, struct client, waiter);
    client->refusal = lease_refusal_failure(client->waiter.pool, refusal);
    client->message.deliver = lease_refusal_arrived;
    mailbox_post(client->worker->loop, &client->message);
}

const struct pool_methods lease_methods = {
    .create = lease_method_create,
    .connect = lease_method_connect,
    .close = lease_method_close,
    .granted = lease_method_granted,
    .refused = lease_method_refused,
};
