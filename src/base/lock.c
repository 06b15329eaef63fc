#include "base/lock.h"

#include "base/check.h"

void lock_init(struct lock *lock, const char *name)
{
    /* The kind that notices a second take by its holder and a release by a stranger. */
    pthread_mutexattr_t attributes;
    check(pthread_mutexattr_init(&attributes) == 0);
    check(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK) == 0);
    check(pthread_mutex_init(&lock->mutex, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
    lock->name = name;
    lock->held = false;
}

void lock_destroy(struct lock *lock)
{
    check(pthread_mutex_destroy(&lock->mutex) == 0);
}

void lock_take(struct lock *lock)
{
    check(pthread_mutex_lock(&lock->mutex) == 0);
    lock->holder = pthread_self();
    lock->held = true;
}

void lock_release(struct lock *lock)
{
    lock_assert_held(lock);
    lock->held = false;
    check(pthread_mutex_unlock(&lock->mutex) == 0);
}

void lock_assert_held(const struct lock *lock)
{
    check(lock->held && pthread_equal(lock->holder, pthread_self()));
}
