#include "session/replay.h"
#include "base/memory.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/pairs.h"
#include "pg/reader.h"
#include "pg/reply.h"
#include "pg/request.h"
#include "pg/sqlstate.h"
#include "session/server.h"
#include "state/guc.h"
#include "state/prepared.h"
#include "state/statement.h"

#include <stdlib.h>
#include <string.h>

/* ---- What is to be prepared ---- */

static bool replay_lacks(const struct guc_set *has, const struct pair *pair)
{
    if (!prepared_is(pair->name) || prepared_read(pair->value).kind != PREPARED_FOLLOWS)
        return false;
    const char *value = guc_find(has, pair->name);
    return value == NULL || strcmp(value, pair->value) != 0;
}

bool replay_is_due(const struct server *server, const struct guc_set *to)
{
    if (server->gucs == to || server->replayed_for == to)
        return false;
    const struct pairs *pairs = guc_pairs(to);
    for (size_t i = 0; i < pairs->count; i++) {
        if (replay_lacks(server->gucs, &pairs->items[i]))
            return true;
    }
    return false;
}

void replay_add(struct replay *replay, const char *pair_name, const char *value, size_t row)
{
    replay->items = memory_resize(replay->items, (replay->count + 1) * sizeof *replay->items);
    replay->items[replay->count++] =
        (struct replay_item){.pair_name = memory_string(pair_name),
                             .value = value != NULL ? memory_string(value) : NULL,
                             .row = row};
}

struct guc_set *replay_begin(struct server *server, struct guc_set *to)
{
    struct replay *replay = memory_new(struct replay);
    const struct pairs *pairs = guc_pairs(to);
    struct pairs rest = {0};
    replay->to = guc_retain(to);
    for (size_t i = 0; i < pairs->count; i++) {
        const struct pair *pair = &pairs->items[i];
        if (replay_lacks(server->gucs, pair))
            replay_add(replay, pair->name, pair->value, 0);
        else
            pairs_add(&rest, pair->name, pair->value);
    }
    replay_free(&server->replay);
    server->replay = replay;
    struct guc_set *without = guc_intern(&rest);
    pairs_clear(&rest);
    return without;
}

void replay_free(struct replay **replay)
{
    if (*replay == NULL)
        return;
    for (size_t i = 0; i < (*replay)->count; i++) {
        struct replay_item *item = &(*replay)->items[i];
        free(item->pair_name);
        free(item->value);
        buffer_release(&item->error);
    }
    guc_release(&(*replay)->to);
    free((*replay)->items);
    free(*replay);
    *replay = NULL;
}

/* ---- The messages ---- */

static void replay_push(struct server *server, enum pipeline_kind kind, enum server_note note)
{
    struct pipeline_entry entry = {.kind = (uint8_t)kind, .ours = true, .note = (uint8_t)note};
    pipeline_push(&server->pipeline, entry);
}

bool replay_send(struct server *server)
{
    const struct replay *replay = server->replay;
    struct buffer messages = {0};
    for (size_t i = 0; i < replay->count; i++) {
        const struct replay_item *item = &replay->items[i];
        if (item->value != NULL) {
            request_query(&messages, prepared_read(item->value).text);
            replay_push(server, PIPELINE_QUERY, SERVER_NOTE_REPLAY);
            server_drop_unnamed(server);
        }
        request_describe(&messages, 'S', item->pair_name + sizeof PREPARED_PREFIX - 1);
        replay_push(server, PIPELINE_DESCRIBE, SERVER_NOTE_RESULT);
        request_sync(&messages);
        replay_push(server, PIPELINE_SYNC, SERVER_NOTE_RESULT);
    }
    bool sent = server_send(server, &messages);
    buffer_release(&messages);
    return sent;
}

static struct replay_item *replay_current(struct server *server)
{
    struct replay *replay = server->replay;
    return replay != NULL && replay->at < replay->count ? &replay->items[replay->at] : NULL;
}

void replay_take_parameters(struct server *server, const struct frame *frame)
{
    struct replay_item *item = replay_current(server);
    struct reader reader;
    reader_init_frame(&reader, frame);
    if (item != NULL)
        item->parameters = reader_uint16(&reader);
}

void replay_take_shape(struct server *server, const struct frame *frame)
{
    struct replay_item *item = replay_current(server);
    if (item == NULL)
        return;
    item->described = true;
    item->shape = frame->type == MESSAGE_ROW_DESCRIPTION
                      ? statement_shape_of(frame->body, frame->size - FRAME_HEADER_SIZE)
                      : STATEMENT_SHAPE_NONE;
}

void replay_take_error(struct server *server, const struct frame *frame)
{
    struct replay_item *item = replay_current(server);
    if (item != NULL && buffer_length(&item->error) == 0)
        buffer_append(&item->error, frame->body, frame->size - FRAME_HEADER_SIZE);
}

void replay_done(struct server *server, const struct pipeline_entry *entry)
{
    struct replay_item *item = replay_current(server);
    if (item == NULL)
        return;
    if (entry->kind == PIPELINE_QUERY)
        item->prepared = buffer_length(&item->error) == 0;
    if (entry->kind != PIPELINE_SYNC)
        return;
    server->replay->at++;
    if (server->replay->to == NULL && server->replay->at == server->replay->count)
        server->answered = true; /* the question's answer is whole now */
}

/* ---- Statements that could not be prepared ---- */

static bool replay_has_worked(const struct replay_item *item)
{
    return item->prepared && item->described && item->shape == prepared_read(item->value).shape;
}

static size_t replay_note_broken(struct server *server, struct replay_item *item)
{
    if (server->broken == NULL)
        server->broken = memory_new(struct replay_broken);
    struct replay_broken *broken = server->broken;
    if (buffer_length(&item->error) == 0) {
        struct buffer message = {0};
        reply_error(&message, "ERROR", SQLSTATE_FEATURE_NOT_SUPPORTED,
                    "cached plan must not change result type", NULL, NULL);
        buffer_append(&item->error, buffer_bytes(&message) + FRAME_HEADER_SIZE,
                      buffer_length(&message) - FRAME_HEADER_SIZE);
        buffer_release(&message);
    }
    broken->errors = memory_resize(broken->errors, (broken->count + 1) * sizeof *broken->errors);
    broken->errors[broken->count] = item->error;
    item->error = (struct buffer){0};
    return broken->count++;
}

/* Appends to the SQL that puts stand-ins where they are needed; returns the state that it leads to,
 * one reference for the caller. */
static struct guc_set *replay_stand_in(struct server *server, struct buffer *sql)
{
    struct replay *replay = server->replay;
    struct guc_set *state = guc_retain(replay->to);
    for (size_t i = 0; i < replay->count; i++) {
        struct replay_item *item = &replay->items[i];
        if (replay_has_worked(item))
            continue;
        if (item->prepared)
            prepared_write_deallocate(sql, item->pair_name);
        prepared_write_broken(sql, item->pair_name, prepared_read(item->value).parameters,
                              replay_note_broken(server, item));
        struct buffer value = {0};
        prepared_write(&value, &(struct prepared){.kind = PREPARED_BROKEN, .text = ""});
        struct guc_set *next = guc_with(state, item->pair_name, (const char *)buffer_bytes(&value));
        buffer_release(&value);
        guc_release(&state);
        state = next;
    }
    return state;
}

bool replay_goes_on(struct server *server)
{
    struct replay *replay = server->replay;
    if (replay == NULL)
        return false;
    struct buffer sql = {0};
    struct guc_set *state = replay_stand_in(server, &sql);
    bool goes_on = state != replay->to;
    guc_release(&server->replayed_for);
    if (goes_on) {
        server->replayed_for = guc_retain(replay->to);
        server->switching_to = state;
        buffer_append(&sql, "", 1);
    } else {
        guc_release(&server->gucs);
        server->gucs = state;
    }
    replay_free(&server->replay);
    if (goes_on)
        (void)server_query(server, SERVER_NOTE_SWITCH, (const char *)buffer_bytes(&sql));
    buffer_release(&sql);
    return goes_on;
}

const struct buffer *replay_error_instead(const struct server *server, const struct frame *frame)
{
    if (server->broken == NULL)
        return NULL;
    const size_t length = sizeof PREPARED_MARKER - 1;
    const char *end = (const char *)frame->body + (frame->size - FRAME_HEADER_SIZE);
    const char *found =
        memmem(frame->body, frame->size - FRAME_HEADER_SIZE, PREPARED_MARKER, length);
    if (found == NULL)
        return NULL;
    size_t number = 0;
    for (found += length; found < end && *found >= '0' && *found <= '9'; found++)
        number = number * 10 + (size_t)(*found - '0');
    return number < server->broken->count ? &server->broken->errors[number] : NULL;
}

void replay_forget_broken(struct server *server)
{
    struct replay_broken *broken = server->broken;
    guc_release(&server->replayed_for);
    if (broken == NULL)
        return;
    for (size_t i = 0; i < broken->count; i++)
        buffer_release(&broken->errors[i]);
    free(broken->errors);
    free(broken);
    server->broken = NULL;
}
