/*
 * relay.c: the floor of the benchmark, a bare one-to-one TCP relay on 127.0.0.1.
 *
 *     relay LISTEN-PORT SERVER-PORT
 *
 * For each client one connection to the server; one thread, one level-triggered epoll, one recv and
 * one send for each arrival of bytes. It knows nothing of PostgreSQL: what it costs is what the
 * sockets cost, and what any pooler costs above it is the pooler's own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* One socket of a pair. What it would not take is kept in `rest`; its peer is not read meanwhile.
 */
struct side {
    int descriptor; /* -1 once closed */
    struct side *peer;
    char *rest; /* owned; NULL where everything was sent */
    size_t rest_start, rest_end;
    struct side *next_closed;
};

static int poller;
static struct side *closed; /* freed when the turn ends: later events of the turn may name them */

static void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* A side is read while its peer takes everything, and asked for room while it has a rest. */
static void side_watch(struct side *side, int operation)
{
    uint32_t events = (side->peer->rest == NULL ? EPOLLIN : 0u) | (side->rest ? EPOLLOUT : 0u);
    struct epoll_event event = {.events = events, .data.ptr = side};
    if (epoll_ctl(poller, operation, side->descriptor, &event) != 0)
        die("epoll_ctl");
}

static void side_close(struct side *side)
{
    close(side->descriptor);
    side->descriptor = -1;
    side->next_closed = closed;
    closed = side;
}

static void pair_close(struct side *side)
{
    side_close(side->peer);
    side_close(side);
}

static void free_closed(void)
{
    while (closed != NULL) {
        struct side *side = closed;
        closed = side->next_closed;
        free(side->rest);
        free(side);
    }
}

static void keep_rest(struct side *to, const char *bytes, size_t length)
{
    to->rest = malloc(length);
    if (to->rest == NULL)
        die("malloc");
    memcpy(to->rest, bytes, length);
    to->rest_start = 0;
    to->rest_end = length;
    side_watch(to, EPOLL_CTL_MOD);
    side_watch(to->peer, EPOLL_CTL_MOD);
}

static void send_rest(struct side *to)
{
    ssize_t sent = send(to->descriptor, to->rest + to->rest_start, to->rest_end - to->rest_start,
                        MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        pair_close(to);
        return;
    }
    to->rest_start += sent > 0 ? (size_t)sent : 0;
    if (to->rest_start < to->rest_end)
        return;
    free(to->rest);
    to->rest = NULL;
    side_watch(to, EPOLL_CTL_MOD);
    side_watch(to->peer, EPOLL_CTL_MOD);
}

static void forward(struct side *from)
{
    static char buffer[65536];
    ssize_t received = recv(from->descriptor, buffer, sizeof(buffer), 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (received <= 0) {
        pair_close(from);
        return;
    }
    ssize_t sent = send(from->peer->descriptor, buffer, (size_t)received, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        pair_close(from);
    else if (sent < received)
        keep_rest(from->peer, buffer + (sent > 0 ? sent : 0),
                  (size_t)(received - (sent > 0 ? sent : 0)));
}

static void side_event(struct side *side, uint32_t events)
{
    if (side->descriptor >= 0 && (events & EPOLLOUT) && side->rest != NULL)
        send_rest(side);
    if (side->descriptor >= 0 && (events & EPOLLIN) && side->peer->rest == NULL)
        forward(side);
    else if (side->descriptor >= 0 && (events & (EPOLLERR | EPOLLHUP)))
        pair_close(side);
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static struct side *side_new(int descriptor)
{
    struct side *side = calloc(1, sizeof(*side));
    if (side == NULL)
        die("calloc");
    side->descriptor = descriptor;
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return side;
}

static void accept_pair(int listener, const struct sockaddr_in *server)
{
    int accepted = accept(listener, NULL, NULL);
    if (accepted < 0)
        return;
    int connected = socket(AF_INET, SOCK_STREAM, 0);
    if (connected < 0 || connect(connected, (const void *)server, sizeof(*server)) != 0) {
        fprintf(stderr, "relay: connect: %s\n", strerror(errno));
        if (connected >= 0)
            close(connected);
        close(accepted);
        return;
    }
    struct side *client = side_new(accepted);
    client->peer = side_new(connected);
    client->peer->peer = client;
    side_watch(client, EPOLL_CTL_ADD);
    side_watch(client->peer, EPOLL_CTL_ADD);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: relay LISTEN-PORT SERVER-PORT\n");
        return 2;
    }
    struct sockaddr_in here = loopback(argv[1]), server = loopback(argv[2]);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (void *)&here, sizeof(here)) != 0 || listen(listener, SOMAXCONN) != 0)
        die("listen");
    poller = epoll_create1(0);
    struct epoll_event readable = {.events = EPOLLIN}; /* no side: the listener */
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &readable) != 0)
        die("epoll");
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_pair(listener, &server);
            else
                side_event(events[i].data.ptr, events[i].events);
        }
        free_closed();
    }
}
