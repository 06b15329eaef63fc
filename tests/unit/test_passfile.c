/* Exercises libpq's password file: matching, escapes, and files that libpq would not use. */
#include "config/passfile.h"

#include "config_text.h"

static char *folder;

static struct passfile *read_file(const char *content, mode_t mode, char *problem, size_t size)
{
    char *path = config_text_file(folder, "pass", content);
    assert_int_equal(chmod(path, mode), 0);
    struct passfile *passfile = passfile_read(path, problem, size);
    config_text_remove(path);
    return passfile;
}

static void first_line_that_fits_wins(void **state)
{
    (void)state;
    char problem[300];
    struct passfile *passfile = read_file("# comment\n"
                                          "\n"
                                          "not a line\n"
                                          "db:5432:app:alice:one\n"
                                          "db:*:*:alice:two\r\n"
                                          "*:*:*:*:three\n",
                                          0600, problem, sizeof(problem));
    assert_string_equal(problem, "");
    assert_string_equal(passfile_find(passfile, "db", 5432, "app", "alice"), "one");
    assert_string_equal(passfile_find(passfile, "db", 5433, "app", "alice"), "two");
    assert_string_equal(passfile_find(passfile, "db", 5432, "app", "bob"), "three");
    passfile_free(&passfile);
    assert_null(passfile);
}

static void escapes_are_taken_off(void **state)
{
    (void)state;
    char problem[300];
    struct passfile *passfile =
        read_file("\\:\\:1:5432:app:\\*:a:b\\:c\\\\d\n", 0400, problem, sizeof(problem));
    assert_string_equal(passfile_find(passfile, "::1", 5432, "app", "*"), "a:b:c\\d");
    assert_null(passfile_find(passfile, "::1", 5432, "app", "alice"));
    passfile_free(&passfile);
}

static void file_that_others_can_read_is_not_used(void **state)
{
    (void)state;
    char problem[300];
    assert_null(read_file("*:*:*:*:x\n", 0640, problem, sizeof(problem)));
    assert_non_null(strstr(problem, "group or others have access"));
    assert_null(passfile_read(folder, problem, sizeof(problem)));
    assert_non_null(strstr(problem, "not a plain file"));
}

static void missing_file_is_no_problem(void **state)
{
    (void)state;
    char problem[300] = "old";
    assert_null(passfile_read("/nonexistent/file", problem, sizeof(problem)));
    assert_string_equal(problem, "");
}

static int make_folder(void **state)
{
    (void)state;
    folder = config_text_folder();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    config_text_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_line_that_fits_wins),
        cmocka_unit_test(escapes_are_taken_off),
        cmocka_unit_test(file_that_others_can_read_is_not_used),
        cmocka_unit_test(missing_file_is_no_problem),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
