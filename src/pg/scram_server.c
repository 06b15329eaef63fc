/* scram_server.c: the side that knows a verifier, in RFC 5802's two steps. */
#include "base/check.h"
#include "base/memory.h"
#include "pg/scram.h"
#include "pg/scram_text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define MALFORMED "malformed SCRAM message"

/* Takes "n,," or "y,," off the front: no channel binding, no authorization identity. */
static const char *take_gs2_header(struct scram_server *scram, struct scram_text *rest)
{
    struct scram_text flag = scram_text_take_until(rest, ',');

    if (flag.length >= 2 && flag.at[0] == 'p' && flag.at[1] == '=')
        return "the client requires SCRAM channel binding, which was not offered";
    if (!scram_text_equals(flag, "n") && !scram_text_equals(flag, "y"))
        return MALFORMED;
    /* An absent second comma cannot hide: what follows then is an identity or is missing. */
    if (scram_text_take_until(rest, ',').length > 0)
        return "the client uses a SCRAM authorization identity, which is not supported";
    scram->channel_binding[0] = flag.at[0];
    memcpy(scram->channel_binding + 1, ",,", sizeof ",,");
    return NULL;
}

/* Reads client-first-message-bare; the user's name in it is ignored, as PostgreSQL ignores it. */
static const char *read_first_bare(struct scram_text bare, struct scram_text *nonce)
{
    struct scram_text value;
    char name;

    if (scram_text_take(&bare, 'm', &value))
        return "the client requires a SCRAM extension, which is not supported";
    if (!scram_text_take(&bare, 'n', &value) || !scram_text_take(&bare, 'r', nonce))
        return MALFORMED;
    while (bare.length > 0) {
        if (!scram_text_take_any(&bare, &name, &value))
            return MALFORMED;
    }
    return scram_text_is_printable(*nonce) ? NULL : "malformed SCRAM nonce";
}

/* Puts our part after the client's. */
static void join_nonces(struct scram_server *scram, struct scram_text client,
                        const uint8_t random[SCRAM_NONCE_BYTES])
{
    char ours[SCRAM_TEXT_NONCE_SIZE];

    scram_text_encode(random, SCRAM_NONCE_BYTES, ours);
    free(scram->nonce);
    scram->nonce = memory_printf("%.*s%s", (int)client.length, client.at, ours);
}

char *scram_server_first(struct scram_server *scram, const char *data, size_t length,
                         const struct scram_verifier *verifier,
                         const uint8_t random[SCRAM_NONCE_BYTES], const char **problem)
{
    struct scram_text rest = {.at = data, .length = length};
    struct scram_text nonce;
    char salt[SCRAM_TEXT_SALT_SIZE];

    *problem = MALFORMED;
    if (!scram_text_is_message(data, length))
        return NULL;
    *problem = take_gs2_header(scram, &rest);
    if (*problem == NULL)
        *problem = read_first_bare(rest, &nonce);
    if (*problem != NULL)
        return NULL;
    join_nonces(scram, nonce, random);
    scram_text_encode(verifier->salt, verifier->salt_length, salt);
    free(scram->client_first_bare);
    free(scram->server_first);
    scram->client_first_bare = memory_string_of(rest.at, rest.length);
    scram->server_first = memory_printf("r=%s,s=%s,i=%u", scram->nonce, salt, verifier->iterations);
    return memory_string(scram->server_first);
}

/* What client-final says, checked as far as it can be without the verifier. */
static const char *read_final(const struct scram_server *scram, struct scram_text message,
                              struct scram_text *without_proof, uint8_t proof[SCRAM_KEY_SIZE])
{
    struct scram_text rest = message;
    struct scram_text binding, nonce, value;
    char name;
    char expected_binding[4 * ((sizeof scram->channel_binding + 2) / 3) + 1];

    if (!scram_text_take(&rest, 'c', &binding) || !scram_text_take(&rest, 'r', &nonce))
        return MALFORMED;
    do {
        without_proof->at = message.at;
        without_proof->length = (size_t)(rest.at - message.at) - 1;
        if (!scram_text_take_any(&rest, &name, &value))
            return MALFORMED;
    } while (name != 'p');
    if (rest.length > 0 || !scram_text_decode_key(value, proof))
        return MALFORMED;
    scram_text_encode((const uint8_t *)scram->channel_binding, strlen(scram->channel_binding),
                      expected_binding);
    if (!scram_text_equals(binding, expected_binding))
        return "unexpected SCRAM channel binding";
    if (!scram_text_equals(nonce, scram->nonce))
        return "the client's SCRAM nonce does not match";
    return NULL;
}

/* Sets `right`; false where OpenSSL fails. */
static bool check_proof(const struct scram_verifier *verifier, const char *auth_message,
                        const uint8_t proof[SCRAM_KEY_SIZE], bool *right)
{
    uint8_t key[SCRAM_KEY_SIZE];
    uint8_t stored_key[SCRAM_KEY_SIZE];

    if (!scram_text_sign(verifier->stored_key, auth_message, key))
        return false;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] ^= proof[i];
    bool done = EVP_Digest(key, sizeof key, stored_key, NULL, EVP_sha256(), NULL) == 1;
    *right = done && CRYPTO_memcmp(stored_key, verifier->stored_key, sizeof stored_key) == 0;
    /* The right proof's key is what a client derives from the password. */
    OPENSSL_cleanse(key, sizeof key);
    return done;
}

static char *write_final(const struct scram_verifier *verifier, const char *auth_message)
{
    uint8_t signature[SCRAM_KEY_SIZE];
    char encoded[SCRAM_TEXT_KEY_SIZE];

    if (!scram_text_sign(verifier->server_key, auth_message, signature))
        return NULL;
    scram_text_encode(signature, sizeof signature, encoded);
    return memory_printf("v=%s", encoded);
}

char *scram_server_final(struct scram_server *scram, const char *data, size_t length,
                         const struct scram_verifier *verifier, const char **problem)
{
    struct scram_text without_proof;
    uint8_t proof[SCRAM_KEY_SIZE];
    bool right = false;
    char *message = NULL;

    check(scram->server_first != NULL);
    *problem = MALFORMED;
    if (!scram_text_is_message(data, length))
        return NULL;
    *problem =
        read_final(scram, (struct scram_text){.at = data, .length = length}, &without_proof, proof);
    if (*problem != NULL)
        return NULL;
    char *auth_message =
        scram_text_auth_message(scram->client_first_bare, scram->server_first, without_proof);
    bool done = check_proof(verifier, auth_message, proof, &right);
    if (right)
        message = write_final(verifier, auth_message);
    if (!done || (right && message == NULL))
        *problem = "the SCRAM exchange failed in OpenSSL";
    free(auth_message);
    OPENSSL_cleanse(proof, sizeof proof);
    return message;
}

void scram_server_clear(struct scram_server *scram)
{
    free(scram->client_first_bare);
    free(scram->server_first);
    free(scram->nonce);
    OPENSSL_cleanse(scram, sizeof *scram);
}
