#include "session/lease.h"
#include "base/check.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/message.h"
#include "pg/pairs.h"
#include "pg/request.h"
#include "session/ask.h"
#include "session/batch.h"
#include "session/catalog.h"
#include "session/client.h"
#include "session/client_lend.h"
#include "session/client_listen.h"
#include "session/client_pin.h"
#include "session/deny.h"
#include "session/greeting.h"
#include "session/question.h"
#include "session/refusal.h"
#include "session/replay.h"
#include "session/sequence.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/guc.h"
#include "state/parameters.h"

#include <stdlib.h>
#include <string.h>

/* An idle connection that was heard from less long ago is believed to be open without a look. */
#define LEASE_TRUST (5 * CLOCK_MILLISECOND)

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
bool lease_is_open(struct server *server, microseconds now)
{
    if (!server->fatal && now - server->member.idle_since <= LEASE_TRUST)
        return true;
    return server_relay_is_alive(server);
}

static void lease_link(struct client *client, struct server *server)
{
    check(client->server == NULL && server->client == NULL);
    client->server = server;
    client->void_ending = false;
    server->client = client;
    server->leased_at = loop_now(server->worker->loop);
    server->transaction_at = 0;
    server->leases++;
    catalog_follow(server);
    deny_lease(client, server);
    sequence_lease(client, server);
    server->unnamed_unknown |= server->unnamed_unkept; /* which is another client's */
    server->unnamed_unkept = false;
    server_end_check(server);
    guc_release(&server->replayed_for);
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

/* A command must not run before these are what the client wants: rights of its own, and settings
 * that PostgreSQL may refuse later on, since they name what can be dropped. */
static bool lease_may_fail_later(const char *name)
{
    static const char *const names[] = {
        "default_table_access_method", "default_tablespace", "default_text_search_config", "role",
        "session_authorization",       "temp_buffers",       "temp_tablespaces",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* Settings of superusers: set under a role that the session had, say, which the login user may
 * neither set nor reset. */
static bool lease_needs_rights(const char *name)
{
    static const char *const names[] = {
        "allow_",
        "backtrace_",
        "commit_delay",
        "compute_query_id",
        "deadlock_timeout",
        "debug_discard_caches",
        "dynamic_library_",
        "event_triggers",
        "ignore_",
        "jit_",
        "lc_messages",
        "lo_compat_privileges",
        "log_",
        "max_stack_depth",
        "session_preload_libraries",
        "session_repl",
        "temp_file_limit",
        "trace_",
        "track_",
        "update_process_",
        "wal_",
        "zero_damaged_pages",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(names[i], name, strlen(names[i])) == 0)
            return true;
    }
    return false;
}

static bool lease_may_be_refused(const struct guc_set *from, const struct guc_set *to)
{
    const struct pairs *old = guc_pairs(from), *new = guc_pairs(to);
    for (size_t i = 0; i < new->count; i++) {
        if (lease_may_fail_later(new->items[i].name) || lease_needs_rights(new->items[i].name))
            return true;
    }
    for (size_t i = 0; i < old->count; i++) {
        if (lease_needs_rights(old->items[i].name))
            return true;
    }
    return false;
}

/* A shorter statement_timeout of another's may end the switch that leads away from it. */
#define LEASE_HURRY 100

static bool lease_is_hurried(const struct guc_set *gucs)
{
    const char *value = guc_find(gucs, "statement_timeout");
    if (value == NULL)
        return false;
    char *unit;
    long number = strtol(value, &unit, 10);
    return number > 0 && number < LEASE_HURRY &&
           (unit[0] == '\0' || strcmp(unit, "ms") == 0 || strcmp(unit, "us") == 0);
}

/* As near to the client's state as it can be brought. */
static bool lease_is_in_state(const struct client *client, const struct server *server)
{
    return client->gucs == server->gucs || client->gucs == server->replayed_for;
}

/* False where that closed the server connection. */
static bool lease_send_switch(struct server *server, struct guc_set *state)
{
    struct buffer sql = {0};
    if (!guc_write_switch(server->gucs, state, &sql))
        return true;
    buffer_append(&sql, "", 1);
    server->switching_to = guc_retain(state);
    bool sent = server_query(server, SERVER_NOTE_SWITCH, (const char *)buffer_bytes(&sql));
    buffer_release(&sql);
    return sent;
}

/* A login waits for the answer to its settings: they may be refused. So does a command whose rights
 * are among them: it must not run with those of another; one whose switch may be cut off; and one
 * whose client has prepared what this server connection has not. */
static bool lease_switch_first(struct client *client, struct server *server)
{
    bool replays = replay_is_due(server, client->gucs);
    if (lease_is_in_state(client, server) ||
        (client->state != CLIENT_GREETING && !lease_may_be_refused(server->gucs, client->gucs) &&
         !replays && !lease_is_hurried(server->gucs)))
        return false;
    replay_forget_broken(server);
    struct guc_set *state = replays ? replay_begin(server, client->gucs) : guc_retain(client->gucs);
    server_set_state(server, SERVER_PREPARING);
    microseconds limit = server->settings->connect_timeout;
    bool is_limited = limit != CLOCK_OFF && !replays; /* a PREPARE may wait for a lock */
    server->deadline = is_limited ? loop_now(server->worker->loop) + limit : 0;
    bool sent = lease_send_switch(server, state);
    guc_release(&state);
    if (sent && replays)
        (void)replay_send(server);
    return true; /* where it was not sent, server_close has seen to the client */
}

/* A server that does not tell what functions there are in this time has died. */
#define LEASE_CATALOG_LIMIT (10 * CLOCK_SECOND)

/* What functions do to the session has to be known before the client calls one. */
static bool lease_ask_catalog(struct client *client, struct server *server)
{
    if (!settings_follows(client->settings) || !catalog_is_due(server))
        return false;
    server_set_state(server, SERVER_PREPARING);
    server->deadline = loop_now(server->worker->loop) + LEASE_CATALOG_LIMIT;
    (void)catalog_ask(server);
    return true; /* where it was not sent, server_close has seen to the client */
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
    if (lease_ask_catalog(client, server) || lease_switch_first(client, server))
        return LEASE_PREPARING;
    lease_is_ready(client, server);
    return client->server == server ? LEASE_READY : LEASE_WAITS; /* the client may have gone */
}

static bool lease_add_settings(struct client *client, struct batch *batch)
{
    struct server *server = client->server;
    if (server->gucs == client->gucs || client->gucs == server->replayed_for ||
        server->switching_to != NULL || server->question != NULL ||
        server->transaction_status != MESSAGE_IDLE || !pipeline_is_empty(&server->pipeline))
        return true;
    if (replay_is_due(server, client->gucs))
        return !lease_switch_first(client, server);
    replay_forget_broken(server);
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
    return true;
}

/* Nothing of the transaction has been sent, of a client that listens. */
static bool lease_may_front(const struct client *client)
{
    const struct server *server = client->server;
    return client->listening != NULL && !server->fronted && server->question == NULL &&
           server->transaction_status == MESSAGE_IDLE && pipeline_is_empty(&server->pipeline);
}

bool lease_add_switch(struct client *client, struct batch *batch)
{
    bool may_front = lease_may_front(client);
    if (!lease_add_settings(client, batch))
        return false;
    if (client->server->sequences_stale)
        sequence_discard(client->server, batch);
    if (may_front)
        client_listen_front(client, batch);
    return true;
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
            client->failure = refusal_failure(client->pool, &refusal);
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
void lease_granted(struct client *client, struct server *server)
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
    if (replay_goes_on(server))
        return;
    if (client->state == CLIENT_GREETING) {
        if (server->failure != NULL) {
            struct failure *failure = failure_retain(server->failure);
            client_fatal_failure(client, failure);
            failure_release(&failure);
            return;
        }
    }
    if (lease_ask_catalog(client, server) || lease_switch_first(client, server))
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

/* Back into the pool; whom it grants the connection to is served before this returns. */
void lease_return(struct server *server)
{
    microseconds now = loop_now(server->worker->loop);
    server->deadline = 0;
    server->idle_in_transaction_at = 0;
    server->member.session_state = server->gucs;
    server->clean_cancelled = false;
    server->cancel_asked = false;
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
    return client->settings->mode == SETTINGS_SESSION || client->pins != 0 ||
           client_listen_keeps(client);
}

static void lease_end(struct client *client, struct server *server)
{
    server->reset_needed |= server->lend != NULL; /* nobody has asked what it still has */
    server->reset_needed |= client->settings->state == SETTINGS_STATE_RESET;
    client_lend_end(server);
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
        client_pin_let_go(client);
        client_set_state(client, CLIENT_IDLE);
    }
    server->look = 0;
    server->reset_needed |= server->undo_due;
    server->undo_due = false;
    server->reset_needed |= server->hears;
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

void lease_settle(struct server *server)
{
    if (server->state == SERVER_CLEANING) {
        lease_clean(server);
        return;
    }
    struct client *client = server->client;
    if (server->state != SERVER_LEASED || client == NULL || !pipeline_is_empty(&server->pipeline) ||
        server->transaction_status != MESSAGE_IDLE || server->passing > 0 ||
        (client->passing > 0 && !client->discarding) || client->state == CLIENT_GREETING ||
        server->ready_held)
        return;
    if (server->cancel != NULL) /* it must not hit an own query */
        return;
    if (server->held != NULL && (deny_settle(server) || server->client != client))
        return;
    if (ask_is_due(client, server)) {
        ask_begin(client, server);
        return;
    }
    if ((server->hears || client->listening != NULL) && client_listen_settle(client, server))
        return;
    if (!lease_is_kept(client)) {
        lease_end(client, server);
        return;
    }
    client->request_at = loop_now(client->worker->loop); /* it is idle from here on */
    guc_release(&server->replayed_for); /* what could not be prepared is tried anew */
    catalog_follow(server);
}
