#include "config/gather_value.h"

#include "base/memory.h"
#include "config/config.h"
#include "config/lists.h"
#include "config/suggest.h"

#include <stdlib.h>
#include <string.h>

/* Applies the value to a struct that is thrown away. */
static bool try_value(const struct key *key, const char *text, char *problem, size_t size)
{
    bool is_good;
    if ((key->sections & KEYS_PGSLUICE) != 0) {
        struct config config = {0};
        is_good = keys_apply(key, text, &config, problem, size);
        lists_clear(&config);
        free(config.auth_file);
    } else {
        struct settings settings = {0};
        is_good = keys_apply(key, text, &settings, problem, size);
        settings_clear(&settings);
    }
    return is_good;
}

static const char *nearest_choice(const struct key *key, const char *text)
{
    size_t count = 0;
    if (key->type != KEYS_CHOICE)
        return NULL;
    while (key->choices[count] != NULL)
        count++;
    return suggest_nearest(text, key->choices, count);
}

static void tell_bad_value(struct gather *gather, const struct key *key, const char *text,
                           const char *problem, const struct place *place, const char *where)
{
    const char *nearest = nearest_choice(key, text);
    if (key->type == KEYS_OTHER) /* its setter's text is whole */
        problems_error(&gather->problems, place, where, "%s", problem);
    else if (nearest != NULL)
        problems_error(&gather->problems, place, where, "%s, got \"%.200s\"; did you mean \"%s\"?",
                       problem, text, nearest);
    else
        problems_error(&gather->problems, place, where, "%s%s, got \"%.200s\"", problem,
                       key->type == KEYS_TIME ? " (units: us, ms, s, min, h, d)" : "", text);
}

static void take_url(struct gather *gather, struct section *section, const char *text,
                     const struct place *place, const char *where)
{
    url_free(&section->url);
    section->url = url_parse(text, gather->may_read, place, where, &gather->problems);
    section->has_bad_url = section->url == NULL;
}

void gather_value(struct gather *gather, struct section *section, const struct key *key,
                  const char *text, const struct place *place, const char *where)
{
    char problem[PROBLEMS_TEXT];
    struct entry *entry = &section->entries[keys_index(key)];
    entry->place = *place;
    if (key->type == KEYS_URL) {
        take_url(gather, section, text, place, where);
        if (section->url == NULL)
            return;
    } else if (!try_value(key, text, problem, sizeof(problem))) {
        tell_bad_value(gather, key, text, problem, place, where);
        return;
    }
    entry->text = memory_string(text);
}
