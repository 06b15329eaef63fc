/* pairs.c: lists are short (a session's parameters), so a name is searched from end to start. */
#include "pg/pairs.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>

/* Not tolower(): PostgreSQL folds GUC names by ASCII, whatever the locale. */
static char fold(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static bool same_name(const char *one, const char *other)
{
    while (*one != '\0' && fold(*one) == fold(*other)) {
        one++;
        other++;
    }
    return fold(*one) == fold(*other);
}

static struct pair *last_of(const struct pairs *pairs, const char *name)
{
    for (size_t i = pairs->count; i-- > 0;) {
        if (same_name(pairs->items[i].name, name))
            return &pairs->items[i];
    }
    return NULL;
}

void pairs_add(struct pairs *pairs, const char *name, const char *value)
{
    size_t count = pairs->count;

    /* The room is always the power of two from `count` on, so that it needs no field. */
    if ((count & (count - 1)) == 0)
        pairs->items =
            memory_resize(pairs->items, (count == 0 ? 1 : count * 2) * sizeof *pairs->items);
    pairs->items[count].name = memory_string(name);
    pairs->items[count].value = memory_string(value);
    pairs->count++;
}

void pairs_set(struct pairs *pairs, const char *name, const char *value)
{
    struct pair *pair = last_of(pairs, name);

    if (pair == NULL) {
        pairs_add(pairs, name, value);
        return;
    }
    char *copy = memory_string(value);
    free(pair->value);
    pair->value = copy;
}

const char *pairs_find(const struct pairs *pairs, const char *name)
{
    const struct pair *pair = last_of(pairs, name);

    return pair == NULL ? NULL : pair->value;
}

void pairs_copy(struct pairs *to, const struct pairs *from)
{
    struct pairs copy = {0};

    for (size_t i = 0; i < from->count; i++)
        pairs_add(&copy, from->items[i].name, from->items[i].value);
    pairs_clear(to);
    *to = copy;
}

void pairs_clear(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->items[i].name);
        free(pairs->items[i].value);
    }
    free(pairs->items);
    *pairs = (struct pairs){0};
}
