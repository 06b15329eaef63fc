/* stream_options.c: the options of TCP sockets. */
#include "io/stream.h"

#include "base/log.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static void set_option(int descriptor, int level, int option, int value)
{
    if (setsockopt(descriptor, level, option, &value, sizeof(value)) < 0) {
        log_debug(NULL, "could not set socket option %d of level %d to %d: %m", option, level,
                  value);
    }
}

/* Rounded up: a short time must not become 0, which means the system's default. */
static int in_units(microseconds time, microseconds unit)
{
    return (int)((time + unit - 1) / unit);
}

static void set_keepalive(int descriptor, const struct stream_options *options)
{
    set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (options->keepalive_idle > 0) {
        set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE,
                   in_units(options->keepalive_idle, CLOCK_SECOND));
    }
    if (options->keepalive_interval > 0) {
        set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL,
                   in_units(options->keepalive_interval, CLOCK_SECOND));
    }
    if (options->keepalive_count > 0) {
        set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, (int)options->keepalive_count);
    }
}

void stream_set_options(int descriptor, const struct stream_options *options)
{
    int domain = AF_UNSPEC;
    socklen_t size = sizeof(domain);
    getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    if (domain != AF_INET && domain != AF_INET6) {
        return;
    }
    set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options->keepalive) {
        set_keepalive(descriptor, options);
    }
    if (options->user_timeout > 0) {
        set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT,
                   in_units(options->user_timeout, CLOCK_MILLISECOND));
    }
}
