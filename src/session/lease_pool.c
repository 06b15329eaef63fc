/*
 * lease_pool.c: what a pool decides (pool.h), carried out: connecting, closing, grants that change
 * workers, refusals.
 */
#include "base/check.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "session/client.h"
#include "session/lease.h"
#include "session/refusal.h"
#include "session/server.h"
#include "session/worker.h"

#include <stdlib.h>

static struct pool_server *lease_method_create(struct pool *pool, unsigned worker)
{
    struct service *service = pool_owner(pool);
    return &server_new(pool, service->workers[worker])->member;
}

static void lease_open_arrived(struct mailbox_message *message)
{
    server_open(container_of(message, struct server, message));
}

static void lease_method_connect(struct pool_server *member)
{
    struct server *server = container_of(member, struct server, member);
    if (worker_current() == server->worker) {
        server_open(server);
        return;
    }
    server->message.deliver = lease_open_arrived;
    mailbox_post(server->worker->loop, &server->message);
}

static void lease_close_arrived(struct mailbox_message *message)
{
    struct server *server = container_of(message, struct server, message);
    server_close_for_pool(server, server->close_reason);
}

static void lease_method_close(struct pool_server *member, const char *reason)
{
    struct server *server = container_of(member, struct server, member);
    if (worker_current() == server->worker) {
        server_close_for_pool(server, reason);
        return;
    }
    server->close_reason = reason;
    server->message.deliver = lease_close_arrived;
    mailbox_post(server->worker->loop, &server->message);
}

void lease_retry(struct client *client)
{
    client->in_line = false;
    if (client->state == CLIENT_GREETING)
        client_login_ask_server(client);
    else
        client_relay_resume(client);
}

/* On the new worker's thread. */
static void lease_move_arrived(struct mailbox_message *message)
{
    struct server *server = container_of(message, struct server, message);
    struct client *client = server->grantee;
    struct worker *worker = server->target;
    server->grantee = NULL;
    server->target = NULL;
    server_join_worker(server, worker);
    if (pool_grant_arrived(&client->waiter, &server->member, loop_now(worker->loop))) {
        server_set_state(server, SERVER_LEASED);
        if (lease_is_open(server, loop_now(worker->loop)))
            lease_granted(client, server);
        else
            lease_retry(client);
        return;
    }
    client->held = false;
    if (client->state == CLIENT_GONE)
        client_free_when_unheld(client);
    else if (client->state < CLIENT_CLOSING)
        client_relay_resume(client);
}

/* On the old worker's thread. */
static void lease_move_out(struct server *server)
{
    if (server->dying) {
        server->grantee = NULL;
        server_close_for_pool(server, "found dead on its way to another worker");
        return;
    }
    server_leave_worker(server);
    server->message.deliver = lease_move_arrived;
    mailbox_post(server->target->loop, &server->message);
}

static void lease_move_out_arrived(struct mailbox_message *message)
{
    lease_move_out(container_of(message, struct server, message));
}

static void lease_method_granted(struct pool_waiter *waiter, struct pool_server *member)
{
    struct client *client = container_of(waiter, struct client, waiter);
    struct server *server = container_of(member, struct server, member);
    if (member->state == POOL_SERVER_LEASED) {
        check(worker_current() == server->worker);
        lease_granted(client, server);
        return;
    }
    server->grantee = client;
    server->target = client->worker;
    if (worker_current() == server->worker) {
        lease_move_out(server);
        return;
    }
    server->message.deliver = lease_move_out_arrived;
    mailbox_post(server->worker->loop, &server->message);
}

/* On the client's worker. */
static void lease_refusal_arrived(struct mailbox_message *message)
{
    struct client *client = container_of(message, struct client, message);
    struct failure *failure = client->refusal;
    client->refusal = NULL;
    pool_refusal_arrived(&client->waiter);
    client->in_line = false;
    bool was_held = client->held;
    client->held = false;
    if (client->state == CLIENT_GONE)
        client_free_when_unheld(client);
    else if (was_held && client->state < CLIENT_CLOSING)
        client_relay_resume(client);
    else if (failure != NULL && client->state < CLIENT_CLOSING)
        client_relay_refuse(client, failure);
    failure_release(&failure);
}

static void lease_method_refused(struct pool_waiter *waiter, const struct pool_refusal *refusal)
{
    struct client *client = container_of(waiter, struct client, waiter);
    client->refusal = refusal_failure(client->waiter.pool, refusal);
    client->message.deliver = lease_refusal_arrived;
    mailbox_post(client->worker->loop, &client->message);
}

const struct pool_methods lease_methods = {
    .create = lease_method_create,
    .connect = lease_method_connect,
    .close = lease_method_close,
    .granted = lease_method_granted,
    .refused = lease_method_refused,
};
