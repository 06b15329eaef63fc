#include "io/listener_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static bool has_path(const struct address *address)
{
    return address->any.sa_family == AF_UNIX && address->local.sun_path[0] != '\0';
}

static int socket_new(const struct address *address)
{
    return socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* A full backlog (EAGAIN) is an answer too. */
static bool somebody_answers(const struct address *address)
{
    int descriptor = socket_new(address);
    if (descriptor < 0) {
        return true;
    }
    bool answered = connect(descriptor, &address->any, address->length) == 0 ||
                    (errno != ECONNREFUSED && errno != ENOENT);
    close(descriptor);
    return answered;
}

/* False where the name is taken by what lives, or by what is no socket. */
static bool clear_the_way(const struct address *address)
{
    struct stat status;
    if (lstat(address->local.sun_path, &status) < 0) {
        return true;
    }
    return S_ISSOCK(status.st_mode) && !somebody_answers(address) &&
           unlink(address->local.sun_path) == 0;
}

static bool bind_unix(int descriptor, const struct address *address)
{
    if (has_path(address) && !clear_the_way(address)) {
        errno = EADDRINUSE;
        return false;
    }
    return bind(descriptor, &address->any, address->length) == 0 &&
           (!has_path(address) || chmod(address->local.sun_path, 0777) == 0);
}

static bool bind_tcp(int descriptor, const struct address *address)
{
    int on = 1;
    return setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
           (address->any.sa_family != AF_INET6 ||
            setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
           bind(descriptor, &address->any, address->length) == 0;
}

int listener_socket_open(const struct address *address)
{
    int descriptor = socket_new(address);
    if (descriptor < 0) {
        return -1;
    }
    bool bound = address->any.sa_family == AF_UNIX ? bind_unix(descriptor, address)
                                                   : bind_tcp(descriptor, address);
    if (!bound || listen(descriptor, SOMAXCONN) < 0) {
        int error = errno;
        close(descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

static int socket_option(int descriptor, int option)
{
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool listener_socket_listens(int descriptor)
{
    return socket_option(descriptor, SO_ACCEPTCONN) == 1 &&
           socket_option(descriptor, SO_TYPE) == SOCK_STREAM;
}

bool listener_socket_file(const struct address *address, struct stat *status)
{
    return has_path(address) && lstat(address->local.sun_path, status) == 0;
}

void listener_socket_remove_file(const struct address *address, const struct stat *status)
{
    struct stat now;
    if (listener_socket_file(address, &now) && now.st_dev == status->st_dev &&
        now.st_ino == status->st_ino) {
        unlink(address->local.sun_path);
    }
}
