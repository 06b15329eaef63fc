#include "session/client_lend.h"
#include "base/memory.h"
#include "config/settings.h"
#include "pg/lexer_sign.h"
#include "pg/lexer_statement.h"
#include "pg/message.h"
#include "pg/pairs.h"
#include "pg/request.h"
#include "session/ask.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/client_pin.h"
#include "session/client_prepare.h"
#include "session/client_statement.h"
#include "session/server.h"
#include "state/statement.h"

#include <stdlib.h>
#include <string.h>

struct lend {
    struct statement_names *names; /* owned: what is lent */
    unsigned pending;              /* Describes without their answer */
    bool changed;                  /* one of them has told another shape than the client knows */
    bool query_failed;             /* an error of a Parse has made the server skip a Query */
};

/* ---- Lending ---- */

static struct lend *lend_of(struct server *server)
{
    if (server->lend == NULL)
        server->lend = memory_new(struct lend);
    return server->lend;
}

static struct server_undo *lend_undo(const char *name, const struct statement_named *named,
                                     bool is_query, bool executes)
{
    struct server_undo *undo = server_undo_new(name, named->statement);
    undo->shape = executes ? named->shape : STATEMENT_SHAPE_UNKNOWN;
    undo->cached = is_query;
    return undo;
}

/* Whoever executes it does so by a text that does not tell what it does. */
static void lend_look(struct client *client, const struct statement *statement)
{
    unsigned pins = (statement->hides_setting ? PIN_SETTING : 0) |
                    ((statement->signs & LEXER_SETS_SEED) != 0 ? PIN_SEED : 0);
    client->server->look |= (uint8_t)(ASK_OBJECTS | ask_for(statement->changes));
    if (pins != 0 && settings_follows(client->settings))
        client_pin_set(client, client->pins | pins);
}

static void lend_name(struct client *client, struct batch *batch, const char *name, bool is_query,
                      bool executes)
{
    struct server *server = client->server;
    struct lend *lend = lend_of(server);
    const struct statement_named *named = statement_names_at(client->statements, name);
    client_prepare_close(server, batch, name);
    request_parse(batch_made_begin(batch), name, named->statement->content,
                  named->statement->content_length);
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_PARSE, true, SERVER_NOTE_LEND,
                          lend_undo(name, named, is_query, executes));
    request_describe(batch_made_begin(batch), 'S', name);
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_DESCRIBE, true, SERVER_NOTE_LEND,
                          lend_undo(name, named, is_query, executes));
    lend->pending++;
    if (statement_names_find(lend->names, name) != NULL)
        (void)statement_names_remove(&lend->names, name);
    statement_names_add(&lend->names, name, named->statement);
    statement_names_at(lend->names, name)->shape = named->shape;
    lend_look(client, named->statement);
    (void)statement_names_remove(&client->statements, name);
}

/* Nothing can be prepared there, and nothing be executed. */
static bool lend_is_in_failed_transaction(const struct client *client)
{
    const struct server *server = client->server;
    return server->transaction_status == MESSAGE_FAILED_TRANSACTION && server->pipeline.count == 0;
}

enum client_lend_answer client_lend(struct client *client, struct batch *batch, const char *sql,
                                    size_t length, bool is_query)
{
    struct server *server = client->server;
    struct lend *lend = server->lend;
    if (lend != NULL && lend->pending > 0)
        return CLIENT_LEND_WAIT;
    if (lend != NULL && lend->changed) {
        lend->changed = false;
        return CLIENT_LEND_CHANGED;
    }
    if (client->statements == NULL || lend_is_in_failed_transaction(client))
        return CLIENT_LEND_GO;
    struct lexer_token_source source = {sql, sql + length};
    struct buffer name = {0};
    bool executes;
    enum client_lend_answer answer = CLIENT_LEND_GO;
    while (lexer_next_statement_name(&source, &name, &executes)) {
        const char *word = (const char *)buffer_bytes(&name);
        if (statement_names_find(client->statements, word) == NULL)
            continue;
        answer = CLIENT_LEND_WAIT;
        if (client_statement_name_is_in_doubt(client, word))
            break;
        lend_name(client, batch, word, is_query, executes);
    }
    buffer_release(&name);
    if (answer == CLIENT_LEND_WAIT) {
        request_flush(batch_made_begin(batch));
        batch_made_end(batch);
    }
    return answer;
}

void client_lend_list(const struct server *server, struct pairs *names)
{
    if (server->lend != NULL)
        statement_names_list(server->lend->names, names);
}

bool client_lend_end_query(struct client *client, struct batch *batch)
{
    struct server *server = client->server;
    if (server->lend == NULL || !server->lend->query_failed)
        return false;
    server->lend->query_failed = false;
    request_sync(batch_made_begin(batch));
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_SYNC, false, SERVER_NOTE_NONE, NULL);
    return true;
}

/* ---- Answers ---- */

void client_lend_learn(struct server *server, const struct server_undo *undo, uint64_t shape)
{
    if (server->lend != NULL)
        server->lend->changed |= undo->shape != STATEMENT_SHAPE_UNKNOWN && undo->shape != shape;
}

/* A name is the client's again, unless it has given it to another statement meanwhile. */
static void lend_give_back(struct server *server, const char *name)
{
    struct client *client = server->client;
    const struct statement_named *named = statement_names_at(server->lend->names, name);
    if (named == NULL)
        return;
    if (client != NULL && statement_names_find(client->statements, name) == NULL) {
        statement_names_add(&client->statements, name, named->statement);
        statement_names_at(client->statements, name)->shape = named->shape;
    }
    (void)statement_names_remove(&server->lend->names, name);
}

void client_lend_done(struct server *server, const struct pipeline_entry *entry,
                      enum pipeline_end end)
{
    const struct server_undo *undo = entry->subject;
    struct lend *lend = server->lend;
    if (lend == NULL)
        return;
    lend->pending -= entry->kind == PIPELINE_DESCRIBE && lend->pending > 0;
    if (entry->kind != PIPELINE_PARSE || end == PIPELINE_COMPLETED || end == PIPELINE_DROPPED)
        return;
    lend->query_failed |= undo->cached && end == PIPELINE_ERRORED;
    lend_give_back(server, undo->name);
}

void client_lend_take_back(struct server *server, const struct pairs *names)
{
    struct buffer messages = {0};
    if (server->lend == NULL)
        return;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i].name;
        request_close(&messages, 'S', name);
        client_statement_push(server, PIPELINE_CLOSE, true, SERVER_NOTE_EVICT, NULL);
        lend_give_back(server, name);
    }
    statement_names_clear(&server->lend->names);
    client_lend_end(server);
    if (buffer_length(&messages) > 0) {
        request_sync(&messages);
        client_statement_push(server, PIPELINE_SYNC, true, SERVER_NOTE_SYNC, NULL);
        (void)server_send(server, &messages);
    }
    buffer_release(&messages);
}

void client_lend_end(struct server *server)
{
    if (server->lend == NULL)
        return;
    struct pairs names = {0};
    statement_names_list(server->lend->names, &names);
    for (size_t i = 0; i < names.count; i++)
        lend_give_back(server, names.items[i].name);
    pairs_clear(&names);
    statement_names_clear(&server->lend->names);
    free(server->lend);
    server->lend = NULL;
}
