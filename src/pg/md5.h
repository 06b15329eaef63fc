/* md5.h: PostgreSQL's md5 authentication ("AuthenticationMD5Password"). */
#ifndef PGSLUICE_PG_MD5_H
#define PGSLUICE_PG_MD5_H

#include <stdbool.h>
#include <stdint.h>

#define MD5_TEXT_SIZE 36 /* "md5", 32 hex digits, zero byte */

/* "md5" + hex(md5(password + user)), as pg_authid keeps it. False where OpenSSL has no MD5. */
bool md5_verifier(const char *password, const char *user, char text[MD5_TEXT_SIZE])
    __attribute__((warn_unused_result));
/* The answer to a challenge, from a verifier: "md5" + hex(md5(verifier's hex + salt)). */
bool md5_response(const char *verifier, const uint8_t salt[4], char text[MD5_TEXT_SIZE])
    __attribute__((warn_unused_result));

#endif
