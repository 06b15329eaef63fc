/* listener_socket.h: how listening sockets are made. For listener.c. */
#ifndef PGSLUICE_IO_LISTENER_SOCKET_H
#define PGSLUICE_IO_LISTENER_SOCKET_H

#include "io/address.h"

#include <sys/stat.h>

/*
 * A bound, listening, non-blocking descriptor, or -1 and errno. A Unix socket's stale file is
 * replaced.
 */
int listener_socket_open(const struct address *address) __attribute__((warn_unused_result));
/* Whether it is a listening stream socket. */
bool listener_socket_listens(int descriptor);
/* Whether the socket has a file; then *status is the file's. */
bool listener_socket_file(const struct address *address, struct stat *status);
/* Removes the file where it is still the one of `status`: another process may have made its own. */
void listener_socket_remove_file(const struct address *address, const struct stat *status);

#endif
