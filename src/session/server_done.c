/*
 * The entries of a server connection's pipeline as they leave: what own queries were for, and what
 * has to be undone where the server did not carry a message out.
 */
#include "base/memory.h"
#include "pg/failure.h"
#include "session/belief.h"
#include "session/client.h"
#include "session/client_lend.h"
#include "session/replay.h"
#include "session/server.h"
#include "state/guc.h"
#include "state/statement.h"

#include <stdlib.h>
#include <string.h>

/* An own query has come back; what it was for goes on once the wake-up's bytes are worked off. */
static void done_own_query(struct server *server, enum server_note note, enum pipeline_end end)
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
        server->ask_failed = !worked;
        break;
    case SERVER_NOTE_SEQUENCES:
    case SERVER_NOTE_ROLLBACK:
        server->retire |= !worked;
        break;
    case SERVER_NOTE_RESET:
        server->reset_needed = false;
        server->retire |= !worked;
        guc_release(&server->gucs);
        server->gucs = guc_empty();
        server->sequence_holder = 0;
        replay_free(&server->replay);
        replay_forget_broken(server);
        server->hears = server->fronted = server->deaf = false;
        statement_cache_clear(&server->prepared);
        statement_release(&server->unnamed);
        break;
    case SERVER_NOTE_LISTEN:
        server->listened = true;
        server->listen_failed = !worked;
        break;
    case SERVER_NOTE_FRONT:
        server->fronted &= worked;
        break;
    case SERVER_NOTE_FENCE:
        server->handing = false;
        server->deaf &= worked;
        break;
    case SERVER_NOTE_UNLISTEN:
        server->handing = server->hears = server->fronted = server->deaf = false;
        server->retire |= !worked;
        break;
    default:
        break;
    }
}

static void done_forget_name(struct server *server, const struct server_undo *undo)
{
    struct client *client = server->client;
    if (client != NULL && statement_names_find(client->statements, undo->name) == undo->statement)
        (void)statement_names_remove(&client->statements, undo->name);
}

/* Whether another Parse of the same statement is under way, behind a later Sync. */
static bool done_is_prepared_again(const struct server *server, const struct statement *statement)
{
    const struct pipeline *pipeline = &server->pipeline;
    for (unsigned i = 0; i < pipeline->count; i++) {
        const struct pipeline_entry *entry = pipeline_at(pipeline, i);
        const struct server_undo *undo = entry->subject;
        if (undo != NULL && undo->statement == statement &&
            (entry->note == SERVER_NOTE_NAMED ||
             (entry->note == SERVER_NOTE_PREPARE && undo->cached)))
            return true;
    }
    return false;
}

static void done_forget_prepared(struct server *server, const struct statement *statement)
{
    if (!done_is_prepared_again(server, statement))
        (void)statement_cache_remove(&server->prepared, statement);
}

/* The next message, behind the Sync that ends the skipping, that puts another in the place of the
 * client's unnamed statement, or none. */
static struct pipeline_entry *done_next_unnamed(struct server *server)
{
    struct pipeline *pipeline = &server->pipeline;
    bool synced = false;
    for (unsigned i = 0; i < pipeline->count; i++) {
        struct pipeline_entry *entry = pipeline_at(pipeline, i);
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
static void done_unnamed_done(struct server *server, struct server_undo *undo,
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
    struct pipeline_entry *next = done_next_unnamed(server);
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
static void done_undo(struct server *server, enum server_note note, struct server_undo *undo,
                      enum pipeline_end end)
{
    switch (note) {
    case SERVER_NOTE_UNNAMED:
        done_unnamed_done(server, undo, end);
        break;
    case SERVER_NOTE_NAMED:
        done_forget_name(server, undo);
        if (undo->cached || end == PIPELINE_ERRORED)
            done_forget_prepared(server, undo->statement);
        break;
    case SERVER_NOTE_PREPARE:
        if (undo->cached)
            done_forget_prepared(server, undo->statement);
        else
            done_unnamed_done(server, NULL, PIPELINE_SKIPPED);
        break;
    case SERVER_NOTE_EVICT:
        if (undo != NULL && !statement_cache_use(server->prepared, undo->statement))
            statement_cache_add(&server->prepared, undo->statement);
        break;
    case SERVER_NOTE_CLOSE:
        if (server->client != NULL && undo->statement != NULL &&
            statement_names_find(server->client->statements, undo->name) == NULL) {
            statement_names_add(&server->client->statements, undo->name, undo->statement);
            statement_names_at(server->client->statements, undo->name)->shape = undo->shape;
        }
        break;
    case SERVER_NOTE_SHAPE:
        if (server->checking == undo->statement)
            server_end_check(server);
        if (undo->tells)
            done_forget_name(server, undo);
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
    failure_release(&undo->refusal);
    free(undo->value);
    free(undo);
}

void server_done(const struct pipeline_entry *entry, enum pipeline_end end, void *context)
{
    struct server *server = context;
    enum server_note note = entry->note;
    struct server_undo *undo = entry->subject;
    if (note == SERVER_NOTE_NONE) { /* most of them */
        server_undo_free(undo);
        return;
    }
    server->named_pending -=
        note == SERVER_NOTE_NAMED || (note == SERVER_NOTE_SHAPE && undo != NULL && undo->tells);
    server->closes_pending -= note == SERVER_NOTE_CLOSE;
    server->prepares_pending -= note == SERVER_NOTE_PREPARE;
    server->unnamed_pending -= note == SERVER_NOTE_UNNAMED;
    if (end == PIPELINE_DROPPED) {
        server_undo_free(undo);
        return;
    }
    if (note == SERVER_NOTE_REPLAY || note == SERVER_NOTE_RESULT)
        replay_done(server, entry);
    else if (note == SERVER_NOTE_LEND)
        client_lend_done(server, entry, end);
    else if (entry->ours && entry->kind == PIPELINE_QUERY)
        done_own_query(server, note, end);
    else if (note == SERVER_NOTE_UNREAD)
        server->unread |= end == PIPELINE_COMPLETED;
    else if (note == SERVER_NOTE_SET && end == PIPELINE_COMPLETED)
        belief_add(server, undo);
    else if (end == PIPELINE_SKIPPED || (end == PIPELINE_ERRORED && entry->kind != PIPELINE_QUERY))
        done_undo(server, note, undo, end);
    else if (end == PIPELINE_ERRORED && note == SERVER_NOTE_CLOSE)
        done_undo(server, note, undo, end); /* a DEALLOCATE */
    server_undo_free(undo);
}
