/*
 * ini_reader.h: INI files, read by inih, with line numbers, %include, and section names and values
 * of any useful length.
 *
 * A line is "[section]", "key = value", "%include FILE", blank, or a comment (";" or "#" at its
 * start; " ;" ends a value). An included file starts in the section that includes it, and its own
 * sections end with it.
 */
#ifndef PGSLUICE_CONFIG_INI_READER_H
#define PGSLUICE_CONFIG_INI_READER_H

#include "config/problems.h"

#include <stddef.h>

struct ini_events {
    /* A copy of a file's name that lives as long as the places that point to it. */
    const char *(*keep_name)(void *context, const char *name);
    /* "[name]" was read; what is returned comes back with the keys of the section. */
    void *(*section)(void *context, const char *name, const struct place *place);
    /* `key` and `value` are trimmed and valid during the call only. */
    void (*key)(void *context, void *section, const char *key, const char *value,
                const struct place *place);
};

/*
 * Reads a file and what it includes; `section` is given to keys before the first section. What
 * cannot be understood goes to `problems`. Main thread only (inih's options are global).
 */
void ini_reader_file(const char *file, const struct ini_events *events, void *context,
                     void *section, struct problems *problems);
/* Reads from memory under the name of a file; %include is refused. */
void ini_reader_text(const char *name, const char *text, size_t length,
                     const struct ini_events *events, void *context, void *section,
                     struct problems *problems);
/* `path` as seen from the folder of `file`; the caller frees it. */
char *ini_reader_beside(const char *file, const char *path) __attribute__((warn_unused_result));

#endif
