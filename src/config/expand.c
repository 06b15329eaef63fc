#include "config/expand.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t name_length(const char *text)
{
    if (isdigit((unsigned char)*text))
        return 0;
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_')
        length++;
    return length;
}

/* `text` stands behind "${"; puts the value into `out` and returns what is behind "}", or NULL. */
static const char *expand_one(const char *text, struct buffer *out, char *problem, size_t size)
{
    const char *end = strchr(text, '}');
    if (end == NULL) {
        snprintf(problem, size, "expected a \"}\" that ends \"${\"");
        return NULL;
    }
    size_t length = name_length(text);
    bool has_default = strncmp(text + length, ":-", 2) == 0;
    if (length == 0 || !(has_default || text + length == end)) {
        snprintf(problem, size, "expected ${NAME} or ${NAME:-default}");
        return NULL;
    }
    char *name = memory_string_of(text, length);
    const char *value = getenv(name);
    if (value != NULL && (*value != '\0' || !has_default)) {
        buffer_append(out, value, strlen(value));
    } else if (has_default) {
        buffer_append(out, text + length + 2, (size_t)(end - text) - length - 2);
    } else {
        snprintf(problem, size, "the environment variable %.100s is not set", name);
        end = NULL;
    }
    free(name);
    return end != NULL ? end + 1 : NULL;
}

char *expand_variables(const char *text, char *problem, size_t size)
{
    struct buffer out = {0};
    while (text != NULL && *text != '\0') {
        if (strncmp(text, "$${", 3) == 0) {
            buffer_append(&out, "${", 2);
            text += 3;
        } else if (strncmp(text, "${", 2) == 0) {
            text = expand_one(text + 2, &out, problem, size);
        } else {
            buffer_append(&out, text++, 1);
        }
    }
    char *result = NULL;
    if (text != NULL)
        result = buffer_length(&out) > 0 ? memory_string_of(buffer_bytes(&out), buffer_length(&out))
                                         : memory_string("");
    if (buffer_length(&out) > 0)
        explicit_bzero(buffer_bytes(&out), buffer_length(&out));
    buffer_release(&out);
    return result;
}
