/*
 * Exercises INI files: lines, comments, indentation, long lines and names, includes, and every
 * line that is none, told with its number.
 */
#include "config/ini_reader.h"

#include "base/memory.h"
#include "config_text.h"

/* What was read, as text: one line an event. */
struct record {
    FILE *stream;
    char *text;
    size_t size;
    char *names[16];
    size_t name_count;
};

static const char *keep_name(void *context, const char *name)
{
    struct record *record = context;
    assert_true(record->name_count < 16);
    return record->names[record->name_count++] = memory_string(name);
}

/* The section's handle is its name. */
static void *take_section(void *context, const char *name, const struct place *place)
{
    struct record *record = context;
    (void)place;
    return (void *)(uintptr_t)keep_name(record, name);
}

static void take_key(void *context, void *section, const char *key, const char *value,
                     const struct place *place)
{
    struct record *record = context;
    const char *file = strrchr(place->file, '/');
    fprintf(record->stream, "%s:%u [%s] %s=%s\n", file != NULL ? file + 1 : place->file,
            place->line, (const char *)section, key, value);
}

static const struct ini_events events = {
    .keep_name = keep_name, .section = take_section, .key = take_key};

static char top[] = "top";

static void read_text(const char *text, size_t length, const char *expected,
                      const char *expected_told)
{
    struct record record = {0};
    char *told;
    size_t size;
    record.stream = open_memstream(&record.text, &record.size);
    struct problems problems = {.out = open_memstream(&told, &size)};
    ini_reader_text("a.ini", text, length, &events, &record, top, &problems);
    fclose(record.stream);
    fclose(problems.out);
    assert_string_equal(told, expected_told);
    assert_string_equal(record.text, expected);
    for (size_t i = 0; i < record.name_count; i++)
        free(record.names[i]);
    free(record.text);
    free(told);
}

static void assert_reads(const char *text, const char *expected)
{
    read_text(text, strlen(text), expected, "");
}

#define NO_LINE "expected \"key = value\", \"[section]\", \"%include FILE\" or a comment\n"

static void sections_keys_and_comments_are_told_apart(void **state)
{
    (void)state;
    assert_reads("\xef\xbb\xbf; comment\n"
                 "a = 1\n"
                 "[ one ] ; comment\n"
                 "# comment\n"
                 "\n"
                 "b=x = y ; comment\r\n"
                 "\tc : a;b#c\n"
                 "d =\n"
                 "[two]\n"
                 "e = last",
                 "a.ini:2 [top] a=1\n"
                 "a.ini:6 [one] b=x = y\n"
                 "a.ini:7 [one] c=a;b#c\n"
                 "a.ini:8 [one] d=\n"
                 "a.ini:10 [two] e=last\n");
}

static void indented_line_is_no_continuation(void **state)
{
    (void)state;
    assert_reads("[one]\nkey = 1\n    other = 2\n", "a.ini:2 [one] key=1\na.ini:3 [one] other=2\n");
}

static void every_line_that_is_none_is_told(void **state)
{
    (void)state;
    const char text[] = "no key\n= 1\n[one\n[two] x\na = 1\nlast";
    read_text(text, strlen(text), "a.ini:5 [top] a=1\n",
              "a.ini:1: " NO_LINE "a.ini:2: " NO_LINE
              "a.ini:3: expected \"[section]\" and nothing behind it\n"
              "a.ini:4: expected \"[section]\" and nothing behind it\n"
              "a.ini:6: " NO_LINE);
}

static void zero_bytes_are_told(void **state)
{
    (void)state;
    const char text[] = "a = 1\nb = \0 2\nc = 3\n";
    read_text(text, sizeof(text) - 1, "a.ini:1 [top] a=1\na.ini:3 [top] c=3\n",
              "a.ini:2: the line holds a zero byte\n");
}

/* inih keeps 49 bytes of a section's name, and 197 of a line unless told. */
static void long_names_and_lines_are_whole(void **state)
{
    (void)state;
    char text[5000];
    char expected[5000];
    char value[2001];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    const char *name = "database a_name_that_is_sixty_three_bytes_long_as_postgresql_has_it___";
    snprintf(text, sizeof(text), "[%s]\nkey = %s\n", name, value);
    snprintf(expected, sizeof(expected), "a.ini:2 [%s] key=%s\n", name, value);
    assert_reads(text, expected);
}

static void too_long_line_is_told_and_the_next_is_read(void **state)
{
    (void)state;
    char *text = memory_zeroed(70100);
    memset(text, 'v', 70000);
    memcpy(text, "a = ", 4);
    strcpy(text + 70000, "\nb = 2\n");
    read_text(text, strlen(text), "a.ini:2 [top] b=2\n",
              "a.ini:1: expected a line of at most 65533 bytes\n");
    free(text);
}

static void include_is_refused_in_text(void **state)
{
    (void)state;
    const char text[] = "%include /etc/passwd\n";
    read_text(text, strlen(text), "", "a.ini:1: %include: not allowed here\n");
}

static void read_file(const char *file, const char *expected, char **told)
{
    struct record record = {0};
    size_t size;
    record.stream = open_memstream(&record.text, &record.size);
    struct problems problems = {.out = open_memstream(told, &size)};
    ini_reader_file(file, &events, &record, top, &problems);
    fclose(record.stream);
    fclose(problems.out);
    assert_string_equal(record.text, expected);
    for (size_t i = 0; i < record.name_count; i++)
        free(record.names[i]);
    free(record.text);
}

static void included_file_is_beside_and_has_its_own_sections(void **state)
{
    (void)state;
    char *told;
    char *folder = config_text_folder();
    char *outer = config_text_file(folder, "outer.ini",
                                   "[one]\na = 1\n%include ${TEST_FILE:-inner}.ini\nd = 4\n");
    char *inner = config_text_file(folder, "inner.ini", "b = 2\n[two]\nc = 3\n");
    read_file(outer,
              "outer.ini:2 [one] a=1\ninner.ini:1 [one] b=2\ninner.ini:3 [two] c=3\n"
              "outer.ini:4 [one] d=4\n",
              &told);
    assert_string_equal(told, "");
    free(told);
    config_text_remove(outer);
    config_text_remove(inner);
    config_text_remove(folder);
}

static void mistakes_in_includes_are_told(void **state)
{
    (void)state;
    char *told;
    char *expected;
    char *folder = config_text_folder();
    char *file = config_text_file(folder, "a.ini",
                                  "%include\n%include none.ini\n%include ${}\n%includes x\n");
    read_file(file, "", &told);
    assert_true(
        asprintf(&expected,
                 "%s:1: %%include: expected a file's name\n"
                 "%s:2: %%include: expected a file that can be read, got \"%s/none.ini\": No "
                 "such file or directory\n"
                 "%s:3: %%include: expected ${NAME} or ${NAME:-default}\n"
                 "%s:4: "
                 "expected \"key = value\", \"[section]\", \"%%include FILE\" or a "
                 "comment\n",
                 file, file, folder, file, file) > 0);
    assert_string_equal(told, expected);
    free(expected);
    free(told);
    config_text_remove(file);
    config_text_remove(folder);
}

static void file_that_includes_itself_ends(void **state)
{
    (void)state;
    char *told;
    char *folder = config_text_folder();
    char *file = config_text_file(folder, "a.ini", "%include a.ini\n");
    read_file(file, "", &told);
    assert_non_null(strstr(told, "a.ini:1: %include: files include each other more than 8 deep\n"));
    free(told);
    config_text_remove(file);
    config_text_remove(folder);
}

static void missing_file_is_told(void **state)
{
    (void)state;
    char *told;
    read_file("/nonexistent/a.ini", "", &told);
    assert_string_equal(told,
                        "/nonexistent/a.ini: the file cannot be read: No such file or directory\n");
    free(told);
    read_file("/tmp", "", &told);
    assert_string_equal(told, "/tmp: the file could not be read\n");
    free(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_keys_and_comments_are_told_apart),
        cmocka_unit_test(indented_line_is_no_continuation),
        cmocka_unit_test(every_line_that_is_none_is_told),
        cmocka_unit_test(zero_bytes_are_told),
        cmocka_unit_test(long_names_and_lines_are_whole),
        cmocka_unit_test(too_long_line_is_told_and_the_next_is_read),
        cmocka_unit_test(include_is_refused_in_text),
        cmocka_unit_test(included_file_is_beside_and_has_its_own_sections),
        cmocka_unit_test(mistakes_in_includes_are_told),
        cmocka_unit_test(file_that_includes_itself_ends),
        cmocka_unit_test(missing_file_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
