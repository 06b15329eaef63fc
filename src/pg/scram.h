/*
 * scram.h: SCRAM-SHA-256 (RFC 5802, RFC 7677; PostgreSQL manual, "SASL Authentication"), both
 * sides, as pure steps on strings. Random bytes are an argument. Crypto is OpenSSL's.
 */
#ifndef PGSLUICE_PG_SCRAM_H
#define PGSLUICE_PG_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRAM_KEY_SIZE 32
#define SCRAM_MAX_SALT 64
#define SCRAM_NONCE_BYTES 18
#define SCRAM_DEFAULT_ITERATIONS 4096
/* More than this is refused: a hostile server would burn our CPU. */
#define SCRAM_MAX_ITERATIONS 100000

/* "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>" as in pg_authid.rolpassword. */
struct scram_verifier {
    unsigned iterations;
    uint8_t salt[SCRAM_MAX_SALT];
    size_t salt_length;
    uint8_t stored_key[SCRAM_KEY_SIZE];
    uint8_t server_key[SCRAM_KEY_SIZE];
};

/* What a client derives from a password, salt and iterations; worth caching (PBKDF2). */
struct scram_keys {
    uint8_t client_key[SCRAM_KEY_SIZE];
    uint8_t stored_key[SCRAM_KEY_SIZE];
    uint8_t server_key[SCRAM_KEY_SIZE];
};

/* Up to INT_MAX iterations: it is the client that they burn. Zeroed where it is malformed. */
bool scram_verifier_parse(const char *text, struct scram_verifier *verifier);
/* PBKDF2: milliseconds. False where OpenSSL fails. The password's bytes are taken as they are. */
bool scram_derive_keys(const char *password, const uint8_t *salt, size_t salt_length,
                       unsigned iterations, struct scram_keys *keys);
bool scram_verifier_make(const char *password, const uint8_t *salt, size_t salt_length,
                         unsigned iterations, struct scram_verifier *verifier);

/* Client side (pgsluice logs in to a server). Zero the struct, then the steps in order. */
struct scram_client {
    char *first_bare;   /* owned */
    char *server_first; /* owned */
    char nonce[64];
    unsigned iterations;
    uint8_t salt[SCRAM_MAX_SALT];
    size_t salt_length;
    uint8_t server_signature[SCRAM_KEY_SIZE];
    bool proved; /* client-final was made, server_signature is set */
};

/* The client-first-message; caller frees. */
char *scram_client_first(struct scram_client *scram, const uint8_t random[SCRAM_NONCE_BYTES]);
/* Takes server-first; then salt and iterations are set. False: `problem` is a literal. */
bool scram_client_take_first(struct scram_client *scram, const char *data, size_t length,
                             const char **problem);
/* The client-final-message from the keys; caller frees; NULL where OpenSSL fails. */
char *scram_client_final(struct scram_client *scram, const struct scram_keys *keys);
/*
 * Checks server-final: true where the server has proved that it knows the verifier. False with
 * `problem`, also where scram_client_final() was not called before.
 */
bool scram_client_take_final(struct scram_client *scram, const char *data, size_t length,
                             const char **problem);
/* Frees and wipes; the struct can be used again. */
void scram_client_clear(struct scram_client *scram);

/* Server side (a client logs in to pgsluice). Zero the struct, then the steps in order. */
struct scram_server {
    char *client_first_bare; /* owned */
    char *server_first;      /* owned */
    char *nonce;             /* owned: the client's, as long as it likes, and ours behind */
    char channel_binding[8]; /* the gs2 header that client-final must repeat */
};

/* Takes client-first and gives server-first (caller frees), or NULL with `problem`. */
char *scram_server_first(struct scram_server *scram, const char *data, size_t length,
                         const struct scram_verifier *verifier,
                         const uint8_t random[SCRAM_NONCE_BYTES], const char **problem);
/*
 * Takes client-final. `verifier` must be the one of server-first. Returns server-final (caller
 * frees) where the proof is right; NULL with `problem` NULL where the password is wrong; NULL with
 * `problem` where it is malformed.
 */
char *scram_server_final(struct scram_server *scram, const char *data, size_t length,
                         const struct scram_verifier *verifier, const char **problem);
/* Frees and wipes; the struct can be used again. */
void scram_server_clear(struct scram_server *scram);

#endif
