/* merge.h: defaults, [pool], [database] and [user] laid over each other. */
#ifndef PGSLUICE_CONFIG_MERGE_H
#define PGSLUICE_CONFIG_MERGE_H

#include "config/sections.h"
#include "config/settings.h"

/*
 * Fills empty settings with all that stands in the sections; `database` and `user` may be NULL.
 * Names and credentials of the client are left open.
 */
void merge_sections(const struct config_sections *sections, const struct section *database,
                    const struct section *user, struct settings *settings);
/* The user as whom server connections log in whoever the client is, or NULL: as the client. */
const char *merge_forced_user(const struct config_sections *sections,
                              const struct section *database);

#endif
