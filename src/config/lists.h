/* lists.h: the keys that are lists: places to listen on, admin users, functions. */
#ifndef PGSLUICE_CONFIG_LISTS_H
#define PGSLUICE_CONFIG_LISTS_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct settings;

/*
 * Setters of the table of keys: `target` is a struct config, whose earlier list is replaced. A
 * place without a port of its own gets port 0, which config_load() fills in.
 */
bool lists_set_listen(void *target, const char *text, char *problem, size_t size);
bool lists_set_admin_users(void *target, const char *text, char *problem, size_t size);
/* Frees both lists. */
void lists_clear(struct config *config);

/* The same of a struct settings. Names are kept in lower case; each list gets a serial. */
bool lists_set_session_functions(void *target, const char *text, char *problem, size_t size);
void lists_clear_session_functions(struct settings *settings);

#endif
