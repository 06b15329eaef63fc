#include "base/memory.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *memory_required(void *pointer, size_t size)
{
    if (pointer == NULL) {
        log_panic("out of memory: %zu bytes were asked for", size);
    }
    return pointer;
}

void *memory_zeroed(size_t size)
{
    return memory_required(calloc(1, size > 0 ? size : 1), size);
}

void *memory_resize(void *pointer, size_t size)
{
    return memory_required(realloc(pointer, size > 0 ? size : 1), size);
}

char *memory_string(const char *string)
{
    return memory_string_of(string, strlen(string));
}

char *memory_string_of(const void *bytes, size_t length)
{
    char *copy = memory_required(malloc(length + 1), length + 1);
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    copy[length] = '\0';
    return copy;
}

char *memory_printf(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return memory_required(length < 0 ? NULL : text, 0);
}

void memory_wipe_string(char *string)
{
    if (string != NULL) {
        explicit_bzero(string, strlen(string));
        free(string);
    }
}
