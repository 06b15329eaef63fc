/* scram_client.c: the side that knows the password, in RFC 5802's four steps. */
#include "base/check.h"
#include "base/memory.h"
#include "pg/scram.h"
#include "pg/scram_text.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* "No channel binding", and its base64, with which client-final repeats it. */
#define GS2_HEADER "n,,"
#define GS2_HEADER_BASE64 "biws"

static_assert(sizeof((struct scram_client *)0)->nonce >= SCRAM_TEXT_NONCE_SIZE, "nonce fits");

char *scram_client_first(struct scram_client *scram, const uint8_t random[SCRAM_NONCE_BYTES])
{
    scram_text_encode(random, SCRAM_NONCE_BYTES, scram->nonce);
    free(scram->first_bare);
    /* The user's name is left out: PostgreSQL takes the startup packet's. */
    scram->first_bare = memory_printf("n=,r=%s", scram->nonce);
    return memory_printf(GS2_HEADER "%s", scram->first_bare);
}

/* True where the server added to our nonce, as it must. */
static bool is_our_nonce(const struct scram_client *scram, struct scram_text nonce)
{
    size_t ours = strlen(scram->nonce);

    return nonce.length > ours && memcmp(nonce.at, scram->nonce, ours) == 0;
}

bool scram_client_take_first(struct scram_client *scram, const char *data, size_t length,
                             const char **problem)
{
    struct scram_text rest = {.at = data, .length = length};
    struct scram_text nonce, salt, iterations;

    check(scram->first_bare != NULL);
    *problem = "malformed SCRAM message from the server";
    if (!scram_text_is_message(data, length) || !scram_text_take(&rest, 'r', &nonce) ||
        !scram_text_take(&rest, 's', &salt) || !scram_text_take(&rest, 'i', &iterations) ||
        rest.length > 0 || !scram_text_is_printable(nonce) ||
        !scram_text_number(iterations, &scram->iterations))
        return false;
    if (!is_our_nonce(scram, nonce)) {
        *problem = "the server's SCRAM nonce does not continue ours";
        return false;
    }
    if (!scram_text_decode(salt, scram->salt, sizeof scram->salt, &scram->salt_length)) {
        *problem = "the server's SCRAM salt is malformed or too long";
        return false;
    }
    if (scram->iterations > SCRAM_MAX_ITERATIONS) {
        *problem = "the server asks for too many SCRAM iterations";
        return false;
    }
    free(scram->server_first);
    scram->server_first = memory_string_of(data, length);
    *problem = NULL;
    return true;
}

/* The proof to send, in base64; keeps the signature that the server must answer with. */
static bool prove(struct scram_client *scram, const struct scram_keys *keys,
                  const char *without_proof, char encoded_proof[SCRAM_TEXT_KEY_SIZE])
{
    uint8_t proof[SCRAM_KEY_SIZE];
    char *auth_message = scram_text_auth_message(
        scram->first_bare, scram->server_first,
        (struct scram_text){.at = without_proof, .length = strlen(without_proof)});
    bool done = scram_text_sign(keys->stored_key, auth_message, proof) &&
                scram_text_sign(keys->server_key, auth_message, scram->server_signature);

    free(auth_message);
    if (!done)
        return false;
    for (size_t i = 0; i < sizeof proof; i++)
        proof[i] ^= keys->client_key[i];
    scram_text_encode(proof, sizeof proof, encoded_proof);
    OPENSSL_cleanse(proof, sizeof proof);
    return true;
}

char *scram_client_final(struct scram_client *scram, const struct scram_keys *keys)
{
    struct scram_text nonce;
    char proof[SCRAM_TEXT_KEY_SIZE];
    char *message = NULL;

    check(scram->server_first != NULL);
    struct scram_text rest = {.at = scram->server_first, .length = strlen(scram->server_first)};
    check(scram_text_take(&rest, 'r', &nonce));
    char *without_proof =
        memory_printf("c=" GS2_HEADER_BASE64 ",r=%.*s", (int)nonce.length, nonce.at);
    if (prove(scram, keys, without_proof, proof)) {
        message = memory_printf("%s,p=%s", without_proof, proof);
        scram->proved = true;
    }
    free(without_proof);
    return message;
}

bool scram_client_take_final(struct scram_client *scram, const char *data, size_t length,
                             const char **problem)
{
    struct scram_text rest = {.at = data, .length = length};
    struct scram_text value;
    uint8_t signature[SCRAM_KEY_SIZE];

    *problem = "malformed SCRAM message from the server";
    if (!scram_text_is_message(data, length))
        return false;
    if (scram_text_take(&rest, 'e', &value)) {
        *problem = "the server refused the SCRAM exchange";
        return false;
    }
    if (!scram_text_take(&rest, 'v', &value) || rest.length > 0 ||
        !scram_text_decode_key(value, signature))
        return false;
    /* Before scram_client_final() there is nothing to compare with: zeroes must not match. */
    if (!scram->proved ||
        CRYPTO_memcmp(signature, scram->server_signature, sizeof signature) != 0) {
        *problem = "the server did not prove that it knows the SCRAM verifier";
        return false;
    }
    *problem = NULL;
    return true;
}

void scram_client_clear(struct scram_client *scram)
{
    free(scram->first_bare);
    free(scram->server_first);
    OPENSSL_cleanse(scram, sizeof *scram);
}
