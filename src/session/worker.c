#include "session/worker.h"
#include "base/check.h"
#include "base/memory.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "io/resolver.h"
#include "pool/registry.h"
#include "session/audience.h"
#include "session/authentication.h"
#include "session/cancel.h"
#include "session/client.h"
#include "session/notifier.h"
#include "session/server.h"

#include <stdlib.h>
#include <string.h>

#define WORKER_MAGIC 0x574f524bu
#define WORKER_SWEEP_INTERVAL (100 * CLOCK_MILLISECOND)
#define WORKER_NO_SLOT UINT32_MAX
/* So many clients come before a pid is given again. */
#define WORKER_FIRST_SLOTS 1024
/* A client that was told why it is closed has this long to read it and hang up. */
#define WORKER_CLOSING_LIMIT (2 * CLOCK_SECOND)
#define WORKER_CLIENT_SWEEP_INTERVAL CLOCK_SECOND

static _Thread_local struct worker *worker_of_thread;

struct worker *worker_current(void)
{
    return worker_of_thread;
}

void worker_play(struct worker *worker)
{
    worker_of_thread = worker;
}

static void worker_timer(void *context)
{
    struct worker *worker = object_cast(struct worker, context, WORKER_MAGIC);
    worker_sweep(worker, loop_now(worker->loop));
}

struct worker *worker_new(struct service *service, unsigned number, struct config *config)
{
    struct worker *worker = memory_new(struct worker);
    worker->magic = WORKER_MAGIC;
    worker->number = number;
    worker->service = service;
    worker->loop = loop_new("worker");
    worker->resolver = resolver_new(worker->loop);
    worker->config = config_retain(config);
    worker->first_free = WORKER_NO_SLOT;
    TAILQ_INIT(&worker->clients);
    TAILQ_INIT(&worker->logins);
    TAILQ_INIT(&worker->closing);
    TAILQ_INIT(&worker->servers);
    TAILQ_INIT(&worker->cancels);
    loop_every(worker->loop, WORKER_SWEEP_INTERVAL, worker_timer, worker);
    return worker;
}

void worker_free(struct worker *worker)
{
    check(TAILQ_EMPTY(&worker->clients) && TAILQ_EMPTY(&worker->servers));
    check(TAILQ_EMPTY(&worker->cancels));
    notifier_free_all(worker);
    audience_free_all(worker);
    resolver_free(worker->resolver);
    loop_free(worker->loop);
    config_release(&worker->config);
    verifier_cache_free(&worker->verifiers);
    buffer_release(&worker->made);
    free(worker->slots);
    worker->magic = 0;
    free(worker);
}

void worker_run(struct worker *worker)
{
    worker_of_thread = worker;
    loop_run(worker->loop);
    worker_of_thread = NULL;
}

/* A call posted to a worker; owned by the mailbox until it is delivered. */
struct worker_errand {
    struct mailbox_message message;
    struct worker *worker;
    void (*call)(struct worker *worker, void *context);
    void *context;
};

static void worker_errand_deliver(struct mailbox_message *message)
{
    struct worker_errand *errand = container_of(message, struct worker_errand, message);
    errand->call(errand->worker, errand->context);
    free(errand);
}

void worker_call(struct worker *worker, void (*call)(struct worker *worker, void *context),
                 void *context)
{
    struct worker_errand *errand = memory_new(struct worker_errand);
    errand->message.deliver = worker_errand_deliver;
    errand->worker = worker;
    errand->call = call;
    errand->context = context;
    mailbox_post(worker->loop, &errand->message);
}

static void worker_accept(struct worker *worker, void *context)
{
    client_accept(worker, (int)(intptr_t)context);
}

void worker_give_client(struct worker *worker, int descriptor)
{
    atomic_fetch_add_explicit(&worker->load, 1, memory_order_relaxed);
    worker_call(worker, worker_accept, (void *)(intptr_t)descriptor);
}

static void worker_take_config(struct worker *worker, void *context)
{
    config_release(&worker->config);
    worker->config = context;
    struct client *client;
    TAILQ_FOREACH (client, &worker->logins, link)
        client_take_settings(client);
    TAILQ_FOREACH (client, &worker->clients, link)
        client_take_settings(client);
}

void worker_give_config(struct worker *worker, struct config *config)
{
    worker_call(worker, worker_take_config, config_retain(config));
}

static void worker_drain_list(struct worker_clients *list, bool at_once)
{
    struct client *client = TAILQ_FIRST(list);
    while (client != NULL) {
        struct client *next = TAILQ_NEXT(client, link);
        client_drain(client, at_once);
        client = next;
    }
}

/* Those that are still logging in serve nobody any more; at once: all others too. */
static void worker_close_servers(struct worker *worker, bool at_once)
{
    struct server *server = TAILQ_FIRST(&worker->servers);
    while (server != NULL) {
        unsigned departures = worker->departures;
        struct server *next = TAILQ_NEXT(server, link);
        if (at_once || server->state == SERVER_LOGIN)
            server_close(server, NULL, "pgsluice is shutting down");
        server = worker->departures == departures ? next : TAILQ_FIRST(&worker->servers);
    }
}

static void worker_start_drain(struct worker *worker, void *context)
{
    bool at_once = context != NULL;
    worker->draining = true;
    worker_drain_list(&worker->logins, at_once);
    worker_drain_list(&worker->clients, at_once);
    if (at_once) {
        struct client *client;
        while ((client = TAILQ_FIRST(&worker->closing)) != NULL)
            client_close(client, "pgsluice is shutting down");
    }
    notifier_drain(worker);
    worker_close_servers(worker, at_once);
    if (at_once)
        cancel_hurry(worker, loop_now(worker->loop));
    worker_check_drained(worker);
}

void worker_drain(struct worker *worker, bool at_once)
{
    worker_call(worker, worker_start_drain, at_once ? worker : NULL);
}

void worker_check_drained(struct worker *worker)
{
    if (!worker->draining || worker->drained)
        return;
    if (!TAILQ_EMPTY(&worker->clients) || !TAILQ_EMPTY(&worker->logins) ||
        !TAILQ_EMPTY(&worker->closing) || !TAILQ_EMPTY(&worker->servers) ||
        !TAILQ_EMPTY(&worker->cancels))
        return;
    worker->drained = true;
    worker->service->upward->worker_drained(worker);
}

/* Behind all other free ones: as with PostgreSQL, a pid is not soon another client's. */
static void worker_chain_slot(struct worker *worker, uint32_t slot)
{
    worker->slots[slot].next_free = WORKER_NO_SLOT;
    if (worker->first_free == WORKER_NO_SLOT)
        worker->first_free = slot;
    else
        worker->slots[worker->last_free].next_free = slot;
    worker->last_free = slot;
}

uint32_t worker_take_slot(struct worker *worker, struct client *client)
{
    if (worker->first_free == WORKER_NO_SLOT) {
        uint32_t count = worker->slot_count == 0 ? WORKER_FIRST_SLOTS : worker->slot_count * 2;
        worker->slots = memory_resize(worker->slots, count * sizeof *worker->slots);
        for (uint32_t i = worker->slot_count; i < count; i++) {
            worker->slots[i].client = NULL;
            worker_chain_slot(worker, i);
        }
        worker->slot_count = count;
    }
    uint32_t slot = worker->first_free;
    worker->first_free = worker->slots[slot].next_free;
    worker->slots[slot].client = client;
    return slot;
}

void worker_free_slot(struct worker *worker, uint32_t slot)
{
    check(slot < worker->slot_count && worker->slots[slot].client != NULL);
    worker->slots[slot].client = NULL;
    worker_chain_slot(worker, slot);
}

struct client *worker_slot_client(const struct worker *worker, uint32_t slot)
{
    return slot < worker->slot_count ? worker->slots[slot].client : NULL;
}

/* Closing one connection may close others, or send them to other workers: the walk stops there, and
 * goes on at the next sweep. */
static void worker_sweep_servers(struct worker *worker, microseconds now)
{
    struct server *server = TAILQ_FIRST(&worker->servers);
    while (server != NULL) {
        unsigned departures = worker->departures;
        struct server *next = TAILQ_NEXT(server, link);
        server_sweep(server, now);
        server = worker->departures == departures ? next : NULL;
    }
}

static void worker_sweep_logins(struct worker *worker, microseconds now)
{
    microseconds limit = worker->config->client_login_timeout;
    struct client *client;
    while (limit != CLOCK_OFF && (client = TAILQ_FIRST(&worker->logins)) != NULL) {
        if (now - client->connected_at < limit)
            break;
        client_fatal(client, "08006", "canceling authentication due to timeout", NULL, NULL);
    }
    while ((client = TAILQ_FIRST(&worker->closing)) != NULL) {
        if (now - client->request_at < WORKER_CLOSING_LIMIT)
            break;
        client_close(client, "did not hang up");
    }
}

static void worker_sweep_idle_clients(struct worker *worker, microseconds now)
{
    microseconds limit = worker->config->client_idle_timeout;
    if (limit == CLOCK_OFF || now - worker->swept_at < WORKER_CLIENT_SWEEP_INTERVAL)
        return;
    worker->swept_at = now;
    struct client *client = TAILQ_FIRST(&worker->clients);
    while (client != NULL) {
        struct client *next = TAILQ_NEXT(client, link);
        if (client_is_idle(client) && now - client->request_at >= limit)
            client_fatal(client, "57P05", "terminating connection due to idle-session timeout",
                         NULL, NULL);
        if (next != NULL && next->state >= CLIENT_CLOSING)
            break;
        client = next;
    }
}

static void worker_tick_pool(struct pool *pool, void *context)
{
    pool_tick(pool, *(const microseconds *)context);
}

void worker_sweep(struct worker *worker, microseconds now)
{
    if (worker->number == 0)
        registry_visit(worker->service->registry, worker_tick_pool, &now);
    worker_sweep_servers(worker, now);
    notifier_sweep(worker, now);
    cancel_sweep(worker, now);
    worker_sweep_logins(worker, now);
    worker_sweep_idle_clients(worker, now);
}
