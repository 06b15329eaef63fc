/*
 * test_lock.c: exercises base/lock.c: exclusion between threads, and that misuse ends the process
 * (each misuse in a child of its own).
 */
#include "base/lock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 4
#define ROUNDS 5000

static struct lock shared_lock;
static int shared_count;

static void *count_up(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        lock_take(&shared_lock);
        lock_assert_held(&shared_lock);
        shared_count++;
        lock_release(&shared_lock);
    }
    return NULL;
}

static void one_thread_at_a_time(void **state)
{
    (void)state;
    lock_init(&shared_lock, "shared");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared_count, THREADS * ROUNDS);
    lock_destroy(&shared_lock);
}

static void assert_aborts(void (*misuse)(struct lock *lock))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        struct lock lock;
        lock_init(&lock, "misused");
        misuse(&lock);
        _exit(EXIT_SUCCESS);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void assert_held_while_free(struct lock *lock)
{
    lock_assert_held(lock);
}

static void take_twice(struct lock *lock)
{
    lock_take(lock);
    lock_take(lock);
}

static void release_while_free(struct lock *lock)
{
    lock_release(lock);
}

static void destroy_while_held(struct lock *lock)
{
    lock_take(lock);
    lock_destroy(lock);
}

static void misuse_ends_the_process(void **state)
{
    (void)state;
    assert_aborts(assert_held_while_free);
    assert_aborts(take_twice);
    assert_aborts(release_while_free);
    assert_aborts(destroy_while_held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_at_a_time),
        cmocka_unit_test(misuse_ends_the_process),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
