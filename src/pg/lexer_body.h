/*
 * lexer_body.h: what the body of a function does to the session of who calls it, as far as it lasts
 * beyond the transaction. Like lexer.h: words and no grammar, on the safe side.
 */
#ifndef PGSLUICE_PG_LEXER_BODY_H
#define PGSLUICE_PG_LEXER_BODY_H

#include "pg/lexer.h"

#include <stdbool.h>
#include <stddef.h>

enum lexer_body {
    LEXER_BODY_SETTINGS = 1, /* SET, RESET, set_config(); not those for the transaction only */
    LEXER_BODY_OBJECTS = 2,  /* advisory locks, temporary objects, cursors WITH HOLD, LISTEN,
                                PREPARE: the server can be asked whether they are there */
    LEXER_BODY_KEEPS = 4,    /* and some of these pin */
    LEXER_BODY_SEEDS = 8,    /* setseed() */
    LEXER_BODY_LOADS = 16,   /* LOAD */
    LEXER_BODY_HIDES = 32,   /* it may set what its text does not name */
};

/*
 * Set of enum lexer_body; `callback` gets custom settings as by lexer_settings(), those in strings
 * that EXECUTE may run too. `is_sql`: the language is SQL or PL/pgSQL; of others, strings and
 * statements are harder to tell, and more is taken for one.
 */
unsigned lexer_body(const char *body, size_t length, bool is_sql, lexer_name_callback *callback,
                    void *context);

#endif
