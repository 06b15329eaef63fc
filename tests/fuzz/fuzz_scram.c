/*
 * fuzz_scram.c: what a peer may say in a SCRAM exchange. The first byte chooses the side; the rest
 * is two messages with a zero byte between. A step that fails says why, except for a wrong proof.
 */
#include "pg/scram.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t ours[SCRAM_NONCE_BYTES] = "unpredictable byt";
/* Without PBKDF2, which would be all that this program does. */
static const struct scram_keys keys = {.client_key = "client", .stored_key = "stored"};

struct messages {
    const char *first;
    size_t first_length;
    const char *second;
    size_t second_length;
};

static void require(bool right)
{
    if (!right)
        abort();
}

static struct messages split(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    struct messages messages = {.first = (const char *)data, .first_length = size, .second = ""};

    if (zero != NULL) {
        messages.first_length = (size_t)(zero - data);
        messages.second = (const char *)zero + 1;
        messages.second_length = size - messages.first_length - 1;
    }
    return messages;
}

static void as_server(const struct messages *messages)
{
    const struct scram_verifier verifier = {.iterations = 4096, .salt = "salt", .salt_length = 4};
    struct scram_server scram = {0};
    const char *problem = NULL;
    char *answer = scram_server_first(&scram, messages->first, messages->first_length, &verifier,
                                      ours, &problem);

    require((answer == NULL) == (problem != NULL));
    if (answer != NULL) {
        require(strlen(scram.nonce) < messages->first_length + SCRAM_NONCE_BYTES * 2);
        free(answer);
        answer = scram_server_final(&scram, messages->second, messages->second_length, &verifier,
                                    &problem);
        /* Nobody can know a proof for this verifier. */
        require(answer == NULL);
    }
    scram_server_clear(&scram);
}

static void as_client(const struct messages *messages)
{
    struct scram_client scram = {0};
    const char *problem = NULL;

    free(scram_client_first(&scram, ours));
    bool taken = scram_client_take_first(&scram, messages->first, messages->first_length, &problem);
    require(taken == (problem == NULL));
    if (taken) {
        require(scram.iterations >= 1 && scram.iterations <= SCRAM_MAX_ITERATIONS);
        require(scram.salt_length >= 1 && scram.salt_length <= sizeof scram.salt);
        char *message = scram_client_final(&scram, &keys);
        require(message != NULL);
        free(message);
    }
    taken = scram_client_take_final(&scram, messages->second, messages->second_length, &problem);
    require(taken == (problem == NULL));
    scram_client_clear(&scram);
}

static void as_verifier(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct scram_verifier verifier;

    memcpy(text, data, size);
    text[size] = '\0';
    if (scram_verifier_parse(text, &verifier)) {
        require(verifier.iterations >= 1);
        require(verifier.salt_length >= 1 && verifier.salt_length <= sizeof verifier.salt);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct messages messages = split(data + 1, size - 1);
    switch (data[0]) {
    case 's':
        as_server(&messages);
        break;
    case 'c':
        as_client(&messages);
        break;
    default:
        as_verifier(data, size);
        break;
    }
    return 0;
}
