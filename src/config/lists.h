/* lists.h: the keys of [pgsluice] that are lists: places to listen on, admin users. */
#ifndef PGSLUICE_CONFIG_LISTS_H
#define PGSLUICE_CONFIG_LISTS_H

#include <stdbool.h>
#include <stddef.h>

struct config;

/*
 * Setters of the table of keys: `target` is a struct config, whose earlier list is replaced. A
 * place without a port of its own gets port 0, which config_load() fills in.
 */
bool lists_set_listen(void *target, const char *text, char *problem, size_t size);
bool lists_set_admin_users(void *target, const char *text, char *problem, size_t size);
/* Frees both lists. */
void lists_clear(struct config *config);

#endif
