#include "pg/lexer_statement.h"

#include <string.h>

static bool is_a_verb(const struct lexer_token *token)
{
    return lexer_token_is_word(token, "execute") || lexer_token_is_word(token, "prepare") ||
           lexer_token_is_word(token, "deallocate");
}

/* Blanks, comments and the like do not tell. */
static bool first_letter_tells(char first)
{
    switch (first | 0x20) {
    case 'c': /* create */
    case 'd': /* deallocate */
    case 'e': /* execute, explain */
    case 'p': /* prepare */
        return false;
    default:
        return (first | 0x20) >= 'a' && (first | 0x20) <= 'z';
    }
}

/* Or is one with a semicolon in a constant, or with a comment behind. */
static bool may_be_more_than_one(const char *sql, size_t length)
{
    const char *end = sql + length, *at = memchr(sql, ';', length);
    while (at != NULL && at < end && (*at == ';' || *at == ' ' || (*at >= '\t' && *at <= '\r')))
        at++;
    return at != NULL && at < end;
}

bool lexer_may_name_statements(const char *sql, size_t length, bool many)
{
    if (length > 0 && !first_letter_tells(sql[0])) {
        struct lexer_token_source source = {sql, sql + length};
        struct lexer_token token = lexer_token_next(&source);
        if (is_a_verb(&token) || lexer_token_is_word(&token, "explain") ||
            lexer_token_is_word(&token, "create"))
            return true;
    }
    return many && may_be_more_than_one(sql, length);
}

bool lexer_next_statement_name(struct lexer_token_source *source, struct buffer *name,
                               bool *executes)
{
    struct lexer_token token = lexer_token_next(source);
    while (token.kind != LEXER_TOKEN_END) {
        bool names = is_a_verb(&token);
        *executes = lexer_token_is_word(&token, "execute");
        token = lexer_token_next(source);
        if (!names || (token.kind != LEXER_TOKEN_WORD && token.kind != LEXER_TOKEN_QUOTED) ||
            lexer_token_is_word(&token, "prepare")) /* DEALLOCATE PREPARE name */
            continue;
        buffer_clear(name);
        if (!lexer_token_append_value(&token, name))
            continue;
        buffer_append(name, "", 1);
        return true;
    }
    return false;
}
