#include "session/client_statement.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/frame.h"
#include "pg/lexer.h"
#include "pg/lexer_reset.h"
#include "pg/lexer_statement.h"
#include "pg/message.h"
#include "pg/pairs.h"
#include "pg/reader.h"
#include "pg/request.h"
#include "session/ask.h"
#include "session/batch.h"
#include "session/belief.h"
#include "session/client.h"
#include "session/client_lend.h"
#include "session/client_pin.h"
#include "session/client_prepare.h"
#include "session/client_text.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/parameters.h"
#include "state/pipeline.h"
#include "state/prepared.h"
#include "state/statement.h"

#include <string.h>

/* A Parse has to be known whole, to be prepared elsewhere later, and a Query for what it may do to
 * the session. A Query or an unnamed Parse that is longer passes by unkept: the latter can be bound
 * before its Sync only. */
#define STATEMENT_MAX_KEPT ((size_t)1 << 20)
#define STATEMENT_MAX_NAMED ((size_t)16 << 20)

/* So many custom settings are asked for; who names more keeps its server connection. */
#define STATEMENT_MOST_NAMES 1000

/* ---- What the lease must look at ---- */

static void statement_note_name(const char *name, void *context)
{
    struct client *client = context;
    if (client->custom_names == NULL)
        client->custom_names = memory_new(struct pairs);
    bool is_full = client->custom_names->count >= STATEMENT_MOST_NAMES;
    if ((is_full && (client->pins & PIN_SETTING) != 0) ||
        pairs_find(client->custom_names, name) != NULL)
        return;
    if (!is_full)
        pairs_add(client->custom_names, name, "");
    else
        client_pin_set(client, client->pins | PIN_SETTING);
}

/* Notes the names of settings in a text that is being prepared. */
static void statement_note_names(struct client *client, const char *sql, size_t length)
{
    if (settings_follows(client->settings) && lexer_may_name_settings(sql, length))
        (void)lexer_settings(sql, length, statement_note_name, client);
}

enum client_text_answer client_statement_look(struct client *client, struct batch *batch,
                                              const char *sql, size_t length,
                                              struct server_undo **set, struct failure **refusal)
{
    *set = NULL;
    if (!settings_follows(client->settings))
        return CLIENT_TEXT_GO;
    struct client_text text = {.changes = lexer_changes(sql, length)};
    unsigned changes = text.changes;
    text.names_settings = lexer_may_name_settings(sql, length);
    if (text.names_settings) {
        unsigned names = lexer_settings(sql, length, statement_note_name, client);
        text.hides_setting = (names & LEXER_NAMES_MISSED) != 0;
        if ((changes & LEXER_CHANGES_SETTINGS) != 0 && (names & LEXER_NAMES_LASTING) == 0) {
            changes &= ~(unsigned)LEXER_CHANGES_SETTINGS;
            belief_add_local(client->server, sql, length);
        }
        *set = belief_of_text(sql, length);
    }
    if (lexer_may_reset(sql, length) && *set == NULL &&
        (*set = belief_of_reset(client, sql, length)) != NULL)
        changes = 0; /* what it gives back, the client has not */
    client->server->look |= (uint8_t)ask_for(changes);
    return client_text_query(client, batch, sql, length, &text, refusal);
}

/* It will be executed: what it sets under a name that its text does not tell, nobody can ask the
 * server for later. */
static void statement_look_at_bound(struct client *client, struct statement *statement,
                                    const char *portal)
{
    client->server->look |= (uint8_t)ask_for(statement->changes);
    if (statement->sets_locally && settings_follows(client->settings))
        belief_add_local(client->server, (const char *)statement->content,
                         statement->content_length);
    if (statement->sets && portal[0] == '\0' && settings_follows(client->settings))
        client->server->bound_set = statement_retain(statement);
}

/* FORWARD where a Bind of the statement may go as far as its text tells. */
static enum client_statement_answer statement_bind_text(struct client *client, struct batch *batch,
                                                        struct statement *statement)
{
    struct failure *refusal = NULL;
    if (statement->names_statements) {
        const char *sql = (const char *)statement->content;
        enum client_statement_answer answer =
            client_statement_lend(client, batch, sql, strlen(sql), false);
        if (answer != CLIENT_STATEMENT_FORWARD)
            return answer;
    }
    if (!settings_follows(client->settings))
        return CLIENT_STATEMENT_FORWARD;
    switch (client_text_bind(client, batch, statement, &refusal)) {
    case CLIENT_TEXT_GO:
        break;
    case CLIENT_TEXT_WAIT:
        return CLIENT_STATEMENT_MORE;
    case CLIENT_TEXT_REFUSED:
        client_text_refuse_bind(client, batch, &refusal);
        return CLIENT_STATEMENT_DROP;
    }
    return CLIENT_STATEMENT_FORWARD;
}

/* ---- Parts of the dialogue with the server ---- */

static void statement_count(struct server *server, enum server_note note)
{
    server->named_pending += note == SERVER_NOTE_NAMED;
    server->closes_pending += note == SERVER_NOTE_CLOSE;
    server->prepares_pending += note == SERVER_NOTE_PREPARE;
    if (note == SERVER_NOTE_UNNAMED) {
        server->unnamed_pending++;
        server->unnamed_synced = false;
    }
}

void client_statement_push(struct server *server, enum pipeline_kind kind, bool ours,
                           enum server_note note, struct server_undo *undo)
{
    if (server->pipeline.count == 0)
        server->command_at = loop_now(server->worker->loop);
    if (server->transaction_at == 0)
        server->transaction_at = loop_now(server->worker->loop);
    server->idle_in_transaction_at = 0;
    if (note != SERVER_NOTE_NONE)
        statement_count(server, note);
    pipeline_push(&server->pipeline,
                  (struct pipeline_entry){
                      .kind = (uint8_t)kind, .ours = ours, .note = (uint8_t)note, .subject = undo});
}

/* ---- Messages that are not all there ---- */

/* A string at the begin of bytes that may not all be there yet; NULL: its end is not. */
static const char *statement_string(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *zero = memchr(*at, '\0', (size_t)(end - *at));
    if (zero == NULL)
        return NULL;
    const char *string = (const char *)*at;
    *at = zero + 1;
    return string;
}

bool client_statement_needs_more(const struct frame *frame, size_t available)
{
    if (available >= frame->size)
        return false;
    const uint8_t *at = frame->body, *end = frame->body + (available - FRAME_HEADER_SIZE);
    switch (frame->type) {
    case MESSAGE_QUERY:
        return frame->size <= STATEMENT_MAX_KEPT;
    case MESSAGE_PARSE:
        if (at == end)
            return true;
        if (at[0] == '\0')
            return frame->size <= STATEMENT_MAX_KEPT;
        return frame->size <= STATEMENT_MAX_NAMED;
    case MESSAGE_BIND:
        return available < WORKER_KEEP_SIZE &&
               (statement_string(&at, end) == NULL || statement_string(&at, end) == NULL);
    default:
        return false;
    }
}

/* ---- Names in doubt ---- */

bool client_statement_name_is_in_doubt(const struct client *client, const char *name)
{
    const struct server *server = client->server;
    if (server->pipeline.ready_owed == 0)
        return false;
    return server->forgetting || server->closes_pending > 0 ||
           (server->named_pending > 0 && statement_names_find(client->statements, name) != NULL);
}

/* ---- Parse ---- */

/* The body after the name: query, number of types, types. */
static bool statement_content_is_valid(struct reader *reader)
{
    (void)reader_string(reader);
    uint16_t types = reader_uint16(reader);
    (void)reader_bytes(reader, (size_t)types * 4);
    return reader_finished(reader);
}

static bool statement_is_same(const struct statement *statement, const uint8_t *content,
                              size_t length)
{
    return statement != NULL && statement->content_length == length &&
           memcmp(statement->content, content, length) == 0;
}

/* What the text's constants mean to this client. */
static uint64_t statement_context(const struct client *client, const uint8_t *content)
{
    const char *sql = (const char *)content;
    if (client->told == NULL || !statement_needs_context(sql, strlen(sql)))
        return 0;
    return parameters_context(client->told, true);
}

static enum client_statement_answer statement_parse_unnamed(struct client *client,
                                                            struct batch *batch,
                                                            const uint8_t *content, size_t length)
{
    struct server *server = client->server;
    struct server_undo *undo = NULL;
    uint64_t context = statement_context(client, content);
    if (!statement_is_same(client->unnamed, content, length) ||
        client->unnamed->context != context) {
        statement_note_names(client, (const char *)content, strlen((const char *)content));
        undo = server_undo_new("", NULL);
        undo->previous = client->unnamed;
        client->unnamed = statement_intern(content, length, context);
    }
    server->look |= (uint8_t)ask_for(client->unnamed->changes);
    client_text_parse(client, batch, client->unnamed);
    if (server->unnamed != client->unnamed) {
        server_drop_unnamed(server);
        server->unnamed = statement_retain(client->unnamed);
    }
    client_statement_push(server, PIPELINE_PARSE, false, SERVER_NOTE_UNNAMED, undo);
    return CLIENT_STATEMENT_FORWARD;
}

/* The name is taken: the server is made to say so, in its own words, unless there is something
 * else to be said of the text. An empty statement stands in for the one that has the name: nothing
 * can be said of that, also where its tables have gone or the transaction has failed. */
static enum client_statement_answer statement_parse_taken(struct client *client,
                                                          struct batch *batch, const char *name,
                                                          const uint8_t *content, size_t length)
{
    static const uint8_t nothing[] = {0, 0, 0}; /* no text, no types of parameters */
    struct server *server = client->server;
    struct statement *empty = statement_intern(nothing, sizeof nothing, 0);
    client_prepare_unused(server, batch, empty);
    request_parse(batch_made_begin(batch), empty->name, content, length);
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_PARSE, false, SERVER_NOTE_NAME_TAKEN,
                          server_undo_new(name, empty));
    statement_release(&empty);
    return CLIENT_STATEMENT_TAKEN;
}

/* The server itself has a statement of this name, or may have: one that SQL has prepared, or one of
 * the client's that it was lent. */
static bool statement_is_by_sql(const struct client *client, const char *name)
{
    return (client->pins & PIN_PREPARE) != 0 ||
           (client->server->look & (ASK_ALL | ASK_OBJECTS)) != 0 ||
           prepared_find(client->gucs, name) != NULL;
}

/* The client's own Parse goes ahead, so that the server says whether the name is taken; if it is
 * not, the name is free again behind that. */
static void statement_try_name(struct server *server, struct batch *batch, const char *name,
                               const uint8_t *content, size_t length)
{
    request_parse(batch_made_begin(batch), name, content, length);
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_PARSE, true, SERVER_NOTE_NONE, NULL);
    client_prepare_close(server, batch, name);
}

/*
 * The client's Parse is carried out under the statement's own name, also where the server
 * connection has it already from another client (then closed first): what PostgreSQL would say of
 * the text now, it says; and what the statement returns now is what this client knows.
 */
static enum client_statement_answer statement_parse_named(struct client *client,
                                                          struct batch *batch, const char *name,
                                                          const uint8_t *content, size_t length)
{
    struct server *server = client->server;
    if (statement_names_find(client->statements, name) != NULL)
        return statement_parse_taken(client, batch, name, content, length);
    bool by_sql = statement_is_by_sql(client, name);
    if (by_sql)
        statement_try_name(server, batch, name, content, length);
    struct statement *statement =
        statement_intern(content, length, statement_context(client, content));
    client_text_parse(client, batch, statement);
    uint64_t *shape = statement_cache_use(server->prepared, statement);
    bool cached = shape != NULL;
    if (cached)
        *shape = STATEMENT_SHAPE_UNKNOWN;
    else
        statement_cache_add(&server->prepared, statement);
    client_prepare_close(server, batch, statement->name);
    statement_names_add(&client->statements, name, statement);
    request_parse(batch_made_begin(batch), statement->name, content, length);
    batch_made_end(batch);
    struct server_undo *undo = server_undo_new(name, statement);
    undo->cached = !cached;
    client_statement_push(server, PIPELINE_PARSE, true, SERVER_NOTE_NAMED, undo);
    client_prepare_describe(server, batch, name, statement, true);
    client_prepare_evict(server, batch);
    statement_release(&statement);
    return CLIENT_STATEMENT_TAKEN;
}

/* Too long to be kept: it goes by, and nothing remembers it. */
static enum client_statement_answer statement_parse_unkept(struct client *client)
{
    struct server *server = client->server;
    struct server_undo *undo = server_undo_new("", NULL);
    undo->previous = client->unnamed;
    client->unnamed = NULL;
    server_drop_unnamed(server);
    server->unnamed_unkept = true;
    server->look |= ASK_ALL;
    client_statement_push(server, PIPELINE_PARSE, false, SERVER_NOTE_UNNAMED, undo);
    return CLIENT_STATEMENT_FORWARD;
}

enum client_statement_answer client_statement_lend(struct client *client, struct batch *batch,
                                                   const char *sql, size_t length, bool is_query)
{
    if ((client->statements == NULL && client->server->lend == NULL) ||
        !lexer_may_name_statements(sql, length, is_query))
        return CLIENT_STATEMENT_FORWARD;
    switch (client_lend(client, batch, sql, length, is_query)) {
    case CLIENT_LEND_GO:
        return CLIENT_STATEMENT_FORWARD;
    case CLIENT_LEND_WAIT:
        return CLIENT_STATEMENT_MORE;
    case CLIENT_LEND_CHANGED:
        break;
    }
    client_prepare_fail(client->server, batch);
    return CLIENT_STATEMENT_DROP;
}

static enum client_statement_answer statement_parse(struct client *client, struct batch *batch,
                                                    const struct frame *frame, size_t available,
                                                    size_t *taken, const char **problem)
{
    if (!pipeline_accepts(&client->server->pipeline, PIPELINE_PARSE))
        return CLIENT_STATEMENT_DROP;
    if (client_statement_needs_more(frame, available))
        return CLIENT_STATEMENT_MORE;
    if (available < frame->size) {
        if (frame->body[0] == '\0')
            return statement_parse_unkept(client);
        *problem = "a named prepared statement of more than 16 MB cannot be pooled";
        return CLIENT_STATEMENT_MALFORMED;
    }
    struct reader reader;
    reader_init_frame(&reader, frame);
    const char *name = reader_string(&reader);
    const uint8_t *content = reader.at;
    size_t length = reader_left(&reader);
    if (reader.failed || !statement_content_is_valid(&reader))
        return CLIENT_STATEMENT_MALFORMED;
    if (name[0] != '\0' && client_statement_name_is_in_doubt(client, name))
        return CLIENT_STATEMENT_MORE;
    const char *sql = (const char *)content;
    enum client_statement_answer answer =
        client_statement_lend(client, batch, sql, strlen(sql), false);
    if (answer != CLIENT_STATEMENT_FORWARD)
        return answer;
    if (name[0] == '\0')
        return statement_parse_unnamed(client, batch, content, length);
    statement_note_names(client, (const char *)content, strlen((const char *)content));
    *taken = frame->size;
    return statement_parse_named(client, batch, name, content, length);
}

/* ---- Bind, Describe, Close ---- */

/* The message's begin anew, with another statement name. */
static void statement_rewrite_bind(struct batch *batch, const struct frame *frame,
                                   const char *portal, const char *old_name, const char *name)
{
    size_t size = frame->size - 1 - strlen(old_name) + strlen(name);
    const uint8_t header[FRAME_HEADER_SIZE] = {MESSAGE_BIND, (uint8_t)(size >> 24),
                                               (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                                               (uint8_t)size};
    struct buffer *made = batch_made_begin(batch);
    buffer_append(made, header, sizeof header);
    buffer_append(made, portal, strlen(portal) + 1);
    buffer_append(made, name, strlen(name) + 1);
    batch_made_end(batch);
}

/* What must be there ahead of a Bind. */
static enum client_statement_answer statement_prepare_bound(struct client *client,
                                                            struct batch *batch, const char *name,
                                                            struct statement_named *named)
{
    enum client_statement_answer answer = statement_bind_text(client, batch, named->statement);
    if (answer != CLIENT_STATEMENT_FORWARD)
        return answer;
    switch (client_prepare_named(client, batch, name, named)) {
    case CLIENT_PREPARE_DONE:
        return CLIENT_STATEMENT_FORWARD;
    case CLIENT_PREPARE_AWAITED:
        return CLIENT_STATEMENT_MORE;
    case CLIENT_PREPARE_CHANGED:
        break;
    }
    client_prepare_fail(client->server, batch);
    return CLIENT_STATEMENT_DROP;
}

static enum client_statement_answer statement_bind_unnamed(struct client *client,
                                                           struct batch *batch, const char *portal)
{
    struct server *server = client->server;
    if (client_prepare_unnamed_is_in_doubt(server) ||
        client_prepare_is_in_doubt(server, client->unnamed))
        return CLIENT_STATEMENT_MORE;
    if (client->unnamed != NULL) {
        enum client_statement_answer answer = statement_bind_text(client, batch, client->unnamed);
        if (answer != CLIENT_STATEMENT_FORWARD)
            return answer;
    }
    client_prepare_unnamed(client, batch);
    if (client->unnamed != NULL)
        statement_look_at_bound(client, client->unnamed, portal);
    client_statement_push(server, PIPELINE_BIND, false,
                          server->unnamed_unkept ? SERVER_NOTE_UNREAD : SERVER_NOTE_NONE, NULL);
    return CLIENT_STATEMENT_FORWARD;
}

static enum client_statement_answer statement_bind(struct client *client, struct batch *batch,
                                                   const struct frame *frame, size_t available,
                                                   size_t *taken)
{
    struct server *server = client->server;
    enum client_statement_answer answer;
    if (!pipeline_accepts(&server->pipeline, PIPELINE_BIND))
        return CLIENT_STATEMENT_DROP;
    if (client_statement_needs_more(frame, available))
        return CLIENT_STATEMENT_MORE;
    const uint8_t *at = frame->body;
    const uint8_t *end = frame->body + (available - FRAME_HEADER_SIZE);
    const char *portal = statement_string(&at, end);
    const char *name = portal != NULL ? statement_string(&at, end) : NULL;
    if (name == NULL)
        return CLIENT_STATEMENT_MALFORMED;
    if (server->bound_set != NULL)
        statement_release(&server->bound_set);
    if (name[0] == '\0')
        return statement_bind_unnamed(client, batch, portal);
    if (client_statement_name_is_in_doubt(client, name))
        return CLIENT_STATEMENT_MORE;
    struct statement_named *named = statement_names_at(client->statements, name);
    if (named == NULL) {
        client_statement_push(server, PIPELINE_BIND, false, SERVER_NOTE_NONE, NULL);
        return CLIENT_STATEMENT_FORWARD; /* the server says that there is no such statement */
    }
    struct statement *statement = named->statement;
    if (client_prepare_is_in_doubt(server, statement))
        return CLIENT_STATEMENT_MORE;
    answer = statement_prepare_bound(client, batch, name, named);
    if (answer != CLIENT_STATEMENT_FORWARD)
        return answer;
    statement_look_at_bound(client, statement, portal);
    statement_rewrite_bind(batch, frame, portal, name, statement->name);
    client_statement_push(server, PIPELINE_BIND, false, SERVER_NOTE_NONE, NULL);
    *taken = (size_t)(at - frame->body) + FRAME_HEADER_SIZE;
    return CLIENT_STATEMENT_TAKEN;
}

static enum client_statement_answer statement_describe(struct client *client, struct batch *batch,
                                                       const struct frame *frame, char what,
                                                       const char *name, size_t *taken)
{
    struct server *server = client->server;
    if (!pipeline_accepts(&server->pipeline, PIPELINE_DESCRIBE))
        return CLIENT_STATEMENT_DROP;
    if (what == 'S' && client_statement_name_is_in_doubt(client, name))
        return CLIENT_STATEMENT_MORE;
    struct statement_named *named =
        what == 'S' ? statement_names_at(client->statements, name) : NULL;
    if (what == 'S' && name[0] == '\0') {
        if (client_prepare_unnamed_is_in_doubt(server) ||
            client_prepare_is_in_doubt(server, client->unnamed))
            return CLIENT_STATEMENT_MORE;
        client_prepare_unnamed(client, batch);
    }
    if (named == NULL) {
        client_statement_push(server, PIPELINE_DESCRIBE, false, SERVER_NOTE_NONE, NULL);
        return CLIENT_STATEMENT_FORWARD;
    }
    if (client_prepare_is_in_doubt(server, named->statement))
        return CLIENT_STATEMENT_MORE;
    enum client_prepare_answer answer = client_prepare_named(client, batch, name, named);
    if (answer == CLIENT_PREPARE_AWAITED)
        return CLIENT_STATEMENT_MORE;
    bool changed = answer == CLIENT_PREPARE_CHANGED;
    request_describe(batch_made_begin(batch), 'S', named->statement->name);
    batch_made_end(batch);
    client_statement_push(server, PIPELINE_DESCRIBE, false,
                          changed ? SERVER_NOTE_CHANGED : SERVER_NOTE_NONE, NULL);
    if (changed) /* behind the description of the parameters, as the server does it */
        client_prepare_fail(server, batch);
    *taken = frame->size;
    return CLIENT_STATEMENT_TAKEN;
}

/* The name is forgotten; the statement stays prepared on the server connection for others. The
 * server is sent the client's own name, which it does not have: it answers all the same. */
static enum client_statement_answer statement_close(struct client *client, char what,
                                                    const char *name)
{
    struct server *server = client->server;
    if (!pipeline_accepts(&server->pipeline, PIPELINE_CLOSE))
        return CLIENT_STATEMENT_DROP;
    struct server_undo *undo = NULL;
    enum server_note note = SERVER_NOTE_NONE;
    if (what == 'S' && name[0] == '\0') {
        undo = server_undo_new("", NULL);
        undo->previous = client->unnamed;
        client->unnamed = NULL;
        server_drop_unnamed(server);
        note = SERVER_NOTE_UNNAMED;
    } else if (what == 'S') {
        if (client_statement_name_is_in_doubt(client, name))
            return CLIENT_STATEMENT_MORE;
        struct statement_named *named = statement_names_at(client->statements, name);
        if (named != NULL) {
            undo = server_undo_new(name, named->statement);
            undo->shape = named->shape;
            note = SERVER_NOTE_CLOSE;
            (void)statement_names_remove(&client->statements, name);
        } else if (statement_is_by_sql(client, name)) {
            server->look |= ASK_OBJECTS;
        }
    }
    client_statement_push(server, PIPELINE_CLOSE, false, note, undo);
    return CLIENT_STATEMENT_FORWARD;
}

enum client_statement_answer client_statement_message(struct client *client, struct batch *batch,
                                                      const struct frame *frame, size_t available,
                                                      size_t *taken, const char **problem)
{
    if (frame->type == MESSAGE_PARSE)
        return statement_parse(client, batch, frame, available, taken, problem);
    if (frame->type == MESSAGE_BIND)
        return statement_bind(client, batch, frame, available, taken);
    struct reader reader;
    reader_init_frame(&reader, frame);
    char what = (char)reader_uint8(&reader);
    const char *name = reader_string(&reader);
    if (!reader_finished(&reader) || (what != 'S' && what != 'P'))
        return CLIENT_STATEMENT_MALFORMED;
    if (frame->type == MESSAGE_DESCRIBE)
        return statement_describe(client, batch, frame, what, name, taken);
    return statement_close(client, what, name);
}
