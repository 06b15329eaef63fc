#include "config/merge.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>

#define POOL_KEYS ((unsigned)(KEYS_POOL | KEYS_DATABASE | KEYS_USER))

/* Values were tried when they were read: here they cannot fail. */
static void apply(const struct key *key, const char *text, struct settings *settings)
{
    char problem[PROBLEMS_TEXT];
    bool is_good = keys_apply(key, text, settings, problem, sizeof(problem));
    check(is_good);
}

static void apply_defaults(struct settings *settings)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        const struct key *key = &keys_table[i];
        if ((key->sections & POOL_KEYS) != 0 && key->type != KEYS_URL)
            apply(key, key->default_value, settings);
    }
}

static void replace(char **string, const char *value)
{
    memory_wipe_string(*string);
    *string = value != NULL ? memory_string(value) : NULL;
}

static void apply_section(const struct section *section, struct settings *settings)
{
    /* A password belongs to the user that it was given for. */
    if (sections_text(section, "user") != NULL)
        replace(&settings->server_password, NULL);
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (section->entries[i].text != NULL && keys_table[i].type != KEYS_URL)
            apply(&keys_table[i], section->entries[i].text, settings);
    }
}

static char *copy_or_null(const char *string)
{
    return string != NULL ? memory_string(string) : NULL;
}

static void apply_hosts(const struct url *url, struct settings *settings)
{
    settings->host_count = url->host_count;
    settings->hosts = memory_zeroed(url->host_count * sizeof(*settings->hosts));
    for (size_t i = 0; i < url->host_count; i++) {
        settings->hosts[i].host = memory_string(url->hosts[i].host);
        settings->hosts[i].hostaddr = copy_or_null(url->hosts[i].hostaddr);
        settings->hosts[i].port = url->hosts[i].port;
    }
}

static void apply_url(const struct url *url, struct settings *settings)
{
    apply_hosts(url, settings);
    settings->server_database = copy_or_null(url->database);
    if (url->user != NULL) {
        replace(&settings->server_user, url->user);
        replace(&settings->server_password, NULL);
    }
    if (url->password != NULL)
        replace(&settings->server_password, url->password);
    if (url->has_target)
        settings->target = url->target;
    if (url->connect_timeout > 0)
        settings->connect_timeout = url->connect_timeout;
    for (size_t i = 0; i < url->server_settings.count; i++)
        pairs_set(&settings->server_settings, url->server_settings.items[i].name,
                  url->server_settings.items[i].value);
}

void merge_sections(const struct config_sections *sections, const struct section *database,
                    const struct section *user, struct settings *settings)
{
    apply_defaults(settings);
    if (database != NULL && !sections_is_named(database))
        settings->warm = 0;
    apply_section(sections_pool(sections), settings);
    if (database != NULL && database->url != NULL)
        apply_url(database->url, settings);
    if (database != NULL)
        apply_section(database, settings);
    if (user != NULL)
        apply_section(user, settings);
    if (settings->warm > settings->size)
        settings->warm = settings->size;
}

const char *merge_forced_user(const struct config_sections *sections,
                              const struct section *database)
{
    const char *user = sections_text(database, "user");
    if (user == NULL && database->url != NULL)
        user = database->url->user;
    if (user == NULL)
        user = sections_text(sections_pool(sections), "user");
    return user != NULL && *user != '\0' ? user : NULL;
}
