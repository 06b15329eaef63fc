/*
 * authentication.h: how a client proves who it is: the configured method against its secret, as a
 * dialogue of steps ("Message Flow", "Start-up"). Owner: the client's login; worker's thread.
 */
#ifndef PGSLUICE_SESSION_AUTHENTICATION_H
#define PGSLUICE_SESSION_AUTHENTICATION_H

#include "base/buffer.h"
#include "config/config.h"

#include <stddef.h>
#include <stdint.h>

struct authentication;
struct verifier_cache;

enum authentication_answer {
    AUTHENTICATION_OK,
    AUTHENTICATION_MORE,     /* `replies` asks the client for the next message */
    AUTHENTICATION_WRONG,    /* password wrong, or no such user: not told apart */
    AUTHENTICATION_MALFORMED /* *problem says what */
};

/*
 * Begins. secret is the user's (plain, md5…, SCRAM-SHA-256$…) or NULL for an unknown user, who goes
 * through the same dialogue and fails at its end. It is copied. Answers OK or MORE.
 */
enum authentication_answer authentication_start(struct authentication **authentication,
                                                struct verifier_cache **verifiers,
                                                enum config_auth method, const char *user,
                                                const char *secret, struct buffer *replies);
/* The body of the client's PasswordMessage, SASLInitialResponse or SASLResponse. */
enum authentication_answer authentication_step(struct authentication *authentication,
                                               const uint8_t *body, size_t length,
                                               struct buffer *replies, const char **problem);
void authentication_free(struct authentication **authentication);
void verifier_cache_free(struct verifier_cache **verifiers);

#endif
