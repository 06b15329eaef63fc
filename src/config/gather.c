#include "config/gather.h"

#include "base/memory.h"
#include "config/config.h"
#include "config/expand.h"
#include "config/gather_value.h"
#include "config/ini_reader.h"
#include "config/lists.h"
#include "config/suggest.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Stands for "before the first section"; a section that is not known is NULL. */
static struct section nowhere;

static const char *keep_name(void *context, const char *name)
{
    struct gather *gather = context;
    return sections_keep_name(gather->sections, name);
}

struct heading {
    const char *word;
    enum keys_section kind;
    bool has_name;
};

static const struct heading headings[] = {
    {"pgsluice", KEYS_PGSLUICE, false},
    {"pool", KEYS_POOL, false},
    {"database", KEYS_DATABASE, true},
    {"user", KEYS_USER, true},
};

#define HEADING_COUNT (sizeof(headings) / sizeof(headings[0]))

static void tell_unknown_section(struct gather *gather, const char *text, const char *word,
                                 const struct place *place)
{
    const char *words[HEADING_COUNT];
    for (size_t i = 0; i < HEADING_COUNT; i++)
        words[i] = headings[i].word;
    const char *nearest = suggest_nearest(word, words, HEADING_COUNT);
    problems_error(&gather->problems, place, NULL,
                   "expected [pgsluice], [pool], [database NAME], [database *] or [user NAME], got "
                   "\"[%s]\"%s%s%s",
                   text, nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?" : "");
}

static const struct heading *find_heading(const char *word)
{
    for (size_t i = 0; i < HEADING_COUNT; i++) {
        if (strcmp(headings[i].word, word) == 0)
            return &headings[i];
    }
    return NULL;
}

/* NULL: fine; else what is wrong with the name behind the section's first word. */
static const char *check_name(const struct heading *heading, const char *name)
{
    if (heading->has_name && *name == '\0')
        return heading->kind == KEYS_DATABASE ? "expected [database NAME] or [database *]"
                                              : "expected [user NAME]";
    if (!heading->has_name && *name != '\0')
        return "expected no name in the title of this section";
    if (heading->kind == KEYS_DATABASE && strcmp(name, "pgsluice") == 0)
        return "expected another name: the database \"pgsluice\" is the admin console";
    if (heading->kind == KEYS_USER && strcmp(name, "*") == 0)
        return "expected the name of a user; what holds for all users stands in [pool]";
    return NULL;
}

static struct section *open_section(struct gather *gather, const struct heading *heading,
                                    const char *name, const struct place *place)
{
    char label[PROBLEMS_TEXT];
    struct config_sections *sections = gather->sections;
    struct section *section =
        sections_find(sections, heading->kind, heading->has_name ? name : NULL);
    if (section == NULL)
        section = sections_add(sections, heading->kind, heading->has_name ? name : NULL);
    if (section->place.file != NULL) {
        sections_label(section, NULL, label, sizeof(label));
        problems_error(&gather->problems, place, label,
                       "expected each section once, got it again (first in %s:%u)",
                       section->place.file, section->place.line);
    } else {
        section->place = *place;
    }
    return section;
}

static void *take_section(void *context, const char *text, const struct place *place)
{
    struct gather *gather = context;
    struct section *section = NULL;
    size_t length = 0;
    while (text[length] != '\0' && !isspace((unsigned char)text[length]))
        length++;
    const char *name = text + length;
    while (isspace((unsigned char)*name))
        name++;
    char *word = memory_string_of(text, length);
    const struct heading *heading = find_heading(word);
    const char *problem = heading != NULL ? check_name(heading, name) : NULL;
    if (heading == NULL)
        tell_unknown_section(gather, text, word, place);
    else if (problem != NULL)
        problems_error(&gather->problems, place, NULL, "%s, got \"[%s]\"", problem, text);
    else
        section = open_section(gather, heading, name, place);
    free(word);
    return section;
}

static void tell_unknown_key(struct gather *gather, const struct section *section, const char *name,
                             const struct place *place)
{
    char label[PROBLEMS_TEXT];
    const char *names[KEYS_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if ((keys_table[i].sections & section->kind) != 0)
            names[count++] = keys_table[i].name;
    }
    const char *nearest = suggest_nearest(name, names, count);
    sections_label(section, name, label, sizeof(label));
    problems_error(&gather->problems, place, label, "expected a key that this section has%s%s%s",
                   nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?" : "");
}

static void tell_wrong_section(struct gather *gather, const struct section *section,
                               const struct key *key, const struct place *place)
{
    char label[PROBLEMS_TEXT];
    const char *right = "[pgsluice]";
    if ((key->sections & KEYS_POOL) != 0)
        right = "[pool] or [database NAME]";
    else if ((key->sections & KEYS_DATABASE) != 0)
        right = "[database NAME]";
    sections_label(section, key->name, label, sizeof(label));
    problems_error(&gather->problems, place, label, "expected this key in %s only", right);
}

/* True where the key may stand in the section and has not stood there before. */
static bool is_welcome(struct gather *gather, const struct section *section, const struct key *key,
                       const struct place *place)
{
    char label[PROBLEMS_TEXT];
    if ((key->sections & section->kind) == 0) {
        tell_wrong_section(gather, section, key, place);
        return false;
    }
    const struct place *first = &section->entries[keys_index(key)].place;
    if (first->file != NULL) {
        sections_label(section, key->name, label, sizeof(label));
        problems_error(&gather->problems, place, label,
                       "expected each key once, got it again (first in %s:%u)", first->file,
                       first->line);
        return false;
    }
    return true;
}

static void take_key(void *context, void *token, const char *name, const char *value,
                     const struct place *place)
{
    struct gather *gather = context;
    struct section *section = token;
    char label[PROBLEMS_TEXT];
    char problem[PROBLEMS_TEXT];
    if (section == NULL)
        return;
    if (section == &nowhere) {
        problems_error(&gather->problems, place, name,
                       "expected a section such as [pgsluice] before the first key");
        return;
    }
    const struct key *key = keys_find(name);
    if (key == NULL) {
        tell_unknown_key(gather, section, name, place);
        return;
    }
    if (!is_welcome(gather, section, key, place))
        return;
    sections_label(section, name, label, sizeof(label));
    section->entries[keys_index(key)].place = *place;
    char *text = expand_variables(value, problem, sizeof(problem));
    if (text == NULL) {
        problems_error(&gather->problems, place, label, "%s", problem);
        section->has_bad_url = section->has_bad_url || key->type == KEYS_URL;
        return;
    }
    gather_value(gather, section, key, text, place, label);
    memory_wipe_string(text);
}

static const struct ini_events events = {
    .keep_name = keep_name, .section = take_section, .key = take_key};

void gather_file(struct gather *gather, const char *file)
{
    ini_reader_file(file, &events, gather, &nowhere, &gather->problems);
}

void gather_text(struct gather *gather, const char *name, const char *text, size_t length)
{
    ini_reader_text(name, text, length, &events, gather, &nowhere, &gather->problems);
}
