#include "config/service.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libpq does not tell the folder that it was built with; this is Debian's and Ubuntu's. */
#define SYSTEM_FOLDER "/etc/postgresql-common"

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

static bool is_header_of(const char *line, const char *service)
{
    size_t length = strlen(service);
    return strncmp(line + 1, service, length) == 0 && line[length + 1] == ']';
}

/* Not by inih: in this format a semicolon is part of the value. True where the service is there. */
static bool read_section(FILE *stream, const char *service, struct pairs *pairs)
{
    char *memory = NULL;
    size_t capacity = 0;
    bool is_found = false;
    bool is_inside = false;
    while (getline(&memory, &capacity, stream) >= 0) {
        char *line = trimmed(memory);
        char *equals = strchr(line, '=');
        if (*line == '[') {
            if (is_found)
                break;
            is_inside = is_found = is_header_of(line, service);
        } else if (is_inside && *line != '#' && equals != NULL) {
            *equals = '\0';
            pairs_set(pairs, trimmed(line), trimmed(equals + 1));
        }
    }
    if (memory != NULL)
        explicit_bzero(memory, capacity);
    free(memory);
    return is_found;
}

/* Consumes `path`. */
static bool read_file(char *path, const char *service, struct pairs *pairs)
{
    FILE *stream = path != NULL ? fopen(path, "re") : NULL;
    free(path);
    if (stream == NULL)
        return false;
    bool is_found = read_section(stream, service, pairs);
    fclose(stream);
    return is_found;
}

static char *user_file(void)
{
    const char *file = getenv("PGSERVICEFILE");
    if (file != NULL)
        return memory_string(file);
    const char *home = getenv("HOME");
    return home != NULL ? memory_printf("%s/.pg_service.conf", home) : NULL;
}

static char *system_file(void)
{
    const char *folder = getenv("PGSYSCONFDIR");
    return memory_printf("%s/pg_service.conf", folder != NULL ? folder : SYSTEM_FOLDER);
}

bool service_read(const char *service, struct pairs *pairs, char *problem, size_t size)
{
    if (read_file(user_file(), service, pairs) || read_file(system_file(), service, pairs))
        return true;
    snprintf(problem, size, "the service \"%.100s\" is in no service file of libpq", service);
    return false;
}
