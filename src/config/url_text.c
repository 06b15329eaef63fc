#include "config/url_text.h"

#include "base/memory.h"
#include "config/suggest.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYWORDS_MAX 128

/* "postgresql+asyncpg" and the like: what is behind the plus names a driver. */
static bool is_our_scheme(const char *text, size_t length)
{
    const char *plus = memchr(text, '+', length);
    size_t base = plus != NULL ? (size_t)(plus - text) : length;
    return (base == 10 && strncmp(text, "postgresql", base) == 0) ||
           (base == 8 && strncmp(text, "postgres", base) == 0);
}

/* Length of the scheme of a URI, 0 for a keyword string. */
static size_t scheme_length(const char *text)
{
    size_t length =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return strncmp(text + length, "://", 3) == 0 ? length : 0;
}

/* True where a parameter of this name stands in the query before `name`. */
static bool is_repeated(const char *query, const char *name, size_t length)
{
    for (const char *one = query; one < name; one += strcspn(one, "&") + 1) {
        if (strncmp(one, name, length) == 0 && one[length] == '=')
            return true;
    }
    return false;
}

static bool check_query(const char *uri, char *problem, size_t size)
{
    const char *query = strchr(uri, '?');
    if (query == NULL)
        return true;
    query++;
    for (const char *one = query; *one != '\0';) {
        size_t length = strcspn(one, "=&");
        if (one[length] == '=' && is_repeated(query, one, length)) {
            snprintf(problem, size,
                     "the parameter \"%.*s\" stands twice; several hosts are written "
                     "postgresql://one:5432,other:5432/database",
                     (int)(length < 40 ? length : 40), one);
            return false;
        }
        one += strcspn(one, "&");
        if (*one == '&')
            one++;
    }
    return true;
}

char *url_text_for_libpq(const char *text, char *problem, size_t size)
{
    size_t length = scheme_length(text);
    if (length == 0)
        return memory_string(text);
    if (!is_our_scheme(text, length)) {
        snprintf(problem, size,
                 "expected postgresql://, postgres:// or postgresql+DRIVER://, got \"%.*s://\"",
                 (int)(length < 40 ? length : 40), text);
        return NULL;
    }
    if (!check_query(text, problem, size))
        return NULL;
    return memory_printf("postgresql%s", text + length);
}

static const char *nearest_keyword(const char *name)
{
    static const char *keywords[KEYWORDS_MAX];
    size_t count = 0;
    PQconninfoOption *options = PQconndefaults();
    if (options == NULL)
        return NULL;
    /* libpq's keywords are literals: they outlive the array. */
    for (PQconninfoOption *one = options; one->keyword != NULL && count < KEYWORDS_MAX; one++)
        keywords[count++] = one->keyword;
    PQconninfoFree(options);
    return suggest_nearest(name, keywords, count);
}

static void explain_keyword(const char *quoted, char *problem, size_t size)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(quoted, "\""), quoted);
    const char *nearest = nearest_keyword(name);
    if (nearest != NULL)
        snprintf(problem, size, "\"%s\" is no connection parameter of libpq; did you mean \"%s\"?",
                 name, nearest);
    else
        snprintf(problem, size,
                 "\"%s\" is no connection parameter of libpq (a driver's or SQLAlchemy's own "
                 "arguments stay in the application)",
                 name);
}

/* Copies the message, with all that is quoted, save single characters, replaced by "…". */
static void redact(const char *message, char *problem, size_t size)
{
    size_t length = 0;
    while (*message != '\0' && *message != '\n' && length + 8 < size) {
        problem[length++] = *message++;
        if (message[-1] != '"')
            continue;
        /* To the last quote, where the text in quotes may hold some itself. */
        const char *end =
            *message != '\0' && message[1] == '"' ? message + 1 : strrchr(message, '"');
        if (end == NULL)
            continue;
        if (end == message + 1)
            problem[length++] = *message;
        else
            length += (size_t)snprintf(problem + length, size - length, "…");
        problem[length++] = '"';
        message = end + 1;
    }
    problem[length] = '\0';
}

void url_text_explain(const char *message, char *problem, size_t size)
{
    static const char *const unknown[] = {"invalid URI query parameter: \"",
                                          "invalid connection option \""};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        size_t length = strlen(unknown[i]);
        if (strncmp(message, unknown[i], length) == 0) {
            explain_keyword(message + length, problem, size);
            return;
        }
    }
    static const char prefix[] = "expected a connection URI or keywords as libpq reads them: ";
    snprintf(problem, size, "%s", prefix);
    if (size > sizeof(prefix))
        redact(message, problem + sizeof(prefix) - 1, size - sizeof(prefix) + 1);
}
