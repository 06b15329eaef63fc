/*
 * guc.h: the set of GUCs (settings) that a session has beyond its connection's defaults. Sets are
 * interned: equal sets are one object, compared by pointer. Immutable, reference-counted; any
 * thread (one lock, never on the way of a transaction that sets nothing).
 *
 * The empty set is one object too, never NULL.
 */
#ifndef PGSLUICE_STATE_GUC_H
#define PGSLUICE_STATE_GUC_H

#include "base/buffer.h"
#include "pg/pairs.h"

#include <stdbool.h>

struct guc_set;

/* One reference for the caller. */
struct guc_set *guc_empty(void);
/* From pairs, later ones win; names compare case folded up to a colon (prepared.h); one reference
 * for the caller. */
struct guc_set *guc_intern(const struct pairs *pairs);
struct guc_set *guc_retain(struct guc_set *set);
/* Gives one reference back and nulls the pointer; NULL inside is fine. */
void guc_release(struct guc_set **set);

/* Sorted by folded name. Valid as long as the caller's reference. */
const struct pairs *guc_pairs(const struct guc_set *set);
/* The value, or NULL; as long. */
const char *guc_find(const struct guc_set *set, const char *name);
/* The set with one more or changed setting; one reference for the caller. */
struct guc_set *guc_with(const struct guc_set *set, const char *name, const char *value);
struct guc_set *guc_without(const struct guc_set *set, const char *name);
/* Union: what `over` has wins. */
struct guc_set *guc_merge(const struct guc_set *under, const struct guc_set *over);

/*
 * Appends the SQL that brings a session from one state to another: one simple query text (no
 * message around it) and one implicit transaction: SELECTs of set_config(), with NULL for what is
 * to be RESET, in an order that permissions allow. The replies are RowDescription, one DataRow and
 * CommandComplete for each SELECT, perhaps behind other CommandCompletes. Right under any
 * standard_conforming_strings, search_path and client_encoding. Appends nothing and returns false
 * where the sets are equal.
 *
 * Statements that `to` has not, or has otherwise, are DEALLOCATEd ahead of all that; none is
 * prepared here, since each PREPARE needs a query of its own (session/replay.h).
 *
 * `role` and `session_authorization` are settings like others here; whoever makes a set leaves them
 * out where they are at their defaults ("none", the login user).
 */
bool guc_write_switch(const struct guc_set *from, const struct guc_set *to, struct buffer *sql);

#endif
