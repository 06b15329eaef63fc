#include "io/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct sockaddr_in *as_ipv4(struct address *address)
{
    return (struct sockaddr_in *)&address->storage;
}

/* getaddrinfo knows the zone of a link-local address ("fe80::1%eth0"); inet_pton does not. */
static bool parse_ipv6(const char *text, unsigned port, struct address *address)
{
    struct addrinfo hints = {.ai_family = AF_INET6, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    if (strchr(text, ':') == NULL || getaddrinfo(text, NULL, &hints, &found) != 0) {
        return false;
    }
    memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
    address->length = found->ai_addrlen;
    freeaddrinfo(found);
    ((struct sockaddr_in6 *)&address->storage)->sin6_port = htons((uint16_t)port);
    return true;
}

bool address_parse_numeric(const char *text, unsigned port, struct address *address)
{
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, text, &as_ipv4(address)->sin_addr) != 1) {
        return parse_ipv6(text, port, address);
    }
    as_ipv4(address)->sin_family = AF_INET;
    as_ipv4(address)->sin_port = htons((uint16_t)port);
    address->length = sizeof(struct sockaddr_in);
    return true;
}

bool address_unix(const char *folder, unsigned port, struct address *address)
{
    memset(address, 0, sizeof(*address));
    char *path = address->local.sun_path;
    size_t capacity = sizeof(address->local.sun_path);
    int length = snprintf(path, capacity, "%s/.s.PGSQL.%u", folder, port);
    if (length < 0 || (size_t)length >= capacity) {
        return false;
    }
    address->local.sun_family = AF_UNIX;
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length);
    if (path[0] == '@') {
        path[0] = '\0'; /* the abstract name space: its names have a length instead of an end */
    } else {
        address->length++;
    }
    return true;
}

static void format_unix(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t length = address->length > start ? address->length - start : 0;
    const char *path = address->local.sun_path;
    if (length == 0) {
        snprintf(text, ADDRESS_TEXT_SIZE, "unix");
    } else if (path[0] == '\0') {
        snprintf(text, ADDRESS_TEXT_SIZE, "unix:@%.*s", (int)(length - 1), path + 1);
    } else {
        snprintf(text, ADDRESS_TEXT_SIZE, "unix:%.*s", (int)length, path);
    }
}

void address_format_host(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    if (address->any.sa_family == AF_UNIX)
        format_unix(address, text);
    else if (getnameinfo(&address->any, address->length, text, ADDRESS_TEXT_SIZE, NULL, 0,
                         NI_NUMERICHOST) != 0)
        snprintf(text, ADDRESS_TEXT_SIZE, "unknown address");
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    char host[ADDRESS_TEXT_SIZE];
    address_format_host(address, host);
    /* A numeric address with its zone is far shorter than the room for it. */
    if (address->any.sa_family == AF_INET6)
        snprintf(text, ADDRESS_TEXT_SIZE, "[%.100s]:%u", host, address_port(address));
    else if (address->any.sa_family == AF_INET)
        snprintf(text, ADDRESS_TEXT_SIZE, "%.100s:%u", host, address_port(address));
    else
        memcpy(text, host, sizeof host);
}

unsigned address_port(const struct address *address)
{
    switch (address->any.sa_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
    default:
        return 0;
    }
}
