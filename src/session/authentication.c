#include "session/authentication.h"
#include "base/memory.h"
#include "pg/md5.h"
#include "pg/reader.h"
#include "pg/reply.h"
#include "pg/scram.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define AUTHENTICATION_SALT_SIZE 16

enum authentication_step {
    STEP_PASSWORD,
    STEP_MD5,
    STEP_SASL_FIRST,
    STEP_SASL_FINAL,
};

struct authentication {
    enum authentication_step step;
    char *user;      /* owned */
    char *secret;    /* owned, wiped; NULL: no such user */
    uint8_t salt[4]; /* md5 */
    struct scram_verifier verifier;
    struct scram_server scram;
};

/* SCRAM verifiers made from plain secrets: PBKDF2 is worth doing once for each secret. */
struct verifier_cache {
    char *key; /* owned: user and secret */
    struct scram_verifier verifier;
    UT_hash_handle hh;
};

static void verifier_free(struct verifier_cache **verifiers, struct verifier_cache *item)
{
    HASH_DEL(*verifiers, item);
    memory_wipe_string(item->key);
    OPENSSL_cleanse(&item->verifier, sizeof item->verifier);
    free(item);
}

void verifier_cache_free(struct verifier_cache **verifiers)
{
    struct verifier_cache *item, *next;
    HASH_ITER (hh, *verifiers, item, next)
        verifier_free(verifiers, item);
}

/* The process's own key for salts. */
static pthread_once_t salt_key_once = PTHREAD_ONCE_INIT;
static uint8_t salt_key[32];
static bool salt_key_made;

static void make_salt_key(void)
{
    salt_key_made = RAND_bytes(salt_key, sizeof salt_key) == 1;
}

/* The same salt whenever a name is tried, on every worker, whether there is such a user or not:
 * otherwise it would tell. */
static bool salt_of_user(const char *user, uint8_t salt[AUTHENTICATION_SALT_SIZE])
{
    pthread_once(&salt_key_once, make_salt_key);
    uint8_t digest[32];
    unsigned size = sizeof digest;
    if (!salt_key_made || HMAC(EVP_sha256(), salt_key, sizeof salt_key, (const uint8_t *)user,
                               strlen(user), digest, &size) == NULL)
        return false;
    memcpy(salt, digest, AUTHENTICATION_SALT_SIZE);
    return true;
}

static bool verifier_from_plain(struct verifier_cache **verifiers, const char *user,
                                const char *secret, struct scram_verifier *verifier)
{
    char *key = memory_printf("%s %zu %s", user, strlen(secret), secret);
    struct verifier_cache *item;
    HASH_FIND_STR(*verifiers, key, item);
    if (item == NULL) {
        uint8_t salt[AUTHENTICATION_SALT_SIZE];
        item = memory_new(struct verifier_cache);
        if (!salt_of_user(user, salt) ||
            !scram_verifier_make(secret, salt, sizeof salt, SCRAM_DEFAULT_ITERATIONS,
                                 &item->verifier)) {
            free(item);
            memory_wipe_string(key);
            return false;
        }
        item->key = key;
        HASH_ADD_KEYPTR(hh, *verifiers, item->key, strlen(item->key), item);
    } else {
        memory_wipe_string(key);
    }
    *verifier = item->verifier;
    return true;
}

/*
 * A verifier for a user that there is not: keys that no password fits, so that the dialogue looks
 * like that of a user with another password.
 */
static bool verifier_mock(const char *user, struct scram_verifier *verifier)
{
    memset(verifier, 0, sizeof *verifier);
    verifier->iterations = SCRAM_DEFAULT_ITERATIONS;
    verifier->salt_length = AUTHENTICATION_SALT_SIZE;
    if (!salt_of_user(user, verifier->salt))
        return false;
    return RAND_bytes(verifier->stored_key, sizeof verifier->stored_key) == 1;
}

static bool secret_is_md5(const char *secret)
{
    return secret != NULL && strncmp(secret, "md5", 3) == 0 && strlen(secret) == MD5_TEXT_SIZE - 1;
}

static bool secret_is_scram(const char *secret)
{
    struct scram_verifier verifier;
    return secret != NULL && scram_verifier_parse(secret, &verifier);
}

/* The dialogue's verifier; an md5 secret cannot be used with SCRAM and goes the unknown user's way.
 */
static bool authentication_verifier(struct authentication *authentication,
                                    struct verifier_cache **verifiers)
{
    const char *secret = authentication->secret;
    if (secret != NULL && scram_verifier_parse(secret, &authentication->verifier))
        return true;
    if (secret == NULL || secret_is_md5(secret)) {
        memory_wipe_string(authentication->secret);
        authentication->secret = NULL;
        return verifier_mock(authentication->user, &authentication->verifier);
    }
    return verifier_from_plain(verifiers, authentication->user, secret, &authentication->verifier);
}

enum authentication_answer authentication_start(struct authentication **result,
                                                struct verifier_cache **verifiers,
                                                enum config_auth method, const char *user,
                                                const char *secret, struct buffer *replies)
{
    if (method == CONFIG_AUTH_TRUST)
        return AUTHENTICATION_OK;
    struct authentication *authentication = memory_new(struct authentication);
    *result = authentication;
    authentication->user = memory_string(user);
    authentication->secret = secret != NULL ? memory_string(secret) : NULL;
    /* As in pg_hba.conf: with "md5", a user whose secret is a SCRAM verifier does SCRAM. */
    if (method == CONFIG_AUTH_MD5 && secret_is_scram(secret))
        method = CONFIG_AUTH_SCRAM;
    if (method == CONFIG_AUTH_PASSWORD) {
        authentication->step = STEP_PASSWORD;
        reply_authentication_cleartext(replies);
        return AUTHENTICATION_MORE;
    }
    if (method == CONFIG_AUTH_MD5) {
        authentication->step = STEP_MD5;
        if (RAND_bytes(authentication->salt, sizeof authentication->salt) != 1)
            return AUTHENTICATION_WRONG;
        reply_authentication_md5(replies, authentication->salt);
        return AUTHENTICATION_MORE;
    }
    authentication->step = STEP_SASL_FIRST;
    if (!authentication_verifier(authentication, verifiers))
        return AUTHENTICATION_WRONG;
    reply_authentication_sasl(replies);
    return AUTHENTICATION_MORE;
}

static bool text_equal(const char *one, const char *other)
{
    size_t length = strlen(one);
    return length == strlen(other) && CRYPTO_memcmp(one, other, length) == 0;
}

/* A password in clear text against any kind of secret. */
static bool password_fits(const struct authentication *authentication, const char *password)
{
    const char *secret = authentication->secret;
    if (secret == NULL)
        return false;
    if (secret_is_md5(secret)) {
        char text[MD5_TEXT_SIZE];
        return md5_verifier(password, authentication->user, text) && text_equal(text, secret);
    }
    struct scram_verifier verifier;
    if (scram_verifier_parse(secret, &verifier)) {
        struct scram_keys keys;
        return scram_derive_keys(password, verifier.salt, verifier.salt_length, verifier.iterations,
                                 &keys) &&
               CRYPTO_memcmp(keys.stored_key, verifier.stored_key, SCRAM_KEY_SIZE) == 0;
    }
    return text_equal(password, secret);
}

static bool md5_fits(const struct authentication *authentication, const char *response)
{
    const char *secret = authentication->secret;
    if (secret == NULL)
        return false;
    char verifier[MD5_TEXT_SIZE], expected[MD5_TEXT_SIZE];
    if (secret_is_md5(secret))
        memcpy(verifier, secret, MD5_TEXT_SIZE);
    else if (!md5_verifier(secret, authentication->user, verifier))
        return false;
    return md5_response(verifier, authentication->salt, expected) && text_equal(expected, response);
}

static enum authentication_answer step_password(struct authentication *authentication,
                                                const uint8_t *body, size_t length,
                                                const char **problem)
{
    struct reader reader;
    reader_init(&reader, body, length);
    const char *text = reader_string(&reader);
    if (!reader_finished(&reader)) {
        *problem = "invalid password packet size";
        return AUTHENTICATION_MALFORMED;
    }
    bool fits = authentication->step == STEP_MD5 ? md5_fits(authentication, text)
                                                 : password_fits(authentication, text);
    return fits ? AUTHENTICATION_OK : AUTHENTICATION_WRONG;
}

static enum authentication_answer step_sasl_first(struct authentication *authentication,
                                                  const uint8_t *body, size_t length,
                                                  struct buffer *replies, const char **problem)
{
    struct reader reader;
    reader_init(&reader, body, length);
    const char *mechanism = reader_string(&reader);
    uint32_t size = reader_uint32(&reader);
    const uint8_t *data = reader_bytes(&reader, size);
    uint8_t random[SCRAM_NONCE_BYTES];
    *problem = "malformed SASLInitialResponse message";
    if (!reader_finished(&reader) || RAND_bytes(random, sizeof random) != 1)
        return AUTHENTICATION_MALFORMED;
    if (strcmp(mechanism, "SCRAM-SHA-256") != 0) {
        *problem = "client selected an invalid SASL authentication mechanism";
        return AUTHENTICATION_MALFORMED;
    }
    char *first = scram_server_first(&authentication->scram, (const char *)data, size,
                                     &authentication->verifier, random, problem);
    if (first == NULL)
        return AUTHENTICATION_MALFORMED;
    reply_authentication_sasl_continue(replies, first);
    free(first);
    authentication->step = STEP_SASL_FINAL;
    return AUTHENTICATION_MORE;
}

static enum authentication_answer step_sasl_final(struct authentication *authentication,
                                                  const uint8_t *body, size_t length,
                                                  struct buffer *replies, const char **problem)
{
    *problem = NULL;
    char *final = scram_server_final(&authentication->scram, (const char *)body, length,
                                     &authentication->verifier, problem);
    if (final == NULL)
        return *problem != NULL ? AUTHENTICATION_MALFORMED : AUTHENTICATION_WRONG;
    bool known = authentication->secret != NULL;
    if (known)
        reply_authentication_sasl_final(replies, final);
    free(final);
    return known ? AUTHENTICATION_OK : AUTHENTICATION_WRONG;
}

enum authentication_answer authentication_step(struct authentication *authentication,
                                               const uint8_t *body, size_t length,
                                               struct buffer *replies, const char **problem)
{
    switch (authentication->step) {
    case STEP_PASSWORD:
    case STEP_MD5:
        return step_password(authentication, body, length, problem);
    case STEP_SASL_FIRST:
        return step_sasl_first(authentication, body, length, replies, problem);
    case STEP_SASL_FINAL:
        return step_sasl_final(authentication, body, length, replies, problem);
    }
    return AUTHENTICATION_WRONG;
}

void authentication_free(struct authentication **authentication)
{
    if (*authentication == NULL)
        return;
    free((*authentication)->user);
    memory_wipe_string((*authentication)->secret);
    scram_server_clear(&(*authentication)->scram);
    OPENSSL_cleanse(*authentication, sizeof **authentication);
    free(*authentication);
    *authentication = NULL;
}
