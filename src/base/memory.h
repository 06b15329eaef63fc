/* memory.h: allocation that does not fail: without memory the process ends (severity PANIC). */
#ifndef PGSLUICE_BASE_MEMORY_H
#define PGSLUICE_BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory; free with free(). */
void *memory_zeroed(size_t size) __attribute__((malloc, warn_unused_result));
void *memory_resize(void *pointer, size_t size) __attribute__((warn_unused_result));
char *memory_string(const char *string) __attribute__((malloc, warn_unused_result));
/* A copy of `length` bytes with a zero byte after them. */
char *memory_string_of(const void *bytes, size_t length)
    __attribute__((malloc, warn_unused_result));
char *memory_printf(const char *format, ...)
    __attribute__((malloc, warn_unused_result, format(printf, 1, 2)));
/* Overwrites, in a way that the compiler does not drop, then frees; NULL is fine. */
void memory_wipe_string(char *string);

#define memory_new(type) ((type *)memory_zeroed(sizeof(type)))

#endif
