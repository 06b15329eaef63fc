#include "config/server_settings.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static size_t name_length(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_')
        return 0;
    size_t length = 1;
    while (isalnum((unsigned char)text[length]) ||
           (text[length] != '\0' && strchr("_.$", text[length]) != NULL))
        length++;
    return length;
}

/* What has a meaning of its own in a startup packet is no run-time parameter. */
static bool is_reserved(const char *name)
{
    return strcasecmp(name, "user") == 0 || strcasecmp(name, "database") == 0 ||
           strcasecmp(name, "options") == 0 || strcasecmp(name, "replication") == 0 ||
           strncasecmp(name, "_pq_.", 5) == 0;
}

static bool add(struct pairs *pairs, const char *name, const char *value, char *problem,
                size_t size)
{
    if (is_reserved(name)) {
        snprintf(problem, size, "\"%.60s\" is not a run-time parameter", name);
        return false;
    }
    pairs_set(pairs, name, value);
    return true;
}

/* `text` stands on the opening quote, and then behind the closing one. NULL: there is none. */
static char *take_quoted(const char **text)
{
    const char *from = *text + 1;
    char *value = memory_zeroed(strlen(from) + 1);
    for (size_t length = 0; *from != '\0'; from++) {
        if (from[0] == '\'' && from[1] != '\'') {
            *text = from + 1;
            return value;
        }
        if (*from == '\'')
            from++;
        value[length++] = *from;
    }
    free(value);
    return NULL;
}

static char *take_bare(const char **text)
{
    size_t length = strcspn(*text, ",");
    const char *from = *text;
    *text += length;
    while (length > 0 && isspace((unsigned char)from[length - 1]))
        length--;
    return length > 0 ? memory_string_of(from, length) : NULL;
}

/* Reads one "name = value"; `text` then stands on the comma or the end. */
static bool take_setting(const char **text, struct pairs *pairs, char *problem, size_t size)
{
    size_t length = name_length(*text);
    const char *rest = skip_blanks(*text + length);
    if (length == 0 || *rest != '=') {
        snprintf(problem, size, "expected \"name = value\" pairs with commas between them");
        return false;
    }
    char *name = memory_string_of(*text, length);
    rest = skip_blanks(rest + 1);
    char *value = *rest == '\'' ? take_quoted(&rest) : take_bare(&rest);
    *text = skip_blanks(rest);
    bool is_good = false;
    if (value == NULL)
        snprintf(problem, size, "expected a value for \"%.60s\", in single quotes that end if any",
                 name);
    else if (**text != '\0' && **text != ',')
        snprintf(problem, size, "expected a comma behind the value of \"%.60s\"", name);
    else
        is_good = add(pairs, name, value, problem, size);
    free(name);
    free(value);
    return is_good;
}

bool server_settings_parse_list(const char *text, struct pairs *pairs, char *problem, size_t size)
{
    for (text = skip_blanks(text); *text != '\0';) {
        if (!take_setting(&text, pairs, problem, size))
            return false;
        if (*text == ',')
            text = skip_blanks(text + 1);
    }
    return true;
}

/* Takes one word off the options, without its backslashes; the caller frees it. NULL at the end. */
static char *take_word(const char **text)
{
    const char *from = skip_blanks(*text);
    if (*from == '\0')
        return NULL;
    char *word = memory_zeroed(strlen(from) + 1);
    for (size_t length = 0; *from != '\0' && !isspace((unsigned char)*from); from++) {
        if (*from == '\\' && from[1] != '\0')
            from++;
        word[length++] = *from;
    }
    *text = from;
    return word;
}

/* "name=value"; dashes in the name stand for underscores, as the server has it. */
static bool add_assignment(char *text, struct pairs *pairs, char *problem, size_t size)
{
    char *equals = strchr(text, '=');
    for (char *byte = text; byte < equals; byte++) {
        if (*byte == '-')
            *byte = '_';
    }
    if (equals == NULL || name_length(text) != (size_t)(equals - text)) {
        snprintf(problem, size, "expected \"name=value\" in options, got \"%.60s\"", text);
        return false;
    }
    *equals = '\0';
    return add(pairs, text, equals + 1, problem, size);
}

static bool add_option(const char **text, char *word, struct pairs *pairs, char *problem,
                       size_t size)
{
    if (strncmp(word, "--", 2) == 0)
        return add_assignment(word + 2, pairs, problem, size);
    if (strncmp(word, "-c", 2) == 0 && word[2] != '\0')
        return add_assignment(word + 2, pairs, problem, size);
    if (strcmp(word, "-c") == 0) {
        char *next = take_word(text);
        bool is_good = next != NULL && add_assignment(next, pairs, problem, size);
        if (next == NULL)
            snprintf(problem, size, "expected \"name=value\" behind \"-c\" in options");
        free(next);
        return is_good;
    }
    snprintf(problem, size,
             "expected \"-c name=value\" or \"--name=value\" in options, got \"%.60s\"", word);
    return false;
}

bool server_settings_parse_options(const char *text, struct pairs *pairs, char *problem,
                                   size_t size)
{
    char *word;
    while ((word = take_word(&text)) != NULL) {
        bool is_good = add_option(&text, word, pairs, problem, size);
        free(word);
        if (!is_good)
            return false;
    }
    return true;
}
