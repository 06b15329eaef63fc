#include "config/sections.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct config_sections *sections_new(void)
{
    struct config_sections *sections = memory_new(struct config_sections);
    sections_add(sections, KEYS_PGSLUICE, NULL);
    sections_add(sections, KEYS_POOL, NULL);
    return sections;
}

struct section *sections_add(struct config_sections *sections, enum keys_section kind,
                             const char *name)
{
    struct section *section = memory_new(struct section);
    section->kind = kind;
    section->name = name != NULL ? memory_string(name) : NULL;
    sections->items =
        memory_resize(sections->items, (sections->count + 1) * sizeof(*sections->items));
    sections->items[sections->count++] = section;
    return section;
}

static void free_section(struct section *section)
{
    for (size_t i = 0; i < KEYS_COUNT; i++)
        memory_wipe_string(section->entries[i].text);
    url_free(&section->url);
    free(section->name);
    free(section);
}

void sections_free(struct config_sections **sections)
{
    struct config_sections *freed = *sections;
    *sections = NULL;
    if (freed == NULL)
        return;
    for (size_t i = 0; i < freed->count; i++)
        free_section(freed->items[i]);
    free(freed->items);
    for (size_t i = 0; i < freed->name_count; i++)
        free(freed->names[i]);
    free(freed->names);
    users_clear(&freed->users);
    free(freed);
}

struct section *sections_find(const struct config_sections *sections, enum keys_section kind,
                              const char *name)
{
    for (size_t i = 0; i < sections->count; i++) {
        struct section *section = sections->items[i];
        if (section->kind == kind && (name == NULL || strcmp(section->name, name) == 0))
            return section;
    }
    return NULL;
}

struct section *sections_database(const struct config_sections *sections, const char *database)
{
    struct section *section = sections_find(sections, KEYS_DATABASE, database);
    return section != NULL ? section : sections_find(sections, KEYS_DATABASE, "*");
}

struct section *sections_pgsluice(const struct config_sections *sections)
{
    return sections->items[0];
}

struct section *sections_pool(const struct config_sections *sections)
{
    return sections->items[1];
}

const char *sections_text(const struct section *section, const char *key)
{
    return section->entries[keys_index(keys_find(key))].text;
}

const char *sections_keep_name(struct config_sections *sections, const char *name)
{
    for (size_t i = 0; i < sections->name_count; i++) {
        if (strcmp(sections->names[i], name) == 0)
            return sections->names[i];
    }
    sections->names =
        memory_resize(sections->names, (sections->name_count + 1) * sizeof(*sections->names));
    sections->names[sections->name_count] = memory_string(name);
    return sections->names[sections->name_count++];
}

bool sections_is_named(const struct section *section)
{
    return section->kind == KEYS_DATABASE && strcmp(section->name, "*") != 0;
}

static const char *kind_name(enum keys_section kind)
{
    switch (kind) {
    case KEYS_PGSLUICE:
        return "pgsluice";
    case KEYS_POOL:
        return "pool";
    case KEYS_DATABASE:
        return "database";
    case KEYS_USER:
        return "user";
    }
    return "";
}

void sections_label(const struct section *section, const char *key, char *text, size_t size)
{
    snprintf(text, size, "[%s%s%.80s]%s%s", kind_name(section->kind),
             section->name != NULL ? " " : "", section->name != NULL ? section->name : "",
             key != NULL ? " " : "", key != NULL ? key : "");
}
