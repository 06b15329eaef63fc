/* service.h: libpq's connection service file (PostgreSQL manual, "The Connection Service File"). */
#ifndef PGSLUICE_CONFIG_SERVICE_H
#define PGSLUICE_CONFIG_SERVICE_H

#include "pg/pairs.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Adds the keywords of the service: from PGSERVICEFILE or ~/.pg_service.conf, and where it is not
 * there, from pg_service.conf of PGSYSCONFDIR or libpq's own folder. False: `problem` says why.
 */
bool service_read(const char *service, struct pairs *pairs, char *problem, size_t size)
    __attribute__((warn_unused_result));

#endif
