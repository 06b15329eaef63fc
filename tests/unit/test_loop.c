/*
 * test_loop.c: exercises io/loop.c: order and moment of deferred releases, the time of a turn,
 * timers, signals, stopping, and the owner assertion.
 */
#include "base/check.h"
#include "io/loop.h"
#include "io/mailbox.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static char trace[64];

static void trace_add(const char *word)
{
    strcat(trace, word);
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new("test");
    trace[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void release_word(void *word)
{
    trace_add(word);
}

static void release_and_defer(void *word)
{
    trace_add(word);
    loop_defer(loop, release_word, "4");
}

static void defer_three(struct mailbox_message *message)
{
    (void)message;
    loop_defer(loop, release_word, "1");
    loop_defer(loop, release_and_defer, "2");
    loop_defer(loop, release_word, "3");
    trace_add("a");
}

static void stop_in_same_turn(struct mailbox_message *message)
{
    (void)message;
    trace_add("b");
    loop_stop(loop);
}

static void deferred_objects_go_in_order_at_the_end_of_the_turn(void **state)
{
    (void)state;
    struct mailbox_message first = {.deliver = defer_three};
    struct mailbox_message second = {.deliver = stop_in_same_turn};
    mailbox_post(loop, &first);
    mailbox_post(loop, &second);
    loop_run(loop);
    assert_string_equal(trace, "ab1234");
}

static void many_can_be_deferred(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        loop_defer(loop, free, malloc(10)); /* a leak is the sanitizer's to find */
    }
}

static microseconds times[3];

static void read_time_twice(void *count)
{
    struct timespec pause = {.tv_nsec = 3000000};
    times[0] = loop_now(loop);
    nanosleep(&pause, NULL);
    times[1] = loop_now(loop);
    if (++*(int *)count == 2) {
        loop_stop(loop);
    } else {
        times[2] = times[0];
    }
}

static void time_stands_still_within_a_turn(void **state)
{
    (void)state;
    int count = 0;
    microseconds start = clock_monotonic();
    loop_every(loop, 10 * CLOCK_MILLISECOND, read_time_twice, &count);
    loop_run(loop);
    assert_int_equal(count, 2);
    assert_int_equal(times[0], times[1]);
    assert_true(times[0] > times[2]);
    assert_true(times[2] >= start && times[0] <= clock_monotonic());
    assert_true(loop_now(loop) > times[1]);
}

static void on_signal(int number, void *context)
{
    *(int *)context = number;
    loop_stop(loop);
}

static void signals_arrive_in_the_loop(void **state)
{
    (void)state;
    int number = 0;
    loop_on_signal(loop, SIGUSR1, on_signal, &number);
    kill(getpid(), SIGUSR1);
    loop_run(loop);
    assert_int_equal(number, SIGUSR1);
}

static void *run_loop(void *unused)
{
    (void)unused;
    loop_run(loop);
    return NULL;
}

static void other_thread_can_stop_it(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, run_loop, NULL), 0);
        loop_stop(loop); /* before the thread runs it, or while */
        pthread_join(thread, NULL);
    }
    loop_assert_owner(loop); /* nobody runs it now */
}

static void what_was_posted_before_the_stop_is_delivered(void **state)
{
    (void)state;
    struct mailbox_message message = {.deliver = defer_three};
    loop_stop(loop);
    mailbox_post(loop, &message);
    loop_run(loop);
    assert_string_equal(trace, "a1234");
}

static void *defer_from_stranger(void *unused)
{
    (void)unused;
    loop_defer(loop, free, NULL);
    return NULL;
}

static void let_stranger_defer(struct mailbox_message *message)
{
    (void)message;
    pthread_t thread;
    check(pthread_create(&thread, NULL, defer_from_stranger, NULL) == 0);
    pthread_join(thread, NULL);
    loop_stop(loop);
}

static void stranger_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        loop = loop_new("child");
        struct mailbox_message message = {.deliver = let_stranger_defer};
        mailbox_post(loop, &message);
        loop_run(loop);
        _exit(EXIT_SUCCESS);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deferred_objects_go_in_order_at_the_end_of_the_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_can_be_deferred, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_stands_still_within_a_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_arrive_in_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_thread_can_stop_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_posted_before_the_stop_is_delivered, set_up,
                                        tear_down),
        cmocka_unit_test(stranger_ends_the_process),
    };
    alarm(60);
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
