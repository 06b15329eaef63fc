/*
 * lexer_set.h: a text that is one plain SET of a setting to a constant, which can be believed
 * without asking the server what became of it ("SET" in the PostgreSQL manual).
 */
#ifndef PGSLUICE_PG_LEXER_SET_H
#define PGSLUICE_PG_LEXER_SET_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

enum lexer_set {
    LEXER_SET_OTHER,   /* something else: nothing is known of it */
    LEXER_SET_SESSION, /* SET [SESSION] name TO constant: name and value are told */
    LEXER_SET_LOCAL, /* SET LOCAL …, SET TRANSACTION …: nothing is left after the transaction but,
                        where a name is told, a custom setting that is there and empty */
};

/*
 * Appends name (folded) and value, each with a zero byte behind; nothing where there is none.
 * Believed are only settings that are nothing but their text: not roles, encodings, the seed or
 * what PostgreSQL writes in a way of its own (SET TIME ZONE, SET NAMES), no lists, no DEFAULT, no
 * text whose meaning depends on other settings (backslashes, bytes that are not ASCII).
 */
enum lexer_set lexer_set_parse(const char *sql, size_t length, struct buffer *name,
                               struct buffer *value);

#endif
