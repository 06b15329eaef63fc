/*
 * test_listener.c: exercises io/listener.c and listener_socket.c: TCP and Unix sockets, what
 * accepted descriptors are like, pauses, adopted descriptors, stale and living files of Unix
 * sockets, and clients that come when descriptors have run out.
 */
#include "base/check.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 200

static struct loop *loop;
static struct listener *listener;
static int accepted[MANY];
static int accepted_count;
static int refused_count;
static struct address last_peer;
static bool close_on_accept;
static char folder[] = "/tmp/pgsluice-test-XXXXXX";
static char context_word[] = "context";

static void on_accept(int descriptor, const struct address *peer, void *context)
{
    check(context == context_word && accepted_count < MANY);
    accepted[accepted_count++] = descriptor;
    last_peer = *peer;
    if (close_on_accept) {
        listener_close(listener);
        listener = NULL;
    }
}

static void on_refuse(int descriptor, const struct address *peer, void *context)
{
    check(context == context_word && peer->length > 0);
    check(send(descriptor, "no", 2, MSG_NOSIGNAL) == 2);
    close(descriptor);
    refused_count++;
}

static const struct listener_handler handler = {on_accept, on_refuse};
static const struct stream_options options = {
    .keepalive = true, .keepalive_idle = 9 * CLOCK_SECOND, .user_timeout = 5 * CLOCK_SECOND};

static void stop_loop(struct mailbox_message *message)
{
    (void)message;
    loop_stop(loop);
}

static void run_turns(int count)
{
    for (int i = 0; i < count; i++) {
        struct mailbox_message message = {.deliver = stop_loop};
        mailbox_post(loop, &message);
        loop_run(loop);
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
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    check(mkdtemp(folder) != NULL);
    loop = loop_new("test");
    accepted_count = 0;
    refused_count = 0;
    close_on_accept = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < accepted_count; i++) {
        close(accepted[i]);
    }
    if (listener != NULL) {
        listener_close(listener);
        listener = NULL;
    }
    loop_free(loop);
    check(rmdir(folder) == 0); /* nothing is left behind */
    return 0;
}

static int open_at(const struct address *address)
{
    int error = 0;
    listener = listener_open(loop, address, &options, &handler, context_word, &error);
    assert_true((listener == NULL) == (error != 0));
    return error;
}

static struct address tcp_address(const char *host)
{
    struct address address;
    assert_true(address_parse_numeric(host, 0, &address));
    return address;
}

static struct address unix_address(void)
{
    struct address address;
    assert_true(address_unix(folder, 6432, &address));
    return address;
}

static int client_of(const struct address *address)
{
    int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(connect(descriptor, &address->any, address->length), 0);
    return descriptor;
}

static int option_of(int descriptor, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);
    assert_int_equal(getsockopt(descriptor, level, option, &value, &size), 0);
    return value;
}

static void tcp_clients_are_accepted_with_the_options(void **state)
{
    (void)state;
    struct address address = tcp_address("127.0.0.1");
    assert_int_equal(open_at(&address), 0);
    assert_int_not_equal(address_port(listener_address(listener)), 0);
    int client = client_of(listener_address(listener));
    RUN_UNTIL(accepted_count == 1);
    int descriptor = accepted[0];
    assert_true((fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(option_of(descriptor, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(descriptor, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(descriptor, IPPROTO_TCP, TCP_KEEPIDLE), 9);
    assert_int_equal(option_of(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
    struct address own = {.length = sizeof(own.storage)};
    assert_int_equal(getsockname(client, &own.any, &own.length), 0);
    assert_int_equal(address_port(&last_peer), address_port(&own));
    close(client);
}

static void ipv6_leaves_ipv4_alone(void **state)
{
    (void)state;
    struct address address = tcp_address("::1");
    int error = open_at(&address);
    if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT) {
        skip(); /* a machine without IPv6 */
    }
    assert_int_equal(error, 0);
    assert_int_equal(option_of(listener_descriptor(listener), IPPROTO_IPV6, IPV6_V6ONLY), 1);
    int client = client_of(listener_address(listener));
    RUN_UNTIL(accepted_count == 1);
    close(client);
}

static void taken_port_is_an_error(void **state)
{
    (void)state;
    struct address address = tcp_address("127.0.0.1");
    assert_int_equal(open_at(&address), 0);
    int error = 0;
    assert_null(
        listener_open(loop, listener_address(listener), &options, &handler, context_word, &error));
    assert_int_equal(error, EADDRINUSE);
}

static void burst_of_clients_is_accepted(void **state)
{
    (void)state;
    struct address address = tcp_address("127.0.0.1");
    assert_int_equal(open_at(&address), 0);
    int clients[MANY];
    for (int i = 0; i < MANY; i++) {
        clients[i] = client_of(listener_address(listener));
    }
    run_turns(1);
    assert_in_range(accepted_count, 1, MANY - 1); /* others have their turn */
    RUN_UNTIL(accepted_count == MANY);
    for (int i = 0; i < MANY; i++) {
        close(clients[i]);
    }
}

static void paused_listener_lets_clients_wait(void **state)
{
    (void)state;
    struct address address = tcp_address("127.0.0.1");
    assert_int_equal(open_at(&address), 0);
    listener_pause(listener);
    int client = client_of(listener_address(listener));
    run_turns(10);
    assert_int_equal(accepted_count, 0);
    listener_resume(listener);
    RUN_UNTIL(accepted_count == 1);
    close(client);
}

static void listener_can_be_closed_by_its_handler(void **state)
{
    (void)state;
    struct address address = tcp_address("127.0.0.1");
    assert_int_equal(open_at(&address), 0);
    close_on_accept = true;
    int first = client_of(listener_address(listener));
    int second = client_of(listener_address(listener));
    RUN_UNTIL(accepted_count == 1);
    run_turns(3);
    assert_int_equal(accepted_count, 1);
    close(first);
    close(second);
}

static void unix_socket_is_open_to_all_and_removed(void **state)
{
    (void)state;
    struct address address = unix_address();
    struct stat status;
    assert_int_equal(open_at(&address), 0);
    assert_int_equal(stat(address.local.sun_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0777);
    int client = client_of(&address);
    RUN_UNTIL(accepted_count == 1);
    assert_int_equal(last_peer.any.sa_family, AF_UNIX);
    close(client);
    listener_close(listener);
    listener = NULL;
    assert_int_equal(stat(address.local.sun_path, &status), -1);
}

static void stale_unix_socket_is_replaced(void **state)
{
    (void)state;
    struct address address = unix_address();
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dead, &address.any, address.length), 0);
    assert_int_equal(listen(dead, 1), 0);
    close(dead); /* its file stays */
    assert_int_equal(open_at(&address), 0);
    int client = client_of(&address);
    RUN_UNTIL(accepted_count == 1);
    close(client);
}

static void living_unix_socket_is_left_alone(void **state)
{
    (void)state;
    struct address address = unix_address();
    assert_int_equal(open_at(&address), 0);
    int error = 0;
    assert_null(listener_open(loop, &address, &options, &handler, context_word, &error));
    assert_int_equal(error, EADDRINUSE);
    RUN_UNTIL(accepted_count == 1); /* the question whether somebody answers */
    int client = client_of(&address);
    RUN_UNTIL(accepted_count == 2);
    close(client);
}

static void file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    struct address address = unix_address();
    int file = open(address.local.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(open_at(&address), EADDRINUSE);
    assert_int_equal(unlink(address.local.sun_path), 0);
}

static void successors_unix_socket_survives_the_close(void **state)
{
    (void)state;
    struct address address = unix_address();
    assert_int_equal(open_at(&address), 0);
    /* The successor's file is made before the old one goes: else it could get the same inode. */
    struct address aside;
    assert_true(address_unix(folder, 1, &aside));
    int successor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(successor, &aside.any, aside.length), 0);
    assert_int_equal(rename(aside.local.sun_path, address.local.sun_path), 0);
    listener_close(listener);
    listener = NULL;
    struct stat status;
    assert_int_equal(stat(address.local.sun_path, &status), 0);
    close(successor);
    assert_int_equal(unlink(address.local.sun_path), 0);
}

static void missing_folder_is_an_error(void **state)
{
    (void)state;
    struct address address;
    assert_true(address_unix("/nowhere/at/all", 6432, &address));
    assert_int_equal(open_at(&address), ENOENT);
}

static void inherited_descriptor_can_be_adopted(void **state)
{
    (void)state;
    struct address address = unix_address();
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    int error = 0;
    assert_int_equal(bind(descriptor, &address.any, address.length), 0);
    assert_null(listener_adopt(loop, descriptor, &options, &handler, context_word, &error));
    assert_int_equal(error, EINVAL); /* it does not listen yet */
    assert_int_equal(listen(descriptor, 5), 0);
    listener = listener_adopt(loop, descriptor, &options, &handler, context_word, &error);
    assert_non_null(listener);
    assert_true((fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    assert_string_equal(listener_address(listener)->local.sun_path, address.local.sun_path);
    int client = client_of(&address);
    RUN_UNTIL(accepted_count == 1);
    close(client);
    listener_close(listener);
    listener = NULL;
    assert_int_equal(unlink(address.local.sun_path), 0); /* it was not the listener's to remove */
}

static void client_without_a_descriptor_is_told(void **state)
{
    (void)state;
    struct address address = tcp_address("127.0.0.1");
    assert_int_equal(open_at(&address), 0);
    int clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = client_of(listener_address(listener));
    }
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest_free = dup(STDERR_FILENO);
    close(lowest_free);
    struct rlimit low = {.rlim_cur = (rlim_t)lowest_free + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    RUN_UNTIL(refused_count == 2);
    assert_int_equal(accepted_count, 1); /* it got the last descriptor */
    for (int i = 1; i < 3; i++) {
        char bytes[3];
        assert_int_equal(recv(clients[i], bytes, sizeof(bytes), MSG_WAITALL), 2);
        assert_memory_equal(bytes, "no", 2);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    int late = client_of(listener_address(listener));
    RUN_UNTIL(accepted_count == 2); /* and the spare one was won back */
    close(late);
    for (int i = 0; i < 3; i++) {
        close(clients[i]);
    }
}

/* The limit falls below what is open: even the spare descriptor's place is gone. */
static void clients_wait_where_even_the_spare_is_lost(void **state)
{
    (void)state;
    struct address address = tcp_address("127.0.0.1");
    assert_int_equal(open_at(&address), 0);
    int client = client_of(listener_address(listener));
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    int standard_error = dup(STDERR_FILENO);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDERR_FILENO); /* a warning is expected */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    run_turns(20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    close(nowhere);
    assert_int_equal(accepted_count + refused_count, 0);
    RUN_UNTIL(accepted_count == 1); /* after a rest */
    close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tcp_clients_are_accepted_with_the_options),
        TEST(ipv6_leaves_ipv4_alone),
        TEST(taken_port_is_an_error),
        TEST(burst_of_clients_is_accepted),
        TEST(paused_listener_lets_clients_wait),
        TEST(listener_can_be_closed_by_its_handler),
        TEST(unix_socket_is_open_to_all_and_removed),
        TEST(stale_unix_socket_is_replaced),
        TEST(living_unix_socket_is_left_alone),
        TEST(file_that_is_no_socket_is_left_alone),
        TEST(successors_unix_socket_survives_the_close),
        TEST(missing_folder_is_an_error),
        TEST(inherited_descriptor_can_be_adopted),
        TEST(client_without_a_descriptor_is_told),
        TEST(clients_wait_where_even_the_spare_is_lost),
    };
    alarm(60);
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
