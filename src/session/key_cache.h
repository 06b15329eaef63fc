/*
 * key_cache.h: SCRAM keys derived for logins to servers, so that PBKDF2 runs once for each user,
 * password, salt and iteration count. Any thread; one lock, not held while deriving.
 */
#ifndef PGSLUICE_SESSION_KEY_CACHE_H
#define PGSLUICE_SESSION_KEY_CACHE_H

#include "pg/scram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False where OpenSSL fails. */
bool key_cache_find(const char *user, const char *password, const uint8_t *salt, size_t salt_length,
                    unsigned iterations, struct scram_keys *keys);
/* Wipes all; at the end of the process, and when the configuration has changed. */
void key_cache_clear(void);

#endif
