/*
 * scram_text.h: what the files of SCRAM share: pieces of messages, base64, HMAC. RFC 5802's
 * messages are attributes, "name=value", with commas between.
 */
#ifndef PGSLUICE_PG_SCRAM_TEXT_H
#define PGSLUICE_PG_SCRAM_TEXT_H

#include "pg/scram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With the zero byte. */
#define SCRAM_TEXT_KEY_SIZE (4 * ((SCRAM_KEY_SIZE + 2) / 3) + 1)
#define SCRAM_TEXT_NONCE_SIZE (4 * ((SCRAM_NONCE_BYTES + 2) / 3) + 1)
#define SCRAM_TEXT_SALT_SIZE (4 * ((SCRAM_MAX_SALT + 2) / 3) + 1)

/* Points into a message; not terminated. */
struct scram_text {
    const char *at;
    size_t length;
};

/* True for a message that can be one: not empty and without a zero byte. */
bool scram_text_is_message(const char *data, size_t length);
/* Takes what stands before the next `separator` (or the end) off the front, and the separator. */
struct scram_text scram_text_take_until(struct scram_text *rest, char separator);
/* Takes the next attribute, "name=value"; false (and nothing taken) where it has another name. */
bool scram_text_take(struct scram_text *rest, char name, struct scram_text *value);
/* Takes the next attribute, whatever its name; false (and nothing taken) where it is none. */
bool scram_text_take_any(struct scram_text *rest, char *name, struct scram_text *value);
bool scram_text_equals(struct scram_text text, const char *string);
/* True for RFC 5802's "printable" and at least one of them: what a nonce is made of. */
bool scram_text_is_printable(struct scram_text text);
/* A decimal number from 1 to INT_MAX; no sign, no blanks. */
bool scram_text_number(struct scram_text text, unsigned *number);

/* Strict base64 of one to `size` bytes (at most SCRAM_MAX_SALT); else false. */
bool scram_text_decode(struct scram_text text, uint8_t *bytes, size_t size, size_t *length);
bool scram_text_decode_key(struct scram_text text, uint8_t key[SCRAM_KEY_SIZE]);
/* `text` has room for the base64 of `length` bytes and a zero byte. */
void scram_text_encode(const uint8_t *bytes, size_t length, char *text);

/* HMAC-SHA-256; false where OpenSSL fails. */
bool scram_text_sign(const uint8_t key[SCRAM_KEY_SIZE], const char *text,
                     uint8_t signature[SCRAM_KEY_SIZE]);
/* The AuthMessage of RFC 5802; caller frees. */
char *scram_text_auth_message(const char *client_first_bare, const char *server_first,
                              struct scram_text client_final_without_proof);

#endif
