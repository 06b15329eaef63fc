/*
 * lexer_sign.h: what else a text tells, asked where lexer_changes() or a list of names makes it
 * worth while. Like there: words, no grammar, on the safe side.
 */
#ifndef PGSLUICE_PG_LEXER_SIGN_H
#define PGSLUICE_PG_LEXER_SIGN_H

#include <stdbool.h>
#include <stddef.h>

enum lexer_sign {
    LEXER_READS_SEQUENCE = 1, /* currval, lastval */
    LEXER_DRAWS_SEQUENCE = 2, /* nextval, setval; INSERT, COPY, MERGE, which may by a default */
    LEXER_SETS_SEED = 4,      /* setseed(), SET seed, set_config('seed' */
    LEXER_KEEPS_OBJECT = 8,   /* takes a session's advisory lock; the word TEMP, TEMPORARY or
                                 pg_temp, but for CREATE TEMP … ON COMMIT DROP */
};

/* Set of enum lexer_sign; those of a text in dollar quotes too. */
unsigned lexer_signs(const char *sql, size_t length);
/* True where "seed" stands in the text, in any letter case: lexer_signs() says more. */
bool lexer_may_set_seed(const char *sql, size_t length);
/* The first of the names (in lower case) that stands in the text as a word, quoted or not, strings
 * and comments included; NULL where none does. */
const char *lexer_find_name(const char *sql, size_t length, char *const *names, size_t count);

#endif
