/*
 * lock.h: named mutexes that know their holder.
 *
 * Order (take the upper before the lower; never hold one across a callback or I/O):
 *   1. registry of pools   2. one pool   3. greetings, catalogs, statements   4. gucs
 *   5. parameters   6. a loop's mailbox   7. log queue
 */
#ifndef PGSLUICE_BASE_LOCK_H
#define PGSLUICE_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>

struct lock {
    pthread_mutex_t mutex;
    const char *name; /* a literal */
    pthread_t holder; /* valid while held */
    bool held;
};

void lock_init(struct lock *lock, const char *name);
void lock_destroy(struct lock *lock);
void lock_take(struct lock *lock);
void lock_release(struct lock *lock);
/* Fails a check() where the calling thread does not hold it. */
void lock_assert_held(const struct lock *lock);

#endif
