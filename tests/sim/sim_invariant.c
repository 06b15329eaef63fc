/* sim_invariant.c: looks into workers and pools. */
#include "sim_invariant.h"

#include "sim_trace.h"

#include "pg/message.h"
#include "pool/registry.h"
#include "session/client.h"
#include "session/lease.h"
#include "session/server.h"
#include "session/service.h"
#include "session/worker.h"

static struct service *service;

void sim_invariant_start(struct service *new_service)
{
    service = new_service;
}

/* ---- The line ---- */

static bool may_overtake(const struct pool_waiter *waiter, const struct pool_server *server,
                         const struct pool_waiter *elder)
{
    return waiter->worker == server->worker && elder->worker != waiter->worker &&
           clock_monotonic() - elder->since < POOL_FAIRNESS;
}

static void check_order_in(struct worker_clients *list, const struct pool_waiter *waiter,
                           const struct pool_server *server)
{
    struct client *client;
    TAILQ_FOREACH (client, list, link) {
        const struct pool_waiter *other = &client->waiter;
        if (other->state == POOL_WAITER_WAITING && other->pool == server->pool &&
            other->ticket < waiter->ticket && !may_overtake(waiter, server, other))
            sim_fail("ticket %llu was served before %llu", (unsigned long long)waiter->ticket,
                     (unsigned long long)other->ticket);
    }
}

static void granted(struct pool_waiter *waiter, struct pool_server *server)
{
    for (unsigned i = 0; i < service->worker_count; i++) {
        check_order_in(&service->workers[i]->clients, waiter, server);
        check_order_in(&service->workers[i]->logins, waiter, server);
    }
    lease_methods.granted(waiter, server);
}

static struct pool_methods methods;

const struct pool_methods *sim_invariant_methods(void)
{
    methods = lease_methods;
    methods.granted = granted;
    return &methods;
}

/* ---- Pairs ---- */

static void check_server(const struct server *server)
{
    const struct client *client = server->client;
    sim_require(client == NULL || client->server == server, "server %u: its client leases another",
                server->backend_pid);
    sim_require(client == NULL || client->worker == server->worker,
                "server %u: its client is on another worker", server->backend_pid);
    switch ((enum server_state)server->state) {
    case SERVER_IDLE:
        sim_require(client == NULL && pipeline_is_empty(&server->pipeline) &&
                        server->transaction_status == MESSAGE_IDLE && server->passing == 0 &&
                        server->cancel == NULL && !server->reset_needed,
                    "server %u: in the pool, and not clean", server->backend_pid);
        break;
    case SERVER_LEASED:
    case SERVER_PREPARING:
        sim_require(client != NULL && server->member.state == POOL_SERVER_LEASED,
                    "server %u: leased by nobody", server->backend_pid);
        break;
    case SERVER_CLEANING:
        sim_require(client == NULL && server->member.state == POOL_SERVER_LEASED,
                    "server %u: cleaned while it is leased", server->backend_pid);
        break;
    case SERVER_LOGIN:
    case SERVER_NEW:
    case SERVER_MOVING:
    case SERVER_LISTENING:
    case SERVER_CLOSED:
        sim_require(client == NULL, "server %u: leased in state %d", server->backend_pid,
                    (int)server->state);
        break;
    }
}

static void check_clients(struct worker *worker)
{
    struct client *client;
    TAILQ_FOREACH (client, &worker->clients, link) {
        sim_require(client->server == NULL || client->server->client == client,
                    "client %u: its server serves another", client_pid(client));
        sim_require(client->state != CLIENT_IDLE || client->server == NULL,
                    "client %u: idle with a lease", client_pid(client));
        sim_require(client->state != CLIENT_ACTIVE || client->server != NULL,
                    "client %u: active without a lease", client_pid(client));
    }
}

static void check_pool(struct pool *pool, void *context)
{
    (void)context;
    pool_check(pool);
}

void sim_invariant_check(void)
{
    for (unsigned i = 0; i < service->worker_count; i++) {
        struct server *server;
        TAILQ_FOREACH (server, &service->workers[i]->servers, link)
            check_server(server);
        check_clients(service->workers[i]);
    }
    registry_visit(service->registry, check_pool, NULL);
}

static void check_rest(struct pool *pool, void *context)
{
    bool *rest = context;
    struct pool_counts counts = pool_count(pool, clock_monotonic());
    *rest &= counts.leased == 0 && counts.granted == 0 && counts.connecting == 0 &&
             counts.closing == 0 && counts.waiting == 0;
}

bool sim_invariant_at_rest(void)
{
    bool rest = true;
    registry_visit(service->registry, check_rest, &rest);
    return rest;
}

static void explain_stream(const char *what, unsigned number, const struct stream *stream)
{
    sim_trace("%s %u: %s%s, %zu bytes kept", what, number,
              stream_is_open(stream) ? "open" : "closed", stream->paused ? ", paused" : "",
              stream_kept_size(stream));
}

static void explain_clients(struct worker_clients *list)
{
    struct client *client;
    TAILQ_FOREACH (client, list, link) {
        unsigned pid = client_pid(client);
        sim_trace("session's client %u: %s, waiter %d%s%s%s, %zu bytes of input, server %u", pid,
                  client_state_name((enum client_state)client->state), (int)client->waiter.state,
                  client->in_line ? ", in line" : "", client->held ? ", held" : "",
                  client->busy ? ", busy" : "",
                  client->input != NULL ? buffer_length(client->input) : 0,
                  client->server != NULL ? client->server->backend_pid : 0);
        explain_stream("session's client", pid, &client->stream);
    }
}

void sim_invariant_explain(void)
{
    for (unsigned i = 0; i < service->worker_count; i++) {
        struct worker *worker = service->workers[i];
        explain_clients(&worker->clients);
        explain_clients(&worker->logins);
        struct server *server;
        TAILQ_FOREACH (server, &worker->servers, link) {
            unsigned pid = server->backend_pid;
            sim_trace("session's server %u: %s, pool's state %d, %u owed, status %c%s%s", pid,
                      server_state_name((enum server_state)server->state),
                      (int)server->member.state, server->pipeline.count, server->transaction_status,
                      server->cancel != NULL ? ", cancels" : "",
                      server->question != NULL ? ", asks" : "");
            explain_stream("session's server", pid, &server->stream);
        }
    }
}
