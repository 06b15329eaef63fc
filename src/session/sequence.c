#include "session/sequence.h"
#include "pg/failure.h"
#include "pg/message.h"
#include "pg/request.h"
#include "pg/sqlstate.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/server.h"

void sequence_lease(struct client *client, struct server *server)
{
    server->drew = false;
    server->sequences_own =
        server->sequence_holder == 0 || server->sequence_holder == client->serial;
    server->sequences_stale = !server->sequences_own && pool_asks_sequences(client->pool);
    server->sequence_holder = client->serial;
}

/* Nothing of the client's is under way, and no transaction is open. */
static bool sequence_is_first(const struct server *server)
{
    const struct pipeline *pipeline = &server->pipeline;
    if (server->transaction_status != MESSAGE_IDLE || pipeline->unsynced || pipeline->skipping ||
        pipeline->doubtful > 0)
        return false;
    for (unsigned i = 0; i < pipeline->count; i++) {
        if (!pipeline_at(pipeline, i)->ours)
            return false;
    }
    return true;
}

void sequence_discard(struct server *server, struct batch *batch)
{
    if (!sequence_is_first(server))
        return;
    request_query(batch_made_begin(batch), "DISCARD SEQUENCES");
    batch_made_end(batch);
    pipeline_push(&server->pipeline, (struct pipeline_entry){.kind = PIPELINE_QUERY,
                                                             .ours = true,
                                                             .note = SERVER_NOTE_SEQUENCES});
    server_drop_unnamed(server);
    server->sequences_stale = false;
    server->sequences_own = true;
}

void sequence_prepare(struct client *client, struct batch *batch)
{
    struct server *server = client->server;
    if (!server->sequences_own && !server->drew)
        sequence_discard(server, batch);
}

/* An Execute ahead in the same sequence may draw. */
static bool sequence_may_be_drawn(const struct server *server)
{
    const struct pipeline *pipeline = &server->pipeline;
    for (unsigned i = 0; i < pipeline->count; i++) {
        const struct pipeline_entry *entry = pipeline_at(pipeline, i);
        if (entry->kind == PIPELINE_EXECUTE)
            return true;
    }
    return false;
}

enum sequence_answer sequence_ask(struct client *client, struct batch *batch)
{
    struct server *server = client->server;
    pool_ask_sequences(client->pool);
    sequence_prepare(client, batch);
    if (server->sequences_own || server->drew)
        return SEQUENCE_GO;
    if (server->pipeline.ready_owed > 0)
        return SEQUENCE_WAIT;
    return sequence_may_be_drawn(server) ? SEQUENCE_GO : SEQUENCE_REFUSED;
}

struct failure *sequence_refusal(void)
{
    return failure_new(SQLSTATE_NOT_IN_PREREQUISITE_STATE,
                       "currval and lastval are not yet defined in this session",
                       "This transaction has drawn no value, and its server connection has served "
                       "other clients.",
                       "Try again: from now on they are answered as on a connection of its own.");
}
