/*
 * startup_check.h: whether the configured databases can be reached, as `startup_check` wants it:
 * those that are required before anything listens, the others beside the running daemon.
 */
#ifndef PGSLUICE_DAEMON_STARTUP_CHECK_H
#define PGSLUICE_DAEMON_STARTUP_CHECK_H

#include "config/config.h"

#include <stdbool.h>

struct startup_check;

/* Checks the required ones, logs what comes out; false where one cannot be reached. Blocks. */
bool startup_check_required(const struct config *config);
/* Begins to check the others, on a thread of its own. */
struct startup_check *startup_check_start(struct config *config);
/* Ends it, within some tenths of a second. */
void startup_check_stop(struct startup_check *check);

#endif
