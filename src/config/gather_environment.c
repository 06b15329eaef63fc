#include "base/memory.h"
#include "config/gather_value.h"

#include <stdlib.h>
#include <string.h>

/* An empty variable is taken for one that is not set, as container set-ups leave it. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static void fill_pool_key(struct gather *gather, const char *name, const char *key_name)
{
    const char *value = variable(name);
    const struct key *key = keys_find(key_name);
    struct section *pool = sections_pool(gather->sections);
    struct place place = {.file = name};
    if (value != NULL && pool->entries[keys_index(key)].place.file == NULL)
        gather_value(gather, pool, key, value, &place, NULL);
}

/* The section that the variable's database has or gets; NULL where it needs none from here. */
static struct section *section_for(struct gather *gather, const char *name,
                                   const struct place *place)
{
    struct section *section = sections_find(gather->sections, KEYS_DATABASE, name);
    if (section == NULL) {
        section = sections_add(gather->sections, KEYS_DATABASE, name);
        section->place = *place;
    }
    return section->entries[keys_index(keys_find("url"))].place.file == NULL ? section : NULL;
}

static void fill_database(struct gather *gather)
{
    static const struct place place = {.file = "DATABASE_URL"};
    const char *value = variable("DATABASE_URL");
    if (value == NULL)
        return;
    struct url *url = url_parse(value, gather->may_read, &place, NULL, &gather->problems);
    if (url == NULL)
        return;
    /* As libpq has it, a database that is not named has the user's name. */
    const char *name = url->database != NULL ? url->database : url->user;
    if (name == NULL) {
        problems_error(&gather->problems, &place, NULL, "expected a url that names a database");
    } else if (strcmp(name, "pgsluice") == 0) {
        problems_error(&gather->problems, &place, NULL,
                       "expected another database: \"pgsluice\" is the admin console");
    } else {
        struct section *section = section_for(gather, name, &place);
        if (section != NULL) {
            struct entry *entry = &section->entries[keys_index(keys_find("url"))];
            entry->place = place;
            entry->text = memory_string(value);
            section->url = url;
            url = NULL;
        }
    }
    url_free(&url);
}

void gather_environment(struct gather *gather)
{
    fill_pool_key(gather, "DATABASE_POOL_SIZE", "size");
    fill_pool_key(gather, "DATABASE_MAX_OVERFLOW", "overflow");
    fill_pool_key(gather, "DATABASE_POOL_TIMEOUT", "timeout");
    fill_database(gather);
}
