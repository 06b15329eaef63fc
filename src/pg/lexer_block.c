#include "pg/lexer_block.h"
#include "pg/lexer_token.h"

static struct lexer_token block_skip_semicolons(struct lexer_token_source *source)
{
    struct lexer_token token;
    do
        token = lexer_token_next(source);
    while (lexer_token_is_symbol(&token, ';'));
    return token;
}

static bool block_ends(struct lexer_token_source *source, struct lexer_token token)
{
    if (lexer_token_is_symbol(&token, ';'))
        token = block_skip_semicolons(source);
    return token.kind == LEXER_TOKEN_END && source->at >= source->end;
}

/* Behind BEGIN: words with commas between them. */
static bool block_has_modes_only(struct lexer_token_source *source)
{
    struct lexer_token token;
    do
        token = lexer_token_next(source);
    while (token.kind == LEXER_TOKEN_WORD || lexer_token_is_symbol(&token, ','));
    return block_ends(source, token);
}

static enum lexer_block block_end(struct lexer_token_source *source, enum lexer_block found,
                                  bool *alone)
{
    struct lexer_token token = lexer_token_next(source);
    if (lexer_token_is_word(&token, "work") || lexer_token_is_word(&token, "transaction"))
        token = lexer_token_next(source);
    if (lexer_token_is_word(&token, "to"))
        return LEXER_BLOCK_OTHER;
    *alone = block_ends(source, token);
    return found;
}

enum lexer_block lexer_block_parse(const char *sql, size_t length, bool *alone)
{
    struct lexer_token_source source = {.at = sql, .end = sql + length};
    struct lexer_token token = block_skip_semicolons(&source);
    *alone = false;
    if (lexer_token_is_word(&token, "commit") || lexer_token_is_word(&token, "end"))
        return block_end(&source, LEXER_BLOCK_COMMITS, alone);
    if (lexer_token_is_word(&token, "rollback") || lexer_token_is_word(&token, "abort"))
        return block_end(&source, LEXER_BLOCK_ROLLS_BACK, alone);
    if (lexer_token_is_word(&token, "start")) {
        token = lexer_token_next(&source);
        if (!lexer_token_is_word(&token, "transaction"))
            return LEXER_BLOCK_OTHER;
    } else if (!lexer_token_is_word(&token, "begin")) {
        return LEXER_BLOCK_OTHER;
    }
    *alone = block_has_modes_only(&source);
    return LEXER_BLOCK_BEGINS;
}
