#include "daemon/listen.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/address.h"
#include "io/listener.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "pg/startup.h"
#include "session/service.h"
#include "session/worker.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long the main thread gives a client that cannot be served to say how it wants to be told. */
#define LISTEN_REFUSE_WAIT 20

struct listen {
    struct service *service;
    struct listener **listeners; /* owned */
    size_t count;
};

static struct worker *listen_least_loaded(const struct service *service)
{
    struct worker *best = service->workers[0];
    unsigned least = atomic_load_explicit(&best->load, memory_order_relaxed);
    for (unsigned i = 1; i < service->worker_count; i++) {
        unsigned load = atomic_load_explicit(&service->workers[i]->load, memory_order_relaxed);
        if (load < least) {
            least = load;
            best = service->workers[i];
        }
    }
    return best;
}

static void listen_accept(int descriptor, const struct address *peer, void *context)
{
    struct listen *listen = context;
    (void)peer;
    worker_give_client(listen_least_loaded(listen->service), descriptor);
}

/* Takes what the client has sent so far, or sends within LISTEN_REFUSE_WAIT milliseconds; true
 * where that asks for encryption, so that it expects one byte before anything else. */
static bool listen_reads_encryption_request(int descriptor)
{
    uint8_t packet[STARTUP_MAX_SIZE];
    struct pollfd item = {.fd = descriptor, .events = POLLIN};
    if (poll(&item, 1, LISTEN_REFUSE_WAIT) <= 0)
        return false;
    ssize_t size = recv(descriptor, packet, sizeof packet, MSG_DONTWAIT);
    if (size <= 0)
        return false;
    struct startup startup = {0};
    startup_parse(packet, (size_t)size, &startup);
    bool asks = startup.kind == STARTUP_SSL || startup.kind == STARTUP_GSSENC;
    if (startup.kind == STARTUP_LOGIN)
        pairs_clear(&startup.parameters);
    return asks;
}

/* No descriptor is left for it: it is told, not left hanging. What it had sent is taken first, for
 * a socket that is closed with bytes unread is reset, and the words are lost. */
static void listen_refuse(int descriptor, const struct address *peer, void *context)
{
    char address[ADDRESS_TEXT_SIZE];
    struct buffer reply = {0};
    (void)context;
    address_format(peer, address);
    log_warning(NULL, "a client from %s is refused: no file descriptor is left", address);
    if (listen_reads_encryption_request(descriptor))
        buffer_append(&reply, "N", 1);
    reply_error(&reply, "FATAL", SQLSTATE_TOO_MANY_CONNECTIONS, "sorry, too many clients already",
                "pgsluice has no file descriptor left.", NULL);
    ssize_t ignored =
        send(descriptor, buffer_bytes(&reply), buffer_length(&reply), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
    buffer_release(&reply);
    shutdown(descriptor, SHUT_WR);
    close(descriptor);
}

static const struct listener_handler listen_handler = {
    .on_accept = listen_accept,
    .on_refuse = listen_refuse,
};

static bool listen_open_address(struct listen *listen, struct loop *loop,
                                const struct stream_options *options, const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    int error = 0;
    address_format(address, text);
    struct listener *listener =
        listener_open(loop, address, options, &listen_handler, listen, &error);
    if (listener == NULL) {
        log_error(NULL, "cannot listen on %s: %s", text, strerror(error));
        return false;
    }
    listen->listeners =
        memory_resize(listen->listeners, (listen->count + 1) * sizeof(struct listener *));
    listen->listeners[listen->count++] = listener;
    address_format(listener_address(listener), text);
    log_info(NULL, "listening on %s", text);
    return true;
}

static bool listen_open_place(struct listen *listen, struct loop *loop,
                              const struct stream_options *options,
                              const struct config_listen *place)
{
    struct address address;
    if (place->is_unix) {
        if (address_unix(place->address, place->port, &address))
            return listen_open_address(listen, loop, options, &address);
        log_error(NULL, "the path of a Unix socket in %s is too long", place->address);
        return false;
    }
    if (strcmp(place->address, "*") == 0)
        return address_parse_numeric("0.0.0.0", place->port, &address) &&
               listen_open_address(listen, loop, options, &address) &&
               address_parse_numeric("::", place->port, &address) &&
               listen_open_address(listen, loop, options, &address);
    return address_parse_numeric(place->address, place->port, &address) &&
           listen_open_address(listen, loop, options, &address);
}

static struct stream_options listen_options(const struct config *config)
{
    return (struct stream_options){
        .keepalive = config->tcp_keepalive,
        .keepalive_idle = config->tcp_keepalive_idle,
        .keepalive_interval = config->tcp_keepalive_interval,
        .keepalive_count = config->tcp_keepalive_count,
        .user_timeout = config->tcp_user_timeout,
    };
}

struct listen *listen_open(const struct config *config, struct loop *loop, struct service *service)
{
    struct listen *listen = memory_new(struct listen);
    struct stream_options options = listen_options(config);
    listen->service = service;
    for (size_t i = 0; i < config->listen_count; i++) {
        if (!listen_open_place(listen, loop, &options, &config->listen[i])) {
            listen_close(&listen);
            return NULL;
        }
    }
    return listen;
}

void listen_take_config(struct listen *listen, const struct config *config)
{
    struct stream_options options = listen_options(config);
    for (size_t i = 0; i < listen->count; i++)
        listener_set_options(listen->listeners[i], &options);
}

void listen_close(struct listen **listen)
{
    if (*listen == NULL)
        return;
    for (size_t i = 0; i < (*listen)->count; i++)
        listener_close((*listen)->listeners[i]);
    free((*listen)->listeners);
    free(*listen);
    *listen = NULL;
}
