/*
 * What a statement returns, as the server describes it: kept for the server connection, and for the
 * client that has prepared it (client_prepare.h).
 */
#include "pg/frame.h"
#include "pg/message.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/client_lend.h"
#include "session/server.h"
#include "state/statement.h"

void server_end_check(struct server *server)
{
    server->checked = false;
    statement_release(&server->checking);
}

static void shape_learned(struct server *server, struct batch *batch,
                          const struct pipeline_entry *entry, uint64_t shape)
{
    static const uint8_t parse_complete[] = {MESSAGE_PARSE_COMPLETE, 0, 0, 0, 4};
    const struct server_undo *undo = entry->subject;
    if (entry->note == SERVER_NOTE_LEND)
        client_lend_learn(server, undo, shape);
    if (entry->note != SERVER_NOTE_SHAPE)
        return;
    if (undo->tells && server->client != NULL)
        batch_add(batch, parse_complete, sizeof parse_complete);
    struct client *client = server->client;
    uint64_t *kept = statement_cache_use(server->prepared, undo->statement);
    if (kept != NULL)
        *kept = shape;
    struct statement_named *named =
        client != NULL ? statement_names_at(client->statements, undo->name) : NULL;
    if (named == NULL || named->statement != undo->statement)
        return;
    if (named->shape == STATEMENT_SHAPE_UNKNOWN)
        named->shape = shape;
    if (server->checking == undo->statement && named->shape != shape)
        server->checked = true;
    else if (server->checking == undo->statement)
        server_end_check(server);
}

void server_take_shape(struct server *server, struct batch *batch,
                       const struct pipeline_entry *entry, const struct frame *frame,
                       size_t available)
{
    size_t length = frame->size - FRAME_HEADER_SIZE;
    if (frame->type == MESSAGE_NO_DATA)
        shape_learned(server, batch, entry, STATEMENT_SHAPE_NONE);
    else if (frame->type == MESSAGE_ROW_DESCRIPTION && available == frame->size)
        shape_learned(server, batch, entry, statement_shape_of(frame->body, length));
    else if (frame->type == MESSAGE_ROW_DESCRIPTION)
        shape_learned(server, batch, entry, statement_shape_of_long(length));
}
