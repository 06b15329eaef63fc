/*
 * startup.h: the first packet of a connection (PostgreSQL manual, "Message Formats":
 * StartupMessage, SSLRequest, GSSENCRequest, CancelRequest), read and written.
 */
#ifndef PGSLUICE_PG_STARTUP_H
#define PGSLUICE_PG_STARTUP_H

#include "base/buffer.h"
#include "pg/pairs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As PostgreSQL's MAX_STARTUP_PACKET_LENGTH; here of the whole packet, its length word too. */
#define STARTUP_MAX_SIZE 10000

enum startup_kind {
    STARTUP_MORE, /* not all there yet; nothing was consumed */
    STARTUP_BAD,  /* `problem` says why */
    STARTUP_SSL,
    STARTUP_GSSENC,
    STARTUP_CANCEL,
    STARTUP_LOGIN,
};

struct startup {
    enum startup_kind kind;
    size_t size;               /* bytes of the packet; 0 with STARTUP_MORE and STARTUP_BAD */
    const char *problem;       /* a literal; STARTUP_BAD */
    uint32_t cancel_pid;       /* STARTUP_CANCEL */
    const uint8_t *cancel_key; /* points into the packet; 4 to 256 bytes (protocol 3.2) */
    size_t cancel_key_length;
    unsigned minor; /* STARTUP_LOGIN: protocol 3.minor that was asked for */
    /*
     * STARTUP_LOGIN: as sent (user and database among them: look for them, a client may have sent
     * none, and the last one of a name counts); clear it.
     */
    struct pairs parameters;
    bool unknown_protocol_options; /* a parameter named _pq_.* was there (left out of the list) */
};

/* Reads at most one packet. On STARTUP_LOGIN the caller owns startup->parameters. */
void startup_parse(const uint8_t *bytes, size_t length, struct startup *startup);

/* Protocol 3.0. */
void startup_write_login(struct buffer *buffer, const struct pairs *parameters);
void startup_write_cancel(struct buffer *buffer, uint32_t pid, const uint8_t *key,
                          size_t key_length);

/*
 * The server's NegotiateProtocolVersion to the login packet that startup_parse() found whole: the
 * newest minor version that is spoken, and the packet's _pq_.* names, none of which are known.
 * Due where `minor` is less than the one asked for, or unknown_protocol_options is set.
 */
void startup_write_negotiation(struct buffer *buffer, const uint8_t *packet, size_t size,
                               unsigned minor);

/*
 * Splits the value of the startup parameter `options` as PostgreSQL's backend does ("-c name=value"
 * and "--name=value", backslash escapes, '-' in a name for '_') and sets the pairs. Anything else
 * in it is a failure: false, with `problem` a literal; pairs before it are set.
 */
bool startup_split_options(const char *options, struct pairs *pairs, const char **problem);

#endif
