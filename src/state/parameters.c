/* parameters.c: server parameters are pair sets whose names are kept as the server spells them. */
#include "state/parameters.h"

#include "base/hash.h"
#include "pg/reply.h"
#include "state/pair_set.h"

#include <pthread.h>
#include <string.h>

static struct pair_set_table table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_table(void)
{
    pair_set_table_init(&table, "parameters", false);
}

static struct pair_set_table *the_table(void)
{
    pthread_once(&once, init_table);
    return &table;
}

/* `struct parameters` is a pair_set of this table under another name. */

static struct parameters *wrap(struct pair_set *set)
{
    return (struct parameters *)set;
}

static const struct pair_set *unwrap(const struct parameters *parameters)
{
    return (const struct pair_set *)parameters;
}

struct parameters *parameters_intern(const struct pairs *pairs)
{
    return wrap(pair_set_intern(the_table(), pairs));
}

uint64_t parameters_context(const struct parameters *parameters, bool with_encoding)
{
    static const char *const names[] = {"DateStyle", "IntervalStyle", "TimeZone",
                                        "standard_conforming_strings", "client_encoding"};
    size_t count = sizeof names / sizeof names[0] - !with_encoding;
    uint64_t hash = HASH_START;
    for (size_t i = 0; i < count; i++) {
        const char *value = parameters_find(parameters, names[i]);
        if (value == NULL)
            value = "";
        hash = hash_bytes(hash, value, strlen(value) + 1);
    }
    return hash | 1;
}

struct parameters *parameters_retain(struct parameters *parameters)
{
    return wrap(pair_set_retain((struct pair_set *)parameters));
}

void parameters_release(struct parameters **parameters)
{
    if (*parameters != NULL)
        pair_set_release(the_table(), (struct pair_set *)*parameters);
    *parameters = NULL;
}

const struct pairs *parameters_pairs(const struct parameters *parameters)
{
    return pair_set_pairs(unwrap(parameters));
}

struct parameters *parameters_with(const struct parameters *parameters, const char *name,
                                   const char *value)
{
    return wrap(pair_set_with(the_table(), unwrap(parameters), name, value));
}

const char *parameters_find(const struct parameters *parameters, const char *name)
{
    return pair_set_find(unwrap(parameters), name);
}

void parameters_write_difference(const struct parameters *from, const struct parameters *to,
                                 struct buffer *messages)
{
    if (from == to)
        return;
    const struct pairs *pairs = parameters_pairs(to);
    for (size_t i = 0; i < pairs->count; i++) {
        const struct pair *pair = &pairs->items[i];
        const char *told = from == NULL ? NULL : parameters_find(from, pair->name);
        if (told == NULL || strcmp(told, pair->value) != 0)
            reply_parameter_status(messages, pair->name, pair->value);
    }
}
