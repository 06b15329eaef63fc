/*
 * lexer.h: the small lexer that finds *names* in SQL text: which GUCs a text may set, and whether
 * it may change session state unseen. It knows comments, quoted identifiers, string constants ('',
 * E'', U&'', dollar quotes) and nothing of SQL's grammar. It never decides what the session state
 * is (the server is asked); it only tells where to look, and errs on the side of looking.
 */
#ifndef PGSLUICE_PG_LEXER_H
#define PGSLUICE_PG_LEXER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Called for every dotted (custom) GUC name that SET, RESET or set_config( names as a literal, each
 * time that it stands there; folded as PostgreSQL folds it. What stands in dollar quotes (the body
 * of a DO) is searched too. `name` is valid during the call only.
 */
typedef void lexer_name_callback(const char *name, void *context);

/* What lexer_settings() answers. */
enum lexer_names {
    /* A name may have been missed: a set_config( that may set for longer than the transaction has a
     * name that is no plain literal (a parameter, an expression, one with Unicode escapes); or a
     * name is not ASCII. */
    LEXER_NAMES_MISSED = 1,
    /* Of all words set_config, not each is a call whose last argument is the plain word `true`,
     * which sets for the transaction only; or the view pg_settings is named. */
    LEXER_NAMES_LASTING = 2,
};

/* A zero byte ends the text. */
unsigned lexer_settings(const char *sql, size_t length, lexer_name_callback *callback,
                        void *context);

/* What a text may do to the session behind a tag that does not say so. */
enum lexer_change {
    LEXER_CHANGES_SETTINGS = 1,  /* set_config, pg_settings */
    LEXER_CHANGES_OBJECTS = 2,   /* a session's advisory locks; the word TEMP or TEMPORARY, or
                                    pg_temp: CREATE TEMP TABLE … AS, SELECT … INTO TEMP */
    LEXER_CHANGES_SEQUENCES = 4, /* nextval, setval, currval, lastval */
    LEXER_CHANGES_SEED = 8,      /* setseed */
};

/*
 * The changes of which a word stands in the text, in any letter case; all of them where an
 * identifier has Unicode escapes. A substring check that takes nanoseconds where there is none.
 */
unsigned lexer_changes(const char *sql, size_t length);
/*
 * True where the text may name a setting: SET, RESET and set_config() have the letters "set" in
 * common, in any letter case. As quick; lexer_settings() need not be asked where it is false.
 */
bool lexer_may_name_settings(const char *sql, size_t length);

#endif
