#include "config/settings.h"

#include "base/check.h"
#include "base/memory.h"
#include "config/lists.h"

#include <stdlib.h>
#include <string.h>

const char *const settings_target_names[] = {
    "any", "read-write", "read-only", "primary", "standby", "prefer-standby", NULL,
};

struct settings *settings_retain(struct settings *settings)
{
    __atomic_add_fetch(&settings->references, 1, __ATOMIC_RELAXED);
    return settings;
}

void settings_clear(struct settings *settings)
{
    for (size_t i = 0; i < settings->host_count; i++) {
        free(settings->hosts[i].host);
        free(settings->hosts[i].hostaddr);
    }
    free(settings->hosts);
    free(settings->database);
    free(settings->user);
    free(settings->server_database);
    free(settings->server_user);
    memory_wipe_string(settings->server_password);
    memory_wipe_string(settings->server_secret);
    pairs_clear(&settings->server_settings);
    lists_clear_session_functions(settings);
    *settings = (struct settings){0};
}

void settings_release(struct settings **settings)
{
    struct settings *released = *settings;
    *settings = NULL;
    if (released == NULL)
        return;
    check(__atomic_load_n(&released->references, __ATOMIC_RELAXED) > 0);
    if (__atomic_sub_fetch(&released->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    settings_clear(released);
    free(released);
}

static bool same_text(const char *one, const char *other)
{
    return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static bool same_hosts(const struct settings *one, const struct settings *other)
{
    if (one->host_count != other->host_count)
        return false;
    for (size_t i = 0; i < one->host_count; i++) {
        const struct settings_host *left = &one->hosts[i];
        const struct settings_host *right = &other->hosts[i];
        if (left->port != right->port || !same_text(left->host, right->host) ||
            !same_text(left->hostaddr, right->hostaddr))
            return false;
    }
    return true;
}

static bool same_pairs(const struct pairs *one, const struct pairs *other)
{
    if (one->count != other->count)
        return false;
    for (size_t i = 0; i < one->count; i++) {
        if (!same_text(one->items[i].name, other->items[i].name) ||
            !same_text(one->items[i].value, other->items[i].value))
            return false;
    }
    return true;
}

bool settings_same_server(const struct settings *one, const struct settings *other)
{
    return same_hosts(one, other) && one->target == other->target &&
           same_text(one->server_database, other->server_database) &&
           same_text(one->server_user, other->server_user) &&
           same_text(one->server_password, other->server_password) &&
           same_text(one->server_secret, other->server_secret) &&
           same_pairs(&one->server_settings, &other->server_settings);
}
