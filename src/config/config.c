#include "config/config.h"

#include "base/check.h"
#include "base/memory.h"
#include "config/lists.h"
#include "config/merge.h"
#include "config/sections.h"

#include <stdlib.h>
#include <string.h>

struct config *config_retain(struct config *config)
{
    __atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
    return config;
}

void config_release(struct config **config)
{
    struct config *released = *config;
    *config = NULL;
    if (released == NULL)
        return;
    check(__atomic_load_n(&released->references, __ATOMIC_RELAXED) > 0);
    if (__atomic_sub_fetch(&released->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    lists_clear(released);
    sections_free(&released->sections);
    free(released->auth_file);
    free(released->file);
    free(released);
}

/* The index-th section of a named database, or NULL. */
static const struct section *named_section(const struct config *config, size_t index)
{
    for (size_t i = 0; i < config->sections->count; i++) {
        const struct section *section = config->sections->items[i];
        if (sections_is_named(section) && index-- == 0)
            return section;
    }
    return NULL;
}

size_t config_database_count(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->sections->count; i++)
        count += sections_is_named(config->sections->items[i]);
    return count;
}

const char *config_database_name(const struct config *config, size_t index)
{
    const struct section *section = named_section(config, index);
    return section != NULL ? section->name : NULL;
}

const char *config_database_user(const struct config *config, size_t index)
{
    const struct section *section = named_section(config, index);
    return section != NULL ? merge_forced_user(config->sections, section) : NULL;
}

static const char *secret_of_url(const struct section *section, const char *user)
{
    const struct url *url = section != NULL ? section->url : NULL;
    if (url == NULL || url->user == NULL || strcmp(url->user, user) != 0)
        return NULL;
    return url->password;
}

const char *config_secret(const struct config *config, const char *database, const char *user)
{
    const struct config_sections *sections = config->sections;
    if (sections->has_users)
        return users_find(&sections->users, user);
    if (database != NULL)
        return secret_of_url(sections_database(sections, database), user);
    for (size_t i = 0; i < sections->count; i++) {
        const struct section *section = sections->items[i];
        const char *secret = sections_is_named(section) ? secret_of_url(section, user) : NULL;
        if (secret != NULL)
            return secret;
    }
    return NULL;
}

bool config_is_admin(const struct config *config, const char *user)
{
    for (size_t i = 0; i < config->admin_user_count; i++) {
        if (strcmp(config->admin_users[i], user) == 0)
            return true;
    }
    return false;
}
