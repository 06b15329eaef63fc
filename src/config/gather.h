/*
 * gather.h: fills the sections from files and from the environment. Each value is expanded and
 * tried at once, so that its mistakes are told with its line.
 */
#ifndef PGSLUICE_CONFIG_GATHER_H
#define PGSLUICE_CONFIG_GATHER_H

#include "config/keys.h"
#include "config/problems.h"
#include "config/sections.h"

#include <stdbool.h>
#include <stddef.h>

struct gather {
    struct config_sections *sections; /* not owned */
    struct problems problems;
    bool may_read; /* other files than the one that is read */
};

void gather_file(struct gather *gather, const char *file);
void gather_text(struct gather *gather, const char *name, const char *text, size_t length);
/* DATABASE_URL and its like, where the sections do not have their values yet. */
void gather_environment(struct gather *gather);

#endif
