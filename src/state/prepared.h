/*
 * prepared.h: statements prepared by SQL (PREPARE), as part of a session's state: in a guc_set each
 * is a pair of the name "prepare:" and its own, and a value that holds its text. (No setting's name
 * has a colon.) Pure; any thread.
 *
 * Two sessions have the same statement where the text, the shape of its result and the context of
 * its constants are the same: PostgreSQL keeps both as they were when it was prepared.
 */
#ifndef PGSLUICE_STATE_PREPARED_H
#define PGSLUICE_STATE_PREPARED_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guc_set;

/* Ahead of a statement's name in a pair's. */
#define PREPARED_PREFIX "prepare:"

/* True for the name of a pair that is such a statement, no setting. */
bool prepared_is(const char *pair_name);
/* The text that has prepared the statement of this name, case sensitive; NULL: there is none. */
const char *prepared_find(const struct guc_set *set, const char *name);
/* True where the set has any. */
bool prepared_any(const struct guc_set *set);

enum prepared_kind {
    PREPARED_FOLLOWS, /* can be prepared anywhere by its text */
    PREPARED_STAYS,   /* lives on the server connection where it was prepared */
    PREPARED_BROKEN,  /* stands for one that this server connection could not prepare */
};

/* A pair's value, taken apart. */
struct prepared {
    enum prepared_kind kind;
    uint64_t shape; /* hash of its result's columns */
    uint16_t parameters;
    uint64_t context; /* hash of the settings that its constants depend on; 0: on none */
    const char *text; /* ends with a zero byte */
};

/* Appends the value, with a zero byte at its end. */
void prepared_write(struct buffer *value, const struct prepared *prepared);
/* `text` points into the value. */
struct prepared prepared_read(const char *value);

/*
 * What a text has to be for PREPARED_FOLLOWS: one PREPARE and nothing behind it, which does nothing
 * to the session unseen when it is executed, and has no constant that means another time whenever
 * it is read ('now'). `plain_backslashes`: standard_conforming_strings is on.
 */
bool prepared_can_follow(const char *text, bool plain_backslashes);
/*
 * True where the text has constants whose meaning may depend on settings: strings with a digit
 * (dates, times and intervals have one) or a backslash.
 */
bool prepared_depends_on_settings(const char *text);

/* Appends DEALLOCATE of the statement that a pair names, with a semicolon. */
void prepared_write_deallocate(struct buffer *sql, const char *pair_name);
/*
 * Appends PREPARE of what stands for the statement that a pair names where it is PREPARED_BROKEN,
 * with as many parameters and a semicolon: whoever executes it gets an error whose message has
 * PREPARED_MARKER and the number in it.
 */
void prepared_write_broken(struct buffer *sql, const char *pair_name, unsigned parameters,
                           size_t number);
#define PREPARED_MARKER "pgsluice_broken_"

#endif
