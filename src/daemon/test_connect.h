/* test_connect.h: `pgsluice --test-connect`. */
#ifndef PGSLUICE_DAEMON_TEST_CONNECT_H
#define PGSLUICE_DAEMON_TEST_CONNECT_H

#include "config/config.h"

#include <stdio.h>

/* A paragraph for each database to `out`: its name and `ok`, `failed` or `skipped`, then indented
 * "label: value" lines. Returns the exit status: 0 where all could be reached. */
int test_connect(const struct config *config, FILE *out);

#endif
