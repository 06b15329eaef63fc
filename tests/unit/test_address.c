/* test_address.c: exercises io/address.c: numeric and Unix addresses, to and from text. */
#include "io/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void numeric_addresses_survive_a_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned port;
        int family;
        const char *wanted;
        const char *host;
    } cases[] = {
        {"10.0.0.1", 5432, AF_INET, "10.0.0.1:5432", "10.0.0.1"},
        {"0.0.0.0", 0, AF_INET, "0.0.0.0:0", "0.0.0.0"},
        {"::1", 65535, AF_INET6, "[::1]:65535", "::1"},
        {"2001:DB8::0:1", 6432, AF_INET6, "[2001:db8::1]:6432", "2001:db8::1"},
        {"::ffff:10.0.0.1", 1, AF_INET6, "[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct address address;
        char text[ADDRESS_TEXT_SIZE];
        assert_true(address_parse_numeric(cases[i].text, cases[i].port, &address));
        assert_int_equal(address.any.sa_family, cases[i].family);
        assert_int_equal(address_port(&address), cases[i].port);
        address_format(&address, text);
        assert_string_equal(text, cases[i].wanted);
        address_format_host(&address, text);
        assert_string_equal(text, cases[i].host);
    }
}

static void names_are_not_numeric(void **state)
{
    (void)state;
    static const char *const names[] = {"",  "localhost",  "db.example", "10.1",
                                        "1", "0x7f.1",     "10.0.0.1 ",  "1::2::3",
                                        ":", "10.0.0.256", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct address address;
        assert_false(address_parse_numeric(names[i], 5432, &address));
    }
}

static void unix_address_is_a_file_in_the_folder(void **state)
{
    (void)state;
    struct address address;
    char text[ADDRESS_TEXT_SIZE];
    assert_true(address_unix("/run/postgresql", 5432, &address));
    assert_string_equal(address.local.sun_path, "/run/postgresql/.s.PGSQL.5432");
    assert_int_equal(address_port(&address), 0);
    address_format(&address, text);
    assert_string_equal(text, "unix:/run/postgresql/.s.PGSQL.5432");
}

static void abstract_unix_address_has_no_file(void **state)
{
    (void)state;
    struct address address;
    char text[ADDRESS_TEXT_SIZE];
    assert_true(address_unix("@pgsluice", 1, &address));
    assert_int_equal(address.local.sun_path[0], '\0');
    address_format(&address, text);
    assert_string_equal(text, "unix:@pgsluice/.s.PGSQL.1");
}

static void too_long_unix_address_is_refused(void **state)
{
    (void)state;
    struct address address;
    char text[ADDRESS_TEXT_SIZE];
    char folder[108] = "/";
    size_t fits = sizeof(address.local.sun_path) - strlen("/.s.PGSQL.1") - 1;
    memset(folder + 1, 'a', fits - 1);
    assert_true(address_unix(folder, 1, &address));
    address_format(&address, text);
    assert_int_equal(strlen(text), strlen("unix:") + sizeof(address.local.sun_path) - 1);
    folder[fits] = 'a';
    assert_false(address_unix(folder, 1, &address));
}

static void nameless_unix_peer_has_a_text(void **state)
{
    (void)state;
    struct address address = {.length = sizeof(sa_family_t), .any.sa_family = AF_UNIX};
    char text[ADDRESS_TEXT_SIZE];
    address_format(&address, text);
    assert_string_equal(text, "unix");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numeric_addresses_survive_a_round_trip),
        cmocka_unit_test(names_are_not_numeric),
        cmocka_unit_test(unix_address_is_a_file_in_the_folder),
        cmocka_unit_test(abstract_unix_address_has_no_file),
        cmocka_unit_test(too_long_unix_address_is_refused),
        cmocka_unit_test(nameless_unix_peer_has_a_text),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
