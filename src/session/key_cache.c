#include "session/key_cache.h"
#include "base/lock.h"
#include "base/memory.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* More different salts than this are somebody's mischief: the cache starts anew. */
#define KEY_CACHE_MOST 1000

struct key_cache_item {
    uint8_t digest[32]; /* of user, password, salt and iterations: no secret is kept in clear */
    struct scram_keys keys;
    UT_hash_handle hh;
};

static struct lock key_cache_lock;
static struct key_cache_item *key_cache;
static pthread_once_t key_cache_once = PTHREAD_ONCE_INIT;

static void key_cache_init(void)
{
    lock_init(&key_cache_lock, "SCRAM keys");
}

static bool key_cache_digest(const char *user, const char *password, const uint8_t *salt,
                             size_t salt_length, unsigned iterations, uint8_t digest[32])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned size = 32;
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, user, strlen(user) + 1) == 1 &&
                EVP_DigestUpdate(context, password, strlen(password) + 1) == 1 &&
                EVP_DigestUpdate(context, &iterations, sizeof iterations) == 1 &&
                EVP_DigestUpdate(context, salt, salt_length) == 1 &&
                EVP_DigestFinal_ex(context, digest, &size) == 1;
    EVP_MD_CTX_free(context);
    return done;
}

static void key_cache_drop_all(void)
{
    struct key_cache_item *item, *next;
    HASH_ITER (hh, key_cache, item, next) {
        HASH_DEL(key_cache, item);
        OPENSSL_cleanse(item, sizeof *item);
        free(item);
    }
}

static void key_cache_add(const uint8_t digest[32], const struct scram_keys *keys)
{
    struct key_cache_item *item;
    lock_take(&key_cache_lock);
    HASH_FIND(hh, key_cache, digest, 32, item);
    if (item == NULL) {
        if (HASH_COUNT(key_cache) >= KEY_CACHE_MOST)
            key_cache_drop_all();
        item = memory_new(struct key_cache_item);
        memcpy(item->digest, digest, 32);
        item->keys = *keys;
        HASH_ADD(hh, key_cache, digest, 32, item);
    }
    lock_release(&key_cache_lock);
}

bool key_cache_find(const char *user, const char *password, const uint8_t *salt, size_t salt_length,
                    unsigned iterations, struct scram_keys *keys)
{
    uint8_t digest[32];
    struct key_cache_item *item;
    pthread_once(&key_cache_once, key_cache_init);
    if (!key_cache_digest(user, password, salt, salt_length, iterations, digest))
        return false;
    lock_take(&key_cache_lock);
    HASH_FIND(hh, key_cache, digest, 32, item);
    if (item != NULL)
        *keys = item->keys;
    lock_release(&key_cache_lock);
    if (item != NULL)
        return true;
    if (!scram_derive_keys(password, salt, salt_length, iterations, keys))
        return false;
    key_cache_add(digest, keys);
    return true;
}

void key_cache_clear(void)
{
    pthread_once(&key_cache_once, key_cache_init);
    lock_take(&key_cache_lock);
    key_cache_drop_all();
    lock_release(&key_cache_lock);
}
