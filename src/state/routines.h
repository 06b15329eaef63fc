/*
 * routines.h: the functions and procedures of a database that change the session of who calls them,
 * directly or by calling others: by what words a client's text calls one, and what that does.
 * Immutable, reference-counted; any thread.
 *
 * A statement that fires a trigger has one of the words INSERT, UPDATE, DELETE, MERGE, COPY,
 * TRUNCATE: where a trigger's function changes the session, these count as such functions.
 */
#ifndef PGSLUICE_STATE_ROUTINES_H
#define PGSLUICE_STATE_ROUTINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pairs;
struct routines;

/* As the server's catalogue has it. Bytes that are not ASCII are written as ROUTINE_FOREIGN. */
struct routine {
    const char *name;
    const char *body;
    bool is_sql;     /* its language is SQL or PL/pgSQL */
    bool is_trigger; /* a trigger calls it */
};
#define ROUTINE_FOREIGN '\x01'

/* Behind enum lexer_body in a set of effects: */
#define ROUTINES_EXECUTE 64u /* the word EXECUTE: it may run what was prepared by SQL */

/* NULL where none of them changes a session; else one reference for the caller. */
struct routines *routines_new(const struct routine *list, size_t count);
/* They are too many to be looked through: any text may call one. */
struct routines *routines_unknown(void);
struct routines *routines_retain(struct routines *routines);
/* Gives one reference back and nulls the pointer; NULL inside is fine. */
void routines_release(struct routines **routines);

/* What a text may do by the functions that it names: enum lexer_body, ROUTINES_EXECUTE. */
unsigned routines_effects(const struct routines *routines, const char *sql, size_t length);
/* What the worst text may do. */
unsigned routines_all_effects(const struct routines *routines);
/* The custom settings that they name; no values. Valid as long as the reference. */
const struct pairs *routines_settings(const struct routines *routines);
/* No other set of this process has it. */
uint64_t routines_serial(const struct routines *routines);

#endif
