#include "config/users.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* Takes a quoted string off the start of `text`; the caller frees it. NULL: there is none. */
static char *take_quoted(const char **text)
{
    const char *from = skip_blanks(*text);
    if (*from != '"')
        return NULL;
    char *result = memory_zeroed(strlen(from));
    size_t length = 0;
    for (from++; *from != '\0'; from++) {
        if (from[0] == '"' && from[1] != '"') {
            *text = from + 1;
            return result;
        }
        if (*from == '"')
            from++;
        result[length++] = *from;
    }
    memory_wipe_string(result);
    return NULL;
}

static void add_line(struct users *users, const char *text, const struct place *place,
                     struct problems *problems)
{
    text = skip_blanks(text);
    if (*text == '\0' || *text == ';' || *text == '#')
        return;
    char *name = take_quoted(&text);
    char *secret = name != NULL ? take_quoted(&text) : NULL;
    const char *rest = skip_blanks(text);
    if (secret == NULL || *name == '\0' || (*rest != '\0' && *rest != ';' && *rest != '#')) {
        problems_error(problems, place, NULL, "expected \"user\" \"secret\"");
        free(name);
        memory_wipe_string(secret);
        return;
    }
    users->entries = memory_resize(users->entries, (users->count + 1) * sizeof(*users->entries));
    users->entries[users->count++] =
        (struct users_entry){.name = name, .secret = secret, .line = place->line};
}

static int compare(const void *one, const void *other)
{
    const struct users_entry *left = one;
    const struct users_entry *right = other;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
}

static void tell_duplicates(const struct users *users, const char *file, struct problems *problems)
{
    for (size_t i = 1; i < users->count; i++) {
        const struct users_entry *first = &users->entries[i - 1];
        struct place place = {.file = file, .line = users->entries[i].line};
        if (strcmp(first->name, users->entries[i].name) == 0)
            problems_error(problems, &place, NULL,
                           "expected each user once, got \"%s\" again (first in line %u)",
                           first->name, first->line);
    }
}

void users_read(struct users *users, FILE *stream, const char *file, struct problems *problems)
{
    struct place place = {.file = file};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stream)) >= 0) {
        place.line++;
        if (memchr(line, '\0', (size_t)length) != NULL)
            problems_error(problems, &place, NULL, "the line holds a zero byte");
        else
            add_line(users, line, &place, problems);
    }
    if (line != NULL)
        explicit_bzero(line, capacity);
    free(line);
    if (users->count > 0)
        qsort(users->entries, users->count, sizeof(*users->entries), compare);
    tell_duplicates(users, file, problems);
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct users_entry *)entry)->name);
}

const char *users_find(const struct users *users, const char *name)
{
    if (users->count == 0)
        return NULL;
    const struct users_entry *entry =
        bsearch(name, users->entries, users->count, sizeof(*users->entries), compare_name);
    return entry != NULL ? entry->secret : NULL;
}

enum users_secret users_secret_kind(const char *secret)
{
    if (strncmp(secret, "SCRAM-SHA-256$", 14) == 0)
        return USERS_SCRAM;
    if (strncmp(secret, "md5", 3) == 0 && strlen(secret) == 35 &&
        strspn(secret + 3, "0123456789abcdef") == 32)
        return USERS_MD5;
    return USERS_PLAIN;
}

void users_clear(struct users *users)
{
    for (size_t i = 0; i < users->count; i++) {
        free(users->entries[i].name);
        memory_wipe_string(users->entries[i].secret);
    }
    free(users->entries);
    *users = (struct users){0};
}
