/*
 * test_stream.c: exercises io/stream.c with socket pairs and TCP over loopback: partial writes and
 * their order, back-pressure, pauses, moving between loops on two threads, connecting, and the
 * ways in which a connection ends.
 */
#include "base/check.h"
#include "base/memory.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG ((size_t)4 << 20)

/* One end of a connection and what happened to it. */
struct end {
    struct stream stream;
    struct buffer received;
    int readable_calls;
    int drained_calls;
    int connected_calls;
    int connect_error;
    bool in_write;        /* a write is on the stack */
    bool ended;           /* STREAM_END or STREAM_FAILED was read */
    bool pause_each_time; /* in on_readable */
    enum stream_result last;
};

static struct loop *loop;
static struct end near_end;
static struct end far_end;

static void on_readable(struct stream *stream)
{
    struct end *end = container_of(stream, struct end, stream);
    uint8_t bytes[16384];
    size_t size;
    end->readable_calls++;
    end->last = stream_read(stream, bytes, sizeof(bytes), &size);
    if (end->last == STREAM_DONE) {
        buffer_append(&end->received, bytes, size);
    } else if (end->last != STREAM_BLOCKED) {
        end->ended = true;
        stream_close(stream);
        return;
    }
    if (end->pause_each_time) {
        stream_pause(stream);
    }
}

static void on_drained(struct stream *stream)
{
    struct end *end = container_of(stream, struct end, stream);
    check(!end->in_write && !stream_is_blocked(stream));
    end->drained_calls++;
}

static void on_connected(struct stream *stream, int error)
{
    struct end *end = container_of(stream, struct end, stream);
    check(!end->in_write);
    end->connected_calls++;
    end->connect_error = error;
}

static const struct stream_handler handler = {on_readable, on_drained, on_connected};

static void stop_loop(struct mailbox_message *message)
{
    (void)message;
    loop_stop(loop);
}

static void run_turn(void)
{
    struct mailbox_message message = {.deliver = stop_loop};
    mailbox_post(loop, &message);
    loop_run(loop);
}

static void run_turns(int count)
{
    for (int i = 0; i < count; i++) {
        run_turn();
        usleep(200);
    }
}

/* A hang is ended by main's alarm. */
#define RUN_UNTIL(condition)                                                                       \
    while (!(condition)) {                                                                         \
        run_turns(1);                                                                              \
    }

static int set_up(void **state)
{
    (void)state;
    loop = loop_new("test");
    near_end = (struct end){0};
    far_end = (struct end){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stream_close(&near_end.stream);
    stream_close(&far_end.stream);
    buffer_release(&near_end.received);
    buffer_release(&far_end.received);
    loop_free(loop);
    return 0;
}

static void make_socket_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

/* Small enough for BIG to be too much at once; inherited by accepted sockets. */
static void make_buffers_small(int descriptor)
{
    int size = 65536;
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
}

/* A listening TCP socket of loopback and its address. */
static int make_listener(struct address *address)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    make_buffers_small(descriptor);
    assert_true(address_parse_numeric("127.0.0.1", 0, address));
    assert_int_equal(bind(descriptor, &address->any, address->length), 0);
    assert_int_equal(listen(descriptor, 8), 0);
    assert_int_equal(getsockname(descriptor, &address->any, &address->length), 0);
    return descriptor;
}

static void make_tcp_pair(int pair[2])
{
    struct address address;
    int listener = make_listener(&address);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    make_buffers_small(pair[0]);
    assert_int_equal(connect(pair[0], &address.any, address.length), 0);
    pair[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(pair[1] >= 0);
    assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    close(listener);
}

static void open_both(void (*make_pair)(int pair[2]))
{
    int pair[2];
    make_pair(pair);
    stream_open(&near_end.stream, loop, pair[0], &handler);
    stream_open(&far_end.stream, loop, pair[1], &handler);
}

static uint8_t *new_pattern(size_t size)
{
    uint8_t *bytes = memory_zeroed(size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16));
    }
    return bytes;
}

static enum stream_result write_to(struct end *end, const void *bytes, size_t size)
{
    end->in_write = true;
    enum stream_result result = stream_write(&end->stream, bytes, size);
    end->in_write = false;
    return result;
}

static void zeroed_stream_is_closed(void **state)
{
    (void)state;
    assert_false(stream_is_open(&near_end.stream));
    int pair[2];
    make_socket_pair(pair);
    int standard_input = dup(STDIN_FILENO);
    assert_int_equal(dup2(pair[0], STDIN_FILENO), STDIN_FILENO);
    stream_close(&near_end.stream);
    assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* its descriptor is 0, and not its own */
    if (standard_input >= 0) {
        dup2(standard_input, STDIN_FILENO);
        close(standard_input);
    } else {
        close(STDIN_FILENO);
    }
    stream_open(&near_end.stream, loop, pair[0], &handler);
    assert_true(stream_is_open(&near_end.stream));
    stream_close(&near_end.stream);
    assert_false(stream_is_open(&near_end.stream));
    stream_close(&near_end.stream);
    char byte;
    assert_int_equal(read(pair[1], &byte, 1), 0);
    close(pair[1]);
}

static void small_writes_pass_at_once(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    assert_int_equal(write_to(&near_end, "hello ", 6), STREAM_DONE);
    struct iovec parts[] = {{"wor", 3}, {"", 0}, {"ld", 2}};
    assert_int_equal(stream_write_vector(&near_end.stream, parts, 3), STREAM_DONE);
    assert_false(stream_is_blocked(&near_end.stream));
    RUN_UNTIL(buffer_length(&far_end.received) == 11);
    assert_memory_equal(buffer_bytes(&far_end.received), "hello world", 11);
    assert_int_equal(near_end.drained_calls, 0);
    assert_int_equal(near_end.readable_calls, 0);
}

static void check_big_write(void (*make_pair)(int pair[2]))
{
    open_both(make_pair);
    uint8_t *pattern = new_pattern(BIG);
    size_t half = BIG / 2;
    assert_int_equal(write_to(&near_end, pattern, half), STREAM_BLOCKED);
    assert_true(stream_is_blocked(&near_end.stream));
    assert_in_range(stream_kept_size(&near_end.stream), 1, half);
    /* What comes later must not overtake. */
    struct iovec parts[] = {{pattern + half, 5}, {pattern + half + 5, half - 5}};
    size_t kept = stream_kept_size(&near_end.stream);
    assert_int_equal(stream_write_vector(&near_end.stream, parts, 2), STREAM_BLOCKED);
    assert_int_equal(stream_kept_size(&near_end.stream), kept + half);
    RUN_UNTIL(buffer_length(&far_end.received) == BIG);
    RUN_UNTIL(near_end.drained_calls == 1);
    assert_memory_equal(buffer_bytes(&far_end.received), pattern, BIG);
    assert_false(stream_is_blocked(&near_end.stream));
    assert_int_equal(stream_kept_size(&near_end.stream), 0);
    assert_int_equal(write_to(&near_end, "x", 1), STREAM_DONE);
    run_turns(3);
    assert_int_equal(near_end.drained_calls, 1);
    free(pattern);
}

static void kept_bytes_follow_in_order_over_unix_socket(void **state)
{
    (void)state;
    check_big_write(make_socket_pair);
}

static void kept_bytes_follow_in_order_over_tcp(void **state)
{
    (void)state;
    check_big_write(make_tcp_pair);
}

static void vector_that_is_cut_anywhere_stays_whole(void **state)
{
    (void)state;
    open_both(make_socket_pair);
    uint8_t *pattern = new_pattern(BIG);
    struct iovec parts[1000];
    size_t step = BIG / 1000;
    for (size_t i = 0; i < 1000; i++) {
        parts[i] = (struct iovec){pattern + i * step, step};
    }
    assert_int_equal(stream_write_vector(&near_end.stream, parts, 1000), STREAM_BLOCKED);
    RUN_UNTIL(buffer_length(&far_end.received) == step * 1000);
    assert_memory_equal(buffer_bytes(&far_end.received), pattern, step * 1000);
    free(pattern);
}

static void paused_stream_reads_nothing(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    stream_pause(&far_end.stream);
    assert_int_equal(write_to(&near_end, "a", 1), STREAM_DONE);
    run_turns(10);
    assert_int_equal(far_end.readable_calls, 0);
    assert_false(stream_is_quiet(&far_end.stream));
    stream_resume(&far_end.stream);
    RUN_UNTIL(buffer_length(&far_end.received) == 1);
    /* A pause that ends before anything came. */
    stream_pause(&far_end.stream);
    stream_resume(&far_end.stream);
    stream_resume(&far_end.stream);
    assert_int_equal(write_to(&near_end, "b", 1), STREAM_DONE);
    RUN_UNTIL(buffer_length(&far_end.received) == 2);
    run_turns(3);
    assert_int_equal(far_end.readable_calls, 2);
}

static void pause_within_the_handler_holds(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    uint8_t *pattern = new_pattern(50000);
    far_end.pause_each_time = true;
    assert_int_equal(write_to(&near_end, pattern, 50000), STREAM_DONE);
    for (int calls = 1; buffer_length(&far_end.received) < 50000; calls++) {
        RUN_UNTIL(far_end.readable_calls == calls);
        run_turns(3);
        assert_int_equal(far_end.readable_calls, calls);
        stream_resume(&far_end.stream);
    }
    assert_memory_equal(buffer_bytes(&far_end.received), pattern, 50000);
    free(pattern);
}

static void paused_stream_still_drains(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    uint8_t *pattern = new_pattern(BIG);
    stream_pause(&near_end.stream);
    assert_int_equal(write_to(&far_end, "waits", 5), STREAM_DONE);
    assert_int_equal(write_to(&near_end, pattern, BIG), STREAM_BLOCKED);
    RUN_UNTIL(near_end.drained_calls == 1 && buffer_length(&far_end.received) == BIG);
    assert_int_equal(near_end.readable_calls, 0);
    stream_resume(&near_end.stream);
    RUN_UNTIL(buffer_length(&near_end.received) == 5);
    free(pattern);
}

static void blocked_stream_still_reads(void **state)
{
    (void)state;
    open_both(make_socket_pair);
    uint8_t *pattern = new_pattern(BIG);
    stream_pause(&far_end.stream);
    assert_int_equal(write_to(&near_end, pattern, BIG), STREAM_BLOCKED);
    assert_int_equal(write_to(&far_end, "back", 4), STREAM_DONE);
    RUN_UNTIL(buffer_length(&near_end.received) == 4);
    assert_true(stream_is_blocked(&near_end.stream));
    stream_pause(&near_end.stream);
    assert_int_equal(write_to(&far_end, "more", 4), STREAM_DONE);
    run_turns(5);
    assert_int_equal(buffer_length(&near_end.received), 4);
    stream_resume(&near_end.stream);
    stream_resume(&far_end.stream);
    RUN_UNTIL(buffer_length(&far_end.received) == BIG);
    RUN_UNTIL(buffer_length(&near_end.received) == 8);
    free(pattern);
}

static void end_of_file_comes_after_the_last_byte(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    assert_int_equal(write_to(&near_end, "last", 4), STREAM_DONE);
    stream_close(&near_end.stream);
    RUN_UNTIL(far_end.ended);
    assert_int_equal(far_end.last, STREAM_END);
    assert_memory_equal(buffer_bytes(&far_end.received), "last", 4);
}

static void reset_is_told_with_its_error(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(
        setsockopt(near_end.stream.descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    stream_close(&near_end.stream);
    RUN_UNTIL(far_end.ended);
    assert_int_equal(far_end.last, STREAM_FAILED);
    assert_int_equal(far_end.stream.error, ECONNRESET);
}

static void failed_write_leaves_the_last_words_readable(void **state)
{
    (void)state;
    open_both(make_socket_pair);
    assert_int_equal(write_to(&far_end, "farewell", 8), STREAM_DONE);
    stream_close(&far_end.stream);
    assert_int_equal(write_to(&near_end, "x", 1), STREAM_FAILED);
    assert_int_equal(near_end.stream.error, EPIPE);
    assert_int_equal(write_to(&near_end, "x", 1), STREAM_FAILED);
    RUN_UNTIL(near_end.ended);
    assert_memory_equal(buffer_bytes(&near_end.received), "farewell", 8);
}

static void check_failed_drain(void (*make_pair)(int pair[2]))
{
    open_both(make_pair);
    uint8_t *pattern = new_pattern(BIG);
    stream_pause(&far_end.stream);
    stream_pause(&near_end.stream);
    assert_int_equal(write_to(&near_end, pattern, BIG), STREAM_BLOCKED);
    assert_int_equal(write_to(&far_end, "farewell", 8), STREAM_DONE);
    run_turns(5);
    assert_int_equal(near_end.readable_calls, 0);
    stream_close(&far_end.stream);
    RUN_UNTIL(near_end.ended);
    assert_int_equal(near_end.drained_calls, 0);
    assert_false(stream_is_blocked(&near_end.stream));
    free(pattern);
}

static void failure_of_kept_bytes_is_told_though_paused(void **state)
{
    (void)state;
    check_failed_drain(make_socket_pair);
}

static void failure_of_kept_bytes_is_told_though_paused_over_tcp(void **state)
{
    (void)state;
    check_failed_drain(make_tcp_pair);
}

/* The far end only stops reading: nothing makes the near end's socket readable. */
static void failure_that_wakes_nobody_is_told(void **state)
{
    (void)state;
    open_both(make_socket_pair);
    uint8_t *pattern = new_pattern(BIG);
    stream_pause(&far_end.stream);
    assert_int_equal(write_to(&near_end, pattern, BIG), STREAM_BLOCKED);
    run_turns(2);
    assert_int_equal(write_to(&far_end, "still here", 10), STREAM_DONE);
    assert_int_equal(shutdown(far_end.stream.descriptor, SHUT_RD), 0);
    uint8_t rest[65536];
    while (recv(far_end.stream.descriptor, rest, sizeof(rest), MSG_DONTWAIT) > 0) {
        /* makes room, so that the near end tries again */
    }
    RUN_UNTIL(near_end.ended);
    assert_int_equal(near_end.last, STREAM_FAILED);
    assert_int_equal(near_end.stream.error, EPIPE);
    assert_memory_equal(buffer_bytes(&near_end.received), "still here", 10);
    free(pattern);
}

static int connect_to(const struct address *address)
{
    struct stream_options options = {0};
    near_end.in_write = true; /* on_connected must not be called from within */
    int error = stream_connect(&near_end.stream, loop, address, &options, &handler);
    near_end.in_write = false;
    return error;
}

static void connection_is_told_later_and_works(void **state)
{
    (void)state;
    struct address address;
    int listener = make_listener(&address);
    assert_int_equal(connect_to(&address), 0);
    assert_false(stream_is_blocked(&near_end.stream));
    assert_int_equal(near_end.connected_calls, 0);
    RUN_UNTIL(near_end.connected_calls == 1);
    assert_int_equal(near_end.connect_error, 0);
    int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    stream_open(&far_end.stream, loop, accepted, &handler);
    assert_int_equal(write_to(&near_end, "ping", 4), STREAM_DONE);
    assert_int_equal(write_to(&far_end, "pong", 4), STREAM_DONE);
    RUN_UNTIL(buffer_length(&far_end.received) == 4 && buffer_length(&near_end.received) == 4);
    assert_int_equal(near_end.connected_calls, 1);
    assert_int_equal(near_end.drained_calls, 0);
    close(listener);
}

static void unix_connection_is_told_later_too(void **state)
{
    (void)state;
    struct address address;
    char folder[64];
    snprintf(folder, sizeof(folder), "@pgsluice-test-%d", (int)getpid());
    assert_true(address_unix(folder, 1, &address));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, &address.any, address.length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect_to(&address), 0);
    assert_int_equal(near_end.connected_calls, 0);
    RUN_UNTIL(near_end.connected_calls == 1);
    assert_int_equal(near_end.connect_error, 0);
    close(listener);
    stream_close(&near_end.stream);
    assert_int_equal(connect_to(&address), ECONNREFUSED);
    assert_false(stream_is_open(&near_end.stream));
}

static void refused_connection_is_told(void **state)
{
    (void)state;
    struct address address;
    close(make_listener(&address));
    int error = connect_to(&address);
    if (error == 0) {
        RUN_UNTIL(near_end.connected_calls == 1);
        error = near_end.connect_error;
        run_turns(3);
        assert_int_equal(near_end.connected_calls, 1);
    }
    assert_int_equal(error, ECONNREFUSED);
    assert_int_equal(near_end.readable_calls, 0);
}

static void connecting_stream_can_be_closed(void **state)
{
    (void)state;
    struct address address;
    int listener = make_listener(&address);
    assert_int_equal(connect_to(&address), 0);
    stream_close(&near_end.stream);
    run_turns(3);
    assert_int_equal(near_end.connected_calls, 0);
    close(listener);
}

static void quiet_means_open_and_nothing_to_read(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    stream_pause(&far_end.stream);
    assert_true(stream_is_quiet(&far_end.stream));
    assert_int_equal(write_to(&near_end, "x", 1), STREAM_DONE);
    assert_false(stream_is_quiet(&far_end.stream));
    assert_true(stream_is_quiet(&near_end.stream));
    stream_close(&far_end.stream);
    assert_false(stream_is_quiet(&near_end.stream));
}

static int option_of(const struct end *end, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);
    assert_int_equal(getsockopt(end->stream.descriptor, level, option, &value, &size), 0);
    return value;
}

static void options_reach_tcp_sockets(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    struct stream_options options = {.keepalive = true,
                                     .keepalive_idle = 1500 * CLOCK_MILLISECOND,
                                     .keepalive_interval = 7 * CLOCK_SECOND,
                                     .keepalive_count = 4,
                                     .user_timeout = 2500};
    stream_set_options(near_end.stream.descriptor, &options);
    assert_int_equal(option_of(&near_end, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(&near_end, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(&near_end, IPPROTO_TCP, TCP_KEEPIDLE), 2);
    assert_int_equal(option_of(&near_end, IPPROTO_TCP, TCP_KEEPINTVL), 7);
    assert_int_equal(option_of(&near_end, IPPROTO_TCP, TCP_KEEPCNT), 4);
    assert_int_equal(option_of(&near_end, IPPROTO_TCP, TCP_USER_TIMEOUT), 3);
    assert_int_equal(option_of(&far_end, SOL_SOCKET, SO_KEEPALIVE), 0);
}

/*
 * Moving: the near end wanders between two loops, each on its own thread, while it has bytes kept
 * for the far end, which the test's thread reads.
 */
struct move {
    struct mailbox_message message;
    struct loop *loops[2];
    int side;
    int moves_left;
    bool drained; /* written and read on the near end's threads, then after they were joined */
};

static struct move move;
static struct end *const moving = &near_end;

static void on_moving_drained(struct stream *stream)
{
    loop_assert_owner(stream->loop);
    check(!move.drained && moving->stream.paused);
    move.drained = true;
    loop_stop(move.loops[0]);
    loop_stop(move.loops[1]);
}

static const struct stream_handler moving_handler = {on_readable, on_moving_drained, NULL};

static void arrive(struct mailbox_message *message)
{
    (void)message;
    struct loop *here = move.loops[move.side];
    stream_attach(&moving->stream, here);
    if (move.moves_left-- > 0) {
        check(stream_is_blocked(&moving->stream));
        stream_detach(&moving->stream);
        move.side = 1 - move.side;
        mailbox_post(move.loops[move.side], &move.message);
    }
}

static void *run_own_loop(void *own)
{
    loop_run(own);
    return NULL;
}

static void read_exactly(int descriptor, uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(descriptor, bytes + done, size - done);
        check(got > 0);
        done += (size_t)got;
    }
}

static void kept_bytes_and_pause_move_between_threads(void **state)
{
    (void)state;
    int pair[2];
    make_tcp_pair(pair);
    uint8_t *pattern = new_pattern(BIG);
    uint8_t *received = memory_zeroed(BIG);
    assert_int_equal(fcntl(pair[1], F_SETFL, 0), 0);
    stream_open(&moving->stream, loop, pair[0], &moving_handler);
    stream_pause(&moving->stream);
    assert_int_equal(write(pair[1], "unread", 6), 6);
    assert_int_equal(stream_write(&moving->stream, pattern, BIG), STREAM_BLOCKED);
    stream_detach(&moving->stream);
    assert_null(moving->stream.loop);
    assert_true(stream_is_blocked(&moving->stream));

    pthread_t threads[2];
    move = (struct move){.message.deliver = arrive, .moves_left = 101};
    for (int i = 0; i < 2; i++) {
        move.loops[i] = loop_new("side");
        assert_int_equal(pthread_create(&threads[i], NULL, run_own_loop, move.loops[i]), 0);
    }
    mailbox_post(move.loops[0], &move.message);
    read_exactly(pair[1], received, 1000);
    usleep(20000); /* most moves happen before the rest is read */
    read_exactly(pair[1], received + 1000, BIG - 1000);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_memory_equal(received, pattern, BIG);
    assert_true(move.drained);
    assert_int_equal(move.moves_left, -1);
    assert_int_equal(moving->readable_calls, 0);

    stream_detach(&moving->stream);
    stream_resume(&moving->stream); /* while detached: takes effect at the attachment */
    stream_attach(&moving->stream, loop);
    RUN_UNTIL(buffer_length(&moving->received) == 6);
    stream_close(&moving->stream);
    loop_free(move.loops[0]);
    loop_free(move.loops[1]);
    close(pair[1]);
    free(pattern);
    free(received);
}

static void detached_stream_can_be_closed(void **state)
{
    (void)state;
    open_both(make_tcp_pair);
    uint8_t *pattern = new_pattern(BIG);
    stream_pause(&far_end.stream);
    assert_int_equal(write_to(&near_end, pattern, BIG), STREAM_BLOCKED);
    stream_detach(&near_end.stream);
    stream_close(&near_end.stream);
    stream_resume(&far_end.stream);
    RUN_UNTIL(far_end.ended);
    free(pattern);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(zeroed_stream_is_closed),
        TEST(small_writes_pass_at_once),
        TEST(kept_bytes_follow_in_order_over_unix_socket),
        TEST(kept_bytes_follow_in_order_over_tcp),
        TEST(vector_that_is_cut_anywhere_stays_whole),
        TEST(paused_stream_reads_nothing),
        TEST(pause_within_the_handler_holds),
        TEST(paused_stream_still_drains),
        TEST(blocked_stream_still_reads),
        TEST(end_of_file_comes_after_the_last_byte),
        TEST(reset_is_told_with_its_error),
        TEST(failed_write_leaves_the_last_words_readable),
        TEST(failure_of_kept_bytes_is_told_though_paused),
        TEST(failure_of_kept_bytes_is_told_though_paused_over_tcp),
        TEST(failure_that_wakes_nobody_is_told),
        TEST(connection_is_told_later_and_works),
        TEST(unix_connection_is_told_later_too),
        TEST(refused_connection_is_told),
        TEST(connecting_stream_can_be_closed),
        TEST(quiet_means_open_and_nothing_to_read),
        TEST(options_reach_tcp_sockets),
        TEST(kept_bytes_and_pause_move_between_threads),
        TEST(detached_stream_can_be_closed),
    };
    alarm(60);
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
