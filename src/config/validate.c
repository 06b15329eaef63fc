#include "config/validate.h"

#include "config/merge.h"
#include "config/sections.h"

#include <stddef.h>

static void check_urls(const struct config_sections *sections, const struct place *whole,
                       struct problems *problems)
{
    char label[PROBLEMS_TEXT];
    size_t count = 0;
    for (size_t i = 0; i < sections->count; i++) {
        const struct section *section = sections->items[i];
        if (section->kind != KEYS_DATABASE)
            continue;
        count++;
        if (section->url != NULL || section->has_bad_url)
            continue;
        sections_label(section, "url", label, sizeof(label));
        problems_error(problems, &section->place, label,
                       "expected a connection URI or keyword string of libpq, none given");
    }
    if (count == 0 && problems->errors == 0)
        problems_error(problems, whole, NULL,
                       "expected at least one [database NAME] with a url, or the environment "
                       "variable DATABASE_URL");
}

/* The entry that is to blame for size or overflow: the narrowest section's. */
static const struct section *blamed_section(const struct section *const *narrowest_first,
                                            size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (narrowest_first[i] != NULL && sections_text(narrowest_first[i], key) != NULL)
            return narrowest_first[i];
    }
    return NULL;
}

/* `told` is the section that was last blamed: a mistake in [pool] is told once. */
static void check_size(const struct config_sections *sections, const struct section *database,
                       const struct section *user, const struct section **told,
                       struct problems *problems)
{
    struct settings settings = {0};
    merge_sections(sections, database, user, &settings);
    bool is_good = settings.size > 0 || settings.overflow > 0;
    settings_clear(&settings);
    if (is_good)
        return;
    const struct section *order[] = {user, database, sections_pool(sections)};
    const char *key = "overflow";
    const struct section *blamed = blamed_section(order, 3, key);
    if (blamed == NULL || blamed == *told)
        return;
    *told = blamed;
    char label[PROBLEMS_TEXT];
    sections_label(blamed, key, label, sizeof(label));
    problems_error(problems, &blamed->entries[keys_index(keys_find(key))].place, label,
                   "expected more than 0 where size is 0, got \"%s\"", sections_text(blamed, key));
}

static bool has_size(const struct section *user)
{
    return user->kind == KEYS_USER &&
           (sections_text(user, "size") != NULL || sections_text(user, "overflow") != NULL);
}

static void check_sizes(const struct config_sections *sections, struct problems *problems)
{
    const struct section *told = NULL;
    check_size(sections, NULL, NULL, &told, problems);
    for (size_t i = 0; i < sections->count; i++) {
        const struct section *database = sections->items[i];
        if (database->kind != KEYS_DATABASE)
            continue;
        check_size(sections, database, NULL, &told, problems);
        for (size_t j = 0; j < sections->count; j++) {
            if (has_size(sections->items[j]))
                check_size(sections, database, sections->items[j], &told, problems);
        }
    }
}

static void check_logins(const struct config *config, struct problems *problems)
{
    char label[PROBLEMS_TEXT];
    const struct config_sections *sections = config->sections;
    for (size_t i = 0; i < sections->count; i++) {
        const struct section *section = sections->items[i];
        const struct url *url = section->url;
        if (url == NULL || (url->user != NULL && url->password != NULL))
            continue;
        sections_label(section, NULL, label, sizeof(label));
        problems_warning(problems, &section->place, label,
                         "nobody can log in: there is no auth_file, and the url has no user and "
                         "password");
    }
}

static void check_secrets(const struct config *config, struct problems *problems)
{
    struct place place = {.file = config->auth_file};
    const struct users *users = &config->sections->users;
    for (size_t i = 0; i < users->count; i++) {
        if (users_secret_kind(users->entries[i].secret) != USERS_MD5)
            continue;
        place.line = users->entries[i].line;
        problems_warning(problems, &place, NULL,
                         "\"%s\" cannot log in: an md5 hash is not enough for auth = scram-sha-256",
                         users->entries[i].name);
    }
}

void validate_config(const struct config *config, const struct place *whole,
                     struct problems *problems)
{
    check_urls(config->sections, whole, problems);
    check_sizes(config->sections, problems);
    if (config->auth != CONFIG_AUTH_TRUST && !config->sections->has_users)
        check_logins(config, problems);
    if (config->auth == CONFIG_AUTH_SCRAM && config->sections->has_users)
        check_secrets(config, problems);
}
