/*
 * lexer_reset.h: a text that only gives back what a session has, as drivers send it when a
 * connection goes back to their pool (asyncpg: "SELECT pg_advisory_unlock_all(); CLOSE ALL;
 * UNLISTEN *; RESET ALL"; Npgsql: "DISCARD ALL").
 */
#ifndef PGSLUICE_PG_LEXER_RESET_H
#define PGSLUICE_PG_LEXER_RESET_H

#include <stdbool.h>
#include <stddef.h>

enum lexer_reset {
    LEXER_RESET_OTHER,    /* something else, too */
    LEXER_RESET_OBJECTS,  /* settings stay as they are */
    LEXER_RESET_SETTINGS, /* RESET ALL or DISCARD ALL is among it */
};

/* Each statement of the text is one of CLOSE ALL, DEALLOCATE ALL, DISCARD ALL, RESET ALL,
 * UNLISTEN *, SELECT pg_advisory_unlock_all(), SET SESSION AUTHORIZATION DEFAULT. */
enum lexer_reset lexer_reset_parse(const char *sql, size_t length);
/* False for most other texts, in a few nanoseconds. */
bool lexer_may_reset(const char *sql, size_t length);

#endif
