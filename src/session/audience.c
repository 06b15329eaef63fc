#include "session/audience.h"

#include "base/check.h"
#include "base/memory.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "pool/pool.h"
#include "session/client.h"
#include "session/client_listen.h"
#include "session/notification.h"
#include "session/notifier.h"
#include "session/worker.h"
#include "state/table.h"

#include <stdio.h>
#include <string.h>

struct audience_channel {
    struct audience_seats seats;
    UT_hash_handle hh;
    char name[];
};

struct audience {
    struct pool *pool; /* the key */
    struct worker *worker;
    struct audience_channel *channels; /* owned */
    struct audience_list members;
    struct audience_list waiting; /* for a sync, by its number */
    struct audience_list due;     /* may proceed */
    bool up;
    char *encoding; /* owned; or NULL */
    uint64_t sync;  /* the last one asked for */
    uint64_t token;
    UT_hash_handle hh;
};

struct audience *audience_of(struct worker *worker, struct pool *pool)
{
    struct audience *audience;
    HASH_FIND_PTR(worker->audiences, &pool, audience);
    if (audience != NULL)
        return audience;
    audience = memory_new(struct audience);
    audience->pool = pool;
    audience->worker = worker;
    TAILQ_INIT(&audience->members);
    TAILQ_INIT(&audience->waiting);
    TAILQ_INIT(&audience->due);
    HASH_ADD_PTR(worker->audiences, pool, audience);
    return audience;
}

void audience_enter(struct audience *audience, struct listening *listening)
{
    TAILQ_INSERT_TAIL(&audience->members, listening, in_audience);
}

static void audience_forget(struct audience *audience, struct listening *listening)
{
    if (listening->waits)
        TAILQ_REMOVE(&audience->waiting, listening, in_waiting);
    if (listening->due)
        TAILQ_REMOVE(&audience->due, listening, in_due);
    listening->waits = listening->due = false;
}

void audience_leave(struct audience *audience, struct listening *listening)
{
    struct audience_seat *seat;
    while ((seat = TAILQ_FIRST(&listening->seats)) != NULL)
        audience_stand_up(audience, seat);
    audience_forget(audience, listening);
    TAILQ_REMOVE(&audience->members, listening, in_audience);
}

struct audience_seat *audience_sit(struct audience *audience, struct listening *listening,
                                   const char *name)
{
    struct audience_channel *channel;
    HASH_FIND_STR(audience->channels, name, channel);
    if (channel == NULL) {
        channel = memory_zeroed(sizeof *channel + strlen(name) + 1);
        memcpy(channel->name, name, strlen(name) + 1);
        TAILQ_INIT(&channel->seats);
        HASH_ADD_STR(audience->channels, name, channel);
        notifier_ask(audience->pool, audience->worker, NOTIFIER_WANT, 0, name);
    }
    struct audience_seat *seat = memory_new(struct audience_seat);
    seat->channel = channel;
    seat->listening = listening;
    TAILQ_INSERT_TAIL(&channel->seats, seat, in_channel);
    TAILQ_INSERT_TAIL(&listening->seats, seat, in_listening);
    return seat;
}

void audience_stand_up(struct audience *audience, struct audience_seat *seat)
{
    struct audience_channel *channel = seat->channel;
    TAILQ_REMOVE(&channel->seats, seat, in_channel);
    TAILQ_REMOVE(&seat->listening->seats, seat, in_listening);
    free(seat);
    if (!TAILQ_EMPTY(&channel->seats))
        return;
    notifier_ask(audience->pool, audience->worker, NOTIFIER_UNWANT, 0, channel->name);
    HASH_DEL(audience->channels, channel);
    free(channel);
    if (audience->channels == NULL)
        audience->up = false; /* told again to who wants a channel again */
}

const char *audience_channel_name(const struct audience_seat *seat)
{
    return seat->channel->name;
}

bool audience_is_up(const struct audience *audience)
{
    return audience->up;
}

const char *audience_encoding(const struct audience *audience)
{
    return audience->encoding != NULL ? audience->encoding : "";
}

void audience_sync(struct audience *audience, struct listening *listening)
{
    listening->sync = ++audience->sync;
    if (listening->waits)
        TAILQ_REMOVE(&audience->waiting, listening, in_waiting);
    listening->waits = true;
    TAILQ_INSERT_TAIL(&audience->waiting, listening, in_waiting);
    notifier_ask(audience->pool, audience->worker, NOTIFIER_SYNC, listening->sync, NULL);
}

uint64_t audience_new_token(struct audience *audience)
{
    return ++audience->token;
}

/* ---- News ---- */

static void audience_make_due(struct audience *audience, struct listening *listening)
{
    if (listening->due)
        return;
    listening->due = true;
    TAILQ_INSERT_TAIL(&audience->due, listening, in_due);
}

/* Each step may close clients, also other ones than its own: the list knows who is left. */
static void audience_proceed(struct audience *audience)
{
    struct listening *listening;
    while ((listening = TAILQ_FIRST(&audience->due)) != NULL) {
        TAILQ_REMOVE(&audience->due, listening, in_due);
        listening->due = false;
        client_listen_proceed(listening->client);
    }
}

static void audience_hear(struct audience *audience, struct notification *notification)
{
    struct audience_channel *channel;
    struct audience_seat *seat;
    HASH_FIND_STR(audience->channels, notification->channel, channel);
    if (channel == NULL)
        return;
    TAILQ_FOREACH (seat, &channel->seats, in_channel) {
        if (!seat->active)
            continue;
        client_listen_queue(seat->listening, notification);
        audience_make_due(audience, seat->listening);
    }
}

static void audience_pass_fence(struct audience *audience, uint32_t slot, uint64_t token)
{
    const struct client *client = worker_slot_client(audience->worker, slot);
    struct audience_seat *seat;
    if (client == NULL || client->listening == NULL || client->listening->audience != audience)
        return;
    TAILQ_FOREACH (seat, &client->listening->seats, in_listening)
        seat->active |= seat->token == token;
}

static void audience_synced(struct audience *audience, uint64_t number)
{
    struct listening *listening;
    while ((listening = TAILQ_FIRST(&audience->waiting)) != NULL && listening->sync <= number) {
        TAILQ_REMOVE(&audience->waiting, listening, in_waiting);
        listening->waits = false;
        if (listening->state == LISTENING_WANTED)
            listening->state = LISTENING_READY;
        audience_make_due(audience, listening);
    }
}

static void audience_take_up(struct audience *audience, const char *encoding)
{
    audience->up = true;
    free(audience->encoding);
    audience->encoding = memory_string(encoding != NULL ? encoding : "");
}

/* A fence that has not come by will not come any more: who waits for it is in the notifier's hands
 * from here on. */
static void audience_lose(struct audience *audience)
{
    struct listening *listening;
    struct audience_seat *seat;
    audience->up = false;
    TAILQ_FOREACH (listening, &audience->members, in_audience) {
        TAILQ_FOREACH (seat, &listening->seats, in_listening) {
            seat->active |= seat->token != 0;
            listening->missed |= seat->active;
        }
        audience_make_due(audience, listening);
    }
}

static void audience_notice(struct audience *audience, uint64_t away)
{
    char message[160];
    struct buffer text = {0};
    struct listening *listening;
    snprintf(message, sizeof message,
             "notifications may have been missed: the connection that listens was lost and is "
             "restored after %.3f s",
             (double)away / 1e6);
    reply_notice(&text, "WARNING", SQLSTATE_WARNING, message);
    struct notification *notice = notification_of_message(&text);
    buffer_release(&text);
    TAILQ_FOREACH (listening, &audience->members, in_audience) {
        if (!listening->missed)
            continue;
        listening->missed = false;
        client_listen_queue(listening, notice);
        audience_make_due(audience, listening);
    }
    notification_release(&notice);
}

struct audience_errand {
    struct pool *pool;
    enum audience_news_kind kind;
    uint64_t number;
    uint32_t slot;
    struct notification *notification; /* owned reference, or NULL */
    char *text;                        /* owned, or NULL */
};

static void audience_take_news(struct audience *audience, const struct audience_errand *errand)
{
    switch (errand->kind) {
    case AUDIENCE_UP:
        audience_take_up(audience, errand->text);
        break;
    case AUDIENCE_LOST:
        audience_lose(audience);
        break;
    case AUDIENCE_RESTORED:
        audience_take_up(audience, errand->text);
        audience_notice(audience, errand->number);
        break;
    case AUDIENCE_SYNCED:
        audience_synced(audience, errand->number);
        break;
    case AUDIENCE_FENCE:
        audience_pass_fence(audience, errand->slot, errand->number);
        break;
    case AUDIENCE_HEARD:
        audience_hear(audience, errand->notification);
        break;
    }
    audience_proceed(audience);
}

static void audience_errand_arrived(struct worker *worker, void *context)
{
    struct audience_errand *errand = context;
    struct audience *audience;
    HASH_FIND_PTR(worker->audiences, &errand->pool, audience);
    if (audience != NULL && !TAILQ_EMPTY(&audience->members))
        audience_take_news(audience, errand);
    notification_release(&errand->notification);
    free(errand->text);
    free(errand);
}

void audience_tell(struct worker *worker, struct pool *pool, enum audience_news_kind kind,
                   const struct audience_news *news)
{
    struct audience_errand *errand = memory_new(struct audience_errand);
    errand->pool = pool;
    errand->kind = kind;
    errand->number = news->number;
    errand->slot = news->slot;
    errand->text = news->text != NULL ? memory_string(news->text) : NULL;
    if (news->notification != NULL)
        errand->notification = notification_retain(news->notification);
    worker_call(worker, audience_errand_arrived, errand);
}

void audience_free_all(struct worker *worker)
{
    struct audience *audience, *next;
    HASH_ITER (hh, worker->audiences, audience, next) {
        check(TAILQ_EMPTY(&audience->members) && audience->channels == NULL);
        HASH_DEL(worker->audiences, audience);
        free(audience->encoding);
        free(audience);
    }
}
