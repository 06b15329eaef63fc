/*
 * A server connection's messages, to the client that leases it. Most bytes pass unread: only what
 * tells about the transaction, the session's state, or an own message of pgsluice is looked at.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/reader.h"
#include "pg/request.h"
#include "pg/sqlstate.h"
#include "pg/tag.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/lease.h"
#include "session/question.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/guc.h"
#include "state/parameters.h"
#include "state/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELAY_PROBE SERVER_NOTE_SYNC

/* ---- The pipeline's entries as they leave ---- */

/* An own query has come back; what it was for goes on once the wake-up's bytes are worked off. */
static void relay_own_query_done(struct server *server, enum server_note note,
                                 enum pipeline_end end)
{
    bool worked = end == PIPELINE_COMPLETED && !server->own_query_failed;
    server->own_query_failed = false;
    switch (note) {
    case SERVER_NOTE_SWITCH:
        server->switched = true;
        if (worked) {
            guc_release(&server->gucs);
            server->gucs = server->switching_to;
            server->switching_to = NULL;
        } else {
            guc_release(&server->switching_to);
            server->switch_failed = true;
        }
        break;
    case SERVER_NOTE_ASK:
        server->answered = true;
        server->reset_needed |= !worked;
        break;
    case SERVER_NOTE_ROLLBACK:
        server->retire |= !worked;
        break;
    case SERVER_NOTE_RESET:
        server->reset_needed = false;
        server->retire |= !worked;
        guc_release(&server->gucs);
        server->gucs = guc_empty();
        statement_cache_clear(&server->prepared);
        statement_release(&server->unnamed);
        break;
    default:
        break;
    }
}

static void relay_forget_name(struct server *server, const struct server_undo *undo)
{
    struct client *client = server->client;
    if (client != NULL && statement_names_find(client->statements, undo->name) == undo->statement)
        (void)statement_names_remove(&client->statements, undo->name);
}

/* Whether another Parse of the same statement is under way, behind a later Sync. */
static bool relay_is_prepared_again(const struct server *server, const struct statement *statement)
{
    const struct pipeline *pipeline = &server->pipeline;
    for (unsigned i = 0; i < pipeline->count; i++) {
        const struct pipeline_entry *entry =
            &pipeline->ring[(pipeline->head + i) & (pipeline->capacity - 1)];
        const struct server_undo *undo = entry->subject;
        if (undo != NULL && undo->statement == statement &&
            (entry->note == SERVER_NOTE_NAMED ||
             (entry->note == SERVER_NOTE_PREPARE && undo->cached)))
            return true;
    }
    return false;
}

static void relay_forget_prepared(struct server *server, const struct statement *statement)
{
    if (!relay_is_prepared_again(server, statement))
        (void)statement_cache_remove(&server->prepared, statement);
}

/* The next message, behind the Sync that ends the skipping, that puts another in the place of the
 * client's unnamed statement, or none. */
static struct pipeline_entry *relay_next_unnamed(struct server *server)
{
    struct pipeline *pipeline = &server->pipeline;
    bool synced = false;
    for (unsigned i = 0; i < pipeline->count; i++) {
        struct pipeline_entry *entry =
            &pipeline->ring[(pipeline->head + i) & (pipeline->capacity - 1)];
        synced |= entry->kind == PIPELINE_SYNC;
        if (!synced)
            continue;
        if (!entry->ours && (entry->note == SERVER_NOTE_UNNAMED || entry->kind == PIPELINE_QUERY))
            return entry;
    }
    return NULL;
}

/*
 * The client's unnamed statement, where a message about it was not carried out: an error of its own
 * Parse has removed it, a message that was skipped has left the one before. Where a later message
 * has put another in its place already, that one's undoing leads back to it.
 */
static void relay_unnamed_done(struct server *server, struct server_undo *undo,
                               enum pipeline_end end)
{
    struct client *client = server->client;
    statement_release(&server->unnamed);
    server->unnamed_unknown = true;
    server->unnamed_unkept = false;
    if (client == NULL || (end != PIPELINE_ERRORED && undo == NULL))
        return;
    struct statement *left = NULL;
    if (end != PIPELINE_ERRORED) {
        left = undo->previous;
        undo->previous = NULL;
    }
    struct pipeline_entry *next = relay_next_unnamed(server);
    struct statement **place = &client->unnamed;
    struct statement *unused = NULL;
    if (next != NULL && next->note == SERVER_NOTE_UNNAMED) {
        if (next->subject == NULL)
            next->subject = server_undo_new("", NULL);
        place = &((struct server_undo *)next->subject)->previous;
    } else if (next != NULL) {
        place = &unused; /* a query drops it anyway */
    }
    statement_release(place);
    *place = left;
    statement_release(&unused);
}

/* A message about statements was not carried out: what its sending has noted is taken back. */
static void relay_undo(struct server *server, enum server_note note, struct server_undo *undo,
                       enum pipeline_end end)
{
    switch (note) {
    case SERVER_NOTE_UNNAMED:
        relay_unnamed_done(server, undo, end);
        break;
    case SERVER_NOTE_NAMED:
        relay_forget_name(server, undo);
        if (undo->cached || end == PIPELINE_ERRORED)
            relay_forget_prepared(server, undo->statement);
        break;
    case SERVER_NOTE_PREPARE:
        if (undo->cached)
            relay_forget_prepared(server, undo->statement);
        else
            relay_unnamed_done(server, NULL, PIPELINE_SKIPPED);
        break;
    case SERVER_NOTE_EVICT:
        if (undo != NULL && !statement_cache_use(server->prepared, undo->statement))
            statement_cache_add(&server->prepared, undo->statement);
        break;
    case SERVER_NOTE_CLOSE:
        if (server->client != NULL && undo->statement != NULL &&
            statement_names_find(server->client->statements, undo->name) == NULL)
            statement_names_add(&server->client->statements, undo->name, undo->statement);
        break;
    default:
        break;
    }
}

struct server_undo *server_undo_new(const char *name, struct statement *statement)
{
    size_t size = strlen(name) + 1;
    struct server_undo *undo = memory_zeroed(sizeof *undo + size);
    memcpy(undo->name, name, size);
    undo->statement = statement != NULL ? statement_retain(statement) : NULL;
    return undo;
}

void server_undo_free(struct server_undo *undo)
{
    if (undo == NULL)
        return;
    statement_release(&undo->statement);
    statement_release(&undo->previous);
    free(undo);
}

void server_relay_done(const struct pipeline_entry *entry, enum pipeline_end end, void *context)
{
    struct server *server = context;
    enum server_note note = entry->note;
    struct server_undo *undo = entry->subject;
    server->named_pending -= note == SERVER_NOTE_NAMED;
    server->closes_pending -= note == SERVER_NOTE_CLOSE;
    server->prepares_pending -= note == SERVER_NOTE_PREPARE;
    server->unnamed_pending -= note == SERVER_NOTE_UNNAMED;
    if (note == SERVER_NOTE_NONE || end == PIPELINE_DROPPED) {
        server_undo_free(undo);
        return;
    }
    if (entry->ours && entry->kind == PIPELINE_QUERY)
        relay_own_query_done(server, note, end);
    else if (end == PIPELINE_SKIPPED || (end == PIPELINE_ERRORED && entry->kind != PIPELINE_QUERY))
        relay_undo(server, note, undo, end);
    else if (end == PIPELINE_ERRORED && note == SERVER_NOTE_CLOSE)
        relay_undo(server, note, undo, end); /* a DEALLOCATE */
    server_undo_free(undo);
}

/* ---- What single messages tell ---- */

/* The client's statements and the server's, both gone by DEALLOCATE ALL or DISCARD ALL; those whose
 * Parse is still under way are not. */
static void relay_forget_statements(struct server *server)
{
    struct client *client = server->client;
    const struct pipeline *pipeline = &server->pipeline;
    statement_cache_clear(&server->prepared);
    if (client != NULL)
        statement_names_clear(&client->statements);
    for (unsigned i = 0; i < pipeline->count; i++) {
        const struct pipeline_entry *entry =
            &pipeline->ring[(pipeline->head + i) & (pipeline->capacity - 1)];
        const struct server_undo *undo = entry->subject;
        bool named = entry->note == SERVER_NOTE_NAMED;
        if (undo == NULL || (!named && !(entry->note == SERVER_NOTE_PREPARE && undo->cached)))
            continue;
        if (!statement_cache_use(server->prepared, undo->statement))
            statement_cache_add(&server->prepared, undo->statement);
        if (named && client != NULL && statement_names_find(client->statements, undo->name) == NULL)
            statement_names_add(&client->statements, undo->name, undo->statement);
    }
}

static void relay_pin(struct server *server, enum pin pin)
{
    if (server->client == NULL)
        server->reset_needed = true; /* its client has gone meanwhile */
    else if (server->client->settings->mode != SETTINGS_SESSION)
        server->client->pins |= (uint8_t)pin;
}

/* A command of the client's has ended: did it touch the session's state? */
static void relay_command_complete(struct server *server, const struct frame *frame)
{
    size_t length = frame->size - FRAME_HEADER_SIZE;
    switch (tag_parse((const char *)frame->body, length > 0 ? length - 1 : 0)) {
    case TAG_SET:
    case TAG_RESET:
    case TAG_DO_OR_CALL:
    case TAG_PREPARE:
    case TAG_LISTEN:
    case TAG_DECLARE_CURSOR:
        server->look = true;
        break;
    case TAG_DISCARD_ALL:
        server->look = true;
        if (server->client != NULL)
            server->client->pins &= PIN_LOAD; /* there is no unloading */
        relay_forget_statements(server);
        break;
    case TAG_DEALLOCATE_ALL:
        relay_forget_statements(server);
        break;
    case TAG_LOAD:
        relay_pin(server, PIN_LOAD);
        break;
    case TAG_OTHER:
    case TAG_DISCARD:
    case TAG_DEALLOCATE:
    case TAG_UNLISTEN:
    case TAG_CLOSE_CURSOR:
    case TAG_CREATE_TABLE:
    case TAG_CREATE_OTHER:
    case TAG_BEGIN:
    case TAG_COMMIT:
    case TAG_ROLLBACK:
        break;
    }
}

/* True where the client is to see it. */
static bool relay_parameter_status(struct server *server, const struct frame *frame, bool is_ours)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    const char *name = reader_string(&reader);
    const char *value = reader_string(&reader);
    if (!reader_finished(&reader))
        return false;
    struct parameters *old = server->parameters;
    server->parameters = parameters_with(old, name, value);
    struct client *client = server->client;
    bool told = client != NULL && !is_ours;
    server->look |= told; /* a function may have set it, behind an innocent tag */
    if (told && client->told != NULL) {
        struct parameters *known = client->told;
        client->told = known == old ? parameters_retain(server->parameters)
                                    : parameters_with(known, name, value);
        parameters_release(&known);
    }
    parameters_release(&old);
    return told;
}

static void relay_ready(struct server *server, const struct frame *frame, bool is_ours)
{
    microseconds now = loop_now(server->worker->loop);
    server->transaction_status = frame->body[0];
    server->command_at = now;
    server->member.verified_at = now;
    server->timed_out = false;
    bool idle = server->pipeline.count == 0;
    server->forgetting &= !idle;
    if (idle && server->transaction_status == MESSAGE_IDLE)
        server->transaction_at = 0;
    server->idle_in_transaction_at = idle && server->transaction_status != MESSAGE_IDLE ? now : 0;
    if (server->client != NULL && server->transaction_status != MESSAGE_IDLE &&
        server->client->settings->mode == SETTINGS_STATEMENT)
        server->statement_violated = true;
    /* What pins may have ended with this command, whatever that was. */
    if (server->client != NULL && !is_ours && (server->client->pins & PIN_ASKABLE) != 0)
        server->look = true;
}

/* ---- The stream of messages ---- */

/* A message that is whole; true where it goes to the client as it is. */
static bool relay_message(struct server *server, struct batch *batch, const struct frame *frame)
{
    struct pipeline *pipeline = &server->pipeline;
    const struct pipeline_entry *at = pipeline_head(pipeline);
    struct pipeline_entry head = at != NULL ? *at : (struct pipeline_entry){0};
    bool is_ours = at != NULL && head.ours;
    struct server_undo *undo = NULL;
    if (frame->type == MESSAGE_ERROR_RESPONSE && at != NULL &&
        head.note == SERVER_NOTE_NAME_TAKEN) {
        const struct server_undo *source = head.subject;
        undo = server_undo_new(source->name, source->statement);
    }
    enum pipeline_verdict verdict = pipeline_reply(pipeline, frame->type);
    if (verdict == PIPELINE_VIOLATION) {
        server->violated = frame->type;
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
        break;
    case MESSAGE_COMMAND_COMPLETE:
        if (verdict == PIPELINE_FORWARD)
            relay_command_complete(server, frame);
        break;
    case MESSAGE_PARAMETER_STATUS:
        forward = relay_parameter_status(server, frame, is_ours);
        break;
    case MESSAGE_NOTICE_RESPONSE:
        forward = server->client != NULL && !is_ours && server->state == SERVER_LEASED;
        break;
    case MESSAGE_NOTIFICATION_RESPONSE: /* comes at any time, also before an own query's end */
        forward = server->client != NULL && server->state == SERVER_LEASED;
        break;
    case MESSAGE_ERROR_RESPONSE:
        forward = server_error_take(server, batch, frame, at != NULL ? &head : NULL, undo, verdict);
        break;
    case MESSAGE_DATA_ROW:
        if (is_ours && head.note == SERVER_NOTE_ASK && server->question != NULL)
            question_take_row(server->question, frame->body, frame->size - FRAME_HEADER_SIZE);
        break;
    default:
        break;
    }
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
    case MESSAGE_COPY_DATA:
    case MESSAGE_ROW_DESCRIPTION:
    case MESSAGE_FUNCTION_CALL_RESPONSE:
        return true;
    default:
        return frame->size > WORKER_KEEP_SIZE;
    }
}

/* The first piece of a message that goes by in pieces. */
static void relay_begin_stream(struct server *server, const struct frame *frame, size_t available)
{
    const struct pipeline_entry *head = pipeline_head(&server->pipeline);
    bool is_ours = head != NULL && head->ours;
    enum pipeline_verdict verdict = pipeline_reply(&server->pipeline, frame->type);
    if (verdict == PIPELINE_VIOLATION)
        server->violated = frame->type;
    if (server->question != NULL && frame->type == MESSAGE_DATA_ROW)
        server->question->malformed = true; /* too long a row to be read */
    server->passing = frame->size - available;
    server->passing_forward = server->client != NULL && !is_ours &&
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
            if (server->passing_forward)
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
            relay_begin_stream(server, &frame, left);
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

/* After an ask: the client has what its session has; and it keeps what it came with where a RESET
 * has brought the server's default back. */
static void relay_take_answer(struct server *server)
{
    server->answered = false;
    struct question *question = server->question;
    server->question = NULL;
    if (question == NULL || question->malformed || server->reset_needed) {
        question_free(&question);
        server->reset_needed = true;
        if (server->client != NULL)
            client_fatal(server->client, SQLSTATE_CONNECTION_FAILURE,
                         "the settings of this session are not known any more",
                         server->failure != NULL ? server->failure->message : NULL, NULL);
        return;
    }
    struct guc_set *answer = guc_intern(&question->gucs);
    guc_release(&server->gucs);
    server->gucs = guc_retain(answer);
    if (server->client != NULL) {
        guc_release(&server->client->gucs);
        server->client->gucs = guc_merge(server->client->startup_gucs, answer);
        server->client->pins =
            (uint8_t)((server->client->pins & ~(unsigned)PIN_ASKABLE) | question->pins);
    } else if (question->pins != 0) {
        server->reset_needed = true; /* its client has gone and left it there */
    }
    guc_release(&answer);
    question_free(&question);
}

/* The session could not be brought into the client's state, and its command went with it. */
static void relay_switch_failed(struct server *server)
{
    struct client *client = server->client;
    server->switch_failed = false;
    if (client == NULL || client->state == CLIENT_GREETING)
        return; /* lease_prepared tells it */
    server->reset_needed = true;
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

static void relay_switched(struct server *server)
{
    struct client *client = server->client;
    server->switched = false;
    if (client != NULL)
        lease_tell_parameters(client, server);
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
    else if (server->answered)
        relay_take_answer(server);
    if (relay_is_out_of_hands(server, client))
        return;
    if (server->fatal && server->state == SERVER_IDLE)
        server_lost(server); /* its end of file may take a while: nobody is to get it */
    server_relay_probe(server);
    if (server->state == SERVER_CLOSED || server->dying)
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
    if (client == NULL || batch_is_empty(batch))
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
    size_t used = relay_take(server, &batch, bytes, length);
    if (used < length && server->violated == 0) {
        if (server->input == NULL)
            server->input = memory_new(struct buffer);
        buffer_append(server->input, bytes + used, length - used);
    }
    struct client *client = server->client;
    if (server->switched)
        relay_switched(server);
    if (relay_is_out_of_hands(server, client))
        return;
    if (server->switch_failed && client != NULL)
        batch.count = 0; /* replies to what ran in the wrong state */
    relay_flush(server, &batch);
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
