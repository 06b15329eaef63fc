#include "state/routines.h"
#include "base/memory.h"
#include "pg/lexer_body.h"
#include "pg/pairs.h"
#include "state/reference.h"
#include "state/table.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* So many custom settings are asked for. */
#define ROUTINES_MOST_SETTINGS 200

/* Identifiers are not longer. */
#define ROUTINES_LONGEST_WORD 63

#define ROUTINES_FILTER_BITS 1024u

struct routine_word {
    unsigned effects;
    UT_hash_handle hh;
    char text[];
};

struct routines {
    unsigned references;        /* atomic */
    unsigned always;            /* effects of any text */
    unsigned foreign;           /* of one with a word that is not ASCII */
    unsigned all;               /* of all together */
    struct routine_word *words; /* owned */
    struct pairs settings;      /* owned */
    uint64_t serial;
    uint64_t filter[ROUTINES_FILTER_BITS / 64]; /* of the words, by routines_bit() */
};

/* ---- Words of a text ---- */

static bool routines_is_foreign(char letter)
{
    return (unsigned char)letter >= 0x80 || letter == ROUTINE_FOREIGN;
}

static bool routines_is_letter(char letter)
{
    char lower = (char)(letter | 0x20);
    return (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9') || letter == '_' ||
           routines_is_foreign(letter);
}

static char routines_lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter | 0x20) : letter;
}

static unsigned routines_bit(const char *word, size_t length)
{
    unsigned first = (unsigned char)routines_lower(word[0]);
    unsigned last = (unsigned char)routines_lower(word[length - 1]);
    return (first * 37 + last * 11 + (unsigned)length * 131) % ROUTINES_FILTER_BITS;
}

/* The next run of letters; its length is 0 at the end. */
static const char *routines_next_word(const char **at, const char *end, size_t *length,
                                      bool *is_foreign)
{
    const char *from = *at;
    *is_foreign = false;
    while (from < end && !routines_is_letter(*from))
        from++;
    const char *to = from;
    for (; to < end && routines_is_letter(*to); to++)
        *is_foreign |= routines_is_foreign(*to);
    *at = to;
    *length = (size_t)(to - from);
    return from;
}

static unsigned routines_look_up(const struct routines *routines, const char *word, size_t length)
{
    unsigned bit = routines_bit(word, length);
    if ((routines->filter[bit / 64] >> (bit % 64) & 1) == 0 || length > ROUTINES_LONGEST_WORD)
        return 0;
    char lower[ROUTINES_LONGEST_WORD];
    for (size_t i = 0; i < length; i++)
        lower[i] = routines_lower(word[i]);
    struct routine_word *found;
    HASH_FIND(hh, routines->words, lower, (unsigned)length, found);
    return found != NULL ? found->effects : 0;
}

unsigned routines_effects(const struct routines *routines, const char *sql, size_t length)
{
    unsigned effects = routines->always;
    const char *at = sql, *end = sql + length;
    for (;;) {
        size_t word_length;
        bool is_foreign;
        const char *word = routines_next_word(&at, end, &word_length, &is_foreign);
        if (word_length == 0)
            return effects;
        effects |= is_foreign ? routines->foreign : routines_look_up(routines, word, word_length);
    }
}

/* ---- The set ---- */

static void routines_add_word(struct routines *routines, const char *word, size_t length,
                              unsigned effects)
{
    struct routine_word *found = NULL;
    if (length > ROUTINES_LONGEST_WORD)
        length = ROUTINES_LONGEST_WORD;
    char lower[ROUTINES_LONGEST_WORD];
    for (size_t i = 0; i < length; i++)
        lower[i] = routines_lower(word[i]);
    HASH_FIND(hh, routines->words, lower, (unsigned)length, found);
    if (found == NULL) {
        found = memory_zeroed(sizeof *found + length + 1);
        memcpy(found->text, lower, length);
        HASH_ADD(hh, routines->words, text, (unsigned)length, found);
        unsigned bit = routines_bit(lower, length);
        routines->filter[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
    found->effects |= effects;
}

/* By its name's first word: what else a quoted name has, separates words. */
static void routines_add(struct routines *routines, const struct routine *routine, unsigned effects)
{
    static const char *const fires[] = {"insert", "update", "delete", "merge", "copy", "truncate"};
    const char *at = routine->name;
    size_t length;
    bool is_foreign;
    const char *word = routines_next_word(&at, at + strlen(at), &length, &is_foreign);
    routines->all |= effects;
    if (length == 0)
        routines->always |= effects;
    else if (is_foreign)
        routines->foreign |= effects;
    else
        routines_add_word(routines, word, length, effects);
    for (size_t i = 0; routine->is_trigger && i < sizeof fires / sizeof fires[0]; i++)
        routines_add_word(routines, fires[i], strlen(fires[i]), effects);
}

static struct routines *routines_begin(void)
{
    static _Atomic uint64_t serials;
    struct routines *routines = memory_new(struct routines);
    routines->references = 1;
    routines->serial = atomic_fetch_add(&serials, 1) + 1;
    return routines;
}

static void routines_free(struct routines *routines)
{
    struct routine_word *word, *next;
    HASH_ITER (hh, routines->words, word, next) {
        HASH_DEL(routines->words, word);
        free(word);
    }
    pairs_clear(&routines->settings);
    free(routines);
}

static void routines_note_setting(const char *name, void *context)
{
    struct pairs *names = context;
    if (pairs_find(names, name) == NULL && names->count <= ROUTINES_MOST_SETTINGS)
        pairs_add(names, name, "");
}

/* By its own body; names what it sets. */
static unsigned routines_own_effects(struct routines *routines, const struct routine *routine)
{
    struct pairs names = {0};
    unsigned effects = lexer_body(routine->body, strlen(routine->body), routine->is_sql,
                                  routines_note_setting, &names);
    for (size_t i = 0; (effects & LEXER_BODY_SETTINGS) != 0 && i < names.count; i++) {
        if (pairs_find(&routines->settings, names.items[i].name) != NULL)
            continue;
        if (routines->settings.count < ROUTINES_MOST_SETTINGS)
            pairs_add(&routines->settings, names.items[i].name, "");
        else
            effects |= LEXER_BODY_HIDES;
    }
    pairs_clear(&names);
    return effects;
}

/* One more step along the calls; false where nothing has come of it. */
static bool routines_follow_calls(struct routines *routines, const struct routine *list,
                                  size_t count, unsigned *effects)
{
    bool more = false;
    for (size_t i = 0; i < count; i++) {
        unsigned found =
            effects[i] | routines_effects(routines, list[i].body, strlen(list[i].body));
        if (found == effects[i])
            continue;
        effects[i] = found;
        routines_add(routines, &list[i], found);
        more = true;
    }
    return more;
}

struct routines *routines_new(const struct routine *list, size_t count)
{
    struct routines *routines = routines_begin();
    unsigned *effects = memory_zeroed((count + 1) * sizeof *effects);
    for (size_t i = 0; i < count; i++) {
        effects[i] = routines_own_effects(routines, &list[i]);
        if (effects[i] != 0)
            routines_add(routines, &list[i], effects[i]);
    }
    while (routines->all != 0 && routines_follow_calls(routines, list, count, effects))
        continue;
    free(effects);
    if (routines->all == 0) {
        routines_free(routines);
        return NULL;
    }
    routines_add_word(routines, "execute", strlen("execute"), ROUTINES_EXECUTE);
    return routines;
}

struct routines *routines_unknown(void)
{
    struct routines *routines = routines_begin();
    routines->always = routines->all = LEXER_BODY_SETTINGS | LEXER_BODY_OBJECTS;
    return routines;
}

struct routines *routines_retain(struct routines *routines)
{
    if (routines != NULL)
        reference_take(&routines->references);
    return routines;
}

void routines_release(struct routines **routines)
{
    if (*routines != NULL && reference_give_locked(&(*routines)->references))
        routines_free(*routines);
    *routines = NULL;
}

unsigned routines_all_effects(const struct routines *routines)
{
    return routines->all;
}

const struct pairs *routines_settings(const struct routines *routines)
{
    return &routines->settings;
}

uint64_t routines_serial(const struct routines *routines)
{
    return routines->serial;
}
