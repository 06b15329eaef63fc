/*
 * daemon.h: the running process: main thread (listeners, signals, configuration) and workers.
 */
#ifndef PGSLUICE_DAEMON_DAEMON_H
#define PGSLUICE_DAEMON_DAEMON_H

#include "config/config.h"

/* Serves until it is told to stop; takes the reference over. Returns the exit status. */
int daemon_run(struct config *config);

#endif
