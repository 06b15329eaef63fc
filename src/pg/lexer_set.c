#include "pg/lexer_set.h"
#include "pg/lexer_token.h"

#include <string.h>

/* Longer texts are not worth the look. */
#define SET_LONGEST 1024

/* Names that another syntax uses, or that are more than their text: DateStyle completes itself from
 * what it was, a text search configuration is looked for in the search_path. */
static bool set_is_special(const char *name)
{
    static const char *const names[] = {
        "role",
        "session_authorization",
        "client_encoding",
        "datestyle",
        "default_text_search_config",
        "seed",
        "sort_mem", /* old names of other settings */
        "vacuum_mem",
        "force_parallel_mode",
        "time",
        "names",
        "session",
        "local",
        "catalog",
        "schema",
        "xml",
        "constraints",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return strncmp(name, "transaction_", strlen("transaction_")) == 0;
}

static bool set_is_plain_text(const char *sql, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char letter = (unsigned char)sql[i];
        if (letter >= 0x80 || letter == '\\' || letter == '\0')
            return false;
    }
    return true;
}

/* PostgreSQL folds the names of settings in quotes too. */
static void set_fold(struct buffer *name)
{
    for (size_t i = name->start; i < name->end; i++) {
        if (name->memory[i] >= 'A' && name->memory[i] <= 'Z')
            name->memory[i] = (uint8_t)(name->memory[i] - 'A' + 'a');
    }
}

/* name[.name]…; *token is what follows. */
static bool set_take_name(struct lexer_token_source *source, struct lexer_token *token,
                          struct buffer *name)
{
    for (;;) {
        if ((token->kind != LEXER_TOKEN_WORD && token->kind != LEXER_TOKEN_QUOTED) ||
            !lexer_token_append_value(token, name))
            return false;
        *token = lexer_token_next(source);
        if (!lexer_token_is_symbol(token, '.'))
            break;
        buffer_append(name, ".", 1);
        *token = lexer_token_next(source);
    }
    set_fold(name);
    buffer_append(name, "", 1);
    return strchr((const char *)buffer_bytes(name), ':') ==
           NULL; /* guc.h has others of that kind */
}

static bool set_is_digit(const struct lexer_token *token)
{
    return token->kind == LEXER_TOKEN_SYMBOL && token->at[0] >= '0' && token->at[0] <= '9';
}

/* Digits alone, which are tokens of one letter each: how PostgreSQL would write another number is
 * its own affair. */
static bool set_take_number(struct lexer_token_source *source, struct lexer_token token,
                            struct buffer *value)
{
    size_t start = buffer_length(value);
    do {
        buffer_append(value, token.at, 1);
        if (source->at >= source->end || *source->at < '0' || *source->at > '9')
            break;
        token = lexer_token_next(source);
    } while (true);
    size_t digits = buffer_length(value) - start;
    return digits == 1 || (digits < 10 && buffer_bytes(value)[start] != '0');
}

static bool set_take_value(struct lexer_token_source *source, const struct lexer_token *token,
                           struct buffer *value)
{
    bool is_word = token->kind == LEXER_TOKEN_STRING || token->kind == LEXER_TOKEN_QUOTED ||
                   (token->kind == LEXER_TOKEN_WORD && !lexer_token_is_word(token, "default"));
    if (is_word ? !lexer_token_append_value(token, value)
                : !set_is_digit(token) || !set_take_number(source, *token, value))
        return false;
    buffer_append(value, "", 1);
    return true;
}

/* PostgreSQL writes the words of these lists with quotes where they need some. */
static bool set_is_quoted_list(const char *name)
{
    return strcmp(name, "search_path") == 0 || strcmp(name, "temp_tablespaces") == 0 ||
           strstr(name, "_preload_libraries") != NULL;
}

/* A word that it writes as it is: no key word has a digit. */
static bool set_needs_no_quotes(const char *value)
{
    size_t letters = strspn(value, "abcdefghijklmnopqrstuvwxyz_0123456789");
    return value[letters] == '\0' && strchr("0123456789", value[0]) == NULL &&
           (strpbrk(value, "0123456789") != NULL || strcmp(value, "public") == 0);
}

/* The end of the text, where no other statement follows. */
static bool set_ends(struct lexer_token_source *source)
{
    struct lexer_token token;
    do
        token = lexer_token_next(source);
    while (lexer_token_is_symbol(&token, ';'));
    return token.kind == LEXER_TOKEN_END && source->at >= source->end;
}

/* Whatever it says, up to the end of the statement. */
static bool set_skip_statement(struct lexer_token_source *source)
{
    struct lexer_token token;
    do
        token = lexer_token_next(source);
    while (token.kind != LEXER_TOKEN_END && !lexer_token_is_symbol(&token, ';'));
    return token.kind == LEXER_TOKEN_END ? source->at >= source->end : set_ends(source);
}

static enum lexer_set set_local(struct lexer_token_source source, struct buffer *name)
{
    struct lexer_token_source rest = source;
    if (!set_skip_statement(&rest))
        return LEXER_SET_OTHER;
    struct lexer_token token = lexer_token_next(&source);
    if (!set_take_name(&source, &token, name) ||
        memchr(buffer_bytes(name), '.', buffer_length(name)) == NULL)
        buffer_clear(name);
    return LEXER_SET_LOCAL;
}

static enum lexer_set set_session(struct lexer_token_source *source, struct lexer_token token,
                                  struct buffer *name, struct buffer *value)
{
    if (!set_take_name(source, &token, name) || set_is_special((const char *)buffer_bytes(name)) ||
        !(lexer_token_is_symbol(&token, '=') || lexer_token_is_word(&token, "to")))
        return LEXER_SET_OTHER;
    token = lexer_token_next(source);
    if (!set_take_value(source, &token, value) || !set_ends(source))
        return LEXER_SET_OTHER;
    if (set_is_quoted_list((const char *)buffer_bytes(name)) &&
        !set_needs_no_quotes((const char *)buffer_bytes(value)))
        return LEXER_SET_OTHER;
    return LEXER_SET_SESSION;
}

/* A dot follows: what was taken for a key word is the first part of a name. */
static bool set_is_class(struct lexer_token_source source)
{
    struct lexer_token token = lexer_token_next(&source);
    return lexer_token_is_symbol(&token, '.');
}

enum lexer_set lexer_set_parse(const char *sql, size_t length, struct buffer *name,
                               struct buffer *value)
{
    struct lexer_token_source source = {.at = sql, .end = sql + length};
    if (length > SET_LONGEST)
        return LEXER_SET_OTHER;
    struct lexer_token token = lexer_token_next(&source);
    if (!lexer_token_is_word(&token, "set") || !set_is_plain_text(sql, length))
        return LEXER_SET_OTHER;
    token = lexer_token_next(&source);
    bool is_class = set_is_class(source);
    if (lexer_token_is_word(&token, "local") && !is_class)
        return set_local(source, name);
    if (lexer_token_is_word(&token, "transaction") && !is_class)
        return set_skip_statement(&source) ? LEXER_SET_LOCAL : LEXER_SET_OTHER;
    if (lexer_token_is_word(&token, "session") && !is_class) {
        token = lexer_token_next(&source);
        if (lexer_token_is_word(&token, "characteristics") ||
            lexer_token_is_word(&token, "authorization"))
            return LEXER_SET_OTHER;
    }
    enum lexer_set found = set_session(&source, token, name, value);
    if (found == LEXER_SET_OTHER) {
        buffer_clear(name);
        buffer_clear(value);
    }
    return found;
}
