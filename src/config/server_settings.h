/* server_settings.h: run-time parameters for server connections, as written by the administrator.
 */
#ifndef PGSLUICE_CONFIG_SERVER_SETTINGS_H
#define PGSLUICE_CONFIG_SERVER_SETTINGS_H

#include "pg/pairs.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Adds "name = value, name = value" to the pairs; later values replace earlier ones of the same
 * name. A value with a comma stands in single quotes, doubled within. False: `problem` says why,
 * and some pairs may have been added.
 */
bool server_settings_parse_list(const char *text, struct pairs *pairs, char *problem, size_t size)
    __attribute__((warn_unused_result));
/* The same for libpq's `options`: "-c name=value --name=value", a backslash before blanks. */
bool server_settings_parse_options(const char *text, struct pairs *pairs, char *problem,
                                   size_t size) __attribute__((warn_unused_result));

#endif
