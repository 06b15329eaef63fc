/*
 * Exercises what is written from the table of keys: the example file and the manual's list are the
 * committed ones, and the example is a configuration that works. After a change to the table,
 * "test_config_write --renew", run in the top folder, writes both anew.
 */
#include "config/keys.h"
#include "config_text.h"

#define EXAMPLE "etc/pgsluice.ini"
#define MANUAL "man/pgsluice.ini.5"
#define BEGIN ".\\\" keys: begin"
#define END ".\\\" keys: end"

/* Automake tells a test where the sources are. */
static char *source_path(const char *name)
{
    char *path;
    const char *folder = getenv("srcdir");
    assert_true(asprintf(&path, "%s/%s", folder != NULL ? folder : ".", name) > 0);
    return path;
}

static char *read_source(const char *name)
{
    char *path = source_path(name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s cannot be read", path);
    char *content = NULL;
    size_t capacity = 0;
    assert_true(getdelim(&content, &capacity, '\0', file) > 0);
    fclose(file);
    free(path);
    return content;
}

static char *written(void (*write)(FILE *))
{
    char *content;
    size_t size;
    FILE *stream = open_memstream(&content, &size);
    write(stream);
    fclose(stream);
    return content;
}

/* Where the generated list begins and ends in the manual page. */
static void find_list(char *page, char **begin, char **end)
{
    *begin = strstr(page, BEGIN);
    assert_non_null(*begin);
    *begin = strchr(*begin, '\n') + 1;
    *end = strstr(*begin, END);
    assert_non_null(*end);
}

static void example_file_is_the_committed_one(void **state)
{
    (void)state;
    char *committed = read_source(EXAMPLE);
    char *example = written(config_write_example);
    assert_string_equal(committed, example);
    free(committed);
    free(example);
}

static void example_file_works(void **state)
{
    (void)state;
    char *example = written(config_write_example);
    struct config *config = config_text_good(example);
    assert_int_equal(config_database_count(config), 1);
    assert_string_equal(config_secret(config, "app", "app"), "change-me");
    config_release(&config);
    free(example);
}

/* Every line of comment that holds a key, made a key, still gives the same configuration. */
static void defaults_in_the_example_are_the_defaults(void **state)
{
    (void)state;
    char *example = written(config_write_example);
    struct config *commented = config_text_good(example);
    for (char *line = example; (line = strchr(line, '\n')) != NULL;) {
        line++;
        if (line[0] == ';' && line[1] >= 'a' && line[1] <= 'z')
            line[0] = ' ';
    }
    struct config *written_out = config_text_good(example);
    struct config_row one;
    struct config_row other;
    size_t index = 0;
    for (; config_row(commented, index, &one); index++) {
        assert_true(config_row(written_out, index, &other));
        assert_string_equal(one.value, other.value);
    }
    assert_int_equal(index, KEYS_COUNT - 1);
    config_release(&commented);
    config_release(&written_out);
    free(example);
}

static void list_in_the_manual_is_the_generated_one(void **state)
{
    (void)state;
    char *page = read_source(MANUAL);
    char *list = written(config_write_manual);
    char *begin;
    char *end;
    find_list(page, &begin, &end);
    *end = '\0';
    assert_string_equal(begin, list);
    free(page);
    free(list);
}

static void renew(void **state)
{
    (void)state;
    char *page = read_source(MANUAL);
    char *begin;
    char *end;
    find_list(page, &begin, &end);
    char *path = source_path(MANUAL);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%.*s", (int)(begin - page), page);
    config_write_manual(file);
    fputs(end, file);
    fclose(file);
    free(path);
    free(page);
    path = source_path(EXAMPLE);
    file = fopen(path, "w");
    assert_non_null(file);
    config_write_example(file);
    fclose(file);
    free(path);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest renewal[] = {cmocka_unit_test(renew)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_file_is_the_committed_one),
        cmocka_unit_test(example_file_works),
        cmocka_unit_test(defaults_in_the_example_are_the_defaults),
        cmocka_unit_test(list_in_the_manual_is_the_generated_one),
    };
    if (argc > 1 && strcmp(argv[1], "--renew") == 0)
        return cmocka_run_group_tests(renewal, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
