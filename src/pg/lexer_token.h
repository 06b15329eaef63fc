/*
 * lexer_token.h: cuts SQL text into tokens, as much as is needed to tell identifiers from string
 * constants and comments ("Lexical Structure" in the PostgreSQL manual). Comments and blanks are
 * skipped. What PostgreSQL would refuse (a string without its end) ends the text.
 */
#ifndef PGSLUICE_PG_LEXER_TOKEN_H
#define PGSLUICE_PG_LEXER_TOKEN_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

enum lexer_token_kind {
    LEXER_TOKEN_END,
    LEXER_TOKEN_WORD,   /* an identifier or a keyword, without quotes */
    LEXER_TOKEN_QUOTED, /* a quoted identifier */
    LEXER_TOKEN_STRING, /* '…' or E'…' */
    LEXER_TOKEN_DOLLAR, /* $tag$…$tag$ */
    LEXER_TOKEN_SYMBOL, /* one character of anything else */
};

struct lexer_token {
    enum lexer_token_kind kind;
    const char *at; /* between the quotes */
    size_t length;
    bool backslashes; /* E'…' */
    bool opaque;      /* a value that is not worked out: Unicode escapes, bit strings */
};

struct lexer_token_source {
    const char *at;
    const char *end;
};

/* Takes the next token; LEXER_TOKEN_END at the end, again and again. */
struct lexer_token lexer_token_next(struct lexer_token_source *source);
/* True for an unquoted word that is `word` (in lower case) in any letter case. */
bool lexer_token_is_word(const struct lexer_token *token, const char *word);
bool lexer_token_is_symbol(const struct lexer_token *token, char symbol);
/*
 * Appends what an identifier or a string constant means: folded, without doubled quotes and
 * backslashes, an identifier cut at 63 bytes as PostgreSQL cuts it. False where that is not known.
 */
bool lexer_token_append_value(const struct lexer_token *token, struct buffer *value);

#endif
