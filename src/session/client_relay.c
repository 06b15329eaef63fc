/*
 * A client's messages, to the server connection that it leases. Bytes go out of the memory that
 * they were received into; only what names a prepared statement is rewritten, and only what has no
 * lease yet, or is not whole where it must be, is kept.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/frame.h"
#include "pg/lexer.h"
#include "pg/message.h"
#include "pg/reader.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "session/ask.h"
#include "session/batch.h"
#include "session/belief.h"
#include "session/cancel.h"
#include "session/client.h"
#include "session/client_lend.h"
#include "session/client_listen.h"
#include "session/client_pin.h"
#include "session/client_statement.h"
#include "session/client_text.h"
#include "session/deny.h"
#include "session/lease.h"
#include "session/server.h"
#include "session/void_block.h"
#include "session/worker.h"
#include "state/statement.h"

#include <stdlib.h>
#include <string.h>

/* A waiting client's bytes that are kept; past it, reading stops. */
#define RELAY_MAX_WAITING_INPUT ((size_t)65536)
/* So many replies may be owed before the client is read on. */
#define RELAY_MAX_OUTSTANDING (PIPELINE_MAX / 2)

enum relay_step {
    STEP_FORWARD, /* pass the message on, its rest too where it is not all there */
    STEP_DROP,    /* the same, but nobody gets it */
    STEP_TAKEN,   /* it was passed on rewritten: only its rest, after `taken`, still has to go */
    STEP_KEEP,    /* wait: for the rest of it, for a lease, for replies */
    STEP_END,     /* the client is closed or closing */
};

/* ---- Errors of our own ---- */

static uint8_t relay_status(const struct client *client)
{
    return client->void_block ? MESSAGE_FAILED_TRANSACTION : MESSAGE_IDLE;
}

/* Says that a request is refused, at the point of the protocol where it stands. `type` is the
 * message that is refused: what follows an extended one is skipped up to its Sync. */
static enum relay_step relay_refuse_message(struct client *client, uint8_t type,
                                            const struct failure *failure)
{
    if (atomic_load_explicit(&client->worker->service->stopping, memory_order_relaxed)) {
        client_fatal_failure(client, failure);
        return STEP_END;
    }
    char prefix[CLIENT_PREFIX_SIZE];
    client_prefix(client, prefix);
    log_warning(prefix, "%s: %s%s%s", failure->sqlstate, failure->message,
                failure->detail != NULL ? "; " : "",
                failure->detail != NULL ? failure->detail : "");
    struct buffer reply = {0};
    failure_write(&reply, "ERROR", failure);
    bool is_simple = type == MESSAGE_QUERY || type == MESSAGE_FUNCTION_CALL;
    if (type == MESSAGE_QUERY)
        statement_release(&client->unnamed); /* as with one that was carried out */
    if (is_simple)
        reply_ready(&reply, relay_status(client));
    else
        client->skipping = true;
    bool sent = client_send(client, &reply);
    buffer_release(&reply);
    return sent ? STEP_DROP : STEP_END;
}

static enum relay_step relay_answer_ready(struct client *client)
{
    struct buffer reply = {0};
    reply_ready(&reply, relay_status(client));
    bool sent = client_send(client, &reply);
    buffer_release(&reply);
    return sent ? STEP_DROP : STEP_END;
}

/* The client is about to go: what it has sent before is noted as sent, so it must be. */
static void relay_send_before_end(const struct client *client, struct batch *batch)
{
    if (client->server != NULL && client->server->state == SERVER_LEASED &&
        !batch_is_empty(batch) && !batch_flush(batch))
        server_lost(client->server);
}

static enum relay_step relay_violation(struct client *client, struct batch *batch,
                                       const char *message)
{
    relay_send_before_end(client, batch);
    client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION, message, NULL, NULL);
    return STEP_END;
}

/* ---- Without a lease ---- */

static enum relay_step relay_wait(const struct client *client)
{
    return client->state >= CLIENT_CLOSING ? STEP_END : STEP_KEEP;
}

/* What a simple query gets that is answered here. */
static enum relay_step relay_answer_query(struct client *client, const char *tag, uint8_t status)
{
    struct buffer reply = {0};
    statement_release(&client->unnamed);
    reply_command_complete(&reply, tag);
    reply_ready(&reply, status);
    bool sent = client_send(client, &reply);
    buffer_release(&reply);
    return sent ? STEP_DROP : STEP_END;
}

static struct failure *relay_in_failed_block(void)
{
    return failure_new(SQLSTATE_IN_FAILED_TRANSACTION,
                       "current transaction is aborted, commands ignored until end of "
                       "transaction block",
                       NULL, NULL);
}

/* A statement in a block that no server connection knows of: the first one learns why. */
static enum relay_step relay_refuse_in_block(struct client *client, uint8_t type)
{
    struct failure *failure = client->failure;
    client->failure = relay_in_failed_block();
    enum relay_step step = relay_refuse_message(client, type, failure);
    failure_release(&failure);
    return step;
}

/* STEP_FORWARD: the block is over, and the message as any other. */
static enum relay_step relay_in_void_block(struct client *client, const struct frame *frame,
                                           size_t available)
{
    enum void_block_step next = void_block_take(frame, available);
    switch (next) {
    case VOID_BLOCK_REFUSES:
        return relay_refuse_in_block(client, frame->type);
    case VOID_BLOCK_BREAKS:
        client_fatal_failure(client, client->failure);
        return STEP_END;
    case VOID_BLOCK_ENDS:
    case VOID_BLOCK_PASSES:
        break;
    }
    client->void_block = false;
    client->void_ending = next == VOID_BLOCK_PASSES;
    failure_release(&client->failure);
    if (next == VOID_BLOCK_PASSES)
        return STEP_FORWARD;
    return relay_answer_query(client, "ROLLBACK", MESSAGE_IDLE);
}

/* No connection can be had. */
static enum relay_step relay_refuse(struct client *client, const struct frame *frame,
                                    size_t available)
{
    enum relay_step step;
    if (client->settings->mode != SETTINGS_STATEMENT && void_block_begins(frame, available) &&
        !atomic_load_explicit(&client->worker->service->stopping, memory_order_relaxed)) {
        client->void_block = true;
        step = relay_answer_query(client, "BEGIN", MESSAGE_IN_TRANSACTION);
    } else {
        struct failure *failure = client->failure;
        client->failure = client->void_ending ? relay_in_failed_block() : NULL;
        client->void_block = client->void_ending;
        client->void_ending = false;
        step = relay_refuse_message(client, frame->type, failure);
        failure_release(&failure);
    }
    if (client->state == CLIENT_WAITING)
        client_set_state(client, CLIENT_IDLE);
    return step;
}

static enum relay_step relay_lease(struct client *client, struct batch *batch,
                                   const struct frame *frame, size_t available)
{
    if (client->void_block) {
        enum relay_step step = relay_in_void_block(client, frame, available);
        if (step != STEP_FORWARD)
            return step;
    }
    if (client->failure != NULL)
        return relay_refuse(client, frame, available);
    if (client->state == CLIENT_WAITING && (client->in_line || client->server != NULL))
        return STEP_KEEP;
    client->request_at = loop_now(client->worker->loop);
    switch (lease_begin(client)) {
    case LEASE_READY:
        batch_start(batch, &client->server->stream, &client->worker->made);
        return lease_add_switch(client, batch) ? STEP_FORWARD : relay_wait(client);
    case LEASE_PREPARING:
    case LEASE_WAITS:
        if (client->state == CLIENT_IDLE)
            client_set_state(client, CLIENT_WAITING);
        return relay_wait(client);
    case LEASE_REFUSED:
        return relay_refuse(client, frame, available);
    }
    return STEP_END;
}

/* A message of a client that has no lease: what needs none is answered here. */
static enum relay_step relay_unleased(struct client *client, struct batch *batch,
                                      const struct frame *frame, size_t available)
{
    switch (frame->type) {
    case MESSAGE_SYNC:
        client->skipping = false;
        return relay_answer_ready(client);
    case MESSAGE_FLUSH:
    case MESSAGE_COPY_DATA:
    case MESSAGE_COPY_DONE:
    case MESSAGE_COPY_FAIL:
        return STEP_DROP; /* the end of a COPY that has failed already, say */
    default:
        return relay_lease(client, batch, frame, available);
    }
}

/* ---- With a lease ---- */

/* `undo`: of the client's unnamed statement, under NOTE_UNNAMED; under NOTE_SET what it sets. */
static void relay_push(struct server *server, enum pipeline_kind kind, enum server_note note,
                       struct server_undo *undo)
{
    if (server->pipeline.count == 0)
        server->command_at = loop_now(server->worker->loop);
    if (server->transaction_at == 0)
        server->transaction_at = loop_now(server->worker->loop);
    server->idle_in_transaction_at = 0;
    if (note == SERVER_NOTE_UNNAMED) {
        server->unnamed_pending++;
        server->unnamed_synced = false;
    }
    pipeline_push(
        &server->pipeline,
        (struct pipeline_entry){.kind = (uint8_t)kind, .note = (uint8_t)note, .subject = undo});
}

/* A simple query drops the unnamed statement; not so where the server skips it, because of an error
 * in what is ahead of it. */
static struct server_undo *relay_drop_unnamed(struct client *client)
{
    const struct server *server = client->server;
    struct server_undo *undo = NULL;
    if (server->pipeline.count > 0 && (client->unnamed != NULL || server->unnamed != NULL ||
                                       server->unnamed_unknown || server->unnamed_unkept)) {
        undo = server_undo_new("", NULL);
        undo->previous = client->unnamed;
        client->unnamed = NULL;
    }
    statement_release(&client->unnamed);
    return undo;
}

/* A message that can be kept takes no lease before it is whole: a client that stops within it holds
 * up nobody. */
static bool relay_awaits_rest(const struct frame *frame, size_t available)
{
    return available < frame->size && (frame->size <= RELAY_MAX_WAITING_INPUT ||
                                       client_statement_needs_more(frame, available));
}

/* The server is made to answer with an error. */
static enum relay_step relay_refuse_query(struct client *client, struct batch *batch,
                                          struct failure **refusal)
{
    struct server_undo *undo = relay_drop_unnamed(client);
    undo = client_text_refuse_query(batch, undo, refusal);
    server_drop_unnamed(client->server);
    relay_push(client->server, PIPELINE_QUERY, SERVER_NOTE_UNNAMED, undo);
    return STEP_DROP;
}

/* A simple query: its text may change the session behind an innocent tag. */
static enum relay_step relay_query(struct client *client, struct batch *batch,
                                   const struct frame *frame, size_t available, size_t *taken)
{
    struct server *server = client->server;
    enum client_statement_answer answer = CLIENT_STATEMENT_FORWARD;
    struct server_undo *set = NULL;
    if (!pipeline_accepts(&server->pipeline, PIPELINE_QUERY)) {
        *taken = available;
        return client_lend_end_query(client, batch) ? STEP_TAKEN : STEP_DROP;
    }
    if (relay_awaits_rest(frame, available))
        return STEP_KEEP; /* its text is looked at whole */
    size_t length = available - FRAME_HEADER_SIZE;
    const char *sql = (const char *)frame->body;
    bool whole = frame->size <= available;
    if (whole && (length == 0 || sql[length - 1] != '\0'))
        return relay_violation(client, batch, "invalid string in message");
    struct failure *refusal = NULL;
    enum client_text_answer text =
        client_statement_look(client, batch, sql, whole ? length - 1 : length, &set, &refusal);
    if (text == CLIENT_TEXT_GO && whole)
        answer = client_statement_query(client, batch, sql, length - 1);
    if (!whole) {
        server->look |= ASK_ALL; /* the rest goes by unread */
        client_text_unread(client, batch);
    }
    if (!whole || text != CLIENT_TEXT_GO || answer == CLIENT_STATEMENT_MORE)
        server_undo_free(set), set = NULL;
    if (text == CLIENT_TEXT_REFUSED)
        return relay_refuse_query(client, batch, &refusal);
    if (text == CLIENT_TEXT_WAIT || answer == CLIENT_STATEMENT_MORE)
        return STEP_KEEP;
    /* As the server does: a simple query drops the unnamed statement. */
    struct server_undo *undo = relay_drop_unnamed(client);
    server_drop_unnamed(server);
    if (answer == CLIENT_STATEMENT_TAKEN) {
        server_undo_free(set);
        server->unnamed_unknown = undo != NULL;
        server_undo_free(undo);
        *taken = available;
        return STEP_TAKEN;
    }
    if (undo != NULL) { /* the server is asked what the SET has done */
        server_undo_free(set);
        relay_push(server, PIPELINE_QUERY, SERVER_NOTE_UNNAMED, undo);
    } else {
        relay_push(server, PIPELINE_QUERY, set != NULL ? SERVER_NOTE_SET : SERVER_NOTE_NONE, set);
    }
    return STEP_FORWARD;
}

/* Of the unnamed portal, which has a plain SET. */
static enum relay_step relay_execute_set(struct server *server, const struct frame *frame)
{
    if (!pipeline_accepts(&server->pipeline, PIPELINE_EXECUTE))
        return STEP_DROP;
    struct server_undo *set = NULL;
    if (frame->size > FRAME_HEADER_SIZE && frame->body[0] == '\0') {
        const char *sql = (const char *)server->bound_set->content;
        set = belief_of_text(sql, strlen(sql));
    }
    relay_push(server, PIPELINE_EXECUTE, set != NULL ? SERVER_NOTE_SET : SERVER_NOTE_NONE, set);
    return STEP_FORWARD;
}

static enum relay_step relay_simple(struct server *server, enum pipeline_kind kind)
{
    if (!pipeline_accepts(&server->pipeline, kind))
        return STEP_DROP;
    relay_push(server, kind, SERVER_NOTE_NONE, NULL);
    return STEP_FORWARD;
}

/* A FunctionCall has no text. Large objects are what libraries use it for. */
static enum relay_step relay_call(struct client *client, const struct frame *frame,
                                  size_t available)
{
    enum { SETSEED = 1599, SET_CONFIG = 2078 };
    struct server *server = client->server;
    struct reader reader;
    if (available < frame->size && available < FRAME_HEADER_SIZE + 4)
        return STEP_KEEP;
    reader_init(&reader, frame->body, available - FRAME_HEADER_SIZE);
    uint32_t function = reader_uint32(&reader);
    bool is_of_large_objects =
        (function >= 715 && function <= 1004) || (function >= 3170 && function <= 3172);
    if (pipeline_accepts(&server->pipeline, PIPELINE_CALL) && settings_follows(client->settings) &&
        !is_of_large_objects) {
        server->look |= ASK_ALL;
        server->drew = true;
        if (function == SETSEED || function == SET_CONFIG)
            client_pin_set(client, client->pins | (function == SETSEED ? PIN_SEED : PIN_SETTING));
    }
    return relay_simple(server, PIPELINE_CALL);
}

static enum relay_step relay_of(enum client_statement_answer answer)
{
    switch (answer) {
    case CLIENT_STATEMENT_FORWARD:
        return STEP_FORWARD;
    case CLIENT_STATEMENT_DROP:
        return STEP_DROP;
    case CLIENT_STATEMENT_TAKEN:
        return STEP_TAKEN;
    case CLIENT_STATEMENT_MORE:
        return STEP_KEEP;
    case CLIENT_STATEMENT_MALFORMED:
        break;
    }
    return STEP_END;
}

static enum relay_step relay_statement(struct client *client, struct batch *batch,
                                       const struct frame *frame, size_t available, size_t *taken)
{
    const char *problem = "invalid message format";
    enum client_statement_answer answer =
        client_statement_message(client, batch, frame, available, taken, &problem);
    if (answer == CLIENT_STATEMENT_MALFORMED)
        return relay_violation(client, batch, problem);
    return relay_of(answer);
}

/* True while a message must not go to the leased server connection; what ends it resumes. */
static bool relay_server_holds(const struct server *server)
{
    return server->state != SERVER_LEASED || pipeline_must_hold(&server->pipeline) ||
           cancel_must_hold(server) || server->question != NULL || /* its state is asked for */
           client_listen_holds(server) || server->pipeline.count > RELAY_MAX_OUTSTANDING;
}

static enum relay_step relay_leased(struct client *client, struct batch *batch,
                                    const struct frame *frame, size_t available, size_t *taken)
{
    struct server *server = client->server;
    if (relay_server_holds(server) || (server->guarded && deny_must_wait(server, frame->type)))
        return STEP_KEEP;
    switch (frame->type) {
    case MESSAGE_QUERY:
        return relay_query(client, batch, frame, available, taken);
    case MESSAGE_PARSE:
    case MESSAGE_BIND:
    case MESSAGE_DESCRIBE:
    case MESSAGE_CLOSE:
        return relay_statement(client, batch, frame, available, taken);
    case MESSAGE_EXECUTE:
        if (server->bound_set != NULL)
            return relay_execute_set(server, frame);
        return relay_simple(server, PIPELINE_EXECUTE);
    case MESSAGE_SYNC:
        server->unnamed_synced = true;
        return relay_simple(server, PIPELINE_SYNC);
    case MESSAGE_FUNCTION_CALL: /* of any function */
        server->look |= ASK_ALL;
        return relay_call(client, frame, available);
    case MESSAGE_COPY_DONE:
    case MESSAGE_COPY_FAIL:
        return relay_simple(server, PIPELINE_COPY_END);
    default: /* CopyData, Flush */
        return server->pipeline.skipping ? STEP_DROP : STEP_FORWARD;
    }
}

/* Whether a message may be worked on before it is whole; all others are short, or must be read. */
static bool relay_may_stream(uint8_t type)
{
    return type == MESSAGE_QUERY || type == MESSAGE_BIND || type == MESSAGE_COPY_DATA ||
           type == MESSAGE_FUNCTION_CALL || type == MESSAGE_PARSE || type == MESSAGE_COPY_FAIL;
}

static enum relay_step relay_message(struct client *client, struct batch *batch,
                                     const struct frame *frame, size_t available, size_t *taken)
{
    if (frame->type == MESSAGE_TERMINATE) {
        relay_send_before_end(client, batch);
        client_close(client, "client hung up");
        return STEP_END;
    }
    if (available < frame->size && !relay_may_stream(frame->type))
        return STEP_KEEP;
    if (client->skipping && frame->type != MESSAGE_SYNC)
        return STEP_DROP;
    if (client->server == NULL) {
        if (relay_awaits_rest(frame, available))
            return STEP_KEEP;
        enum relay_step step = relay_unleased(client, batch, frame, available);
        if (step != STEP_FORWARD)
            return step;
    }
    return relay_leased(client, batch, frame, available, taken);
}

/* ---- The stream of messages ---- */

/* Bytes of a message that is under way go by unread. */
static size_t relay_pass(struct client *client, struct batch *batch, const uint8_t *at, size_t left)
{
    size_t piece = client->passing < left ? client->passing : left;
    if (!client->discarding)
        batch_add(batch, at, piece);
    client->passing -= piece;
    return piece;
}

/* What is not to go on now is the begin of a message, or messages that wait. */
static size_t relay_take(struct client *client, struct batch *batch, const uint8_t *bytes,
                         size_t length)
{
    const uint8_t *at = bytes, *end = bytes + length;
    while (at < end) {
        size_t left = (size_t)(end - at);
        if (client->passing > 0) {
            at += relay_pass(client, batch, at, left);
            continue;
        }
        struct frame frame;
        enum frame_result result = frame_from_client(at, left, &frame);
        if (result == FRAME_NOTHING)
            break;
        if (result != FRAME_WHOLE && result != FRAME_PART) {
            (void)relay_violation(client, batch,
                                  result == FRAME_BAD_TYPE ? "invalid frontend message type"
                                                           : "invalid message length");
            return length;
        }
        size_t available = frame.size < left ? frame.size : left;
        size_t taken = 0;
        enum relay_step step = relay_message(client, batch, &frame, available, &taken);
        if (step == STEP_END)
            return length;
        if (step == STEP_KEEP)
            break;
        if (step == STEP_FORWARD)
            batch_add(batch, at, available);
        else if (step == STEP_TAKEN)
            batch_add(batch, at + taken, available - taken);
        client->passing = frame.size - available;
        client->discarding = step == STEP_DROP;
        at += available;
    }
    return (size_t)(at - bytes);
}

static void relay_free_input(struct client *client)
{
    buffer_release(client->input);
    free(client->input);
    client->input = NULL;
}

/* The server does not take more now: the counterpart of the resume in server.c. */
static void relay_watch_server(struct client *client)
{
    struct server *server = client->server;
    if (server == NULL)
        return;
    if (stream_is_blocked(&server->stream))
        stream_pause(&client->stream);
    if (client->passing == 0 && pipeline_must_probe(&server->pipeline))
        server_relay_probe(server);
}

/* Works on bytes, in the client's input or the worker's scratch memory; returns how many are used
 * up. The client may be closed by it. */
static size_t relay_work(struct client *client, const uint8_t *bytes, size_t length)
{
    struct batch batch;
    struct server *before = client->server;
    batch_start(&batch, before != NULL ? &before->stream : NULL, &client->worker->made);
    if (before != NULL && before->state == SERVER_LEASED && !lease_add_switch(client, &batch))
        return client->state >= CLIENT_CLOSING ? length : 0;
    size_t used = relay_take(client, &batch, bytes, length);
    struct server *server = client->server;
    if (server != NULL && server->state == SERVER_LEASED && !batch_is_empty(&batch) &&
        !batch_flush(&batch))
        server_lost(server);
    if (client->state >= CLIENT_CLOSING)
        return length;
    relay_watch_server(client);
    return used;
}

/* After bytes were worked on: a lease that owes nothing (all was dropped, say) ends. */
static void relay_settle(struct client *client)
{
    if (client->state < CLIENT_CLOSING && client->server != NULL)
        lease_settle(client->server);
}

/* While it may not send: its bytes are kept up to a limit, so that its hanging up is noticed. */
static bool relay_must_wait(const struct client *client)
{
    return client->state == CLIENT_WAITING || stream_is_blocked(&client->stream) ||
           (client->server != NULL && client->server->state != SERVER_LEASED);
}

/* True where more bytes would not let it go on: its next message waits for something else. */
static bool relay_is_held(const struct client *client)
{
    struct frame frame;
    return relay_must_wait(client) ||
           (client->server != NULL &&
            (relay_server_holds(client->server) ||
             (client->server->guarded && deny_must_wait(client->server, MESSAGE_QUERY)))) ||
           frame_from_client(buffer_bytes(client->input), buffer_length(client->input), &frame) ==
               FRAME_WHOLE;
}

/* Reads on, or not: too much is kept already, or the server does not take what is sent. */
static void relay_pace(struct client *client)
{
    bool is_full = client->input != NULL &&
                   buffer_length(client->input) >= RELAY_MAX_WAITING_INPUT && relay_is_held(client);
    if (is_full || (client->server != NULL && stream_is_blocked(&client->server->stream)))
        stream_pause(&client->stream);
    else
        stream_resume(&client->stream);
}

static void relay_work_input(struct client *client)
{
    size_t used = relay_work(client, buffer_bytes(client->input), buffer_length(client->input));
    if (client->input == NULL)
        return;
    buffer_consume(client->input, used);
    if (buffer_length(client->input) == 0)
        relay_free_input(client);
}

void client_relay_resume(struct client *client)
{
    if (client->busy) {
        client->resume_soon = true;
        return;
    }
    if (client->state < CLIENT_IDLE || client->state >= CLIENT_CONSOLE) {
        if (client->state == CLIENT_CONSOLE)
            client_console_resume(client);
        return;
    }
    client->busy = true;
    do {
        client->resume_soon = false;
        if (client->input == NULL || stream_is_blocked(&client->stream))
            break;
        relay_work_input(client);
    } while (client->resume_soon && client->state < CLIENT_CLOSING);
    client->busy = false;
    if (client->state >= CLIENT_CLOSING)
        return;
    relay_pace(client);
    relay_settle(client);
}

/* Bytes that cannot be worked on from the scratch memory: behind those that are kept. */
static void relay_read_kept(struct client *client)
{
    size_t size;
    if (client->input == NULL)
        client->input = memory_new(struct buffer);
    uint8_t *memory = buffer_reserve(client->input, WORKER_READ_SIZE);
    switch (stream_read(&client->stream, memory, WORKER_READ_SIZE, &size)) {
    case STREAM_DONE:
        buffer_filled(client->input, size);
        break;
    case STREAM_BLOCKED:
        return;
    case STREAM_END:
    case STREAM_FAILED:
        client_close(client, "client closed the connection");
        return;
    }
    if (relay_must_wait(client))
        relay_pace(client);
    else
        client_relay_resume(client);
}

void client_relay_readable(struct client *client)
{
    if (client->state == CLIENT_CONSOLE) {
        client_console_readable(client);
        return;
    }
    if (client->input != NULL || relay_must_wait(client)) {
        relay_read_kept(client);
        return;
    }
    struct worker *worker = client->worker;
    size_t size;
    switch (stream_read(&client->stream, worker->scratch, WORKER_READ_SIZE, &size)) {
    case STREAM_DONE:
        break;
    case STREAM_BLOCKED:
        return;
    case STREAM_END:
    case STREAM_FAILED:
        client_close(client, "client closed the connection");
        return;
    }
    client->busy = true;
    size_t used = relay_work(client, worker->scratch, size);
    client->busy = false;
    if (client->state >= CLIENT_CLOSING)
        return;
    if (used < size) {
        check(client->input == NULL);
        client->input = memory_new(struct buffer);
        buffer_append(client->input, worker->scratch + used, size - used);
    }
    if (client->resume_soon)
        client_relay_resume(client);
    else
        relay_settle(client);
}

void client_relay_refuse(struct client *client, struct failure *failure)
{
    if (client->state == CLIENT_GREETING) {
        client_fatal_failure(client, failure);
        return;
    }
    if (client->state != CLIENT_WAITING)
        return;
    if (client->in_line) {
        client->in_line = false;
        client->held = !pool_cancel(&client->waiter);
    }
    if (client->server != NULL)
        lease_abandon(client->server);
    failure_release(&client->failure);
    client->failure = failure_retain(failure);
    client_relay_resume(client);
}
