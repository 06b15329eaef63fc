/*
 * client_deallocate.c: DEALLOCATE of a client's simple query, for names that only pgsluice knows.
 */
#include "pg/lexer_token.h"
#include "pg/request.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/client_statement.h"
#include "session/server.h"
#include "state/pipeline.h"
#include "state/statement.h"

/* The name that a text of nothing but DEALLOCATE [PREPARE] name holds; false where it is another.
 */
static bool deallocate_name(const char *sql, size_t length, struct buffer *name)
{
    struct lexer_token_source source = {sql, sql + length};
    struct lexer_token token = lexer_token_next(&source);
    if (!lexer_token_is_word(&token, "deallocate"))
        return false;
    token = lexer_token_next(&source);
    if (lexer_token_is_word(&token, "prepare"))
        token = lexer_token_next(&source);
    if ((token.kind != LEXER_TOKEN_WORD && token.kind != LEXER_TOKEN_QUOTED) ||
        lexer_token_is_word(&token, "all") || !lexer_token_append_value(&token, name))
        return false;
    buffer_append(name, "", 1);
    do
        token = lexer_token_next(&source);
    while (lexer_token_is_symbol(&token, ';'));
    return token.kind == LEXER_TOKEN_END;
}

/* DEALLOCATE ALL, DISCARD and the like: until the answer has come, no name's meaning is known. */
static bool deallocate_forgets(const char *sql, size_t length)
{
    struct lexer_token_source source = {sql, sql + length};
    struct lexer_token token = lexer_token_next(&source);
    return lexer_token_is_word(&token, "deallocate") || lexer_token_is_word(&token, "discard");
}

/* The name is forgotten; the server is made to answer as it would by a statement that was prepared
 * for this, which is neither the client's nor anybody else's. */
static void deallocate_carry_out(struct client *client, struct batch *batch, const char *name,
                                 const struct statement_named *named)
{
    struct server *server = client->server;
    request_query(batch_made_begin(batch),
                  "PREPARE " STATEMENT_NAME_PREFIX "deallocate AS SELECT 1");
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_QUERY, true, SERVER_NOTE_PREPARE, NULL);
    request_query(batch_made_begin(batch), "DEALLOCATE " STATEMENT_NAME_PREFIX "deallocate");
    batch_made_end(batch);
    struct server_undo *undo = server_undo_new(name, named->statement);
    undo->shape = named->shape;
    client_statement_push(server, PIPELINE_QUERY, false, SERVER_NOTE_CLOSE, undo);
    (void)statement_names_remove(&client->statements, name);
}

/* A text that names statements in another way. */
static enum client_statement_answer deallocate_lend(struct client *client, struct batch *batch,
                                                    const char *sql, size_t length)
{
    enum client_statement_answer answer = client_statement_lend(client, batch, sql, length, true);
    if (answer != CLIENT_STATEMENT_DROP)
        return answer;
    request_sync(batch_made_begin(batch)); /* in the Query's place, behind what has failed */
    batch_made_end(batch);
    client_statement_push(client->server, PIPELINE_SYNC, false, SERVER_NOTE_NONE, NULL);
    return CLIENT_STATEMENT_TAKEN;
}

enum client_statement_answer client_statement_query(struct client *client, struct batch *batch,
                                                    const char *sql, size_t length)
{
    if (client->statements == NULL && client->server->lend == NULL)
        return CLIENT_STATEMENT_FORWARD;
    struct buffer name = {0};
    enum client_statement_answer answer = CLIENT_STATEMENT_FORWARD;
    if (deallocate_name(sql, length, &name)) {
        const char *word = (const char *)buffer_bytes(&name);
        const struct statement_named *named = statement_names_at(client->statements, word);
        if (client_statement_name_is_in_doubt(client, word)) {
            answer = CLIENT_STATEMENT_MORE;
        } else if (named != NULL) {
            deallocate_carry_out(client, batch, word, named);
            answer = CLIENT_STATEMENT_TAKEN;
        }
    }
    if (answer == CLIENT_STATEMENT_FORWARD)
        answer = deallocate_lend(client, batch, sql, length);
    if (answer == CLIENT_STATEMENT_FORWARD && deallocate_forgets(sql, length))
        client->server->forgetting = true;
    buffer_release(&name);
    return answer;
}
