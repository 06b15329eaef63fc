#include "session/notifier.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/frame.h"
#include "pg/quote.h"
#include "pool/pool.h"
#include "session/audience.h"
#include "session/notification.h"
#include "session/server.h"
#include "session/service.h"
#include "session/worker.h"
#include "state/parameters.h"
#include "state/table.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* So long it stays open when nobody listens any more. */
#define NOTIFIER_KEEP (60 * CLOCK_SECOND)
/* Silence after which it is pinged. */
#define NOTIFIER_PING_AFTER (5 * CLOCK_SECOND)
#define NOTIFIER_SETTINGS_INTERVAL CLOCK_SECOND

#define NOTIFIER_FENCE_BYTES 16

struct notifier_channel {
    unsigned wanted; /* by so many workers */
    UT_hash_handle hh;
    char name[];
};

/* What one worker has asked for. */
struct notifier_worker {
    unsigned channels;
    uint64_t sync_wanted, sync_sent, sync_done;
};

struct notifier {
    struct pool *pool; /* the key */
    struct worker *worker;
    struct server *server;             /* or NULL */
    struct notifier_channel *channels; /* owned */
    struct notifier_worker *workers;   /* owned; by number */
    struct buffer changes;             /* SQL that it has yet to be sent */
    bool up;                           /* it listens to all that was wanted when it came */
    bool was_lost;                     /* the next one is told as restored */
    bool asking;                       /* its answer is awaited */
    microseconds lost_at;              /* was_lost */
    microseconds retry_at, backoff;
    microseconds unwanted_at; /* since then it has no channel */
    microseconds heard_at;
    microseconds settings_at; /* they were compared */
    UT_hash_handle hh;
};

/* ---- Names ---- */

static char fence_name[sizeof "pgsluice_" + NOTIFIER_FENCE_BYTES * 2];
static pthread_once_t fence_once = PTHREAD_ONCE_INIT;

static void notifier_make_fence(void)
{
    uint8_t bytes[NOTIFIER_FENCE_BYTES];
    check(RAND_bytes(bytes, sizeof bytes) == 1);
    size_t length = (size_t)snprintf(fence_name, sizeof fence_name, "pgsluice_");
    for (size_t i = 0; i < sizeof bytes; i++)
        length +=
            (size_t)snprintf(fence_name + length, sizeof fence_name - length, "%02x", bytes[i]);
}

const char *notifier_fence(void)
{
    pthread_once(&fence_once, notifier_make_fence);
    return fence_name;
}

bool notifier_read_fence(const char *payload, unsigned *worker, unsigned *slot, uint64_t *token)
{
    return sscanf(payload, "%u %u %" SCNu64, worker, slot, token) == 3;
}

void notifier_write_command(struct buffer *sql, const char *command, const char *channel)
{
    buffer_append(sql, command, strlen(command));
    buffer_append(sql, " ", 1);
    quote_identifier(sql, channel);
    buffer_append(sql, ";", 1);
}

/* ---- To the audiences ---- */

/* Those that have a channel. */
static void notifier_tell_all(const struct notifier *notifier, enum audience_news_kind kind,
                              const struct audience_news *news)
{
    const struct service *service = notifier->worker->service;
    for (unsigned i = 0; i < service->worker_count; i++) {
        if (notifier->workers[i].channels > 0)
            audience_tell(service->workers[i], notifier->pool, kind, news);
    }
}

static void notifier_tell_synced(struct notifier *notifier)
{
    const struct service *service = notifier->worker->service;
    for (unsigned i = 0; i < service->worker_count; i++) {
        struct notifier_worker *asked = &notifier->workers[i];
        if (asked->sync_sent == asked->sync_done)
            continue;
        asked->sync_done = asked->sync_sent;
        audience_tell(service->workers[i], notifier->pool, AUDIENCE_SYNCED,
                      &(struct audience_news){.number = asked->sync_done});
    }
}

/* The mark that a hand-over has put into the order of all notifications, to whom it is for. */
static void notifier_tell_fence(const struct notifier *notifier, const char *payload)
{
    const struct service *service = notifier->worker->service;
    unsigned worker, slot;
    uint64_t token;
    if (!notifier_read_fence(payload, &worker, &slot, &token) || worker >= service->worker_count)
        return;
    audience_tell(service->workers[worker], notifier->pool, AUDIENCE_FENCE,
                  &(struct audience_news){.number = token, .slot = slot});
}

/* ---- The connection ---- */

static void notifier_query(struct notifier *notifier, const char *sql)
{
    struct server *server = notifier->server;
    microseconds limit = server->settings->pre_ping_timeout;
    notifier->asking = true;
    server->deadline = limit != CLOCK_OFF ? loop_now(notifier->worker->loop) + limit : 0;
    for (unsigned i = 0; i < notifier->worker->service->worker_count; i++)
        notifier->workers[i].sync_sent = notifier->workers[i].sync_wanted;
    (void)server_query(server, SERVER_NOTE_LISTEN, sql);
}

static bool notifier_owes_sync(const struct notifier *notifier)
{
    for (unsigned i = 0; i < notifier->worker->service->worker_count; i++) {
        if (notifier->workers[i].sync_wanted != notifier->workers[i].sync_done)
            return true;
    }
    return false;
}

static void notifier_open(struct notifier *notifier)
{
    struct worker *worker = notifier->worker;
    struct server *server = server_new(notifier->pool, worker);
    server->notifier = notifier;
    server->member.pool = notifier->pool;
    server->member.opened_at = loop_now(worker->loop);
    notifier->server = server;
    server_open(server);
}

/* Sends what is to be sent, where it can be. */
static void notifier_go(struct notifier *notifier)
{
    struct worker *worker = notifier->worker;
    if (notifier->server == NULL) {
        if (notifier->channels != NULL && !worker->draining &&
            loop_now(worker->loop) >= notifier->retry_at)
            notifier_open(notifier);
        return;
    }
    if (notifier->server->state != SERVER_LISTENING || notifier->asking ||
        (buffer_length(&notifier->changes) == 0 && !notifier_owes_sync(notifier)))
        return;
    struct buffer sql = notifier->changes;
    notifier->changes = (struct buffer){0};
    buffer_append(&sql, "", 1);
    notifier_query(notifier, (const char *)buffer_bytes(&sql));
    buffer_release(&sql);
}

/* Logged in: it listens to all channels, and to the fence. */
void notifier_connected(struct server *server)
{
    struct notifier *notifier = server->notifier;
    struct buffer sql = {0};
    server_set_state(server, SERVER_LISTENING);
    notifier->heard_at = loop_now(notifier->worker->loop);
    notifier_write_command(&sql, "LISTEN", notifier_fence());
    for (struct notifier_channel *item = notifier->channels; item != NULL; item = item->hh.next)
        notifier_write_command(&sql, "LISTEN", item->name);
    buffer_append(&sql, "", 1);
    buffer_clear(&notifier->changes);
    notifier_query(notifier, (const char *)buffer_bytes(&sql));
    buffer_release(&sql);
}

static void notifier_came_up(struct notifier *notifier)
{
    const char *encoding = parameters_find(notifier->server->parameters, "client_encoding");
    microseconds now = loop_now(notifier->worker->loop);
    struct audience_news news = {
        .number = notifier->was_lost ? (uint64_t)(now - notifier->lost_at) : 0,
        .text = encoding,
    };
    notifier->up = true;
    notifier->backoff = 0;
    notifier->retry_at = 0;
    if (notifier->was_lost) {
        char prefix[SERVER_PREFIX_SIZE];
        server_prefix(notifier->server, prefix);
        log_info(prefix, "listens again, after %.3f s", (double)(now - notifier->lost_at) / 1e6);
    }
    notifier_tell_all(notifier, notifier->was_lost ? AUDIENCE_RESTORED : AUDIENCE_UP, &news);
    notifier->was_lost = false;
}

void notifier_replied(struct server *server, bool worked)
{
    struct notifier *notifier = server->notifier;
    notifier->asking = false;
    notifier->heard_at = loop_now(notifier->worker->loop);
    server->deadline = 0;
    if (!worked) {
        server_close(server, server->failure, "it cannot listen");
        return;
    }
    if (!notifier->up)
        notifier_came_up(notifier);
    notifier_tell_synced(notifier);
    notifier_go(notifier);
}

void notifier_hear(struct server *server, const struct frame *frame)
{
    struct notifier *notifier = server->notifier;
    struct notification *notification = notification_of_frame(frame);
    if (notification == NULL)
        return;
    notifier->heard_at = loop_now(notifier->worker->loop);
    if (server->deadline != 0) /* it is at work */
        server->deadline = notifier->heard_at + server->settings->pre_ping_timeout;
    if (strcmp(notification->channel, notifier_fence()) == 0)
        notifier_tell_fence(notifier, notification->payload);
    else
        notifier_tell_all(notifier, AUDIENCE_HEARD,
                          &(struct audience_news){.notification = notification});
    notification_release(&notification);
}

void notifier_lost(struct server *server, const struct failure *failure)
{
    struct notifier *notifier = server->notifier;
    microseconds now = loop_now(notifier->worker->loop);
    bool was_up = notifier->up;
    notifier->server = NULL;
    notifier->up = false;
    notifier->asking = false;
    buffer_clear(&notifier->changes);
    if (was_up) {
        notifier->was_lost = notifier->channels != NULL;
        notifier->lost_at = now;
        notifier->backoff = 0;
        notifier_tell_all(
            notifier, AUDIENCE_LOST,
            &(struct audience_news){.text = failure != NULL ? failure->message : NULL});
    }
    notifier->retry_at = now + notifier->backoff;
    notifier->backoff = notifier->backoff == 0 ? POOL_BACKOFF_LEAST : notifier->backoff * 2;
    if (notifier->backoff > POOL_BACKOFF_MOST)
        notifier->backoff = POOL_BACKOFF_MOST;
}

/* ---- Wishes ---- */

struct notifier_request {
    struct pool *pool;
    unsigned worker;
    enum notifier_wish wish;
    uint64_t number;
    char channel[];
};

static struct notifier *notifier_of(struct worker *home, struct pool *pool)
{
    struct notifier *notifier;
    HASH_FIND_PTR(home->notifiers, &pool, notifier);
    if (notifier != NULL)
        return notifier;
    notifier = memory_new(struct notifier);
    notifier->pool = pool;
    notifier->worker = home;
    notifier->workers = memory_zeroed(home->service->worker_count * sizeof(struct notifier_worker));
    HASH_ADD_PTR(home->notifiers, pool, notifier);
    return notifier;
}

/* What becomes of a channel when it is wanted for the first time, or not any more. Before it is
 * logged in there is nothing to change. */
static void notifier_change(struct notifier *notifier, const char *command, const char *channel)
{
    if (notifier->server != NULL && notifier->server->state == SERVER_LISTENING)
        notifier_write_command(&notifier->changes, command, channel);
}

static void notifier_want(struct notifier *notifier, unsigned worker, const char *name)
{
    struct notifier_channel *channel;
    HASH_FIND_STR(notifier->channels, name, channel);
    if (channel == NULL) {
        channel = memory_zeroed(sizeof *channel + strlen(name) + 1);
        memcpy(channel->name, name, strlen(name) + 1);
        HASH_ADD_STR(notifier->channels, name, channel);
        notifier_change(notifier, "LISTEN", name);
    }
    channel->wanted++;
    if (notifier->workers[worker].channels++ == 0 && notifier->up)
        audience_tell(notifier->worker->service->workers[worker], notifier->pool, AUDIENCE_UP,
                      &(struct audience_news){.text = parameters_find(notifier->server->parameters,
                                                                      "client_encoding")});
}

static void notifier_unwant(struct notifier *notifier, unsigned worker, const char *name)
{
    struct notifier_channel *channel;
    HASH_FIND_STR(notifier->channels, name, channel);
    check(channel != NULL && notifier->workers[worker].channels > 0);
    notifier->workers[worker].channels--;
    if (--channel->wanted > 0)
        return;
    HASH_DEL(notifier->channels, channel);
    free(channel);
    notifier_change(notifier, "UNLISTEN", name);
    if (notifier->channels == NULL) {
        notifier->unwanted_at = loop_now(notifier->worker->loop);
        notifier->was_lost = false; /* nobody is left who could miss it */
    }
}

static void notifier_take_request(struct worker *home, void *context)
{
    struct notifier_request *request = context;
    struct notifier *notifier = notifier_of(home, request->pool);
    switch (request->wish) {
    case NOTIFIER_WANT:
        notifier_want(notifier, request->worker, request->channel);
        break;
    case NOTIFIER_UNWANT:
        notifier_unwant(notifier, request->worker, request->channel);
        break;
    case NOTIFIER_SYNC:
        notifier->workers[request->worker].sync_wanted = request->number;
        break;
    }
    if (request->wish == NOTIFIER_SYNC)
        notifier_go(notifier);
    free(request);
}

/* Spread over the workers; the same one for ever, so that nothing has to be agreed on. */
static struct worker *notifier_home(const struct worker *from, const struct pool *pool)
{
    uint64_t mixed = (uint64_t)(uintptr_t)pool * 0x9e3779b97f4a7c15u;
    return from->service->workers[(mixed >> 32) % from->service->worker_count];
}

void notifier_ask(struct pool *pool, struct worker *from, enum notifier_wish wish, uint64_t number,
                  const char *channel)
{
    size_t size = channel != NULL ? strlen(channel) + 1 : 0;
    struct notifier_request *request = memory_zeroed(sizeof *request + size);
    request->pool = pool;
    request->worker = from->number;
    request->wish = wish;
    request->number = number;
    if (channel != NULL)
        memcpy(request->channel, channel, size);
    worker_call(notifier_home(from, pool), notifier_take_request, request);
}

/* ---- Upkeep ---- */

/* The pool may be of another server since a reload. */
static bool notifier_is_outdated(struct notifier *notifier, microseconds now)
{
    if (now - notifier->settings_at < NOTIFIER_SETTINGS_INTERVAL)
        return false;
    notifier->settings_at = now;
    struct settings *settings = pool_settings(notifier->pool);
    bool outdated = !settings_same_server(settings, notifier->server->settings);
    settings_release(&settings);
    return outdated;
}

static void notifier_sweep_one(struct notifier *notifier, microseconds now)
{
    struct server *server = notifier->server;
    if (server != NULL && server->state == SERVER_LISTENING) {
        if (notifier->channels == NULL && now - notifier->unwanted_at >= NOTIFIER_KEEP) {
            server_close(server, NULL, "nobody listens any more");
            return;
        }
        if (notifier_is_outdated(notifier, now)) {
            server_close(server, NULL, "the configuration of its server has changed");
            return;
        }
        if (!notifier->asking && server->settings->pre_ping != SETTINGS_PING_OFF &&
            now - notifier->heard_at >= NOTIFIER_PING_AFTER) {
            notifier_query(notifier, "");
            return;
        }
    }
    notifier_go(notifier);
}

void notifier_sweep(struct worker *worker, microseconds now)
{
    for (struct notifier *item = worker->notifiers; item != NULL; item = item->hh.next)
        notifier_sweep_one(item, now);
}

void notifier_drain(struct worker *worker)
{
    for (struct notifier *item = worker->notifiers; item != NULL; item = item->hh.next) {
        if (item->server != NULL)
            server_close(item->server, NULL, "pgsluice is shutting down");
    }
}

void notifier_free_all(struct worker *worker)
{
    struct notifier *notifier, *next;
    HASH_ITER (hh, worker->notifiers, notifier, next) {
        struct notifier_channel *channel, *next_channel;
        check(notifier->server == NULL);
        HASH_ITER (hh, notifier->channels, channel, next_channel) {
            HASH_DEL(notifier->channels, channel);
            free(channel);
        }
        HASH_DEL(worker->notifiers, notifier);
        buffer_release(&notifier->changes);
        free(notifier->workers);
        free(notifier);
    }
}
