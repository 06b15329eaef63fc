/* config_text.h: for tests: a configuration from a text, and what was said against it. */
#ifndef PGSLUICE_TESTS_CONFIG_TEXT_H
#define PGSLUICE_TESTS_CONFIG_TEXT_H

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The smallest configuration that is whole. */
#define CONFIG_TEXT_DATABASE "[database app]\nurl = postgresql://alice:secret@db/app\n"

/* What config_load_text() made of the text (NULL: a mistake); the caller frees `problems`. */
static inline struct config *config_text_load(const char *text, char **problems)
{
    size_t size;
    FILE *stream = open_memstream(problems, &size);
    struct config *config = config_load_text("test.ini", text, strlen(text), stream);
    fclose(stream);
    return config;
}

/* For texts that hold no mistake and earn no warning. */
static inline struct config *config_text_good(const char *text)
{
    char *problems;
    struct config *config = config_text_load(text, &problems);
    assert_string_equal(problems, "");
    assert_non_null(config);
    free(problems);
    return config;
}

/* The text is refused, with exactly these lines. */
static inline void config_text_refused(const char *text, const char *expected)
{
    char *problems;
    struct config *config = config_text_load(text, &problems);
    assert_string_equal(problems, expected);
    assert_null(config);
    free(problems);
}

/* A new folder for the files of one test. */
static inline char *config_text_folder(void)
{
    char *folder = strdup("/tmp/pgsluice-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

/* Writes a file, for its owner alone, into the folder; the caller frees its name. */
static inline char *config_text_file(const char *folder, const char *name, const char *content)
{
    char *path;
    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    return path;
}

static inline void config_text_remove(char *path)
{
    assert_int_equal(remove(path), 0);
    free(path);
}

#endif
