#include "session/client_listen.h"

#include "base/check.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/reply.h"
#include "pg/request.h"
#include "pg/sqlstate.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/lease.h"
#include "session/notification.h"
#include "session/notifier.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many go out in one send. */
#define LISTEN_WRITES 64

/* ---- Its channels ---- */

unsigned client_listen_count(const struct client *client)
{
    const struct audience_seat *seat;
    unsigned count = 0;
    if (client->listening != NULL) {
        TAILQ_FOREACH (seat, &client->listening->seats, in_listening)
            count++;
    }
    return count;
}

static struct audience_seat *listen_seat(const struct listening *listening, const char *channel)
{
    struct audience_seat *seat;
    TAILQ_FOREACH (seat, &listening->seats, in_listening) {
        if (strcmp(audience_channel_name(seat), channel) == 0)
            return seat;
    }
    return NULL;
}

/* A channel that the shared connection brings, or will from a fence on that was sent. */
static bool listen_has_shared(const struct listening *listening)
{
    const struct audience_seat *seat;
    TAILQ_FOREACH (seat, &listening->seats, in_listening) {
        if (seat->token != 0)
            return true;
    }
    return false;
}

/* A channel that the client hears by its leased connection alone. */
static bool listen_has_own(const struct listening *listening)
{
    const struct audience_seat *seat;
    TAILQ_FOREACH (seat, &listening->seats, in_listening) {
        if (seat->token == 0)
            return true;
    }
    return false;
}

bool client_listen_keeps(const struct client *client)
{
    return client->listening != NULL && client->listening->state != LISTENING_SHARED;
}

bool client_listen_holds(const struct server *server)
{
    return server->handing || server->ready_held ||
           (server->undo_due && server->transaction_status == MESSAGE_IDLE &&
            client_listen_keeps(server->client));
}

static struct listening *listen_begin(struct client *client)
{
    struct listening *listening = memory_new(struct listening);
    listening->client = client;
    listening->audience = audience_of(client->worker, client->pool);
    TAILQ_INIT(&listening->seats);
    audience_enter(listening->audience, listening);
    client->listening = listening;
    return listening;
}

void client_listen_free(struct client *client)
{
    struct listening *listening = client->listening;
    if (listening == NULL)
        return;
    client->listening = NULL;
    audience_leave(listening->audience, listening);
    while (listening->queue_count > 0) {
        notification_release(
            &listening->queue[listening->queue_head & (listening->queue_capacity - 1)]);
        listening->queue_head++;
        listening->queue_count--;
    }
    free(listening->queue);
    free(listening);
}

/* ---- What was heard ---- */

static struct notification **listen_slot(const struct listening *listening, unsigned index)
{
    return &listening->queue[(listening->queue_head + index) & (listening->queue_capacity - 1)];
}

static void listen_grow(struct listening *listening)
{
    unsigned capacity = listening->queue_capacity == 0 ? 8 : listening->queue_capacity * 2;
    struct notification **queue = memory_zeroed(capacity * sizeof *queue);
    for (unsigned i = 0; i < listening->queue_count; i++)
        queue[i] = *listen_slot(listening, i);
    free(listening->queue);
    listening->queue = queue;
    listening->queue_capacity = capacity;
    listening->queue_head = 0;
}

/* What is not ASCII reads as the shared connection's client_encoding has it. */
static bool listen_can_read(const struct client *client, const char *encoding)
{
    const char *own =
        client->told != NULL ? parameters_find(client->told, "client_encoding") : NULL;
    return own != NULL && strcmp(own, encoding) == 0;
}

void client_listen_queue(struct listening *listening, struct notification *notification)
{
    if (listening->queue_bytes + notification->size > CLIENT_LISTEN_LIMIT) {
        listening->overflow = true;
        return;
    }
    if (!notification->is_ascii && notification->channel[0] != '\0' &&
        !listen_can_read(listening->client, audience_encoding(listening->audience)))
        listening->unreadable = true;
    if (listening->queue_count == listening->queue_capacity)
        listen_grow(listening);
    *listen_slot(listening, listening->queue_count++) = notification_retain(notification);
    listening->queue_bytes += notification->size;
}

/* The first so many have been written. */
static void listen_drop_first(struct listening *listening, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct notification **slot = listen_slot(listening, 0);
        listening->queue_bytes -= (*slot)->size;
        notification_release(slot);
        listening->queue_head++;
        listening->queue_count--;
    }
}

/* What was heard on a channel that the client has left since. */
static void listen_prune(struct listening *listening, const char *channel)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < listening->queue_count; i++) {
        struct notification *notification = *listen_slot(listening, i);
        if (strcmp(notification->channel, channel) == 0) {
            listening->queue_bytes -= notification->size;
            notification_release(&notification);
        } else {
            *listen_slot(listening, kept++) = notification;
        }
    }
    listening->queue_count = kept;
}

/* to_the_end: even where the client does not take it now; it is kept by its stream then. False
 * where the client was closed by it. */
static bool listen_write(struct client *client, bool to_the_end)
{
    struct listening *listening = client->listening;
    while (listening->queue_count > 0 && (to_the_end || !stream_is_blocked(&client->stream))) {
        struct iovec parts[LISTEN_WRITES];
        unsigned count =
            listening->queue_count < LISTEN_WRITES ? listening->queue_count : LISTEN_WRITES;
        for (unsigned i = 0; i < count; i++) {
            struct notification *notification = *listen_slot(listening, i);
            parts[i] = (struct iovec){notification->bytes, notification->size};
        }
        enum stream_result result = stream_write_vector(&client->stream, parts, (int)count);
        listen_drop_first(listening, count);
        if (result == STREAM_FAILED) {
            client_close(client, "connection lost");
            return false;
        }
    }
    return true;
}

/* Between its transactions only, and not while it is unclear which channels it has left. */
static bool listen_may_write(const struct client *client)
{
    const struct server *server = client->server;
    if (client->state == CLIENT_IDLE || client->state == CLIENT_WAITING)
        return true;
    return client->state == CLIENT_ACTIVE && server != NULL && server->state == SERVER_LEASED &&
           !server->ready_held && !server->relistens && server->held == NULL &&
           pipeline_is_empty(&server->pipeline) && server->transaction_status == MESSAGE_IDLE &&
           server->passing == 0;
}

/* The client's answer ends: all that was heard up to here, then the ReadyForQuery. */
static void listen_release_ready(struct client *client)
{
    struct server *server = client->server;
    struct buffer ready = {0};
    server->ready_held = false;
    reply_ready(&ready, MESSAGE_IDLE);
    bool sent = listen_write(client, true) && client_send(client, &ready);
    buffer_release(&ready);
    if (!sent)
        return;
    lease_settle(server);
    if (client->state < CLIENT_CLOSING && client->input != NULL)
        client_relay_resume(client);
}

static bool listen_close_if_failed(struct client *client)
{
    const struct listening *listening = client->listening;
    if (listening->overflow)
        client_fatal(client, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
                     "terminating connection because too many notifications wait for it",
                     "8 MB of notifications wait: the client does not read, or is within a "
                     "transaction.",
                     NULL);
    else if (listening->unreadable)
        client_fatal(client, SQLSTATE_FEATURE_NOT_SUPPORTED,
                     "a notification cannot be converted to the client_encoding",
                     "client_encoding was changed after LISTEN.", "SET client_encoding first.");
    else if (listening->missed && !audience_is_up(listening->audience) &&
             client->settings->listen_lost == SETTINGS_LOST_CLOSE)
        client_fatal(client, SQLSTATE_CONNECTION_FAILURE,
                     "terminating connection because notifications may have been missed",
                     "The connection that listens was lost.", NULL);
    else
        return false;
    return true;
}

void client_listen_proceed(struct client *client)
{
    struct listening *listening = client->listening;
    struct server *server = client->server;
    if (client->state >= CLIENT_CLOSING || listen_close_if_failed(client))
        return;
    if (server != NULL && server->ready_held) {
        if (!listening->waits || !audience_is_up(listening->audience))
            listen_release_ready(client);
        return;
    }
    if (listen_may_write(client) && !listen_write(client, false))
        return;
    if (listening->state == LISTENING_READY && server != NULL)
        lease_settle(server);
}

/* ---- A lease ---- */

void client_listen_front(struct client *client, struct batch *batch)
{
    const struct listening *listening = client->listening;
    const struct audience_seat *seat;
    struct server *server = client->server;
    if (server->ready_held || !listen_has_shared(listening))
        return;
    struct buffer sql = {0};
    TAILQ_FOREACH (seat, &listening->seats, in_listening) {
        if (seat->token != 0)
            notifier_write_command(&sql, "LISTEN", audience_channel_name(seat));
    }
    buffer_append(&sql, "", 1);
    request_query(batch_made_begin(batch), (const char *)buffer_bytes(&sql));
    batch_made_end(batch);
    buffer_release(&sql);
    pipeline_push(
        &server->pipeline,
        (struct pipeline_entry){.kind = PIPELINE_QUERY, .ours = true, .note = SERVER_NOTE_FRONT});
    server_drop_unnamed(server);
    server->fronted = server->hears = true;
}

/* The mark of the client's own hand-over. */
static bool listen_is_fence(const struct server *server, const struct notification *notification)
{
    const struct listening *listening = server->client->listening;
    unsigned worker, slot;
    uint64_t token;
    return listening->state == LISTENING_FENCING &&
           notifier_read_fence(notification->payload, &worker, &slot, &token) &&
           worker == server->worker->number && slot == server->client->slot &&
           token == listening->token;
}

/* On a channel that is the shared connection's there, or behind the fence, a notification comes, or
 * has come, from there. What is on neither was made to come without a word, perhaps by another
 * client: it is not for this one. */
static bool listen_hears(struct server *server, const struct notification *notification)
{
    const struct client *client = server->client;
    const struct listening *listening = client != NULL ? client->listening : NULL;
    if (listening != NULL && strcmp(notification->channel, notifier_fence()) == 0) {
        server->deaf |= listen_is_fence(server, notification);
        return false;
    }
    const struct audience_seat *seat =
        listening != NULL ? listen_seat(listening, notification->channel) : NULL;
    if (seat != NULL)
        return !server->deaf && (seat->token == 0 || (listening->state == LISTENING_FENCING &&
                                                      seat->token == listening->token));
    if (server->deaf)
        return false;
    if (client != NULL && (server->look != 0 || server->question != NULL || server->denying))
        return true; /* it listens since this lease: the server has yet to be asked */
    server->overheard = server->state != SERVER_CLEANING;
    server->retire |= server->overheard;
    return false;
}

bool client_listen_hears(struct server *server, const struct frame *frame)
{
    const struct client *client = server->client;
    if (client != NULL && client->settings->mode == SETTINGS_SESSION && client->listening == NULL)
        return server->state == SERVER_LEASED;
    struct notification *notification = notification_of_frame(frame);
    bool hears = notification != NULL && listen_hears(server, notification);
    notification_release(&notification);
    return hears;
}

bool client_listen_ready(struct server *server, struct batch *batch)
{
    struct client *client = server->client;
    struct listening *listening = client->listening;
    if (listening->state == LISTENING_STUCK) {
        listening->state = LISTENING_WANTED;
        audience_sync(listening->audience, listening);
    }
    if (server->relistens || server->held != NULL || !listen_has_shared(listening))
        return true;
    if (pipeline_is_empty(&server->pipeline) && audience_is_up(listening->audience)) {
        audience_sync(listening->audience, listening);
        server->ready_held = true;
        return false;
    }
    for (unsigned i = 0; i < listening->queue_count; i++) {
        const struct notification *notification = *listen_slot(listening, i);
        buffer_append(batch_made_begin(batch), notification->bytes, notification->size);
        batch_made_end(batch);
    }
    listen_drop_first(listening, listening->queue_count);
    return true;
}

static bool listen_is_named(const struct pairs *channels, const char *name)
{
    for (size_t i = 0; i < channels->count; i++) {
        if (strcmp(channels->items[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Those that it has no more: what was heard on them since is not for it. Where its channels were
 * not put in front of the lease, the server connection does not know of those that are shared. */
static void listen_leave(struct listening *listening, const struct pairs *channels, bool is_all)
{
    struct audience_seat *seat = TAILQ_FIRST(&listening->seats);
    while (seat != NULL) {
        struct audience_seat *next = TAILQ_NEXT(seat, in_listening);
        const char *name = audience_channel_name(seat);
        if ((is_all || seat->token == 0) && !listen_is_named(channels, name)) {
            listen_prune(listening, name);
            audience_stand_up(listening->audience, seat);
        }
        seat = next;
    }
}

static bool listen_enter(struct listening *listening, const struct pairs *channels)
{
    bool entered = false;
    for (size_t i = 0; i < channels->count; i++) {
        const char *name = channels->items[i].name;
        if (strcmp(name, notifier_fence()) == 0 || listen_seat(listening, name) != NULL)
            continue;
        (void)audience_sit(listening->audience, listening, name);
        entered = true;
    }
    return entered;
}

/* The last channel is gone: a client like others. */
static void listen_end_if_over(struct client *client)
{
    struct listening *listening = client->listening;
    if (TAILQ_EMPTY(&listening->seats) && listening->queue_count == 0)
        client_listen_free(client);
}

void client_listen_take_answer(struct client *client, struct server *server,
                               const struct pairs *channels)
{
    struct listening *listening = client->listening;
    server->relistens = false;
    if (server->undo_due) {
        /* What it did was refused, and is undone by a reset; what it listened to before is handed
         * over ahead of that. */
        if (client_listen_keeps(client))
            server->deadline = loop_now(server->worker->loop) + LEASE_CLEANING_LIMIT;
        return;
    }
    if (listening == NULL && (channels->count == 0 || client->settings->mode == SETTINGS_SESSION))
        return;
    if (listening == NULL)
        listening = listen_begin(client);
    bool is_all = server->fronted || !listen_has_shared(listening);
    server->hears = channels->count > 0;
    server->fronted &= server->hears;
    listen_leave(listening, channels, is_all);
    bool entered = listen_enter(listening, channels);
    if (!listen_has_own(listening)) {
        listening->state = LISTENING_SHARED;
        listen_end_if_over(client);
        return;
    }
    if (entered || listening->state == LISTENING_SHARED) {
        listening->state = LISTENING_WANTED;
        audience_sync(listening->audience, listening);
    }
}

/* ---- The hand-over ---- */

static void listen_ask(struct server *server, enum server_note note, const char *sql)
{
    server->handing = true;
    (void)server_query(server, note, sql);
}

static void listen_send_fence(struct client *client, struct server *server)
{
    struct listening *listening = client->listening;
    struct audience_seat *seat;
    char sql[256];
    listening->state = LISTENING_FENCING;
    listening->token = audience_new_token(listening->audience);
    TAILQ_FOREACH (seat, &listening->seats, in_listening) {
        if (seat->token == 0)
            seat->token = listening->token;
    }
    snprintf(sql, sizeof sql, "LISTEN %s; NOTIFY %s, '%u %u %llu'", notifier_fence(),
             notifier_fence(), server->worker->number, client->slot,
             (unsigned long long)listening->token);
    server->hears = true;
    listen_ask(server, SERVER_NOTE_FENCE, sql);
}

/* The fence's query has come back. */
static void listen_end_fence(struct client *client, const struct server *server)
{
    struct listening *listening = client->listening;
    struct audience_seat *seat;
    if (server->deaf) {
        listening->state = LISTENING_SHARED;
        return;
    }
    listening->state = LISTENING_STUCK;
    TAILQ_FOREACH (seat, &listening->seats, in_listening) {
        if (seat->token == listening->token) {
            seat->token = 0;
            seat->active = false;
        }
    }
}

/* True where the fence was sent. */
static bool listen_hand_over(struct client *client, struct server *server)
{
    struct listening *listening = client->listening;
    if (client->settings->mode == SETTINGS_SESSION)
        return false;
    if (!audience_is_up(listening->audience)) {
        listening->state = LISTENING_WANTED;
        audience_sync(listening->audience, listening);
        return false;
    }
    if (!listen_can_read(client, audience_encoding(listening->audience))) {
        listening->state = LISTENING_STUCK;
        return false;
    }
    listen_send_fence(client, server);
    return true;
}

bool client_listen_settle(struct client *client, struct server *server)
{
    struct listening *listening = client->listening;
    if (client->worker->draining)
        return false;
    if (listening != NULL && listening->state == LISTENING_FENCING)
        listen_end_fence(client, server);
    if (listening != NULL && listening->state == LISTENING_READY &&
        listen_hand_over(client, server))
        return true;
    if (server->hears && (listening == NULL || !listen_has_own(listening))) {
        listen_ask(server, SERVER_NOTE_UNLISTEN, "UNLISTEN *");
        return true;
    }
    if (listening == NULL)
        return false;
    if (!listen_write(client, false))
        return true;
    listen_end_if_over(client);
    return false;
}
