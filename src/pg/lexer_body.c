#include "pg/lexer_body.h"
#include "base/buffer.h"
#include "pg/lexer_sign.h"
#include "pg/lexer_token.h"

/* Strings within strings. */
#define DEPTH_MAX 4

struct search {
    unsigned found;
    unsigned depth;
    bool is_sql;
    bool declares, holds; /* the words of DECLARE … WITH HOLD */
    lexer_name_callback *callback;
    void *context;
};

/* A statement may begin behind this token, in SQL or in a block of PL/pgSQL. */
static bool ends_statement(const struct lexer_token *token)
{
    static const char *const words[] = {"begin", "then", "else", "loop", "atomic"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (lexer_token_is_word(token, words[i]))
            return true;
    }
    return lexer_token_is_symbol(token, ';');
}

static bool is_identifier(const struct lexer_token *token)
{
    return token->kind == LEXER_TOKEN_WORD || token->kind == LEXER_TOKEN_QUOTED;
}

/* Behind SET and perhaps SESSION: whether the whole name stands here. In a string, an expression
 * may go on with it. */
static bool names_setting(struct lexer_token_source source, struct lexer_token token)
{
    for (;;) {
        if (!is_identifier(&token) || token.opaque)
            return false;
        bool goes_on = source.at == source.end || *source.at == '%'; /* as in format() */
        struct lexer_token next = lexer_token_next(&source);
        if (!lexer_token_is_symbol(&next, '.'))
            return !goes_on;
        token = lexer_token_next(&source);
    }
}

static void take_set(struct search *search, struct lexer_token_source source)
{
    struct lexer_token token = lexer_token_next(&source);
    if (lexer_token_is_word(&token, "local") || lexer_token_is_word(&token, "transaction") ||
        lexer_token_is_word(&token, "constraints"))
        return;
    if (!search->is_sql && search->depth == 0 && !is_identifier(&token))
        return; /* no SQL's word */
    search->found |= LEXER_BODY_SETTINGS;
    if (lexer_token_is_word(&token, "session"))
        token = lexer_token_next(&source);
    if (!names_setting(source, token))
        search->found |= LEXER_BODY_HIDES;
}

static void take_command(struct search *search, const struct lexer_token *token,
                         struct lexer_token_source source)
{
    static const char *const objects[] = {"listen", "unlisten", "prepare", "deallocate"};
    if (lexer_token_is_word(token, "set"))
        take_set(search, source);
    else if (lexer_token_is_word(token, "reset"))
        search->found |= LEXER_BODY_SETTINGS;
    else if (lexer_token_is_word(token, "load"))
        search->found |= LEXER_BODY_LOADS;
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        if (lexer_token_is_word(token, objects[i]))
            search->found |= LEXER_BODY_OBJECTS;
    }
}

static void search_text(struct search *search, const char *text, size_t length);

/* What EXECUTE may run. */
static void search_string(struct search *search, const struct lexer_token *token)
{
    struct buffer value = {0};
    if (search->depth == DEPTH_MAX || token->length == 0)
        return;
    search->depth++;
    if (!token->opaque && lexer_token_append_value(token, &value))
        search_text(search, (const char *)buffer_bytes(&value), buffer_length(&value));
    else
        search_text(search, token->at, token->length);
    search->depth--;
    buffer_release(&value);
}

static void search_tokens(struct search *search, const char *text, size_t length)
{
    struct lexer_token_source source = {text, text + length};
    bool begins = true;
    for (;;) {
        struct lexer_token token = lexer_token_next(&source);
        if (token.kind == LEXER_TOKEN_END)
            return;
        if (token.kind == LEXER_TOKEN_WORD) {
            if (begins || !search->is_sql)
                take_command(search, &token, source);
            search->declares |= lexer_token_is_word(&token, "declare");
            search->holds |= lexer_token_is_word(&token, "hold");
        }
        if (token.kind == LEXER_TOKEN_STRING || token.kind == LEXER_TOKEN_DOLLAR ||
            (token.kind == LEXER_TOKEN_QUOTED && !search->is_sql))
            search_string(search, &token);
        begins = ends_statement(&token);
    }
}

static void search_text(struct search *search, const char *text, size_t length)
{
    if (length == 0)
        return;
    if (lexer_may_name_settings(text, length)) {
        unsigned names = lexer_settings(text, length, search->callback, search->context);
        if ((names & LEXER_NAMES_MISSED) != 0)
            search->found |= LEXER_BODY_SETTINGS | LEXER_BODY_HIDES;
        if ((names & LEXER_NAMES_LASTING) != 0)
            search->found |= LEXER_BODY_SETTINGS;
    }
    search_tokens(search, text, length);
}

unsigned lexer_body(const char *body, size_t length, bool is_sql, lexer_name_callback *callback,
                    void *context)
{
    struct search search = {.is_sql = is_sql, .callback = callback, .context = context};
    unsigned changes = lexer_changes(body, length);
    search_text(&search, body, length);
    if ((changes & LEXER_CHANGES_OBJECTS) != 0)
        search.found |= LEXER_BODY_OBJECTS;
    if ((changes & (LEXER_CHANGES_OBJECTS | LEXER_CHANGES_SEED)) != 0 ||
        lexer_may_set_seed(body, length)) {
        unsigned signs = lexer_signs(body, length);
        search.found |= (signs & LEXER_KEEPS_OBJECT) != 0 ? LEXER_BODY_KEEPS : 0;
        search.found |= (signs & LEXER_SETS_SEED) != 0 ? LEXER_BODY_SEEDS : 0;
    }
    if (search.declares && search.holds)
        search.found |= LEXER_BODY_OBJECTS | LEXER_BODY_KEEPS;
    return search.found;
}
