/* expand.h: environment variables in values. */
#ifndef PGSLUICE_CONFIG_EXPAND_H
#define PGSLUICE_CONFIG_EXPAND_H

#include <stddef.h>

/*
 * A copy of the text with ${NAME} replaced by the variable, and ${NAME:-default} by the default
 * where the variable is not set or empty. "$${" stands for "${"; any other "$" for itself. What
 * was put in is not expanded again. The caller frees it (memory_wipe_string(): it may hold
 * secrets). NULL: `problem` says why; it never holds a variable's value.
 */
char *expand_variables(const char *text, char *problem, size_t size)
    __attribute__((warn_unused_result));

#endif
