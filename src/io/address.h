/* address.h: socket addresses (TCP over IPv4 and IPv6, Unix). */
#ifndef PGSLUICE_IO_ADDRESS_H
#define PGSLUICE_IO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    };
};

/* Room for address_format's longest answer. */
#define ADDRESS_TEXT_SIZE 128

/* Numeric IPv4 or IPv6 only; false where it is not. */
bool address_parse_numeric(const char *text, unsigned port, struct address *address);
/* folder/.s.PGSQL.port; false where it is too long. */
bool address_unix(const char *folder, unsigned port, struct address *address);
/* "10.0.0.1:5432", "[::1]:5432", "unix:/run/x/.s.PGSQL.5432". */
void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);
/* The same without the port: "10.0.0.1", "::1", "unix:/run/x/.s.PGSQL.5432". */
void address_format_host(const struct address *address, char text[ADDRESS_TEXT_SIZE]);
unsigned address_port(const struct address *address);

#endif
