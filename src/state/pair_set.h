/*
 * pair_set.h: interned sets of (name, value), what GUC sets and server parameters are made of.
 * Within one table equal sets are one object. Immutable, reference-counted, any thread.
 *
 * Names are compared with ASCII case folded up to a colon, if there is one, and as they are behind
 * it (no setting has one; prepared.h). A set is sorted by folded name, one pair a name. A table
 * keeps names folded or as they are spelt.
 */
#ifndef PGSLUICE_STATE_PAIR_SET_H
#define PGSLUICE_STATE_PAIR_SET_H

#include "base/lock.h"
#include "pg/pairs.h"

#include <stdbool.h>
#include <stddef.h>

struct pair_set;

struct pair_set_table {
    bool folds_names;
    struct lock lock;       /* of `sets` */
    struct pair_set *sets;  /* the hash table: owns no reference */
    struct pair_set *empty; /* holds one reference for ever; not in the hash table */
};

/* Once a table (a static object), before its first use. `name` is its lock's, a literal. */
void pair_set_table_init(struct pair_set_table *table, const char *name, bool folds_names);

/* All that return a set return one reference for the caller. */

struct pair_set *pair_set_empty(struct pair_set_table *table);
/* From pairs in any order; of a name given twice the later wins. */
struct pair_set *pair_set_intern(struct pair_set_table *table, const struct pairs *pairs);
/* With one value added or changed: the cheap way, no more than a lookup. */
struct pair_set *pair_set_with(struct pair_set_table *table, const struct pair_set *set,
                               const char *name, const char *value);
struct pair_set *pair_set_without(struct pair_set_table *table, const struct pair_set *set,
                                  const char *name);
/* Union: what `over` has wins. */
struct pair_set *pair_set_merge(struct pair_set_table *table, const struct pair_set *under,
                                const struct pair_set *over);
struct pair_set *pair_set_retain(struct pair_set *set);
void pair_set_release(struct pair_set_table *table, struct pair_set *set);

/* Valid as long as the caller's reference. */
const struct pairs *pair_set_pairs(const struct pair_set *set);
/* The value, or NULL. */
const char *pair_set_find(const struct pair_set *set, const char *name);
/* As strcmp, with ASCII case folded as said above: the order of a set. */
int pair_set_compare_names(const char *one, const char *other);

#endif
