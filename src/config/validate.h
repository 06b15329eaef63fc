/* validate.h: what single values cannot show: keys that must be there, or do not go together. */
#ifndef PGSLUICE_CONFIG_VALIDATE_H
#define PGSLUICE_CONFIG_VALIDATE_H

#include "config/config.h"
#include "config/problems.h"

/* After all is read and the user list is there; `whole` is the place for what has no line. */
void validate_config(const struct config *config, const struct place *whole,
                     struct problems *problems);

#endif
