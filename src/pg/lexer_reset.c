#include "pg/lexer_reset.h"
#include "pg/lexer_token.h"

/* Longer texts are something else. */
#define RESET_LONGEST 512
#define RESET_MOST_TOKENS 4

/* A word in lower case, or a symbol. */
static const struct statement_form {
    const char *tokens[RESET_MOST_TOKENS];
    enum lexer_reset reset;
} statement_forms[] = {
    {{"select", "pg_advisory_unlock_all", "(", ")"}, LEXER_RESET_OBJECTS},
    {{"close", "all"}, LEXER_RESET_OBJECTS},
    {{"unlisten", "*"}, LEXER_RESET_OBJECTS},
    {{"deallocate", "all"}, LEXER_RESET_OBJECTS},
    {{"reset", "all"}, LEXER_RESET_SETTINGS},
    {{"discard", "all"}, LEXER_RESET_SETTINGS},
    {{"set", "session", "authorization", "default"}, LEXER_RESET_OBJECTS},
};

static bool token_is(const struct lexer_token *token, const char *wanted)
{
    if (wanted[0] >= 'a' && wanted[0] <= 'z')
        return lexer_token_is_word(token, wanted);
    return lexer_token_is_symbol(token, wanted[0]);
}

static bool has_form(const struct statement_form *form, const struct lexer_token *tokens,
                     size_t count)
{
    for (size_t i = 0; i < RESET_MOST_TOKENS; i++) {
        if (i < count ? form->tokens[i] == NULL || !token_is(&tokens[i], form->tokens[i])
                      : form->tokens[i] != NULL)
            return false;
    }
    return true;
}

static enum lexer_reset statement_reset(const struct lexer_token *tokens, size_t count)
{
    for (size_t i = 0; i < sizeof statement_forms / sizeof statement_forms[0]; i++) {
        if (has_form(&statement_forms[i], tokens, count))
            return statement_forms[i].reset;
    }
    return LEXER_RESET_OTHER;
}

enum lexer_reset lexer_reset_parse(const char *sql, size_t length)
{
    enum lexer_reset found = LEXER_RESET_OTHER;
    struct lexer_token_source source = {.at = sql, .end = sql + length};
    struct lexer_token tokens[RESET_MOST_TOKENS];
    size_t count = 0;
    if (length > RESET_LONGEST)
        return LEXER_RESET_OTHER;
    for (;;) {
        struct lexer_token token = lexer_token_next(&source);
        bool ends = token.kind == LEXER_TOKEN_END;
        if (!ends && !lexer_token_is_symbol(&token, ';')) {
            if (count == RESET_MOST_TOKENS)
                return LEXER_RESET_OTHER;
            tokens[count++] = token;
            continue;
        }
        if (count > 0) {
            enum lexer_reset reset = statement_reset(tokens, count);
            if (reset == LEXER_RESET_OTHER)
                return LEXER_RESET_OTHER;
            if (reset > found)
                found = reset;
            count = 0;
        }
        if (ends) /* a zero byte ends it ahead of what may follow */
            return source.at >= source.end ? found : LEXER_RESET_OTHER;
    }
}

bool lexer_may_reset(const char *sql, size_t length)
{
    if (length < sizeof "CLOSE ALL" - 1 || length > RESET_LONGEST)
        return false;
    switch (sql[0] | 0x20) {
    case 'c': /* CLOSE; CREATE and COMMIT are more frequent */
        return (sql[1] | 0x20) == 'l';
    case 'd': /* DISCARD, DEALLOCATE; DELETE is more frequent */
        return (sql[1] | 0x20) == 'i' || (sql[2] | 0x20) == 'a';
    case 's': /* SET; SELECT and SAVEPOINT are more frequent */
        return (sql[2] | 0x20) == 't' || (length > 10 && (sql[10] | 0x20) == 'a');
    case 'r': /* RESET; ROLLBACK and RELEASE are more frequent */
        return (sql[2] | 0x20) == 's';
    case 'u': /* UNLISTEN; UPDATE is more frequent */
        return (sql[1] | 0x20) == 'n';
    default:
        return false;
    }
}
