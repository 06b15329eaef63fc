/*
 * A server connection's messages, to the client that leases it. Most bytes pass unread: only what
 * tells about the transaction, the session's state, or an own message of pgsluice is looked at.
 */
#include "base/check.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/request.h"
#include "pg/sqlstate.h"
#include "session/ask.h"
#include "session/batch.h"
#include "session/belief.h"
#include "session/client.h"
#include "session/client_listen.h"
#include "session/client_text.h"
#include "session/deny.h"
#include "session/lease.h"
#include "session/notifier.h"
#include "session/question.h"
#include "session/replay.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/guc.h"
#include "state/parameters.h"
#include "state/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELAY_PROBE SERVER_NOTE_SYNC

static void relay_ready(struct server *server, const struct frame *frame, bool is_ours)
{
    microseconds now = loop_now(server->worker->loop);
    server->transaction_status = frame->body[0];
    server->command_at = now;
    server->member.verified_at = now;
    server->timed_out = false;
    if (server->belief != NULL)
        belief_ready(server);
    bool idle = server->pipeline.count == 0;
    server->forgetting &= !idle;
    if (idle && server->transaction_status == MESSAGE_IDLE)
        server->transaction_at = 0;
    server->idle_in_transaction_at = idle && server->transaction_status != MESSAGE_IDLE ? now : 0;
    if (server->client != NULL && server->transaction_status != MESSAGE_IDLE &&
        server->client->settings->mode == SETTINGS_STATEMENT)
        server->statement_violated = true;
    if (server->unread && server->client != NULL)
        client_text_has_run_unread(server->client);
    server->unread = false;
    if (server->client != NULL && !is_ours) {
        server->cancel_asked = false;
        /* What pins may have ended with this command, whatever that was. */
        if ((server->client->pins & PIN_ASKABLE) != 0)
            server->look |= ASK_OBJECTS;
        if ((server->client->pins & PIN_PREPARE) != 0)
            server->look |= ASK_SETTINGS; /* an EXECUTE does not tell what it has executed */
        if (server->client->settings->state == SETTINGS_STATE_ALWAYS)
            server->look |= ASK_ALL;
    }
}

/* In the client's state now: what it was told last may be of another connection, or older. */
static void relay_switched(struct server *server, struct batch *batch)
{
    struct client *client = server->client;
    server->switched = false;
    if (client == NULL || server->switch_failed || client->told == NULL ||
        client->told == server->parameters)
        return;
    parameters_write_difference(client->told, server->parameters, batch_made_begin(batch));
    batch_made_end(batch);
    parameters_release(&client->told);
    client->told = parameters_retain(server->parameters);
}

/* ---- The stream of messages ---- */

/* What the client is to read in place of an error that was brought about; or NULL. */
static struct failure *relay_refusal(const struct server_undo *undo)
{
    return undo->refusal != NULL ? failure_retain(undo->refusal) : NULL;
}

/* A message that is whole; true where it goes to the client as it is. */
static bool relay_message(struct server *server, struct batch *batch, const struct frame *frame)
{
    struct pipeline *pipeline = &server->pipeline;
    const struct pipeline_entry *at = pipeline_head(pipeline);
    struct pipeline_entry head = at != NULL ? *at : (struct pipeline_entry){0};
    bool is_ours = at != NULL && head.ours;
    struct server_undo *undo = NULL;
    if (is_ours && head.kind == PIPELINE_DESCRIBE)
        server_take_shape(server, batch, &head, frame, frame->size);
    if (frame->type == MESSAGE_ERROR_RESPONSE && at != NULL &&
        head.note == SERVER_NOTE_NAME_TAKEN) {
        const struct server_undo *source = head.subject;
        undo = server_undo_new(source->name, source->statement);
    }
    struct failure *refusal = NULL;
    if (frame->type == MESSAGE_ERROR_RESPONSE && head.subject != NULL)
        refusal = relay_refusal(head.subject);
    enum pipeline_verdict verdict = pipeline_reply(pipeline, frame->type);
    if (verdict == PIPELINE_VIOLATION) {
        server->violated = frame->type;
        failure_release(&refusal);
        server_undo_free(undo);
        return false;
    }
    bool forward = verdict == PIPELINE_FORWARD && server->client != NULL;
    switch (frame->type) {
    case MESSAGE_READY_FOR_QUERY:
        if (frame->size == FRAME_HEADER_SIZE + 1)
            relay_ready(server, frame, is_ours);
        else
            server->violated = frame->type;
        if (server->switched)
            relay_switched(server, batch);
        if (forward && server->client->listening != NULL &&
            server->transaction_status == MESSAGE_IDLE && server->violated == 0)
            forward = client_listen_ready(server, batch);
        break;
    case MESSAGE_COMMAND_COMPLETE:
        if (verdict == PIPELINE_FORWARD)
            server_watch_command(server, frame, (enum server_note)head.note);
        if (server->deny_due && server->held == NULL && server->client != NULL && !is_ours)
            deny_begin(server, batch);
        break;
    case MESSAGE_PARAMETER_STATUS:
        forward = server_watch_parameter(server, batch, frame, is_ours);
        break;
    case MESSAGE_NOTICE_RESPONSE:
        forward = server->client != NULL && !is_ours && server->state == SERVER_LEASED;
        break;
    case MESSAGE_NOTIFICATION_RESPONSE: /* comes at any time, also before an own query's end */
        if (server->notifier != NULL)
            notifier_hear(server, frame);
        forward = server->notifier == NULL && client_listen_hears(server, frame);
        break;
    case MESSAGE_ERROR_RESPONSE:
        forward = server_error_take(server, batch, frame, at != NULL ? &head : NULL, undo, verdict);
        if (forward && refusal != NULL)
            forward = !deny_replace_error(batch, frame, refusal);
        break;
    case MESSAGE_ROW_DESCRIPTION:
    case MESSAGE_NO_DATA:
        forward &= head.note != SERVER_NOTE_CHANGED;
        if (is_ours && head.note == SERVER_NOTE_RESULT)
            replay_take_shape(server, frame);
        break;
    case MESSAGE_PARAMETER_DESCRIPTION:
        if (is_ours && head.note == SERVER_NOTE_RESULT)
            replay_take_parameters(server, frame);
        break;
    case MESSAGE_DATA_ROW:
        if (is_ours && head.note == SERVER_NOTE_ASK && server->question != NULL)
            question_take_row(server->question, frame->body, frame->size - FRAME_HEADER_SIZE);
        break;
    default:
        break;
    }
    failure_release(&refusal);
    server_undo_free(undo);
    return forward;
}

/* Whether a message can go by in pieces, its bytes unread. */
static bool relay_may_stream(const struct server *server, const struct frame *frame)
{
    switch (frame->type) {
    case MESSAGE_DATA_ROW:
        /* A row about the session's state is read. */
        return server->question == NULL || frame->size > WORKER_KEEP_SIZE;
    case MESSAGE_ROW_DESCRIPTION: {
        const struct pipeline_entry *head = pipeline_head(&server->pipeline);
        return head == NULL || !head->ours || frame->size > WORKER_KEEP_SIZE;
    }
    case MESSAGE_COPY_DATA:
    case MESSAGE_FUNCTION_CALL_RESPONSE:
        return true;
    default:
        return frame->size > WORKER_KEEP_SIZE;
    }
}

/* The first piece of a message that goes by in pieces. */
static void relay_begin_stream(struct server *server, struct batch *batch,
                               const struct frame *frame, size_t available)
{
    const struct pipeline_entry *head = pipeline_head(&server->pipeline);
    bool is_ours = head != NULL && head->ours;
    bool unseen = is_ours || (head != NULL && head->note == SERVER_NOTE_CHANGED);
    if (is_ours && head->kind == PIPELINE_DESCRIBE)
        server_take_shape(server, batch, head, frame, available);
    enum pipeline_verdict verdict = pipeline_reply(&server->pipeline, frame->type);
    if (verdict == PIPELINE_VIOLATION)
        server->violated = frame->type;
    if (server->question != NULL && frame->type == MESSAGE_DATA_ROW && is_ours)
        question_begin_row(server->question, frame->size - FRAME_HEADER_SIZE, frame->body,
                           available - FRAME_HEADER_SIZE);
    server->passing = frame->size - available;
    server->passing_forward = server->client != NULL && !unseen &&
                              (verdict == PIPELINE_FORWARD ||
                               (verdict == PIPELINE_ASYNC && server->state == SERVER_LEASED));
}

/* The most frequent message by far: a row of the client's own query needs no further look. Asking
 * the pipeline twice about a row that is not the client's does no harm. */
static inline bool relay_is_clients_row(struct server *server, const struct frame *frame)
{
    return frame->type == MESSAGE_DATA_ROW && server->client != NULL &&
           pipeline_reply(&server->pipeline, MESSAGE_DATA_ROW) == PIPELINE_FORWARD;
}

/* Works on received bytes; returns how many were used. What is left is the begin of a message. */
static size_t relay_take(struct server *server, struct batch *batch, const uint8_t *bytes,
                         size_t length)
{
    const uint8_t *at = bytes, *end = bytes + length;
    while (at < end && server->violated == 0) {
        size_t left = (size_t)(end - at);
        if (server->passing > 0) {
            size_t piece = server->passing < left ? server->passing : left;
            if (server->question != NULL && server->question->row_left > 0)
                question_add_to_row(server->question, at, piece);
            else if (server->passing_forward)
                batch_add(batch, at, piece);
            server->passing -= piece;
            at += piece;
            continue;
        }
        struct frame frame;
        switch (frame_from_server(at, left, &frame)) {
        case FRAME_WHOLE:
            if (relay_is_clients_row(server, &frame) || relay_message(server, batch, &frame))
                batch_add(batch, at, frame.size);
            at += frame.size;
            break;
        case FRAME_PART:
            if (!relay_may_stream(server, &frame))
                return (size_t)(at - bytes);
            relay_begin_stream(server, batch, &frame, left);
            if (server->passing_forward)
                batch_add(batch, at, left);
            at = end;
            break;
        case FRAME_NOTHING:
            return (size_t)(at - bytes);
        case FRAME_BAD_TYPE:
        case FRAME_BAD_LENGTH:
            server->violated = frame.type != 0 ? frame.type : 1;
            break;
        }
    }
    return (size_t)(at - bytes);
}

/* The session could not be brought into the client's state, and its command went with it. */
static void relay_switch_failed(struct server *server)
{
    struct client *client = server->client;
    server->switch_failed = false;
    server->reset_needed = true; /* a DEALLOCATE that was part of it is not undone */
    if (client == NULL || client->state == CLIENT_GREETING)
        return; /* lease_prepared tells it */
    if (server->state == SERVER_PREPARING && guc_pairs(server->gucs)->count > 0) {
        /* By what another had set there, perhaps: a statement_timeout, or what the login user may
         * not reset. The client gets another connection, and none is left in such a state. */
        server_close(server, NULL, "its session's settings do not let it be used again");
        return;
    }
    struct failure *failure =
        server->failure != NULL
            ? failure_new(server->failure->sqlstate, server->failure->message,
                          "The session's settings could not be restored on another server "
                          "connection.",
                          NULL)
            : server_lost_failure(server, 0);
    client_fatal_failure(client, failure);
    failure_release(&failure);
}

/* Nobody can tell how many ReadyForQuery a failed COPY IN still brings: asks (pipeline.h). */
void server_relay_probe(struct server *server)
{
    const struct client *client = server->client;
    if (!pipeline_must_probe(&server->pipeline) ||
        (client != NULL && client->passing > 0 && !client->discarding))
        return;
    struct buffer messages = {0};
    if (pipeline_push_probe(&server->pipeline, RELAY_PROBE))
        request_sync(&messages);
    request_query(&messages, "");
    server_drop_unnamed(server);
    (void)server_send(server, &messages);
    buffer_release(&messages);
}

static void relay_violation(struct server *server)
{
    char message[128];
    snprintf(message, sizeof message,
             "server sent a message of type 0x%02X that does not fit what it was asked",
             server->violated);
    struct failure *failure = failure_new(SQLSTATE_PROTOCOL_VIOLATION, message, NULL, NULL);
    server->fatal_forwarded = false;
    server_close(server, failure, "protocol violation");
    failure_release(&failure);
}

static void relay_statement_mode(struct server *server)
{
    server->statement_violated = false;
    if (server->client != NULL)
        client_fatal(server->client, SQLSTATE_FEATURE_NOT_SUPPORTED,
                     "transaction blocks are not allowed in statement mode", NULL,
                     "Use mode = transaction.");
}

static void relay_listened(struct server *server)
{
    bool worked = !server->listen_failed;
    server->listened = server->listen_failed = false;
    notifier_replied(server, worked);
}

/* True once the client's lease has ended: the server connection may be gone, or another worker's,
 * and must not be touched. */
static bool relay_is_out_of_hands(const struct server *server, const struct client *client)
{
    return client != NULL && client->server != server;
}

/* After the bytes of a wake-up: what own messages have brought, then the end of the lease. */
static void relay_after(struct server *server)
{
    struct client *client = server->client;
    if (server->switch_failed)
        relay_switch_failed(server);
    else if (server->statement_violated)
        relay_statement_mode(server);
    else if (server->answered && server->denying)
        deny_take_answer(server);
    else if (server->answered)
        ask_take_answer(server);
    if (relay_is_out_of_hands(server, client))
        return;
    if (server->fatal && (server->state == SERVER_IDLE || server->state == SERVER_LISTENING))
        server_lost(server); /* its end of file may take a while: nobody is to get it */
    else if (server->overheard && server->state == SERVER_IDLE)
        server_close(server, NULL, "it listens, and nobody knows to what");
    else if (server->listened)
        relay_listened(server);
    server_relay_probe(server);
    if (server->state == SERVER_CLOSED || server->dying)
        return;
    if (server->held != NULL && (deny_settle(server) || relay_is_out_of_hands(server, client)))
        return;
    if (server->state == SERVER_PREPARING && pipeline_is_empty(&server->pipeline)) {
        lease_prepared(server);
        return;
    }
    if (pipeline_is_empty(&server->pipeline))
        lease_settle(server);
    else if (server->state == SERVER_CLEANING)
        lease_clean(server);
    /* Still leased: what was kept for want of replies may go on. */
    if (client != NULL && client->server == server && client->input != NULL)
        client_relay_resume(client);
}

/* Sends what was gathered for the client; the counterpart of the resume in client.c. */
static void relay_flush(struct server *server, struct batch *batch)
{
    struct client *client = server->client;
    if (client == NULL || (batch_is_empty(batch) && !batch->failed))
        return;
    if (!batch_flush(batch)) {
        client_close(client, "connection lost");
        return;
    }
    if (stream_is_blocked(&client->stream) && server->client == client)
        stream_pause(&server->stream);
}

static void relay_received(struct server *server, const uint8_t *bytes, size_t length)
{
    struct batch batch;
    batch_start(&batch, server->client != NULL ? &server->client->stream : NULL,
                &server->worker->made);
    batch.held_back = server->held;
    size_t used = relay_take(server, &batch, bytes, length);
    if (used < length && server->violated == 0) {
        if (server->input == NULL)
            server->input = memory_new(struct buffer);
        buffer_append(server->input, bytes + used, length - used);
    }
    struct client *client = server->client;
    if (server->switch_failed && client != NULL)
        batch.count = 0; /* replies to what ran in the wrong state */
    relay_flush(server, &batch);
    if (relay_is_out_of_hands(server, client))
        return;
    if (server->held != NULL)
        deny_received(server);
    if (relay_is_out_of_hands(server, client))
        return;
    if (server->violated != 0)
        relay_violation(server);
    else
        relay_after(server);
}

/* The begin of a message that is kept goes in front of what comes: into the scratch memory. */
static size_t relay_take_kept(struct server *server, uint8_t *scratch)
{
    if (server->input == NULL)
        return 0;
    size_t kept = buffer_length(server->input);
    check(kept <= WORKER_KEEP_SIZE);
    memcpy(scratch, buffer_bytes(server->input), kept);
    buffer_release(server->input);
    free(server->input);
    server->input = NULL;
    return kept;
}

/* Memory: as the worker's scratch memory. */
static void relay_read(struct server *server, uint8_t *memory)
{
    size_t size;
    size_t kept = server->input != NULL ? buffer_length(server->input) : 0;
    switch (stream_read(&server->stream, memory + kept, WORKER_READ_SIZE, &size)) {
    case STREAM_DONE:
        kept = relay_take_kept(server, memory);
        relay_received(server, memory, kept + size);
        break;
    case STREAM_BLOCKED:
        break;
    case STREAM_END:
    case STREAM_FAILED:
        server_lost(server);
        break;
    }
}

void server_relay_readable(struct server *server)
{
    relay_read(server, server->worker->scratch);
}

bool server_relay_is_alive(struct server *server)
{
    if (!server->fatal && stream_is_quiet(&server->stream))
        return true;
    uint8_t *memory = memory_zeroed(sizeof server->worker->scratch);
    while (server->state != SERVER_CLOSED && !server->fatal && !stream_is_quiet(&server->stream))
        relay_read(server, memory);
    free(memory);
    if (server->state != SERVER_CLOSED && server->fatal)
        server_lost(server);
    return server->state != SERVER_CLOSED;
}
