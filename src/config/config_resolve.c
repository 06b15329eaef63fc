#include "config/config.h"

#include "base/memory.h"
#include "config/merge.h"
#include "config/sections.h"

#include <string.h>

/* Where neither the sections nor the url have a password: the user list's, then the passfile's. */
static void find_credentials(const struct config *config, const struct url *url,
                             struct settings *settings)
{
    if (settings->server_password != NULL)
        return;
    const char *secret = users_find(&config->sections->users, settings->server_user);
    if (secret != NULL && users_secret_kind(secret) == USERS_PLAIN) {
        settings->server_password = memory_string(secret);
        return;
    }
    const char *password =
        url_passfile_password(url, settings->server_database, settings->server_user);
    if (password != NULL)
        settings->server_password = memory_string(password);
    else if (secret != NULL)
        settings->server_secret = memory_string(secret);
}

struct settings *config_resolve(const struct config *config, const char *database, const char *user)
{
    const struct config_sections *sections = config->sections;
    const struct section *section = sections_database(sections, database);
    if (section == NULL)
        return NULL;
    struct settings *settings = memory_new(struct settings);
    settings->references = 1;
    merge_sections(sections, section, sections_find(sections, KEYS_USER, user), settings);
    settings->database = memory_string(database);
    settings->user = memory_string(user);
    settings->is_named = sections_is_named(section);
    if (settings->server_database == NULL)
        settings->server_database = memory_string(database);
    if (settings->server_user == NULL)
        settings->server_user = memory_string(user);
    find_credentials(config, section->url, settings);
    return settings;
}
