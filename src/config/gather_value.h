/* gather_value.h: tries one value and keeps it in its section. */
#ifndef PGSLUICE_CONFIG_GATHER_VALUE_H
#define PGSLUICE_CONFIG_GATHER_VALUE_H

#include "config/gather.h"

/*
 * `text` is already expanded and is copied; a mistake is told with `place` and `where`, and the
 * entry then stays without a value.
 */
void gather_value(struct gather *gather, struct section *section, const struct key *key,
                  const char *text, const struct place *place, const char *where);

#endif
