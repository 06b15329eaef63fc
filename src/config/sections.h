/*
 * sections.h: what the files and the environment say, section by section, before it is merged into
 * settings. Filled while loading; after that part of the snapshot, and never changed.
 */
#ifndef PGSLUICE_CONFIG_SECTIONS_H
#define PGSLUICE_CONFIG_SECTIONS_H

#include "config/config.h"
#include "config/keys.h"
#include "config/problems.h"
#include "config/url.h"
#include "config/users.h"

/* A value that was given and found good. */
struct entry {
    char *text; /* owned, expanded; may be secret; NULL: not given */
    struct place place;
};

struct section {
    enum keys_section kind;
    char *name;         /* owned; of a database or user, "*" for [database *]; else NULL */
    struct place place; /* of its first line; no file where it is there by itself */
    struct entry entries[KEYS_COUNT]; /* by keys_index() */
    struct url *url;                  /* owned; of KEYS_DATABASE, from its entry; or NULL */
    bool has_bad_url;                 /* one was given, and its mistakes told */
};

/* In config.h an opaque type. */
struct config_sections {
    struct section **items; /* owned; [pgsluice] and [pool] are the first two */
    size_t count;
    struct users users;
    bool has_users; /* a user list was given */
    char **names;   /* owned; of files, for places to point to */
    size_t name_count;
};

/* With empty [pgsluice] and [pool]. */
struct config_sections *sections_new(void) __attribute__((warn_unused_result));
void sections_free(struct config_sections **sections);
struct section *sections_add(struct config_sections *sections, enum keys_section kind,
                             const char *name);
/* The section of this kind and name, or NULL. */
struct section *sections_find(const struct config_sections *sections, enum keys_section kind,
                              const char *name);
/* [database NAME], else [database *], else NULL. */
struct section *sections_database(const struct config_sections *sections, const char *database);
struct section *sections_pgsluice(const struct config_sections *sections);
struct section *sections_pool(const struct config_sections *sections);
/* The text given for the key, or NULL. */
const char *sections_text(const struct section *section, const char *key);
/* A copy that lives as long as the sections. */
const char *sections_keep_name(struct config_sections *sections, const char *name);
/* True for [database NAME], false for [database *] and all else. */
bool sections_is_named(const struct section *section);
/* "[pool]", "[database app]", and with a key "[pool] size"; cut to size. */
void sections_label(const struct section *section, const char *key, char *text, size_t size);

#endif
