/*
 * pool_model.h: a small session for a pool: workers with mailboxes, clients that lease, return and
 * cancel, server connections that open, fail and die, all by a seeded choice. One thread may play
 * all workers (test_pool_schedule.c), or each has a thread of its own (test_pool_threads.c).
 * Messages are intrusive, one per object, as in the real session: a second call for an object whose
 * first is on its way would fail a check().
 */
#ifndef PGSLUICE_TESTS_UNIT_POOL_MODEL_H
#define PGSLUICE_TESTS_UNIT_POOL_MODEL_H

#include "base/check.h"
#include "base/memory.h"
#include "pool/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MODEL_WORKERS 3
#define MODEL_CLIENTS 6 /* of each worker */

enum model_message_kind {
    MESSAGE_CONNECT,
    MESSAGE_CLOSE,
    MESSAGE_MOVE,
    MESSAGE_ARRIVE,
    MESSAGE_REFUSED
};

struct model_client;
struct model_server;

struct model_message {
    enum model_message_kind kind;
    bool posted;
    struct model_client *client;
    struct model_server *server;
    TAILQ_ENTRY(model_message) link;
};

enum model_client_state { CLIENT_RESTS, CLIENT_WAITS, CLIENT_CANCELLED, CLIENT_LEASES };

struct model_client {
    struct pool_waiter waiter;
    struct model_worker *worker;
    enum model_client_state state;
    struct model_server *server;
    uint64_t arrival; /* order of asking, by the model's own count */
    enum pool_refusal_reason refusal;
    struct model_message message;
};

/* What its worker knows of a server connection; the pool may have decided more. */
enum model_view { VIEW_NEW, VIEW_CONNECTING, VIEW_IDLE, VIEW_LEASED, VIEW_DEAD };

struct model_server {
    struct pool_server member;
    struct model_worker *home;
    enum model_view view;
    struct model_client *client;
    struct model_message message;
    TAILQ_ENTRY(model_server) link; /* of its worker */
};

struct model_worker {
    struct model *model;
    unsigned number;
    uint64_t random;
    struct model_client clients[MODEL_CLIENTS];
    TAILQ_HEAD(, model_server) servers;
    uint64_t leases, refusals, cancelled;
    /* The mailbox. */
    pthread_mutex_t mutex;
    TAILQ_HEAD(model_mailbox, model_message) messages;
};

struct model {
    struct pool *pool;
    _Atomic microseconds now;
    atomic_uint server_count;
    atomic_uint_fast64_t arrivals;
    atomic_bool draining; /* nobody asks any more, everything succeeds */
    unsigned faults;      /* how likely faults and cancels are, in percent of what the code says */
    struct failure *failure;
    /* Called for each grant of a waiter, before the model changes; NULL. */
    void (*on_grant)(struct model *model, struct model_client *client, struct model_server *server);
    /* Called for each new server connection; NULL. */
    void (*on_create)(struct model *model);
    struct model_worker workers[MODEL_WORKERS];
};

static inline uint64_t model_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static inline unsigned model_choose(uint64_t *state, unsigned count)
{
    return (unsigned)(model_random(state) % count);
}

static inline bool model_chance(struct model_worker *worker, unsigned percent)
{
    return !worker->model->draining &&
           model_choose(&worker->random, 10000) < percent * worker->model->faults;
}

static inline void model_post(struct model_worker *to, struct model_message *message,
                              enum model_message_kind kind)
{
    pthread_mutex_lock(&to->mutex);
    check(!message->posted);
    message->posted = true;
    message->kind = kind;
    TAILQ_INSERT_TAIL(&to->messages, message, link);
    pthread_mutex_unlock(&to->mutex);
}

static inline struct model_message *model_take_message(struct model_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    struct model_message *message = TAILQ_FIRST(&worker->messages);
    if (message != NULL) {
        TAILQ_REMOVE(&worker->messages, message, link);
        message->posted = false;
    }
    pthread_mutex_unlock(&worker->mutex);
    return message;
}

/* The pool's methods. */

static inline struct pool_server *model_create(struct pool *pool, unsigned worker)
{
    struct model *model = pool_owner(pool);
    struct model_server *server = memory_new(struct model_server);

    server->home = &model->workers[worker];
    server->message.server = server;
    if (model->on_create != NULL)
        model->on_create(model);
    model->server_count++;
    return &server->member;
}

static inline void model_connect(struct pool_server *member)
{
    struct model_server *server = container_of(member, struct model_server, member);

    model_post(server->home, &server->message, MESSAGE_CONNECT);
}

static inline void model_close(struct pool_server *member, const char *reason)
{
    struct model_server *server = container_of(member, struct model_server, member);

    check(reason != NULL);
    model_post(server->home, &server->message, MESSAGE_CLOSE);
}

static inline void model_begin_lease(struct model_client *client, struct model_server *server)
{
    check(server->client == NULL && server->view == VIEW_IDLE && server->home == client->worker);
    check(client->server == NULL);
    server->view = VIEW_LEASED;
    server->client = client;
    client->server = server;
    client->state = CLIENT_LEASES;
    client->worker->leases++;
}

static inline void model_granted(struct pool_waiter *waiter, struct pool_server *member)
{
    struct model_client *client = container_of(waiter, struct model_client, waiter);
    struct model_server *server = container_of(member, struct model_server, member);
    struct model *model = client->worker->model;

    if (model->on_grant != NULL)
        model->on_grant(model, client, server);
    if (member->state == POOL_SERVER_LEASED) {
        check(client->state == CLIENT_WAITS);
        model_begin_lease(client, server);
    } else {
        server->message.client = client;
        model_post(server->home, &server->message, MESSAGE_MOVE);
    }
}

static inline void model_refused(struct pool_waiter *waiter, const struct pool_refusal *refusal)
{
    struct model_client *client = container_of(waiter, struct model_client, waiter);

    check((refusal->reason == POOL_REFUSED_UNREACHABLE) <= (refusal->failure != NULL));
    client->refusal = refusal->reason;
    model_post(client->worker, &client->message, MESSAGE_REFUSED);
}

static const struct pool_methods model_methods = {
    .create = model_create,
    .connect = model_connect,
    .close = model_close,
    .granted = model_granted,
    .refused = model_refused,
};

/* Birth and death. */

static inline void model_start(struct model *model, struct settings *settings, uint64_t seed)
{
    *model = (struct model){.now = 1000 * CLOCK_SECOND, .faults = 100};
    model->failure = failure_new("57P01", "terminating connection", NULL, NULL);
    model->pool = pool_new(settings, MODEL_WORKERS, &model_methods, model, seed);
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        struct model_worker *worker = &model->workers[i];
        worker->model = model;
        worker->number = i;
        worker->random = seed * MODEL_WORKERS + i;
        pthread_mutex_init(&worker->mutex, NULL);
        TAILQ_INIT(&worker->messages);
        TAILQ_INIT(&worker->servers);
        for (unsigned j = 0; j < MODEL_CLIENTS; j++) {
            worker->clients[j].worker = worker;
            worker->clients[j].message.client = &worker->clients[j];
        }
    }
}

static inline void model_stop(struct model *model)
{
    check(model->server_count == 0);
    check(pool_is_empty(model->pool));
    pool_free(model->pool);
    failure_release(&model->failure);
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        check(TAILQ_EMPTY(&model->workers[i].messages));
        check(TAILQ_EMPTY(&model->workers[i].servers));
        pthread_mutex_destroy(&model->workers[i].mutex);
    }
}

/* What a worker does. */

static inline void model_free_server(struct model_server *server)
{
    check(server->client == NULL && !server->message.posted);
    free(server);
}

/* The connection has ended and is out of its worker's list. */
static inline void model_lose(struct model_server *server, struct failure *failure)
{
    struct model *model = server->home->model;

    model->server_count--; /* before another is opened in its place */
    pool_lost(&server->member, failure, model->now);
    model_free_server(server);
}

static inline void model_deliver_move(struct model_worker *worker, struct model_server *server)
{
    check(server->view == VIEW_IDLE || server->view == VIEW_DEAD);
    TAILQ_REMOVE(&worker->servers, server, link);
    if (server->view == VIEW_DEAD || model_chance(worker, 10))
        model_lose(server, worker->model->failure);
    else
        model_post(server->message.client->worker, &server->message, MESSAGE_ARRIVE);
}

static inline void model_deliver_arrival(struct model_worker *worker, struct model_server *server)
{
    struct model_client *client = server->message.client;

    server->home = worker;
    if (model_chance(worker, 10)) {
        model_lose(server, worker->model->failure);
        return;
    }
    TAILQ_INSERT_TAIL(&worker->servers, server, link);
    check(client->state == CLIENT_WAITS || client->state == CLIENT_CANCELLED);
    bool is_wanted = client->state == CLIENT_WAITS;
    /* Where it is not wanted any more the pool may grant it on from within. */
    client->state = CLIENT_RESTS;
    check(pool_grant_arrived(&client->waiter, &server->member, worker->model->now) == is_wanted);
    if (is_wanted)
        model_begin_lease(client, server);
    else
        worker->cancelled++;
}

static inline void model_deliver_refusal(struct model_client *client)
{
    check(client->state == CLIENT_WAITS || client->state == CLIENT_CANCELLED);
    check(client->refusal != POOL_REFUSED_GONE || client->state == CLIENT_CANCELLED);
    pool_refusal_arrived(&client->waiter);
    client->state = CLIENT_RESTS;
    client->worker->refusals++;
}

/* False where there was none. */
static inline bool model_deliver(struct model_worker *worker)
{
    struct model_message *message = model_take_message(worker);

    if (message == NULL)
        return false;
    struct model_server *server = message->server;
    switch (message->kind) {
    case MESSAGE_CONNECT:
        server->view = VIEW_CONNECTING;
        TAILQ_INSERT_TAIL(&worker->servers, server, link);
        break;
    case MESSAGE_CLOSE:
        check(server->view == VIEW_IDLE || server->view == VIEW_DEAD);
        TAILQ_REMOVE(&worker->servers, server, link);
        model_lose(server, NULL);
        break;
    case MESSAGE_MOVE:
        model_deliver_move(worker, server);
        break;
    case MESSAGE_ARRIVE:
        model_deliver_arrival(worker, server);
        break;
    case MESSAGE_REFUSED:
        model_deliver_refusal(message->client);
        break;
    }
    return true;
}

static inline void model_ask(struct model_client *client)
{
    struct model *model = client->worker->model;
    struct pool_server *member = NULL;
    struct pool_refusal refusal = {0};
    static const char states[3];

    client->arrival = model->arrivals++;
    client->state = CLIENT_WAITS;
    const char *state = &states[model_choose(&client->worker->random, 3)];
    enum pool_answer answer = pool_lease(model->pool, &client->waiter, client->worker->number,
                                         state, model->now, &member, &refusal);
    if (answer == POOL_REFUSES) {
        failure_release(&refusal.failure);
        client->state = CLIENT_RESTS;
    } else if (answer == POOL_GRANTED) {
        struct model_server *server = container_of(member, struct model_server, member);
        (void)pool_needs_ping(model->pool, member, model->now);
        member->session_state = state;
        model_begin_lease(client, server);
    }
}

static inline void model_end_lease(struct model_client *client)
{
    struct model_server *server = client->server;
    struct model_worker *worker = client->worker;
    microseconds now = worker->model->now;

    client->server = NULL;
    client->state = CLIENT_RESTS;
    server->client = NULL;
    server->view = VIEW_IDLE;
    if (model_chance(worker, 5)) {
        TAILQ_REMOVE(&worker->servers, server, link);
        model_lose(server, model_chance(worker, 50) ? worker->model->failure : NULL);
    } else if (model_chance(worker, 5)) {
        pool_return_and_close(&server->member, "test", now);
    } else {
        pool_return(&server->member, now);
    }
}

static inline void model_cancel(struct model_client *client)
{
    if (pool_cancel(&client->waiter)) {
        client->state = CLIENT_RESTS;
        client->worker->cancelled++;
    } else {
        client->state = CLIENT_CANCELLED;
    }
}

static inline void model_client_step(struct model_client *client)
{
    bool draining = client->worker->model->draining;

    switch (client->state) {
    case CLIENT_RESTS:
        if (!draining)
            model_ask(client);
        break;
    case CLIENT_WAITS:
        if (model_chance(client->worker, 10))
            model_cancel(client);
        break;
    case CLIENT_CANCELLED:
        break;
    case CLIENT_LEASES:
        model_end_lease(client);
        break;
    }
}

static inline void model_server_step(struct model_worker *worker, struct model_server *server)
{
    if (server->view == VIEW_CONNECTING) {
        if (model_chance(worker, 25)) {
            TAILQ_REMOVE(&worker->servers, server, link);
            model_lose(server, worker->model->failure);
        } else {
            server->view = VIEW_IDLE;
            pool_connected(&server->member, worker->model->now);
        }
    } else if (server->view == VIEW_IDLE && model_chance(worker, 10)) {
        struct model *model = worker->model;
        struct failure *failure = model_chance(worker, 50) ? model->failure : NULL;
        if (pool_idle_lost(&server->member, failure, model->now)) {
            TAILQ_REMOVE(&worker->servers, server, link);
            model_free_server(server);
            model->server_count--;
        } else {
            server->view = VIEW_DEAD;
        }
    }
}

static inline struct model_server *model_any_server(struct model_worker *worker)
{
    struct model_server *server;
    unsigned count = 0;

    TAILQ_FOREACH (server, &worker->servers, link)
        count++;
    if (count == 0)
        return NULL;
    count = model_choose(&worker->random, count);
    TAILQ_FOREACH (server, &worker->servers, link) {
        if (count-- == 0)
            break;
    }
    return server;
}

/* One thing that happens on a worker. */
static inline void model_worker_step(struct model_worker *worker)
{
    struct model_server *server;

    switch (model_choose(&worker->random, 5)) {
    case 0:
    case 1:
        (void)model_deliver(worker);
        break;
    case 2:
        server = model_any_server(worker);
        if (server != NULL)
            model_server_step(worker, server);
        break;
    default:
        model_client_step(&worker->clients[model_choose(&worker->random, MODEL_CLIENTS)]);
        break;
    }
}

static inline bool model_clients_rest(const struct model_worker *worker)
{
    for (unsigned i = 0; i < MODEL_CLIENTS; i++) {
        if (worker->clients[i].state != CLIENT_RESTS)
            return false;
    }
    return true;
}

/* At random, but such that everybody can be served; one reference for the caller. */
static inline struct settings *model_settings(uint64_t *random)
{
    struct settings *settings = memory_new(struct settings);

    settings->references = 1;
    settings->database = memory_string("x");
    settings->user = memory_string("y");
    settings->server_database = memory_string(model_choose(random, 4) == 0 ? "old" : "new");
    settings->size = model_choose(random, 6);
    settings->overflow = model_choose(random, 4) + (settings->size == 0 ? 1 : 0);
    settings->warm = model_choose(random, 3);
    settings->max_waiting = model_choose(random, 3) == 0 ? 4 : 0;
    settings->pre_ping = (enum settings_pre_ping)model_choose(random, 3);
    settings->pre_ping_after = CLOCK_SECOND;
    settings->timeout = model_choose(random, 2) == 0 ? CLOCK_SECOND : CLOCK_OFF;
    settings->recycle = model_choose(random, 2) == 0 ? 5 * CLOCK_SECOND : CLOCK_OFF;
    settings->idle_timeout = model_choose(random, 2) == 0 ? CLOCK_SECOND : CLOCK_OFF;
    return settings;
}

#endif
