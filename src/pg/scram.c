/*
 * scram.c: keys and verifiers.
 *
 * Passwords are used as the bytes that they are. For ASCII that is what SASLprep gives; for other
 * text it is so where it is in Unicode's composed form already (as keyboards write it), and where
 * it is not valid UTF-8: PostgreSQL, too, then takes the bytes.
 */
#include "pg/scram.h"

#include "pg/scram_text.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

bool scram_verifier_parse(const char *text, struct scram_verifier *verifier)
{
    struct scram_text rest = {.at = text, .length = strlen(text)};

    *verifier = (struct scram_verifier){0};
    if (!scram_text_equals(scram_text_take_until(&rest, '$'), "SCRAM-SHA-256"))
        return false;
    struct scram_text iterations = scram_text_take_until(&rest, ':');
    struct scram_text salt = scram_text_take_until(&rest, '$');
    struct scram_text stored_key = scram_text_take_until(&rest, ':');
    if (scram_text_number(iterations, &verifier->iterations) &&
        scram_text_decode(salt, verifier->salt, sizeof verifier->salt, &verifier->salt_length) &&
        scram_text_decode_key(stored_key, verifier->stored_key) &&
        scram_text_decode_key(rest, verifier->server_key))
        return true;
    OPENSSL_cleanse(verifier, sizeof *verifier);
    return false;
}

bool scram_derive_keys(const char *password, const uint8_t *salt, size_t salt_length,
                       unsigned iterations, struct scram_keys *keys)
{
    uint8_t salted_password[SCRAM_KEY_SIZE];
    size_t password_length = strlen(password);

    if (iterations < 1 || iterations > INT_MAX || salt_length > INT_MAX ||
        password_length > INT_MAX)
        return false;
    bool done =
        PKCS5_PBKDF2_HMAC(password, (int)password_length, salt, (int)salt_length, (int)iterations,
                          EVP_sha256(), sizeof salted_password, salted_password) == 1 &&
        scram_text_sign(salted_password, "Client Key", keys->client_key) &&
        EVP_Digest(keys->client_key, sizeof keys->client_key, keys->stored_key, NULL, EVP_sha256(),
                   NULL) == 1 &&
        scram_text_sign(salted_password, "Server Key", keys->server_key);
    OPENSSL_cleanse(salted_password, sizeof salted_password);
    if (!done)
        OPENSSL_cleanse(keys, sizeof *keys);
    return done;
}

bool scram_verifier_make(const char *password, const uint8_t *salt, size_t salt_length,
                         unsigned iterations, struct scram_verifier *verifier)
{
    struct scram_keys keys;

    *verifier = (struct scram_verifier){0};
    if (salt_length < 1 || salt_length > sizeof verifier->salt ||
        !scram_derive_keys(password, salt, salt_length, iterations, &keys))
        return false;
    verifier->iterations = iterations;
    memcpy(verifier->salt, salt, salt_length);
    verifier->salt_length = salt_length;
    memcpy(verifier->stored_key, keys.stored_key, sizeof keys.stored_key);
    memcpy(verifier->server_key, keys.server_key, sizeof keys.server_key);
    OPENSSL_cleanse(&keys, sizeof keys);
    return true;
}
