/* md5.c: MD5 is OpenSSL's, which may have been built or configured without it. */
#include "pg/md5.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <string.h>

#define DIGEST_SIZE 16
#define PREFIX "md5"
#define PREFIX_LENGTH 3

static_assert(MD5_TEXT_SIZE == PREFIX_LENGTH + 2 * DIGEST_SIZE + 1, "prefix, digits, zero byte");

static bool digest_both(const void *first, size_t first_length, const void *second,
                        size_t second_length, uint8_t digest[DIGEST_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(context, first, first_length) == 1 &&
                EVP_DigestUpdate(context, second, second_length) == 1 &&
                EVP_DigestFinal_ex(context, digest, NULL) == 1;

    EVP_MD_CTX_free(context);
    return done;
}

static void write_text(const uint8_t digest[DIGEST_SIZE], char text[MD5_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = text + PREFIX_LENGTH;

    memcpy(text, PREFIX, PREFIX_LENGTH);
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        *at++ = digits[digest[i] >> 4];
        *at++ = digits[digest[i] & 15];
    }
    *at = '\0';
}

bool md5_verifier(const char *password, const char *user, char text[MD5_TEXT_SIZE])
{
    uint8_t digest[DIGEST_SIZE];

    if (!digest_both(password, strlen(password), user, strlen(user), digest))
        return false;
    write_text(digest, text);
    return true;
}

bool md5_response(const char *verifier, const uint8_t salt[4], char text[MD5_TEXT_SIZE])
{
    uint8_t digest[DIGEST_SIZE];

    if (strlen(verifier) != MD5_TEXT_SIZE - 1 || strncmp(verifier, PREFIX, PREFIX_LENGTH) != 0)
        return false;
    if (!digest_both(verifier + PREFIX_LENGTH, 2 * DIGEST_SIZE, salt, 4, digest))
        return false;
    write_text(digest, text);
    return true;
}
