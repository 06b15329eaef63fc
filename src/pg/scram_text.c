/* scram_text.c: the grammar of SCRAM's messages; nothing here knows the steps of an exchange. */
#include "pg/scram_text.h"

#include "base/memory.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

bool scram_text_is_message(const char *data, size_t length)
{
    return length > 0 && length <= INT_MAX && memchr(data, '\0', length) == NULL;
}

struct scram_text scram_text_take_until(struct scram_text *rest, char separator)
{
    const char *found = rest->length > 0 ? memchr(rest->at, separator, rest->length) : NULL;
    struct scram_text taken = *rest;

    if (found == NULL) {
        rest->at += rest->length;
        rest->length = 0;
        return taken;
    }
    taken.length = (size_t)(found - rest->at);
    rest->at = found + 1;
    rest->length -= taken.length + 1;
    return taken;
}

bool scram_text_take_any(struct scram_text *rest, char *name, struct scram_text *value)
{
    if (rest->length < 2 || rest->at[1] != '=')
        return false;
    char letter = rest->at[0];
    if (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z')))
        return false;
    *name = letter;
    *value = scram_text_take_until(rest, ',');
    value->at += 2;
    value->length -= 2;
    return true;
}

bool scram_text_take(struct scram_text *rest, char name, struct scram_text *value)
{
    char found;

    return rest->length > 0 && rest->at[0] == name && scram_text_take_any(rest, &found, value);
}

bool scram_text_equals(struct scram_text text, const char *string)
{
    return text.length == strlen(string) && memcmp(text.at, string, text.length) == 0;
}

bool scram_text_is_printable(struct scram_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < 0x21 || text.at[i] > 0x7e || text.at[i] == ',')
            return false;
    }
    return text.length > 0;
}

bool scram_text_number(struct scram_text text, unsigned *number)
{
    uint64_t value = 0;

    if (text.length == 0 || text.length > 10)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.at[i] - '0');
    }
    if (value < 1 || value > INT_MAX)
        return false;
    *number = (unsigned)value;
    return true;
}

static bool is_base64_digit(char letter)
{
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
           (letter >= '0' && letter <= '9') || letter == '+' || letter == '/';
}

/* EVP_DecodeBlock skips blanks and takes '=' for a digit, so the text is checked before. */
static bool is_base64(struct scram_text text, size_t *padding)
{
    *padding = 0;
    if (text.length == 0 || text.length % 4 != 0)
        return false;
    while (*padding < 2 && text.at[text.length - 1 - *padding] == '=')
        (*padding)++;
    for (size_t i = 0; i < text.length - *padding; i++) {
        if (!is_base64_digit(text.at[i]))
            return false;
    }
    return true;
}

bool scram_text_decode(struct scram_text text, uint8_t *bytes, size_t size, size_t *length)
{
    uint8_t decoded[SCRAM_TEXT_SALT_SIZE];
    size_t padding;

    if (text.length >= SCRAM_TEXT_SALT_SIZE || !is_base64(text, &padding))
        return false;
    *length = text.length / 4 * 3 - padding;
    if (*length > size)
        return false;
    if (EVP_DecodeBlock(decoded, (const unsigned char *)text.at, (int)text.length) < 0)
        return false;
    memcpy(bytes, decoded, *length);
    OPENSSL_cleanse(decoded, sizeof decoded);
    return true;
}

bool scram_text_decode_key(struct scram_text text, uint8_t key[SCRAM_KEY_SIZE])
{
    size_t length;

    return scram_text_decode(text, key, SCRAM_KEY_SIZE, &length) && length == SCRAM_KEY_SIZE;
}

void scram_text_encode(const uint8_t *bytes, size_t length, char *text)
{
    EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
}

bool scram_text_sign(const uint8_t key[SCRAM_KEY_SIZE], const char *text,
                     uint8_t signature[SCRAM_KEY_SIZE])
{
    return HMAC(EVP_sha256(), key, SCRAM_KEY_SIZE, (const unsigned char *)text, strlen(text),
                signature, NULL) != NULL;
}

char *scram_text_auth_message(const char *client_first_bare, const char *server_first,
                              struct scram_text client_final_without_proof)
{
    return memory_printf("%s,%s,%.*s", client_first_bare, server_first,
                         (int)client_final_without_proof.length, client_final_without_proof.at);
}
