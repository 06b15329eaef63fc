#include "config/keys.h"

#include "base/clock.h"
#include "base/memory.h"
#include "config/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Some words in place of PostgreSQL's own boolean input: only those that cannot be misread. */
static const char *const words_on[] = {"on", "yes", "true", "1", NULL};
static const char *const words_off[] = {"off", "no", "false", "0", NULL};

static int word_index(const char *const *words, const char *text)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0)
            return i;
    }
    return -1;
}

static void add_text(char *text, size_t size, const char *more)
{
    size_t length = strlen(text);
    snprintf(text + length, size - length, "%s", more);
}

static void add_choices(const struct key *key, char *text, size_t size)
{
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (i > 0)
            add_text(text, size, key->choices[i + 1] != NULL ? ", " : " or ");
        add_text(text, size, key->choices[i]);
    }
}

void keys_expectation(const struct key *key, char *text, size_t size)
{
    char least[UNITS_TEXT];
    char most[UNITS_TEXT];
    *text = '\0';
    switch (key->type) {
    case KEYS_SWITCH:
        snprintf(text, size, "on or off");
        break;
    case KEYS_NUMBER:
        snprintf(text, size, "a whole number from %" PRId64 " to %" PRId64, key->least, key->most);
        break;
    case KEYS_TIME:
        units_format_time(key->least, least, sizeof(least));
        units_format_time(key->most, most, sizeof(most));
        snprintf(text, size, "a length of time from %s to %s", least, most);
        break;
    case KEYS_CHOICE:
        add_choices(key, text, size);
        break;
    case KEYS_TEXT:
    case KEYS_URL:
    case KEYS_OTHER:
        snprintf(text, size, "%s", key->expected);
        break;
    }
    if (key->zero != NULL) {
        add_text(text, size, ", or ");
        add_text(text, size, key->zero);
    }
}

/* A number or a length of time; 0 is also the word for it. */
static bool parse_amount(const struct key *key, const char *value, int64_t *amount)
{
    if (key->zero != NULL && (strcmp(value, key->zero) == 0 || strcmp(value, "0") == 0)) {
        *amount = 0;
        return true;
    }
    bool is_good = key->type == KEYS_NUMBER ? units_parse_number(value, amount)
                                            : units_parse_time(value, CLOCK_SECOND, amount);
    return is_good && *amount >= key->least && *amount <= key->most;
}

static bool apply_switch(const char *value, bool *field)
{
    bool is_on = word_index(words_on, value) >= 0;
    if (!is_on && word_index(words_off, value) < 0)
        return false;
    *field = is_on;
    return true;
}

static bool apply_amount(const struct key *key, const char *value, void *field)
{
    int64_t amount;
    if (!parse_amount(key, value, &amount))
        return false;
    if (key->type == KEYS_NUMBER)
        *(unsigned *)field = (unsigned)amount;
    else
        *(microseconds *)field = amount;
    return true;
}

/* Enums of this code count from 0, so that the compiler gives them the size of unsigned. */
static bool apply_choice(const struct key *key, const char *value, void *field)
{
    int index = word_index(key->choices, value);
    if (index < 0)
        return false;
    unsigned chosen = (unsigned)index;
    memcpy(field, &chosen, sizeof(chosen));
    return true;
}

static bool apply_text(const char *value, char **field)
{
    memory_wipe_string(*field);
    *field = *value != '\0' ? memory_string(value) : NULL;
    return true;
}

bool keys_apply(const struct key *key, const char *value, void *target, char *problem, size_t size)
{
    void *field = (char *)target + key->offset;
    bool is_good = false;
    switch (key->type) {
    case KEYS_SWITCH:
        is_good = apply_switch(value, field);
        break;
    case KEYS_NUMBER:
    case KEYS_TIME:
        is_good = apply_amount(key, value, field);
        break;
    case KEYS_CHOICE:
        is_good = apply_choice(key, value, field);
        break;
    case KEYS_TEXT:
        return apply_text(value, field);
    case KEYS_OTHER:
        return key->set(target, value, problem, size);
    case KEYS_URL:
        break;
    }
    if (is_good)
        return true;
    char expectation[256];
    keys_expectation(key, expectation, sizeof(expectation));
    snprintf(problem, size, "expected %s", expectation);
    return false;
}

static void format_amount(const struct key *key, const void *field, char *text, size_t size)
{
    int64_t amount =
        key->type == KEYS_NUMBER ? *(const unsigned *)field : *(const microseconds *)field;
    if (amount == 0 && key->zero != NULL)
        snprintf(text, size, "%s", key->zero);
    else if (key->type == KEYS_NUMBER)
        snprintf(text, size, "%" PRId64, amount);
    else
        units_format_time(amount, text, size);
}

bool keys_format(const struct key *key, const void *target, char *text, size_t size)
{
    const void *field = (const char *)target + key->offset;
    unsigned chosen;
    switch (key->type) {
    case KEYS_SWITCH:
        snprintf(text, size, "%s", *(const bool *)field ? "on" : "off");
        return true;
    case KEYS_NUMBER:
    case KEYS_TIME:
        format_amount(key, field, text, size);
        return true;
    case KEYS_CHOICE:
        memcpy(&chosen, field, sizeof(chosen));
        snprintf(text, size, "%s", key->choices[chosen]);
        return true;
    case KEYS_TEXT:
    case KEYS_URL:
    case KEYS_OTHER:
        break;
    }
    return false;
}
