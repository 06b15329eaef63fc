#include "config/config.h"

#include "base/memory.h"
#include "config/keys.h"
#include "config/merge.h"
#include "config/sections.h"

#include <stdlib.h>
#include <string.h>

#define ROW_SECTIONS ((unsigned)(KEYS_PGSLUICE | KEYS_POOL))

static const struct key *row_key(size_t index)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if ((keys_table[i].sections & ROW_SECTIONS) != 0 && index-- == 0)
            return &keys_table[i];
    }
    return NULL;
}

/* What holds for the key, in full; the caller frees it. */
static char *effective_text(const struct config *config, const struct key *key)
{
    char text[64];
    bool is_daemon = (key->sections & KEYS_PGSLUICE) != 0;
    const struct section *section =
        is_daemon ? sections_pgsluice(config->sections) : sections_pool(config->sections);
    const char *given = section->entries[keys_index(key)].text;
    struct settings settings = {0};
    if (!is_daemon)
        merge_sections(config->sections, NULL, NULL, &settings);
    const void *target = is_daemon ? (const void *)config : (const void *)&settings;
    bool has_form = keys_format(key, target, text, sizeof(text));
    settings_clear(&settings);
    if (has_form)
        return memory_string(text);
    if (given == NULL)
        given = key->default_value;
    return memory_string(key->is_secret && *given != '\0' ? "********" : given);
}

bool config_row(const struct config *config, size_t index, struct config_row *row)
{
    const struct key *key = row_key(index);
    if (key == NULL)
        return false;
    char *text = effective_text(config, key);
    row->key = key->name;
    snprintf(row->value, sizeof(row->value), "%s", text);
    snprintf(row->default_value, sizeof(row->default_value), "%s", key->default_value);
    row->changeable = !key->needs_restart;
    free(text);
    return true;
}

bool config_restart_needed(const struct config *old, const struct config *new, char *text,
                           size_t size)
{
    size_t length = 0;
    if (size > 0)
        *text = '\0';
    bool is_needed = false;
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        const struct key *key = &keys_table[i];
        if (!key->needs_restart)
            continue;
        char *before = effective_text(old, key);
        char *after = effective_text(new, key);
        if (strcmp(before, after) != 0) {
            if (length < size)
                length += (size_t)snprintf(text + length, size - length, "%s%s",
                                           is_needed ? ", " : "", key->name);
            is_needed = true;
        }
        free(before);
        free(after);
    }
    return is_needed;
}
