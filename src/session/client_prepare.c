#include "session/client_prepare.h"
#include "pg/request.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/server.h"
#include "state/pipeline.h"
#include "state/statement.h"

/* No statement has this name: a Bind of it fails, inside a transaction too. */
#define PREPARE_NEVER_THERE STATEMENT_NAME_PREFIX "changed"

void client_prepare_close(struct server *server, struct batch *batch, const char *server_name)
{
    request_close(batch_made_begin(batch), 'S', server_name);
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_CLOSE, true, SERVER_NOTE_EVICT, NULL);
}

void client_prepare_evict(struct server *server, struct batch *batch)
{
    struct statement *victim;
    while ((victim = statement_cache_evict(&server->prepared,
                                           server->settings->prepared_statements)) != NULL) {
        request_close(batch_made_begin(batch), 'S', victim->name);
        batch_made_end(batch);
        client_statement_push(server, PIPELINE_CLOSE, true, SERVER_NOTE_EVICT,
                              server_undo_new("", victim));
        statement_release(&victim);
    }
}

static void prepare_under(struct server *server, struct batch *batch, struct statement *statement,
                          const char *server_name, bool cached)
{
    request_parse(batch_made_begin(batch), server_name, statement->content,
                  statement->content_length);
    batch_made_end(batch);
    struct server_undo *undo = server_undo_new("", statement);
    undo->cached = cached;
    client_statement_push(server, PIPELINE_PARSE, true, SERVER_NOTE_PREPARE, undo);
}

void client_prepare_unused(struct server *server, struct batch *batch, struct statement *statement)
{
    client_prepare_close(server, batch, statement->name);
    prepare_under(server, batch, statement, statement->name, true);
}

void client_prepare_parse(struct server *server, struct batch *batch, struct statement *statement)
{
    client_prepare_unused(server, batch, statement);
    uint64_t *shape = statement_cache_use(server->prepared, statement);
    if (shape != NULL)
        *shape = STATEMENT_SHAPE_UNKNOWN;
    else
        statement_cache_add(&server->prepared, statement);
}

void client_prepare_describe(struct server *server, struct batch *batch, const char *name,
                             struct statement *statement, bool tells)
{
    struct server_undo *undo = server_undo_new(name, statement);
    undo->tells = tells;
    server->named_pending += tells;
    request_describe(batch_made_begin(batch), 'S', statement->name);
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_DESCRIBE, true, SERVER_NOTE_SHAPE, undo);
}

/* ---- The shape ---- */

static enum client_prepare_answer prepare_check(struct server *server, struct batch *batch,
                                                const char *name, struct statement *statement)
{
    if (server->checking == statement && !server->checked)
        return CLIENT_PREPARE_AWAITED;
    bool changed = server->checking == statement;
    server_end_check(server);
    if (changed)
        return CLIENT_PREPARE_CHANGED;
    server->checking = statement_retain(statement);
    client_prepare_parse(server, batch, statement);
    client_prepare_describe(server, batch, name, statement, false);
    client_prepare_evict(server, batch);
    request_flush(batch_made_begin(batch));
    batch_made_end(batch);
    return CLIENT_PREPARE_AWAITED;
}

enum client_prepare_answer client_prepare_named(struct client *client, struct batch *batch,
                                                const char *name, struct statement_named *named)
{
    struct server *server = client->server;
    struct statement *statement = named->statement;
    const uint64_t *shape = statement_cache_use(server->prepared, statement);
    if (shape != NULL && *shape == named->shape)
        return CLIENT_PREPARE_DONE;
    /* What returns no rows will return none. One whose shape is under way was prepared just now. */
    bool any_shape_fits =
        named->shape == STATEMENT_SHAPE_UNKNOWN || named->shape == STATEMENT_SHAPE_NONE;
    if (!any_shape_fits)
        return prepare_check(server, batch, name, statement);
    if (shape != NULL)
        return CLIENT_PREPARE_DONE;
    client_prepare_parse(server, batch, statement);
    if (named->shape == STATEMENT_SHAPE_UNKNOWN)
        client_prepare_describe(server, batch, name, statement, false);
    else
        *statement_cache_use(server->prepared, statement) = STATEMENT_SHAPE_NONE;
    client_prepare_evict(server, batch);
    return CLIENT_PREPARE_DONE;
}

void client_prepare_fail(struct server *server, struct batch *batch)
{
    request_bind(batch_made_begin(batch), "", PREPARE_NEVER_THERE);
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_BIND, true, SERVER_NOTE_CHANGED, NULL);
}

/* ---- The unnamed statement ---- */

void client_prepare_unnamed(struct client *client, struct batch *batch)
{
    struct server *server = client->server;
    if ((server->unnamed == client->unnamed &&
         (client->unnamed != NULL || !server->unnamed_unknown)) ||
        server->unnamed_unkept)
        return;
    server_drop_unnamed(server);
    if (client->unnamed != NULL) {
        prepare_under(server, batch, client->unnamed, "", false);
        server->unnamed = statement_retain(client->unnamed);
        return;
    }
    request_close(batch_made_begin(batch), 'S', "");
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_CLOSE, true, SERVER_NOTE_UNNAMED, NULL);
}

/* ---- Doubt ---- */

bool client_prepare_unnamed_is_in_doubt(const struct server *server)
{
    return server->unnamed_pending > 0 && server->unnamed_synced;
}

bool client_prepare_is_in_doubt(const struct server *server, const struct statement *statement)
{
    const struct pipeline *pipeline = &server->pipeline;
    bool found = false;
    if (server->prepares_pending == 0 || pipeline->ready_owed == 0 || statement == NULL)
        return false;
    for (unsigned i = 0; i < pipeline->count; i++) {
        const struct pipeline_entry *entry = pipeline_at(pipeline, i);
        const struct server_undo *undo = entry->subject;
        if (entry->note == SERVER_NOTE_PREPARE && undo != NULL && undo->statement == statement)
            found = true;
        else if (found && entry->kind == PIPELINE_SYNC)
            return true;
    }
    return false;
}
