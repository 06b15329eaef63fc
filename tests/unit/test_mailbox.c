/*
 * test_mailbox.c: exercises io/mailbox.c: order, messages that come back and are used again, two
 * loops that post to each other from two threads, and the check against posting twice.
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
#include <unistd.h>

#include <cmocka.h>

#define BALLS 8
#define RETURNS 3000
#define POSTS 5000

struct numbered {
    struct mailbox_message message;
    struct loop *loop;
    int number;
};

static int expected;

static void deliver_numbered(struct mailbox_message *message)
{
    struct numbered *numbered = container_of(message, struct numbered, message);
    loop_assert_owner(numbered->loop);
    check(!message->posted);
    check(numbered->number == expected);
    expected++;
    if (expected == POSTS) {
        loop_stop(numbered->loop);
    }
    free(numbered);
}

static void *post_all(void *loop)
{
    for (int i = 0; i < POSTS; i++) {
        struct numbered *numbered = calloc(1, sizeof(*numbered));
        numbered->message.deliver = deliver_numbered;
        numbered->loop = loop;
        numbered->number = i;
        mailbox_post(loop, &numbered->message);
    }
    return NULL;
}

static void messages_arrive_once_and_in_order(void **state)
{
    (void)state;
    struct loop *loop = loop_new("receiver");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post_all, loop), 0);
    loop_run(loop);
    pthread_join(thread, NULL);
    assert_int_equal(expected, POSTS);
    loop_free(loop);
}

struct ball {
    struct mailbox_message message;
    int returns;
    int side;
};

static struct loop *sides[2];
static int finished; /* counted by side 0 */

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void deliver_ball(struct mailbox_message *message)
{
    struct ball *ball = container_of(message, struct ball, message);
    loop_assert_owner(sides[ball->side]);
    if (ball->side == 0 && ball->returns >= RETURNS) {
        if (++finished == BALLS) {
            loop_stop(sides[0]);
            loop_stop(sides[1]);
        }
        return;
    }
    ball->returns++;
    ball->side = 1 - ball->side;
    mailbox_post(sides[ball->side], message);
}

static void delivered_message_can_be_posted_again(void **state)
{
    (void)state;
    struct ball balls[BALLS] = {0};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        sides[i] = loop_new("side");
        assert_int_equal(pthread_create(&threads[i], NULL, run_loop, sides[i]), 0);
    }
    for (int i = 0; i < BALLS; i++) {
        balls[i].message.deliver = deliver_ball;
        mailbox_post(sides[0], &balls[i].message);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        loop_free(sides[i]);
    }
    for (int i = 0; i < BALLS; i++) {
        assert_int_equal(balls[i].returns, RETURNS);
    }
}

static void posting_twice_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        struct loop *loop = loop_new("child");
        struct mailbox_message message = {.deliver = deliver_ball};
        mailbox_post(loop, &message);
        mailbox_post(loop, &message);
        _exit(EXIT_SUCCESS);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_once_and_in_order),
        cmocka_unit_test(delivered_message_can_be_posted_again),
        cmocka_unit_test(posting_twice_ends_the_process),
    };
    alarm(60);
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
