/*
 * test_startup.c: the first packet of a connection, and the parameter `options` (pg/startup). What
 * is right and wrong was tried against PostgreSQL 15.
 */
#include "pg/startup.h"

#include "pg_bytes.h"

#include <string.h>

#define parse(literal, startup) startup_parse(BYTES(literal), LENGTH(literal), startup)

#define assert_bad(literal)                                                                        \
    do {                                                                                           \
        struct startup bad;                                                                        \
        parse(literal, &bad);                                                                      \
        assert_int_equal(bad.kind, STARTUP_BAD);                                                   \
        assert_non_null(bad.problem);                                                              \
        assert_int_equal(bad.parameters.count, 0);                                                 \
        assert_null(bad.parameters.items);                                                         \
    } while (0)

#define LOGIN "\0\0\0\x21\0\3\0\0user\0alice\0database\0app\0\0"

static void login_has_its_parameters(void **state)
{
    struct startup startup;

    (void)state;
    parse(LOGIN "next", &startup);
    assert_int_equal(startup.kind, STARTUP_LOGIN);
    assert_int_equal(startup.size, LENGTH(LOGIN));
    assert_int_equal(startup.minor, 0);
    assert_int_equal(startup.parameters.count, 2);
    assert_string_equal(pairs_find(&startup.parameters, "user"), "alice");
    assert_string_equal(pairs_find(&startup.parameters, "database"), "app");
    assert_false(startup.unknown_protocol_options);
    pairs_clear(&startup.parameters);
}

static void trickling_packet_waits(void **state)
{
    (void)state;
    for (size_t length = 0; length < LENGTH(LOGIN); length++) {
        struct startup startup;
        startup_parse(BYTES(LOGIN), length, &startup);
        assert_int_equal(startup.kind, STARTUP_MORE);
        assert_int_equal(startup.size, 0);
    }
}

static void length_is_bounded_before_the_packet_is_there(void **state)
{
    struct startup startup;

    (void)state;
    assert_bad("\0\0\0\0");
    assert_bad("\0\0\0\7");
    assert_bad("\0\0\x27\x11"); /* 10,001 */
    assert_bad("\xff\xff\xff\xff");
    assert_bad("GET / HTTP/1.1\r\n");
    assert_bad("\x16\x03\x01\x02\x00\x01"); /* TLS without SSLRequest */
    parse("\0\0\x27\x10", &startup);        /* 10,000 */
    assert_int_equal(startup.kind, STARTUP_MORE);
}

static void largest_packet_is_read(void **state)
{
    uint8_t bytes[STARTUP_MAX_SIZE] = "\0\0\x27\x10\0\3\0\0user";
    struct startup startup;

    (void)state;
    memset(bytes + 13, 'x', sizeof bytes - 13 - 2);
    startup_parse(bytes, sizeof bytes, &startup);
    assert_int_equal(startup.kind, STARTUP_LOGIN);
    assert_int_equal(strlen(pairs_find(&startup.parameters, "user")), sizeof bytes - 13 - 2);
    pairs_clear(&startup.parameters);
}

static void layout_of_a_login_is_checked(void **state)
{
    struct startup startup;

    (void)state;
    assert_bad("\0\0\0\x08\0\3\0\0");             /* no terminator */
    assert_bad("\0\0\0\x0f\0\3\0\0user\0a\0");    /* no terminator after a pair */
    assert_bad("\0\0\0\x0e\0\3\0\0user\0a");      /* value without its zero byte */
    assert_bad("\0\0\0\x0e\0\3\0\0user\0\0");     /* the value is the terminator: no end */
    assert_bad("\0\0\0\x0d\0\3\0\0user\0");       /* name without a value */
    assert_bad("\0\0\0\x0c\0\3\0\0user");         /* name without its zero byte */
    assert_bad("\0\0\0\x11\0\3\0\0user\0a\0\0a"); /* a byte after the terminator */
    assert_bad("\0\0\0\x0a\0\3\0\0\0\0");         /* two terminators */

    parse("\0\0\0\x09\0\3\0\0\0", &startup); /* nobody: for the caller to refuse */
    assert_int_equal(startup.kind, STARTUP_LOGIN);
    assert_null(pairs_find(&startup.parameters, "user"));
    parse("\0\0\0\x0f\0\3\0\0user\0\0\0", &startup); /* an empty value */
    assert_int_equal(startup.kind, STARTUP_LOGIN);
    assert_string_equal(pairs_find(&startup.parameters, "user"), "");
    pairs_clear(&startup.parameters);
}

static void only_version_3_is_spoken(void **state)
{
    struct startup startup;

    (void)state;
    assert_bad("\0\0\0\x09\0\2\0\0\0");
    assert_bad("\0\0\0\x09\0\4\0\0\0");
    assert_bad("\0\0\0\x09\x04\xd2\x16\x31\0"); /* an unknown request code, 1234.5681 */
    parse("\0\0\0\x09\0\3\0\2\0", &startup);
    assert_int_equal(startup.kind, STARTUP_LOGIN);
    assert_int_equal(startup.minor, 2);
    parse("\0\0\0\x09\0\3\x27\x0f\0", &startup); /* libpq's test of negotiation, 3.9999 */
    assert_int_equal(startup.minor, 9999);
}

/* The answer is PostgreSQL 15's to the same packet. */
static void protocol_options_are_negotiated_away(void **state)
{
    const char packet[] = "\0\0\0\x26\0\3\x27\x0f"
                          "user\0a\0_pq_.foo\0bar\0_pq_.x\0"
                          "1\0\0";
    struct startup startup;
    struct buffer buffer = {0};

    (void)state;
    parse(packet, &startup);
    assert_int_equal(startup.kind, STARTUP_LOGIN);
    assert_true(startup.unknown_protocol_options);
    assert_int_equal(startup.parameters.count, 1);
    pairs_clear(&startup.parameters);
    startup_write_negotiation(&buffer, BYTES(packet), startup.size, 0);
    assert_wrote(&buffer, "v\0\0\0\x1c\0\3\0\0\0\0\0\2_pq_.foo\0_pq_.x\0");
    startup_write_negotiation(&buffer, BYTES(LOGIN), LENGTH(LOGIN), 2);
    assert_wrote(&buffer, "v\0\0\0\x0c\0\3\0\2\0\0\0\0");
    buffer_release(&buffer);
}

static void encryption_requests(void **state)
{
    struct startup startup;

    (void)state;
    parse("\0\0\0\x08\x04\xd2\x16\x2f", &startup);
    assert_int_equal(startup.kind, STARTUP_SSL);
    assert_int_equal(startup.size, 8);
    parse("\0\0\0\x08\x04\xd2\x16\x30rest", &startup);
    assert_int_equal(startup.kind, STARTUP_GSSENC);
    assert_int_equal(startup.size, 8);
    assert_bad("\0\0\0\x09\x04\xd2\x16\x2f\0");
    assert_bad("\0\0\0\x09\x04\xd2\x16\x30\0");
}

static void cancel_request_has_process_and_key(void **state)
{
    const char packet[] = "\0\0\0\x10\x04\xd2\x16\x2e\x01\x02\x03\x04\xff\xfe\xfd\xfc";
    struct startup startup;

    (void)state;
    parse(packet, &startup);
    assert_int_equal(startup.kind, STARTUP_CANCEL);
    assert_int_equal(startup.size, 16);
    assert_int_equal(startup.cancel_pid, 0x01020304);
    assert_int_equal(startup.cancel_key_length, 4);
    assert_ptr_equal(startup.cancel_key, BYTES(packet) + 12);
    assert_bad("\0\0\0\x08\x04\xd2\x16\x2e");
    assert_bad("\0\0\0\x0c\x04\xd2\x16\x2e\x01\x02\x03\x04");
    assert_bad("\0\0\0\x0f\x04\xd2\x16\x2e\x01\x02\x03\x04\xff\xfe\xfd");
}

static void cancel_keys_have_4_to_256_bytes(void **state)
{
    uint8_t packet[12 + 257] = "\0\0\1\x0c\x04\xd2\x16\x2e";
    struct startup startup;

    (void)state;
    startup_parse(packet, 12 + 256, &startup);
    assert_int_equal(startup.kind, STARTUP_CANCEL);
    assert_int_equal(startup.cancel_key_length, 256);
    packet[3]++;
    startup_parse(packet, 12 + 257, &startup);
    assert_int_equal(startup.kind, STARTUP_BAD);
}

static void packets_are_written(void **state)
{
    struct buffer buffer = {0};
    struct pairs parameters = {0};

    (void)state;
    pairs_add(&parameters, "user", "alice");
    pairs_add(&parameters, "database", "app");
    startup_write_login(&buffer, &parameters);
    assert_wrote(&buffer, LOGIN);
    startup_write_cancel(&buffer, 0x01020304, BYTES("12345"), 5);
    assert_wrote(&buffer, "\0\0\0\x11\x04\xd2\x16\x2e\x01\x02\x03\x04"
                          "12345");
    pairs_clear(&parameters);
    buffer_release(&buffer);
}

static void assert_option(const char *options, const char *name, const char *value)
{
    struct pairs pairs = {0};
    const char *problem = NULL;

    assert_true(startup_split_options(options, &pairs, &problem));
    assert_int_equal(pairs.count, 1);
    assert_string_equal(pairs.items[0].name, name);
    assert_string_equal(pairs.items[0].value, value);
    pairs_clear(&pairs);
}

static void options_are_split(void **state)
{
    (void)state;
    assert_option("-c work_mem=1MB", "work_mem", "1MB");
    assert_option("-cwork_mem=1MB", "work_mem", "1MB");
    assert_option("--work_mem=1MB", "work_mem", "1MB");
    assert_option("  -c\t\n work_mem=1MB  ", "work_mem", "1MB");
    assert_option("--work-mem=a-b=c", "work_mem", "a-b=c");
    assert_option("-c work-mem=1MB", "work_mem", "1MB"); /* PostgreSQL does it here too */
    assert_option("-c a=", "a", "");
    assert_option("-c search_path=a,\\ b", "search_path", "a, b");
    assert_option("-c a=\\\\", "a", "\\");
    assert_option("-c a=b\\c\\", "a", "bc"); /* a backslash at the end is lost */
    assert_option("-c A.b=1 --a.B=2", "A.b", "2");
    assert_option("-c \\-a=1", "_a", "1");
}

static void several_options_and_none(void **state)
{
    struct pairs pairs = {0};
    const char *problem = NULL;

    (void)state;
    assert_true(startup_split_options("", &pairs, &problem));
    assert_true(startup_split_options(" \t ", &pairs, &problem));
    assert_int_equal(pairs.count, 0);
    assert_true(startup_split_options("-c a=1 --b=2 -cc=3", &pairs, &problem));
    assert_int_equal(pairs.count, 3);
    assert_string_equal(pairs_find(&pairs, "a"), "1");
    assert_string_equal(pairs_find(&pairs, "b"), "2");
    assert_string_equal(pairs_find(&pairs, "c"), "3");
    assert_null(problem);
    pairs_clear(&pairs);
}

static void other_options_are_refused(void **state)
{
    static const char *const wrong[] = {
        "-c", "-c ", "-c a", "-c =1",   "--a", "--",          "--=1",      "-d 5",
        "-",  "a=1", "-e",   "-ec a=1", "\\",  "-c a=1 -f s", "-\\ c a=1", "- c a=1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct pairs pairs = {0};
        const char *problem = NULL;
        assert_false(startup_split_options(wrong[i], &pairs, &problem));
        assert_non_null(problem);
        pairs_clear(&pairs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(login_has_its_parameters),
        cmocka_unit_test(trickling_packet_waits),
        cmocka_unit_test(length_is_bounded_before_the_packet_is_there),
        cmocka_unit_test(largest_packet_is_read),
        cmocka_unit_test(layout_of_a_login_is_checked),
        cmocka_unit_test(only_version_3_is_spoken),
        cmocka_unit_test(protocol_options_are_negotiated_away),
        cmocka_unit_test(encryption_requests),
        cmocka_unit_test(cancel_request_has_process_and_key),
        cmocka_unit_test(cancel_keys_have_4_to_256_bytes),
        cmocka_unit_test(packets_are_written),
        cmocka_unit_test(options_are_split),
        cmocka_unit_test(several_options_and_none),
        cmocka_unit_test(other_options_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
