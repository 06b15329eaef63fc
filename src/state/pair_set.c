/*
 * pair_set.c: a set is one run of bytes, "name\0value\0name\0value\0…", sorted: that is its key in
 * the table, and its pairs point into it. Every operation writes such a run and looks it up.
 *
 * A run's hash is the sum of its pairs' hashes, so that changing one pair of many costs two small
 * hashes and a few memcpy.
 */
#include "state/pair_set.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/memory.h"
#include "state/reference.h"
#include "state/table.h"

#include <stdlib.h>
#include <string.h>

struct pair_set {
    unsigned references; /* atomic, see reference.h */
    unsigned hash;
    struct pairs pairs; /* items owned, their strings point into key */
    size_t key_length;
    UT_hash_handle hh;
    char key[];
};

/* A run in the making. */
struct run {
    struct buffer bytes;
    size_t count;
    unsigned hash;
};

static char fold(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

int pair_set_compare_names(const char *one, const char *other)
{
    while (*one != '\0' && fold(*one) == fold(*other)) {
        if (*one == ':')
            return strcmp(one, other);
        one++;
        other++;
    }
    return (unsigned char)fold(*one) - (unsigned char)fold(*other);
}

static unsigned hash_of(const char *bytes, size_t length)
{
    unsigned hash;
    HASH_VALUE(bytes, length, hash);
    return hash;
}

/* The length of "name\0value\0" at `bytes`. */
static size_t pair_length(const char *bytes)
{
    size_t name = strlen(bytes) + 1;
    return name + strlen(bytes + name) + 1;
}

static void run_add(struct run *run, const struct pair_set_table *table, const char *name,
                    const char *value)
{
    size_t name_size = strlen(name) + 1;
    size_t value_size = strlen(value) + 1;
    char *bytes = (char *)buffer_reserve(&run->bytes, name_size + value_size);
    memcpy(bytes, name, name_size);
    memcpy(bytes + name_size, value, value_size);
    for (char *letter = bytes; table->folds_names && *letter != '\0' && *letter != ':'; letter++)
        *letter = fold(*letter);
    buffer_filled(&run->bytes, name_size + value_size);
    run->count++;
    run->hash += hash_of(bytes, name_size + value_size);
}

/* Everything of `set` but the bytes from `cut` to `cut_end`, between which `insert` may add. */
static void run_add_around(struct run *run, const struct pair_set_table *table,
                           const struct pair_set *set, size_t cut, size_t cut_end,
                           const struct pair *insert)
{
    run->count = set->pairs.count - (cut < cut_end ? 1 : 0);
    run->hash = set->hash - (cut < cut_end ? hash_of(set->key + cut, cut_end - cut) : 0);
    buffer_append(&run->bytes, set->key, cut);
    if (insert != NULL)
        run_add(run, table, insert->name, insert->value);
    buffer_append(&run->bytes, set->key + cut_end, set->key_length - cut_end);
}

static struct pair_set *set_new(const struct run *run)
{
    size_t length = buffer_length(&run->bytes);
    struct pair_set *set = memory_zeroed(sizeof *set + length);
    set->references = 1;
    set->hash = run->hash;
    set->key_length = length;
    if (length > 0)
        memcpy(set->key, buffer_bytes(&run->bytes), length);
    set->pairs.count = run->count;
    if (run->count > 0)
        set->pairs.items = memory_zeroed(run->count * sizeof *set->pairs.items);
    char *at = set->key;
    for (size_t i = 0; i < run->count; i++) {
        set->pairs.items[i].name = at;
        set->pairs.items[i].value = at + strlen(at) + 1;
        at += pair_length(at);
    }
    check(at == set->key + length);
    return set;
}

static void set_free(struct pair_set *set)
{
    free(set->pairs.items);
    free(set);
}

/* Uses up the run. */
static struct pair_set *intern_run(struct pair_set_table *table, struct run *run)
{
    struct pair_set *set = NULL;
    size_t length = buffer_length(&run->bytes);

    if (run->count == 0) {
        buffer_release(&run->bytes);
        return pair_set_empty(table);
    }
    lock_take(&table->lock);
    HASH_FIND_BYHASHVALUE(hh, table->sets, buffer_bytes(&run->bytes), length, run->hash, set);
    if (set != NULL) {
        reference_take(&set->references);
    } else {
        set = set_new(run);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->sets, set->key, set->key_length, set->hash, set);
    }
    lock_release(&table->lock);
    buffer_release(&run->bytes);
    return set;
}

void pair_set_table_init(struct pair_set_table *table, const char *name, bool folds_names)
{
    lock_init(&table->lock, name);
    table->folds_names = folds_names;
    table->sets = NULL;
    table->empty = set_new(&(struct run){0});
}

struct pair_set *pair_set_empty(struct pair_set_table *table)
{
    return pair_set_retain(table->empty);
}

struct pair_set *pair_set_retain(struct pair_set *set)
{
    reference_take(&set->references);
    return set;
}

void pair_set_release(struct pair_set_table *table, struct pair_set *set)
{
    if (reference_give_shared(&set->references))
        return;
    lock_take(&table->lock);
    bool last = reference_give_locked(&set->references);
    if (last)
        HASH_DEL(table->sets, set);
    lock_release(&table->lock);
    if (last)
        set_free(set);
}

/* The order of names, and of equal names the later first. */
static int compare_items(const void *one, const void *other)
{
    const struct pair *const *first = one;
    const struct pair *const *second = other;
    int order = pair_set_compare_names((*first)->name, (*second)->name);
    if (order != 0)
        return order;
    return *first > *second ? -1 : 1;
}

struct pair_set *pair_set_intern(struct pair_set_table *table, const struct pairs *pairs)
{
    struct run run = {0};

    if (pairs->count == 0)
        return pair_set_empty(table);
    const struct pair **order = memory_zeroed(pairs->count * sizeof *order);
    for (size_t i = 0; i < pairs->count; i++)
        order[i] = &pairs->items[i];
    qsort(order, pairs->count, sizeof *order, compare_items);
    for (size_t i = 0; i < pairs->count; i++) {
        if (i == 0 || pair_set_compare_names(order[i - 1]->name, order[i]->name) != 0)
            run_add(&run, table, order[i]->name, order[i]->value);
    }
    free(order);
    return intern_run(table, &run);
}

/* The first pair whose name is not below `name`; *found where it is the same. */
static size_t find_place(const struct pair_set *set, const char *name, bool *found)
{
    size_t low = 0;
    size_t high = set->pairs.count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = pair_set_compare_names(set->pairs.items[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where the pair begins in the key; one past the last gives the key's end. */
static size_t offset_of(const struct pair_set *set, size_t index)
{
    if (index == set->pairs.count)
        return set->key_length;
    return (size_t)(set->pairs.items[index].name - set->key);
}

struct pair_set *pair_set_with(struct pair_set_table *table, const struct pair_set *set,
                               const char *name, const char *value)
{
    struct run run = {0};
    bool found;
    size_t place = find_place(set, name, &found);

    if (found && strcmp(set->pairs.items[place].value, value) == 0)
        return pair_set_retain((struct pair_set *)set);
    struct pair pair = {.name = (char *)name, .value = (char *)value};
    run_add_around(&run, table, set, offset_of(set, place), offset_of(set, place + found), &pair);
    return intern_run(table, &run);
}

struct pair_set *pair_set_without(struct pair_set_table *table, const struct pair_set *set,
                                  const char *name)
{
    struct run run = {0};
    bool found;
    size_t place = find_place(set, name, &found);

    if (!found)
        return pair_set_retain((struct pair_set *)set);
    run_add_around(&run, table, set, offset_of(set, place), offset_of(set, place + 1), NULL);
    return intern_run(table, &run);
}

struct pair_set *pair_set_merge(struct pair_set_table *table, const struct pair_set *under,
                                const struct pair_set *over)
{
    struct run run = {0};
    const struct pair *low = under->pairs.items;
    const struct pair *high = over->pairs.items;
    size_t low_left = under->pairs.count;
    size_t high_left = over->pairs.count;

    while (low_left > 0 || high_left > 0) {
        int order = high_left == 0  ? -1
                    : low_left == 0 ? 1
                                    : pair_set_compare_names(low->name, high->name);
        const struct pair *next = order < 0 ? low : high;
        run_add(&run, table, next->name, next->value);
        if (order <= 0) {
            low++;
            low_left--;
        }
        if (order >= 0) {
            high++;
            high_left--;
        }
    }
    return intern_run(table, &run);
}

const struct pairs *pair_set_pairs(const struct pair_set *set)
{
    return &set->pairs;
}

const char *pair_set_find(const struct pair_set *set, const char *name)
{
    bool found;
    size_t place = find_place(set, name, &found);
    return found ? set->pairs.items[place].value : NULL;
}
