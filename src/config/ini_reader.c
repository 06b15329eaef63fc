#include "config/ini_reader.h"

#include "base/memory.h"
#include "config/expand.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The longest line, where inih lets itself be told. */
#define LINE_MAX_SIZE 65536
/* Deep enough for any layout, and a file that includes itself ends. */
#define INCLUDE_DEPTH_MAX 8

/*
 * The inih of Debian and Ubuntu takes its limits at run time; as built elsewhere it has them fixed
 * (lines of 200 bytes), and these variables do not exist. next_line() obeys either.
 */
extern bool ini_use_stack __attribute__((weak));
extern int ini_max_line __attribute__((weak));
extern int ini_initial_alloc __attribute__((weak));

/* One open file. inih reads it line by line through next_line(). */
struct reading {
    const struct ini_events *events;
    void *context;
    struct problems *problems;
    void *section; /* of the events' user */
    struct place place;
    unsigned depth;
    bool may_include;
    bool is_pending; /* inih has a line that should come back as a key */
    FILE *stream;
    char *line; /* owned; of getline(), as is its capacity */
    size_t capacity;
};

static void read_stream(struct reading *reading);

static char *skip_blanks(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static void cut_blanks(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
}

char *ini_reader_beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || slash == NULL)
        return memory_string(path);
    return memory_printf("%.*s/%s", (int)(slash - file), file, path);
}

static void include_file(struct reading *reading, const char *file)
{
    struct reading inner = {
        .events = reading->events,
        .context = reading->context,
        .problems = reading->problems,
        .section = reading->section,
        .depth = reading->depth + 1,
        .may_include = true,
    };
    inner.stream = fopen(file, "re");
    if (inner.stream == NULL) {
        problems_error(reading->problems, &reading->place, "%include",
                       "expected a file that can be read, got \"%s\": %s", file, strerror(errno));
        return;
    }
    inner.place.file = reading->events->keep_name(reading->context, file);
    read_stream(&inner);
    fclose(inner.stream);
}

/* `text` stands behind "%include". */
static void include_line(struct reading *reading, char *text)
{
    char problem[PROBLEMS_TEXT];
    text = skip_blanks(text);
    cut_blanks(text);
    if (!reading->may_include) {
        problems_error(reading->problems, &reading->place, "%include", "not allowed here");
    } else if (*text == '\0') {
        problems_error(reading->problems, &reading->place, "%include", "expected a file's name");
    } else if (reading->depth >= INCLUDE_DEPTH_MAX) {
        problems_error(reading->problems, &reading->place, "%include",
                       "files include each other more than %d deep", INCLUDE_DEPTH_MAX);
    } else {
        char *path = expand_variables(text, problem, sizeof(problem));
        if (path == NULL) {
            problems_error(reading->problems, &reading->place, "%include", "%s", problem);
            return;
        }
        char *file = ini_reader_beside(reading->place.file, path);
        include_file(reading, file);
        free(file);
        free(path);
    }
}

/* Read here, not by inih: it would cut names longer than 49 bytes. `text` stands behind "[". */
static void section_line(struct reading *reading, char *text)
{
    char *end = strchr(text, ']');
    char *rest = end != NULL ? skip_blanks(end + 1) : NULL;
    if (rest == NULL || (*rest != '\0' && *rest != ';' && *rest != '#')) {
        problems_error(reading->problems, &reading->place, NULL,
                       "expected \"[section]\" and nothing behind it");
        return;
    }
    *end = '\0';
    text = skip_blanks(text);
    cut_blanks(text);
    reading->section = reading->events->section(reading->context, text, &reading->place);
}

/* True where the line is one for inih; the others are dealt with here. */
static bool is_for_inih(struct reading *reading, char *text)
{
    if (*text == '\0' || *text == ';' || *text == '#')
        return false;
    if (*text == '[') {
        section_line(reading, text + 1);
        return false;
    }
    if (strncmp(text, "%include", 8) == 0 && (text[8] == '\0' || isspace((unsigned char)text[8]))) {
        include_line(reading, text + 8);
        return false;
    }
    return true;
}

static void tell_pending(struct reading *reading)
{
    /* The line itself is not shown: it may be a password that lost its key. */
    if (reading->is_pending)
        problems_error(reading->problems, &reading->place, NULL,
                       "expected \"key = value\", \"[section]\", \"%%include FILE\" or a comment");
    reading->is_pending = false;
}

/* inih's reader: one line into `out`; a blank one where inih has nothing to do with it. */
static char *next_line(char *out, int size, void *stream)
{
    struct reading *reading = stream;
    tell_pending(reading);
    ssize_t length = getline(&reading->line, &reading->capacity, reading->stream);
    if (length < 0)
        return NULL;
    reading->place.line++;
    char *text = reading->line;
    if (reading->place.line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    /* Without its indentation, or inih would take it for a continuation of the line before. */
    text = skip_blanks(text);
    size_t kept = 0;
    if (memchr(reading->line, '\0', (size_t)length) != NULL) {
        problems_error(reading->problems, &reading->place, NULL, "the line holds a zero byte");
    } else if (strlen(text) + 2 > (size_t)size) {
        problems_error(reading->problems, &reading->place, NULL,
                       "expected a line of at most %d bytes", size - 3);
    } else if (is_for_inih(reading, text)) {
        cut_blanks(text);
        kept = strlen(text);
        memcpy(out, text, kept);
        reading->is_pending = true;
    }
    memcpy(out + kept, "\n", 2);
    return out;
}

static int take_key(void *user, const char *section, const char *name, const char *value)
{
    (void)section;
    struct reading *reading = user;
    if (*name == '\0')
        return 0;
    reading->is_pending = false;
    reading->events->key(reading->context, reading->section, name, value, &reading->place);
    return 1;
}

static void raise_limits(void)
{
    if (&ini_use_stack != NULL)
        ini_use_stack = false;
    if (&ini_max_line != NULL)
        ini_max_line = LINE_MAX_SIZE;
    if (&ini_initial_alloc != NULL)
        ini_initial_alloc = LINE_MAX_SIZE;
}

static void read_stream(struct reading *reading)
{
    raise_limits();
    /* Its result names only the first bad line; next_line() tells of every one. */
    int result = ini_parse_stream(next_line, reading, take_key, reading);
    tell_pending(reading);
    if (result < 0 || ferror(reading->stream) != 0)
        problems_error(reading->problems, &reading->place, NULL, "the file could not be read");
    if (reading->line != NULL)
        explicit_bzero(reading->line, reading->capacity);
    free(reading->line);
}

void ini_reader_file(const char *file, const struct ini_events *events, void *context,
                     void *section, struct problems *problems)
{
    struct reading reading = {
        .events = events,
        .context = context,
        .problems = problems,
        .section = section,
        .place.file = events->keep_name(context, file),
        .may_include = true,
    };
    reading.stream = fopen(file, "re");
    if (reading.stream == NULL) {
        problems_error(problems, &reading.place, NULL, "the file cannot be read: %s",
                       strerror(errno));
        return;
    }
    read_stream(&reading);
    fclose(reading.stream);
}

void ini_reader_text(const char *name, const char *text, size_t length,
                     const struct ini_events *events, void *context, void *section,
                     struct problems *problems)
{
    if (length == 0)
        return;
    struct reading reading = {
        .events = events,
        .context = context,
        .problems = problems,
        .section = section,
        .place.file = events->keep_name(context, name),
    };
    /* Opened for reading, the text is not written to. */
    reading.stream = fmemopen((void *)(uintptr_t)text, length, "r");
    if (reading.stream == NULL) {
        problems_error(problems, &reading.place, NULL, "out of memory");
        return;
    }
    read_stream(&reading);
    fclose(reading.stream);
}
