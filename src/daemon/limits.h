/* limits.h: the process's limit of open files, raised to what max_clients and the pools need. */
#ifndef PGSLUICE_DAEMON_LIMITS_H
#define PGSLUICE_DAEMON_LIMITS_H

#include "config/config.h"

/* Raises the soft limit as far as the hard one allows; logs where that is not enough. */
void limits_raise(const struct config *config);

#endif
