/*
 * lease_clean.c: a server connection whose client has gone, or has left it in a state that nobody
 * else may get, until it is as new.
 */
#include "base/check.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/message.h"
#include "pg/request.h"
#include "session/ask.h"
#include "session/belief.h"
#include "session/cancel.h"
#include "session/catalog.h"
#include "session/client.h"
#include "session/client_lend.h"
#include "session/deny.h"
#include "session/lease.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/statement.h"

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
    server->reset_needed |= server->lend != NULL;
    client_lend_end(server);
    belief_doubt(server);
    if (client->pins != 0 || client->settings->mode == SETTINGS_SESSION ||
        client->settings->state == SETTINGS_STATE_RESET ||
        (server->look != 0 && client->settings->state != SETTINGS_STATE_OFF))
        server->reset_needed = true;
    server->reset_needed |= server->hears;
    if ((server->look & ASK_CATALOG) != 0)
        catalog_expire(server);
    server->look = 0;
    server->reset_needed |= server->undo_due;
    server->undo_due = false;
    deny_end(server);
    server->ready_held = server->relistens = false;
    client->server = NULL;
    server->client = NULL;
    server->reset_needed |= server->replay != NULL;
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
    struct buffer messages = {0};
    if (!server->clean_cancelled && !pipeline->copying_in && pipeline_may_be_at_clients(pipeline))
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
    if (server->reset_needed || server->look != 0) {
        server->look = 0;
        (void)server_query(server, SERVER_NOTE_RESET, "DISCARD ALL");
        return;
    }
    lease_return(server);
}
