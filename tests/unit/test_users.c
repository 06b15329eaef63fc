/* Exercises the user list: its format, its mistakes with their lines, kinds of secrets. */
#include "config/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* Reads a list from text; the caller frees what was said against it. */
static char *read_list(struct users *users, const char *text)
{
    char *told;
    size_t size;
    struct problems problems = {.out = open_memstream(&told, &size)};
    FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    users_read(users, stream, "users.txt", &problems);
    fclose(stream);
    fclose(problems.out);
    return told;
}

static void users_and_secrets_are_read(void **state)
{
    (void)state;
    struct users users = {0};
    char *told = read_list(&users, "; a comment\n# another\n\n"
                                   "  \"bob\"  \"two words\" ; why\n"
                                   "\"alice\" \"say \"\"hi\"\"\"\r\n"
                                   "\"empty\" \"\"");
    assert_string_equal(told, "");
    assert_int_equal(users.count, 3);
    assert_string_equal(users_find(&users, "bob"), "two words");
    assert_string_equal(users_find(&users, "alice"), "say \"hi\"");
    assert_string_equal(users_find(&users, "empty"), "");
    assert_null(users_find(&users, "carol"));
    users_clear(&users);
    free(told);
}

static void bad_lines_are_told_without_their_secrets(void **state)
{
    (void)state;
    struct users users = {0};
    char *told = read_list(&users, "\"bob\" \"s3cret\"\n"
                                   "carol s3cret\n"
                                   "\"dan\"\n"
                                   "\"eve\" \"s3cret\n"
                                   "\"\" \"s3cret\"\n"
                                   "\"fay\" \"s3cret\" more\n"
                                   "\"bob\" \"0ther\"\n");
    assert_string_equal(
        told, "users.txt:2: expected \"user\" \"secret\"\n"
              "users.txt:3: expected \"user\" \"secret\"\n"
              "users.txt:4: expected \"user\" \"secret\"\n"
              "users.txt:5: expected \"user\" \"secret\"\n"
              "users.txt:6: expected \"user\" \"secret\"\n"
              "users.txt:7: expected each user once, got \"bob\" again (first in line 1)\n");
    users_clear(&users);
    free(told);
}

static void kinds_of_secrets_are_known(void **state)
{
    (void)state;
    assert_int_equal(users_secret_kind("SCRAM-SHA-256$4096:c2FsdA==$a:b"), USERS_SCRAM);
    assert_int_equal(users_secret_kind("md50123456789abcdef0123456789abcdef"), USERS_MD5);
    assert_int_equal(users_secret_kind("md5"), USERS_PLAIN);
    assert_int_equal(users_secret_kind("md50123456789ABCDEF0123456789abcdef"), USERS_PLAIN);
    assert_int_equal(users_secret_kind(""), USERS_PLAIN);
}

static void empty_list_has_no_users(void **state)
{
    (void)state;
    struct users users = {0};
    assert_null(users_find(&users, "bob"));
    users_clear(&users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_and_secrets_are_read),
        cmocka_unit_test(bad_lines_are_told_without_their_secrets),
        cmocka_unit_test(kinds_of_secrets_are_known),
        cmocka_unit_test(empty_list_has_no_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
