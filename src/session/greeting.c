#include "session/greeting.h"
#include "base/lock.h"
#include "base/memory.h"
#include "state/guc.h"
#include "state/parameters.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* Clients that each ask for something else (a process's number in application_name, say) must not
 * fill the memory. */
#define GREETING_MOST 4096

struct greeting_key {
    const struct pool *pool;
    const struct guc_set *gucs;
};

struct greeting {
    struct greeting_key key;
    struct guc_set *gucs;          /* owned reference: keeps the key's pointer meaningful */
    struct parameters *parameters; /* owned reference */
    UT_hash_handle hh;
};

static struct lock greeting_lock;
static struct greeting *greetings;
static pthread_once_t greeting_once = PTHREAD_ONCE_INIT;

static void greeting_init(void)
{
    lock_init(&greeting_lock, "greetings");
}

static struct greeting *greeting_lookup(const struct pool *pool, const struct guc_set *gucs)
{
    struct greeting_key key;
    memset(&key, 0, sizeof key);
    key.pool = pool;
    key.gucs = gucs;
    struct greeting *greeting;
    HASH_FIND(hh, greetings, &key, sizeof key, greeting);
    return greeting;
}

struct parameters *greeting_find(const struct pool *pool, const struct guc_set *gucs)
{
    pthread_once(&greeting_once, greeting_init);
    lock_take(&greeting_lock);
    struct greeting *greeting = greeting_lookup(pool, gucs);
    struct parameters *parameters =
        greeting != NULL ? parameters_retain(greeting->parameters) : NULL;
    lock_release(&greeting_lock);
    return parameters;
}

static void greeting_free(struct greeting *greeting)
{
    HASH_DEL(greetings, greeting); /* moves `greetings` on where it was the first */
    guc_release(&greeting->gucs);
    parameters_release(&greeting->parameters);
    free(greeting);
}

/* pool NULL: those of all pools. */
static void greeting_forget(const struct pool *pool)
{
    struct greeting *greeting, *next;
    HASH_ITER (hh, greetings, greeting, next) {
        if (pool == NULL || greeting->key.pool == pool)
            greeting_free(greeting);
    }
}

void greeting_store(const struct pool *pool, struct guc_set *gucs, struct parameters *parameters)
{
    pthread_once(&greeting_once, greeting_init);
    struct guc_set *empty = guc_empty();
    lock_take(&greeting_lock);
    struct greeting *greeting = greeting_lookup(pool, gucs);
    if (greeting != NULL && gucs == empty && greeting->parameters != parameters) {
        greeting_forget(pool);
        greeting = NULL;
    }
    if (greeting == NULL) {
        if (HASH_COUNT(greetings) >= GREETING_MOST)
            greeting_free(greetings); /* uthash's first is the eldest */
        greeting = memory_new(struct greeting);
        greeting->key.pool = pool;
        greeting->key.gucs = gucs;
        greeting->gucs = guc_retain(gucs);
        greeting->parameters = parameters_retain(parameters);
        HASH_ADD(hh, greetings, key, sizeof greeting->key, greeting);
    } else if (greeting->parameters != parameters) {
        parameters_release(&greeting->parameters);
        greeting->parameters = parameters_retain(parameters);
    }
    lock_release(&greeting_lock);
    guc_release(&empty);
}

void greeting_forget_all(void)
{
    pthread_once(&greeting_once, greeting_init);
    lock_take(&greeting_lock);
    greeting_forget(NULL);
    lock_release(&greeting_lock);
}
