#include "session/deny.h"
#include "base/check.h"
#include "base/memory.h"
#include "config/settings.h"
#include "pg/failure.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "session/ask.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/client_pin.h"
#include "session/server.h"

#include <stdlib.h>
#include <string.h>

/* Fails at once, whatever the session's settings; stands in the server's log. */
#define DENY_FAILS "pgsluice refuses the statement before this"

void deny_lease(struct client *client, struct server *server)
{
    check(server->held == NULL && server->refusal == NULL);
    server->deny_due = false;
    server->deny_pins = 0;
    server->guarded = settings_follows(client->settings) && !client_pin_holds(client) &&
                      (client_pin_is_denied(client) ||
                       pool_pinned(client->pool) >= pool_max_pinned(client->pool));
}

/* A ReadyForQuery to the client. What is put in front of its first message begins no cycle: where
 * the client had to wait for it, the lease would end before it has begun. */
static bool deny_owes_ready(const struct pipeline *pipeline)
{
    for (unsigned i = 0; pipeline->ready_owed > 0 && i < pipeline->count; i++) {
        const struct pipeline_entry *entry = pipeline_at(pipeline, i);
        if (!entry->ours && ((PIPELINE_READY_KINDS >> entry->kind) & 1u) != 0)
            return true;
    }
    return false;
}

bool deny_must_wait(const struct server *server, uint8_t type)
{
    switch (type) {
    case MESSAGE_COPY_DATA:
    case MESSAGE_COPY_DONE:
    case MESSAGE_COPY_FAIL:
    case MESSAGE_FLUSH:
        return false;
    default:
        break;
    }
    if (pipeline_is_in_copy(&server->pipeline)) /* which ignores a Sync */
        return false;
    return server->refusal != NULL || deny_owes_ready(&server->pipeline);
}

/* True where the client may be pinned without further ado. */
static bool deny_may_pin(struct client *client, const struct server *server)
{
    return !settings_follows(client->settings) || client_pin_holds(client) ||
           (!server->guarded && client_pin_reserve(client));
}

bool deny_expect(struct client *client)
{
    struct server *server = client->server;
    if (deny_may_pin(client, server))
        return false;
    server->guarded = true;
    if (deny_owes_ready(&server->pipeline))
        return true;
    server->deny_due = true;
    return false;
}

void deny_watch(struct server *server, enum tag tag)
{
    struct client *client = server->client;
    if (client == NULL || deny_may_pin(client, server)) {
        if (tag != TAG_LOAD)
            return;
        server->retire = true; /* there is no unloading */
        if (client != NULL && settings_follows(client->settings))
            client_pin_set(client, client->pins | PIN_LOAD);
        return;
    }
    /* Where others are under way behind it already, their replies are held back too. */
    server->guarded = true;
    server->deny_due = true;
    if (tag == TAG_LOAD)
        server->deny_pins |= PIN_LOAD;
}

void deny_begin(struct server *server, struct batch *batch)
{
    server->held = memory_new(struct buffer);
    server->held_rest = 0;
    batch_hold_back(batch, server->held);
}

/* The client gets what there is of it, perhaps up to the middle of a message. */
static void deny_send(struct server *server)
{
    struct client *client = server->client;
    if (buffer_length(server->held) == 0)
        return;
    server->held_rest = server->passing_forward ? server->passing : 0;
    if (client_send(client, server->held) && stream_is_blocked(&client->stream) &&
        client->server == server)
        stream_pause(&server->stream);
}

static void deny_drop(struct server *server)
{
    if (server->held != NULL) {
        buffer_release(server->held);
        free(server->held);
        server->held = NULL;
    }
    failure_release(&server->refusal);
}

/* Takes what is held off the server, so that whatever sending brings about finds nothing. */
static struct buffer *deny_take_held(struct server *server)
{
    struct buffer *held = server->held;
    server->held = NULL;
    return held;
}

void deny_end(struct server *server)
{
    deny_drop(server);
    server->deny_due = false;
    server->denying = false;
}

void deny_lost(struct server *server)
{
    struct client *client = server->client;
    if (server->held != NULL && client != NULL && stream_is_open(&client->stream)) {
        enum stream_result ignored =
            stream_write(&client->stream, buffer_bytes(server->held), buffer_length(server->held));
        (void)ignored;
    }
    deny_end(server);
}

void deny_received(struct server *server)
{
    if (buffer_length(server->held) > DENY_MOST_HELD && server->pipeline.count > 0)
        deny_send(server); /* the ReadyForQuery is not among it */
}

/* What the client was to get, it gets. */
static void deny_let_go(struct server *server)
{
    struct client *client = server->client;
    struct buffer *held = deny_take_held(server);
    if (held == NULL)
        return;
    if (client_send(client, held) && stream_is_blocked(&client->stream) && client->server == server)
        stream_pause(&server->stream);
    buffer_release(held);
    free(held);
}

/* What has begun, notices and parameters are the client's in any case. */
static void deny_keep_notices(const struct buffer *held, size_t rest, struct buffer *reply)
{
    const uint8_t *at = buffer_bytes(held), *end = at + buffer_length(held);
    struct frame frame;
    buffer_append(reply, at, rest);
    at += rest;
    while (at < end && frame_from_server(at, (size_t)(end - at), &frame) == FRAME_WHOLE) {
        if (frame.type == MESSAGE_NOTICE_RESPONSE || frame.type == MESSAGE_PARAMETER_STATUS ||
            frame.type == MESSAGE_NOTIFICATION_RESPONSE)
            buffer_append(reply, at, frame.size);
        at += frame.size;
    }
}

/* An error in place of what is held. */
static void deny_refuse(struct server *server, struct failure *failure)
{
    struct client *client = server->client;
    struct buffer *held = deny_take_held(server);
    struct buffer reply = {0};
    server->deny_due = false;
    server->deny_pins = 0;
    deny_keep_notices(held, server->held_rest, &reply);
    failure_write(&reply, "ERROR", failure);
    reply_ready(&reply, server->transaction_status);
    buffer_release(held);
    free(held);
    (void)client_send(client, &reply);
    buffer_release(&reply);
}

/* Within a transaction block: it has to fail on the server too. */
static void deny_fail(struct server *server, unsigned pins)
{
    server->refusal = client_pin_refusal(server->client, pins, NULL);
    server->undo_due = true;
    server->retire |= (pins & PIN_CLOSES) != 0;
    /* No ROLLBACK gives them back; the client has had none before. */
    if ((pins & PIN_ADVISORY) != 0 &&
        !server_query(server, SERVER_NOTE_DENY, "SELECT pg_catalog.pg_advisory_unlock_all()"))
        return;
    (void)server_query(server, SERVER_NOTE_DENY, DENY_FAILS);
}

static void deny_finish(struct server *server)
{
    struct failure *failure = server->refusal;
    server->refusal = NULL;
    failure_release(&server->failure);
    deny_refuse(server, failure);
    failure_release(&failure);
}

static bool deny_settle_block(struct server *server)
{
    if (server->refusal != NULL) {
        deny_finish(server);
        return false;
    }
    if (server->transaction_status != MESSAGE_IN_TRANSACTION) {
        deny_let_go(server); /* nothing can stay but what the end of the block tells */
        return false;
    }
    if (server->deny_pins != 0) {
        deny_fail(server, server->deny_pins);
        return true;
    }
    if ((server->look & (ASK_ALL | ASK_OBJECTS)) == 0) {
        server->deny_due = false;
        deny_let_go(server);
        return false;
    }
    server->denying = true;
    ask_what_pins(server->client, server);
    return true;
}

bool deny_settle(struct server *server)
{
    const struct pipeline *pipeline = &server->pipeline;
    struct client *client = server->client;
    if (client == NULL || server->state != SERVER_LEASED) {
        deny_drop(server);
        return false;
    }
    if (pipeline->count > 0 || pipeline->doubtful > 0 || server->passing > 0 ||
        server->cancel != NULL || server->question != NULL)
        return true;
    if (pipeline->unsynced || pipeline->skipping) {
        deny_send(server); /* the client may be waiting for it; it may have flushed */
        return false;
    }
    if (server->transaction_status != MESSAGE_IDLE)
        return deny_settle_block(server);
    if (!ask_is_due(client, server))
        deny_take_pins(client, server, client->pins);
    return false;
}

void deny_take_answer(struct server *server)
{
    unsigned pins;
    server->denying = false;
    bool told = ask_take_pins(server, &pins);
    if (server->client == NULL || server->held == NULL)
        return;
    if (!told) { /* the question has failed, and the transaction with it */
        server->refusal = server->failure != NULL
                              ? failure_retain(server->failure)
                              : client_pin_refusal(server->client, PIN_TEMPORARY, NULL);
        deny_finish(server);
        return;
    }
    pins &= ~(unsigned)server->client->pins;
    if (pins != 0) {
        deny_fail(server, pins);
        return;
    }
    server->deny_due = false;
    deny_let_go(server);
}

/* Outside a transaction: the lease ends with a DISCARD ALL. */
static void deny_undo(struct client *client, struct server *server, unsigned pins)
{
    struct failure *failure = client_pin_refusal(client, pins, NULL);
    server->retire |= (pins & PIN_CLOSES) != 0;
    server->undo_due = true;
    if (server->held != NULL)
        deny_refuse(server, failure);
    else /* the client has its answer already */
        client_fatal_failure(client, failure);
    failure_release(&failure);
}

void deny_take_pins(struct client *client, struct server *server, unsigned pins)
{
    unsigned all = pins | server->deny_pins;
    bool begins = !client_pin_holds(client) && (all & PIN_COUNTS) != 0;
    bool denied = begins && client_pin_is_denied(client);
    if (begins && (denied || !client_pin_reserve(client))) {
        if (denied || server->held != NULL) {
            deny_undo(client, server, all);
            return;
        }
    }
    server->deny_due = false;
    server->deny_pins = 0;
    client_pin_set(client, all);
    deny_let_go(server);
}

bool deny_replace_error(struct batch *batch, const struct frame *frame,
                        const struct failure *refusal)
{
    static const char expected[] = "\0C" SQLSTATE_SYNTAX_ERROR;
    if (memmem(frame->body, frame->size - FRAME_HEADER_SIZE, expected, sizeof expected) == NULL)
        return false;
    failure_write(batch_made_begin(batch), "ERROR", refusal);
    batch_made_end(batch);
    return true;
}
