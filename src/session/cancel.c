#include "session/cancel.h"
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "io/stream.h"
#include "pg/failure.h"
#include "pg/sqlstate.h"
#include "pg/startup.h"
#include "session/client.h"
#include "session/lease.h"
#include "session/server.h"
#include "session/worker.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define CANCEL_MAGIC 0x43414e43u
/* A server that does not take the request in this time is left alone. */
#define CANCEL_LIMIT (10 * CLOCK_SECOND)
#define CANCEL_HURRY_LIMIT CLOCK_SECOND

uint32_t cancel_pid(unsigned worker, uint32_t slot)
{
    return ((worker + CANCEL_FIRST_WORKER) << CANCEL_SLOT_BITS) |
           (slot & ((1u << CANCEL_SLOT_BITS) - 1));
}

/* A request on its way to the worker of the client that it names, and back. */
struct cancel_request {
    struct mailbox_message message;
    struct worker *home;   /* of the client that brought it */
    struct client *client; /* that brought it; NULL once it has gone; home's thread only */
    struct worker *target;
    uint32_t slot;
    uint32_t secret;
    struct cancel_request *next; /* others that wait for the same cancel */
};

struct cancel {
    uint32_t magic;
    struct stream stream;
    struct worker *worker;
    struct server *server;           /* whose command it cancels; NULL once that has gone */
    struct cancel_request *requests; /* owned: to be sent home at the end */
    struct cancel_request *late;     /* owned: came after it was sent, so that it is not theirs */
    bool sent;
    TAILQ_ENTRY(cancel) link; /* the worker's cancels */
    microseconds deadline;
    uint32_t pid;
    size_t key_length;
    uint8_t key[]; /* the server's */
};

static void cancel_request_home(struct mailbox_message *message)
{
    struct cancel_request *request = container_of(message, struct cancel_request, message);
    struct client *client = request->client;
    if (client != NULL) {
        client->cancel = NULL;
        client_close(client, "cancel request carried out");
    }
    free(request);
}

/* On the target's thread: it has been carried out, or there was nothing to do. */
static void cancel_request_finish(struct cancel_request *request)
{
    request->message.deliver = cancel_request_home;
    mailbox_post(request->home->loop, &request->message);
}

/* Also where it stands behind what was put in front of it: the sweep sends the cancel then. */
static bool cancel_finds_a_command(const struct server *server)
{
    const struct pipeline *pipeline = &server->pipeline;
    for (unsigned i = 0; i < pipeline->count; i++)
        if (!pipeline_at(pipeline, i)->ours)
            return true;
    return false;
}

static void cancel_request_carry_out(struct cancel_request *request, struct server *server)
{
    if (server != NULL && server->state == SERVER_LEASED && cancel_finds_a_command(server)) {
        server->cancel_asked = true;
        server->cancelled_at = 0;
    }
    if (server != NULL && server->state == SERVER_LEASED &&
        pipeline_may_be_at_clients(&server->pipeline)) {
        cancel_start(server);
        struct cancel *cancel = server->cancel;
        if (cancel != NULL) {
            struct cancel_request **list = cancel->sent ? &cancel->late : &cancel->requests;
            request->next = *list;
            *list = request;
            return;
        }
    }
    cancel_request_finish(request);
}

/* What a client asked for and has not got: an answer instead. */
static void cancel_waiting_client(struct client *client)
{
    struct failure *failure =
        failure_new(SQLSTATE_QUERY_CANCELED, "canceling statement due to user request",
                    "It was waiting for a server connection.", NULL);
    client_relay_refuse(client, failure);
    failure_release(&failure);
}

static void cancel_request_arrived(struct mailbox_message *message)
{
    struct cancel_request *request = container_of(message, struct cancel_request, message);
    struct client *client = worker_slot_client(request->target, request->slot);
    if (client == NULL ||
        CRYPTO_memcmp(&client->secret, &request->secret, sizeof request->secret) != 0) {
        log_debug(NULL, "cancel request with a wrong key");
        cancel_request_finish(request);
        return;
    }
    if (client->state == CLIENT_WAITING)
        cancel_waiting_client(client);
    cancel_request_carry_out(request, client->server);
}

void cancel_request_start(struct client *client, uint32_t pid, const uint8_t *key,
                          size_t key_length)
{
    const struct service *service = client->worker->service;
    uint32_t number = (pid >> CANCEL_SLOT_BITS) - CANCEL_FIRST_WORKER;
    if (number >= service->worker_count || key_length != sizeof(uint32_t)) {
        client_close(client, "cancel request names nobody");
        return;
    }
    struct cancel_request *request = memory_new(struct cancel_request);
    request->home = client->worker;
    request->client = client;
    request->target = service->workers[number];
    request->slot = pid & ((1u << CANCEL_SLOT_BITS) - 1);
    request->secret =
        (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
    request->message.deliver = cancel_request_arrived;
    client->cancel = request;
    mailbox_post(request->target->loop, &request->message);
}

void cancel_request_orphan(struct cancel_request *request)
{
    request->client = NULL;
}

static void cancel_release(void *object)
{
    struct cancel *cancel = object_cast(struct cancel, object, CANCEL_MAGIC);
    cancel->magic = 0;
    OPENSSL_cleanse(cancel->key, cancel->key_length);
    free(cancel);
}

static void cancel_finish(struct cancel *cancel)
{
    struct worker *worker = cancel->worker;
    struct server *server = cancel->server;
    stream_close(&cancel->stream);
    TAILQ_REMOVE(&worker->cancels, cancel, link);
    loop_defer(worker->loop, cancel_release, cancel);
    if (server != NULL)
        server->cancel = NULL;
    while (cancel->requests != NULL) {
        struct cancel_request *request = cancel->requests;
        cancel->requests = request->next;
        cancel_request_finish(request);
    }
    while (cancel->late != NULL) {
        struct cancel_request *request = cancel->late;
        cancel->late = request->next;
        cancel_request_carry_out(request, server);
    }
    if (server != NULL) {
        struct client *client = server->client;
        lease_settle(server);
        if (client != NULL && client->server == server)
            client_relay_resume(client); /* what cancel_must_hold() has kept */
    }
    worker_check_drained(worker);
}

static struct cancel *cancel_of(struct stream *stream)
{
    struct cancel *cancel = container_of(stream, struct cancel, stream);
    return object_cast(struct cancel, cancel, CANCEL_MAGIC);
}

static void cancel_connected(struct stream *stream, int error)
{
    struct cancel *cancel = cancel_of(stream);
    if (error != 0) {
        log_warning(NULL, "cannot connect to send a cancel request: %s", strerror(error));
        cancel_finish(cancel);
        return;
    }
    struct buffer packet = {0};
    startup_write_cancel(&packet, cancel->pid, cancel->key, cancel->key_length);
    enum stream_result result = stream_write(stream, buffer_bytes(&packet), buffer_length(&packet));
    buffer_release(&packet);
    cancel->sent = true;
    if (result == STREAM_FAILED)
        cancel_finish(cancel);
}

/* The server says nothing; it closes the connection when it has sent the signal. */
static void cancel_readable(struct stream *stream)
{
    struct cancel *cancel = cancel_of(stream);
    uint8_t ignored[64];
    size_t size;
    enum stream_result result = stream_read(stream, ignored, sizeof ignored, &size);
    if (result == STREAM_END || result == STREAM_FAILED)
        cancel_finish(cancel);
}

static void cancel_drained(struct stream *stream)
{
    (void)stream;
}

static const struct stream_handler cancel_handler = {
    .on_readable = cancel_readable,
    .on_drained = cancel_drained,
    .on_connected = cancel_connected,
};

void cancel_start(struct server *server)
{
    if (server->cancel != NULL || server->cancel_key == NULL)
        return;
    struct cancel *cancel = memory_zeroed(sizeof *cancel + server->cancel_key_length);
    cancel->magic = CANCEL_MAGIC;
    cancel->worker = server->worker;
    cancel->pid = server->backend_pid;
    cancel->key_length = server->cancel_key_length;
    memcpy(cancel->key, server->cancel_key, server->cancel_key_length);
    cancel->deadline = loop_now(server->worker->loop) + CANCEL_LIMIT;
    struct stream_options options = {0};
    int error = stream_connect(&cancel->stream, server->worker->loop, &server->address, &options,
                               &cancel_handler);
    if (error != 0) {
        log_warning(NULL, "cannot connect to send a cancel request: %s", strerror(error));
        loop_defer(cancel->worker->loop, cancel_release, cancel);
        return;
    }
    TAILQ_INSERT_TAIL(&server->worker->cancels, cancel, link);
    cancel->server = server;
    server->cancel = cancel;
    server->cancelled_at = loop_now(server->worker->loop);
}

void cancel_orphan(struct cancel *cancel)
{
    cancel->server = NULL;
}

bool cancel_must_hold(const struct server *server)
{
    const struct cancel *cancel = server->cancel;
    return cancel != NULL && cancel->requests == NULL && cancel->late == NULL &&
           server->pipeline.count == 0;
}

void cancel_sweep(struct worker *worker, microseconds now)
{
    struct cancel *cancel;
    while ((cancel = TAILQ_FIRST(&worker->cancels)) != NULL && now >= cancel->deadline) {
        log_warning(NULL, "a cancel request was not answered in time");
        cancel_finish(cancel);
    }
}

void cancel_hurry(struct worker *worker, microseconds now)
{
    struct cancel *cancel;
    TAILQ_FOREACH (cancel, &worker->cancels, link) {
        if (cancel->deadline > now + CANCEL_HURRY_LIMIT)
            cancel->deadline = now + CANCEL_HURRY_LIMIT;
    }
}
