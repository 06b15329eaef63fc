/* hash.h: 64 bits for bytes, where a stranger who makes two of them equal gains nothing (FNV-1a).
 */
#ifndef PGSLUICE_BASE_HASH_H
#define PGSLUICE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Goes on from `hash`, at first HASH_START. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
