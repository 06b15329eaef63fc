/*
 * A server's errors: what they mean for its connection, and how its client reads them.
 */
#include "config/settings.h"
#include "pg/failure.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/reader.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "session/batch.h"
#include "session/belief.h"
#include "session/client.h"
#include "session/replay.h"
#include "session/server.h"
#include "state/statement.h"

#include <stdio.h>
#include <string.h>

/* The client's name of what an error's words name by its name on servers; NULL: none is known. */
static const char *error_clients_name(const struct server *server, const char *at,
                                      const struct server_undo *taken)
{
    if (taken != NULL && strncmp(at, taken->statement->name, STATEMENT_NAME_SIZE - 1) == 0)
        return taken->name;
    return statement_names_of(server->client->statements, at);
}

static void error_add(struct batch *batch, const struct buffer *body)
{
    uint32_t size = (uint32_t)buffer_length(body) + 4;
    const uint8_t header[FRAME_HEADER_SIZE] = {MESSAGE_ERROR_RESPONSE, (uint8_t)(size >> 24),
                                               (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                                               (uint8_t)size};
    struct buffer *made = batch_made_begin(batch);
    buffer_append(made, header, sizeof header);
    buffer_append(made, buffer_bytes(body), buffer_length(body));
    batch_made_end(batch);
}

/* Puts the error into the batch with the client's own names of statements; false where it names
 * none. */
static bool error_rename(struct server *server, struct batch *batch, const struct frame *frame,
                         const struct server_undo *taken)
{
    const char *at = (const char *)frame->body;
    const char *end = at + (frame->size - FRAME_HEADER_SIZE), *found;
    struct buffer renamed = {0};
    bool any = false;
    while ((found = memmem(at, (size_t)(end - at), STATEMENT_NAME_PREFIX,
                           sizeof STATEMENT_NAME_PREFIX - 1)) != NULL &&
           (size_t)(end - found) >= STATEMENT_NAME_SIZE) {
        const char *name = error_clients_name(server, found, taken);
        const char *next = found + (name != NULL ? STATEMENT_NAME_SIZE - 1 : 1);
        buffer_append(&renamed, at, (size_t)((name != NULL ? found : next) - at));
        if (name != NULL)
            buffer_append(&renamed, name, strlen(name));
        any |= name != NULL;
        at = next;
    }
    buffer_append(&renamed, at, (size_t)(end - at));
    if (any)
        error_add(batch, &renamed);
    buffer_release(&renamed);
    return any;
}

/* pgsluice itself has cancelled the command: the client reads which limit it was. */
static void error_of_timeout(struct server *server, struct batch *batch)
{
    const struct settings *settings = server->client->settings;
    char detail[256];
    snprintf(detail, sizeof detail,
             "command_timeout of the pool of database \"%.60s\", user \"%.60s\" is %.1f s.",
             settings->database, settings->user, (double)settings->command_timeout / 1e6);
    reply_error(batch_made_begin(batch), "ERROR", SQLSTATE_QUERY_CANCELED,
                "canceling statement due to command timeout", detail, NULL);
    batch_made_end(batch);
}

/* What the server itself says where it has such a statement from before the change; drivers look at
 * the place in its source. */
static void error_of_changed_result(struct batch *batch)
{
    static const char body[] = "SERROR\0VERROR\0C" SQLSTATE_FEATURE_NOT_SUPPORTED
                               "\0Mcached plan must not change result type\0Fplancache.c\0"
                               "RRevalidateCachedQuery\0";
    struct buffer error = {0};
    buffer_append(&error, body, sizeof body); /* with the zero byte behind the last field */
    error_add(batch, &error);
    buffer_release(&error);
}

/* A field of an ErrorResponse by its type; empty where there is none. */
static const char *error_field(const struct frame *frame, uint8_t wanted)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    for (;;) {
        uint8_t type = reader_uint8(&reader);
        if (type == 0 || reader.failed)
            return "";
        const char *value = reader_string(&reader);
        if (type == wanted && !reader.failed)
            return value;
    }
}

/* FATAL and PANIC end the connection. V is the severity that is not localized. */
static bool error_is_fatal(const struct frame *frame)
{
    const char *severity = error_field(frame, 'V');
    return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

bool server_error_take(struct server *server, struct batch *batch, const struct frame *frame,
                       const struct pipeline_entry *head, const struct server_undo *undo,
                       enum pipeline_verdict verdict)
{
    bool fatal = error_is_fatal(frame);
    bool is_replay =
        head != NULL && (head->note == SERVER_NOTE_REPLAY || head->note == SERVER_NOTE_RESULT);
    if (is_replay && !fatal) {
        replay_take_error(server, frame);
        return false;
    }
    bool own_query = head != NULL && head->ours && head->kind == PIPELINE_QUERY;
    if (fatal || own_query || server->client == NULL) {
        failure_release(&server->failure);
        server->failure = failure_parse(frame->body, frame->size - FRAME_HEADER_SIZE);
    }
    if (own_query)
        server->own_query_failed = true;
    if (fatal) {
        server->fatal = true;
        /* A client that has all its answers goes on with another server connection. */
        server->fatal_forwarded = server->state == SERVER_LEASED && server->client != NULL &&
                                  server->client->state == CLIENT_ACTIVE &&
                                  (head != NULL || server->pipeline.unsynced ||
                                   server->transaction_status != MESSAGE_IDLE);
        return server->fatal_forwarded;
    }
    belief_doubt(server);
    server->cancel_asked = false; /* it has found what it was for, or that has failed anyway */
    if (verdict != PIPELINE_FORWARD || server->client == NULL)
        return false;
    if (head != NULL && head->note == SERVER_NOTE_CHANGED &&
        strcmp(error_field(frame, 'C'), SQLSTATE_INVALID_STATEMENT_NAME) == 0) {
        error_of_changed_result(batch);
        return false;
    }
    if (server->timed_out && strcmp(error_field(frame, 'C'), SQLSTATE_QUERY_CANCELED) == 0) {
        error_of_timeout(server, batch);
        return false;
    }
    const struct buffer *instead = replay_error_instead(server, frame);
    if (instead != NULL) {
        error_add(batch, instead);
        return false;
    }
    return !error_rename(server, batch, frame, undo);
}
