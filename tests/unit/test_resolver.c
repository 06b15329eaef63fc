/*
 * test_resolver.c: exercises io/resolver.c with a hosts file and a resolv.conf of its own and a
 * small DNS server on the same loop: what is answered at once, files and answers that change,
 * names that are not known, and lookups that are cancelled.
 */
#include "base/check.h"
#include "io/loop.h"
#include "io/resolver.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What a lookup told. */
struct answer {
    int calls;
    char text[256]; /* addresses, or "problem: " and why */
};

struct dns_server {
    struct evdns_server_port *port;
    int descriptor;
    unsigned number;     /* its UDP port */
    const char *address; /* of db.example */
    int questions;
    bool silent;
};

static struct loop *loop;
static struct resolver *resolver;
static struct answer answer;
static struct dns_server server;
static char folder[] = "/tmp/pgsluice-test-XXXXXX";
static char hosts_path[64];
static char servers_path[64];

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    check(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void on_question(struct evdns_server_request *request, void *unused)
{
    (void)unused;
    server.questions++;
    if (server.silent) {
        evdns_server_request_drop(request);
        return;
    }
    int code = DNS_ERR_NOTEXIST;
    for (int i = 0; i < request->nquestions; i++) {
        const struct evdns_server_question *question = request->questions[i];
        if (strcasecmp(question->name, "db.example") == 0) {
            code = DNS_ERR_NONE;
            struct in_addr address;
            inet_pton(AF_INET, server.address, &address);
            if (question->type == EVDNS_TYPE_A) {
                evdns_server_request_add_a_reply(request, question->name, 1, &address.s_addr, 300);
            }
        }
    }
    evdns_server_request_respond(request, code);
}

static void server_start(struct dns_server *dns)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    dns->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    check(bind(dns->descriptor, (struct sockaddr *)&address, length) == 0);
    check(getsockname(dns->descriptor, (struct sockaddr *)&address, &length) == 0);
    dns->number = ntohs(address.sin_port);
    dns->address = "192.0.2.1";
    dns->port =
        evdns_add_server_port_with_base(loop_base(loop), dns->descriptor, 0, on_question, NULL);
    check(dns->port != NULL);
}

static void use_server(const struct dns_server *dns)
{
    char text[64];
    snprintf(text, sizeof(text), "nameserver 127.0.0.1:%u\n", dns->number);
    write_file(servers_path, text);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    check(mkdtemp(folder) != NULL);
    snprintf(hosts_path, sizeof(hosts_path), "%s/hosts", folder);
    snprintf(servers_path, sizeof(servers_path), "%s/resolv.conf", folder);
    write_file(hosts_path, "127.0.0.1 localhost\n10.0.0.7 primary\n");
    loop = loop_new("test");
    server = (struct dns_server){0};
    server_start(&server);
    use_server(&server);
    resolver = resolver_new(loop);
    resolver_set_files(resolver, hosts_path, servers_path);
    answer = (struct answer){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    resolver_free(resolver);
    evdns_close_server_port(server.port);
    close(server.descriptor);
    loop_free(loop);
    unlink(hosts_path);
    unlink(servers_path);
    rmdir(folder);
    return 0;
}

static void on_answer(const struct address *addresses, size_t count, const char *problem,
                      void *context)
{
    struct answer *told = context;
    told->calls++;
    check((count > 0) == (problem == NULL));
    told->text[0] = '\0';
    if (problem != NULL) {
        snprintf(told->text, sizeof(told->text), "problem: %s", problem);
    }
    for (size_t i = 0; i < count; i++) {
        char one[ADDRESS_TEXT_SIZE];
        address_format(&addresses[i], one);
        strcat(strcat(told->text, i > 0 ? " " : ""), one);
    }
    loop_stop(loop);
}

static const char *look_up(const char *name)
{
    answer.calls = 0;
    struct resolver_lookup *lookup = resolver_start(resolver, name, 5432, on_answer, &answer);
    assert_int_equal(answer.calls, lookup == NULL ? 1 : 0);
    loop_run(loop);
    assert_int_equal(answer.calls, 1);
    return answer.text;
}

static void numeric_and_unix_addresses_need_no_question(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"10.1.2.3", "10.1.2.3:5432"},
        {"::1", "[::1]:5432"},
        {"/run/postgresql", "unix:/run/postgresql/.s.PGSQL.5432"},
        {"@abstract", "unix:@abstract/.s.PGSQL.5432"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_null(resolver_start(resolver, cases[i][0], 5432, on_answer, &answer));
        assert_string_equal(answer.text, cases[i][1]);
    }
    char path[200] = "/";
    memset(path + 1, 'a', sizeof(path) - 2);
    path[sizeof(path) - 1] = '\0';
    assert_null(resolver_start(resolver, path, 5432, on_answer, &answer));
    assert_string_equal(answer.text, "problem: Unix-domain socket path is too long");
    assert_int_equal(server.questions, 0);
}

static void hosts_file_comes_before_dns(void **state)
{
    (void)state;
    assert_string_equal(look_up("localhost"), "127.0.0.1:5432");
    assert_string_equal(look_up("primary"), "10.0.0.7:5432");
    assert_int_equal(server.questions, 0);
}

static void changed_hosts_file_is_noticed(void **state)
{
    (void)state;
    assert_string_equal(look_up("primary"), "10.0.0.7:5432");
    write_file(hosts_path, "10.0.0.188 primary # moved\n10.0.0.9 other\n");
    assert_string_equal(look_up("primary"), "10.0.0.188:5432");
    assert_string_equal(look_up("other"), "10.0.0.9:5432");
    /* Replaced by a file of the same size, as editors and container engines do. */
    char other_path[80];
    snprintf(other_path, sizeof(other_path), "%s.new", hosts_path);
    write_file(other_path, "10.0.0.189 primary # moved\n10.0.0.9 other\n");
    assert_int_equal(rename(other_path, hosts_path), 0);
    assert_string_equal(look_up("primary"), "10.0.0.189:5432");
    write_file(hosts_path, "10.0.0.9 other\n");
    assert_string_equal(look_up("primary"), "problem: Name or service not known");
}

static void missing_files_are_no_hindrance(void **state)
{
    (void)state;
    unlink(hosts_path);
    assert_string_equal(look_up("db.example"), "192.0.2.1:5432");
    write_file(hosts_path, "10.0.0.5 late\n");
    assert_string_equal(look_up("late"), "10.0.0.5:5432");
}

static void changed_dns_answer_is_noticed(void **state)
{
    (void)state;
    assert_string_equal(look_up("db.example"), "192.0.2.1:5432");
    server.address = "192.0.2.2"; /* within the first answer's time to live */
    assert_string_equal(look_up("db.example"), "192.0.2.2:5432");
}

static void changed_server_is_noticed(void **state)
{
    (void)state;
    assert_string_equal(look_up("db.example"), "192.0.2.1:5432");
    struct dns_server old = server;
    server = (struct dns_server){0};
    server_start(&server);
    server.address = "192.0.2.3";
    use_server(&server);
    char text[80]; /* another size, too: the port may have as many digits */
    snprintf(text, sizeof(text), "# moved\nnameserver 127.0.0.1:%u\n", server.number);
    write_file(servers_path, text);
    assert_string_equal(look_up("db.example"), "192.0.2.3:5432");
    assert_true(server.questions > 0);
    evdns_close_server_port(old.port);
    close(old.descriptor);
}

static void unknown_name_is_told(void **state)
{
    (void)state;
    assert_string_equal(look_up("nobody.example"), "problem: Name or service not known");
    assert_true(server.questions > 0);
}

static void on_unwanted_answer(const struct address *addresses, size_t count, const char *problem,
                               void *context)
{
    (void)addresses;
    (void)count;
    (void)problem;
    (*(int *)context)++;
}

static void cancelled_lookup_is_silent(void **state)
{
    (void)state;
    int calls = 0;
    struct resolver_lookup *lookup =
        resolver_start(resolver, "db.example", 5432, on_unwanted_answer, &calls);
    assert_non_null(lookup);
    resolver_cancel(lookup);
    assert_string_equal(look_up("db.example"), "192.0.2.1:5432");
    assert_int_equal(calls, 0);
}

static void resolver_goes_with_lookups_under_way(void **state)
{
    (void)state;
    int calls = 0;
    server.silent = true;
    assert_non_null(resolver_start(resolver, "db.example", 5432, on_unwanted_answer, &calls));
    assert_non_null(resolver_start(resolver, "db2.example", 5432, on_unwanted_answer, &calls));
    resolver_free(resolver);
    resolver = resolver_new(loop);
    resolver_set_files(resolver, hosts_path, servers_path);
    server.silent = false;
    assert_string_equal(look_up("db.example"), "192.0.2.1:5432");
    /* This one is still there at tear_down, where no loop runs any more. */
    server.silent = true;
    assert_non_null(resolver_start(resolver, "db.example", 5432, on_unwanted_answer, &calls));
    assert_int_equal(calls, 0);
}

static void free_resolver(const struct address *addresses, size_t count, const char *problem,
                          void *context)
{
    on_answer(addresses, count, problem, context);
    resolver_free(resolver);
    resolver = NULL;
}

static void resolver_can_go_in_its_own_callback(void **state)
{
    (void)state;
    assert_non_null(resolver_start(resolver, "db.example", 5432, free_resolver, &answer));
    loop_run(loop);
    assert_string_equal(answer.text, "192.0.2.1:5432");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numeric_and_unix_addresses_need_no_question),
        TEST(hosts_file_comes_before_dns),
        TEST(changed_hosts_file_is_noticed),
        TEST(missing_files_are_no_hindrance),
        TEST(changed_dns_answer_is_noticed),
        TEST(changed_server_is_noticed),
        TEST(unknown_name_is_told),
        TEST(cancelled_lookup_is_silent),
        TEST(resolver_goes_with_lookups_under_way),
        TEST(resolver_can_go_in_its_own_callback),
    };
    alarm(60);
    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
