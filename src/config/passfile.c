#include "config/passfile.h"

#include "base/memory.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum field { FIELD_HOST, FIELD_PORT, FIELD_DATABASE, FIELD_USER, FIELD_PASSWORD, FIELD_COUNT };

/* A field that was written as a bare "*" is NULL; the last is the password. */
struct line {
    char *fields[FIELD_COUNT]; /* owned */
};

struct passfile {
    struct line *lines; /* owned */
    size_t count;
};

char *passfile_default_path(void)
{
    const char *home = getenv("HOME");
    if (home != NULL && *home != '\0')
        return memory_printf("%s/.pgpass", home);
    char memory[1024];
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(geteuid(), &entry, memory, sizeof(memory), &found) != 0 || found == NULL)
        return NULL;
    return memory_printf("%s/.pgpass", found->pw_dir);
}

/* Copies up to the next bare colon, which `text` then stands behind. False: the line ends early. */
static bool take_field(const char **text, bool is_last, char **field)
{
    const char *from = *text;
    char *copy = memory_zeroed(strlen(from) + 1);
    size_t length = 0;
    while (*from != '\0' && (*from != ':' || is_last)) {
        if (*from == '\\' && from[1] != '\0')
            from++;
        copy[length++] = *from++;
    }
    bool is_any = !is_last && from == *text + 1 && **text == '*';
    if (is_any) {
        free(copy);
        copy = NULL;
    }
    *field = copy;
    if (!is_last && *from != ':')
        return false;
    *text = is_last ? from : from + 1;
    return true;
}

static void clear_line(struct line *line)
{
    for (int i = 0; i < FIELD_COUNT; i++)
        memory_wipe_string(line->fields[i]);
}

/* As libpq, silent about a line that is none. */
static void add_line(struct passfile *passfile, char *text)
{
    text[strcspn(text, "\r\n")] = '\0';
    if (*text == '\0' || *text == '#')
        return;
    struct line line = {0};
    const char *rest = text;
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (!take_field(&rest, i == FIELD_PASSWORD, &line.fields[i])) {
            clear_line(&line);
            return;
        }
    }
    passfile->lines = memory_resize(passfile->lines, (passfile->count + 1) * sizeof(line));
    passfile->lines[passfile->count++] = line;
}

static struct passfile *read_lines(FILE *stream)
{
    struct passfile *passfile = memory_new(struct passfile);
    char *text = NULL;
    size_t capacity = 0;
    while (getline(&text, &capacity, stream) >= 0)
        add_line(passfile, text);
    if (text != NULL)
        explicit_bzero(text, capacity);
    free(text);
    return passfile;
}

static bool is_safe(FILE *stream, const char *path, char *problem, size_t size)
{
    struct stat status;
    if (fstat(fileno(stream), &status) != 0 || !S_ISREG(status.st_mode))
        snprintf(problem, size, "the password file \"%s\" is not used: not a plain file", path);
    else if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        snprintf(
            problem, size,
            "the password file \"%s\" is not used: group or others have access to it; expected "
            "mode 0600 or less",
            path);
    return *problem == '\0';
}

struct passfile *passfile_read(const char *path, char *problem, size_t size)
{
    *problem = '\0';
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        if (errno != ENOENT && errno != ENOTDIR)
            snprintf(problem, size, "the password file \"%s\" cannot be read: %s", path,
                     strerror(errno));
        return NULL;
    }
    struct passfile *passfile = is_safe(stream, path, problem, size) ? read_lines(stream) : NULL;
    fclose(stream);
    return passfile;
}

static bool fits(const char *field, const char *value)
{
    return field == NULL || strcmp(field, value) == 0;
}

const char *passfile_find(const struct passfile *passfile, const char *host, unsigned port,
                          const char *database, const char *user)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", port);
    for (size_t i = 0; i < passfile->count; i++) {
        char *const *fields = passfile->lines[i].fields;
        if (fits(fields[FIELD_HOST], host) && fits(fields[FIELD_PORT], number) &&
            fits(fields[FIELD_DATABASE], database) && fits(fields[FIELD_USER], user) &&
            *fields[FIELD_PASSWORD] != '\0')
            return fields[FIELD_PASSWORD];
    }
    return NULL;
}

void passfile_free(struct passfile **passfile)
{
    if (*passfile == NULL)
        return;
    for (size_t i = 0; i < (*passfile)->count; i++)
        clear_line(&(*passfile)->lines[i]);
    free((*passfile)->lines);
    free(*passfile);
    *passfile = NULL;
}
