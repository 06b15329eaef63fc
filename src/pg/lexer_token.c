/*
 * lexer_token.c: plain strings are read as under standard_conforming_strings = on, the default
 * since PostgreSQL 9.1.
 */
#include "pg/lexer_token.h"

#include <string.h>

/* NAMEDATALEN - 1 */
#define IDENTIFIER_MAX 63

static char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

static bool starts_identifier(char letter)
{
    return (lower(letter) >= 'a' && lower(letter) <= 'z') || letter == '_' ||
           (unsigned char)letter >= 0x80;
}

static bool continues_identifier(char letter)
{
    return starts_identifier(letter) || is_digit(letter) || letter == '$';
}

/* The byte `ahead` of the position, or zero behind the end. */
static char peek(const struct lexer_token_source *source, size_t ahead)
{
    return (size_t)(source->end - source->at) > ahead ? source->at[ahead] : '\0';
}

static bool has_pair(const struct lexer_token_source *source, char first, char second)
{
    return peek(source, 0) == first && peek(source, 1) == second;
}

/* Comments of this kind nest. */
static void skip_block_comment(struct lexer_token_source *source)
{
    unsigned depth = 0;

    do {
        if (has_pair(source, '/', '*')) {
            depth++;
            source->at += 2;
        } else if (has_pair(source, '*', '/')) {
            depth--;
            source->at += 2;
        } else {
            source->at++;
        }
    } while (depth > 0 && source->at < source->end);
}

static void skip_line(struct lexer_token_source *source)
{
    while (source->at < source->end && *source->at != '\n' && *source->at != '\r')
        source->at++;
}

static void skip_blanks(struct lexer_token_source *source)
{
    while (source->at < source->end) {
        if (has_pair(source, '-', '-'))
            skip_line(source);
        else if (has_pair(source, '/', '*'))
            skip_block_comment(source);
        else if (*source->at == ' ' || (*source->at >= '\t' && *source->at <= '\r'))
            source->at++;
        else
            return;
    }
}

static struct lexer_token end_token(struct lexer_token_source *source)
{
    source->at = source->end;
    return (struct lexer_token){.kind = LEXER_TOKEN_END, .at = source->end};
}

/* After `prefix` bytes (E, U&, …) a quote, text in which the doubled quote is one, a quote. */
static struct lexer_token take_quoted(struct lexer_token_source *source, size_t prefix,
                                      struct lexer_token token)
{
    char quote = source->at[prefix];

    source->at += prefix + 1;
    token.at = source->at;
    for (; source->at < source->end; source->at++) {
        if (token.backslashes && *source->at == '\\') {
            if (source->end - source->at > 1)
                source->at++;
            continue;
        }
        if (*source->at != quote)
            continue;
        if (peek(source, 1) != quote) {
            token.length = (size_t)(source->at - token.at);
            source->at++;
            return token;
        }
        source->at++;
    }
    return end_token(source);
}

/* The length of "$tag$" at the position, or 0. */
static size_t dollar_length(const struct lexer_token_source *source)
{
    size_t length = 1;

    if (starts_identifier(peek(source, 1))) {
        do {
            length++;
        } while (starts_identifier(peek(source, length)) || is_digit(peek(source, length)));
    }
    return peek(source, length) == '$' ? length + 1 : 0;
}

static struct lexer_token take_dollar(struct lexer_token_source *source, size_t delimiter_length)
{
    const char *content = source->at + delimiter_length;
    const char *close =
        memmem(content, (size_t)(source->end - content), source->at, delimiter_length);

    if (close == NULL)
        return end_token(source);
    source->at = close + delimiter_length;
    return (struct lexer_token){
        .kind = LEXER_TOKEN_DOLLAR, .at = content, .length = (size_t)(close - content)};
}

static struct lexer_token take_word(struct lexer_token_source *source)
{
    struct lexer_token token = {.kind = LEXER_TOKEN_WORD, .at = source->at};

    while (source->at < source->end && continues_identifier(*source->at))
        source->at++;
    token.length = (size_t)(source->at - token.at);
    return token;
}

static struct lexer_token take_symbol(struct lexer_token_source *source)
{
    struct lexer_token token = {.kind = LEXER_TOKEN_SYMBOL, .at = source->at, .length = 1};

    source->at++;
    return token;
}

/* A word, or a constant that starts with a letter: E'', N'', B'', X'', U&'', U&"". */
static struct lexer_token take_lettered(struct lexer_token_source *source)
{
    struct lexer_token string = {.kind = LEXER_TOKEN_STRING};
    char letter = lower(*source->at);

    if (peek(source, 1) == '\'' && strchr("ebxn", letter) != NULL) {
        string.backslashes = letter == 'e';
        string.opaque = letter == 'b' || letter == 'x';
        return take_quoted(source, 1, string);
    }
    if (letter == 'u' && peek(source, 1) == '&' &&
        (peek(source, 2) == '\'' || peek(source, 2) == '"')) {
        string.opaque = true;
        if (peek(source, 2) == '"')
            string.kind = LEXER_TOKEN_QUOTED;
        return take_quoted(source, 2, string);
    }
    return take_word(source);
}

struct lexer_token lexer_token_next(struct lexer_token_source *source)
{
    skip_blanks(source);
    if (source->at >= source->end)
        return end_token(source);
    switch (*source->at) {
    case '\'':
        return take_quoted(source, 0, (struct lexer_token){.kind = LEXER_TOKEN_STRING});
    case '"':
        return take_quoted(source, 0, (struct lexer_token){.kind = LEXER_TOKEN_QUOTED});
    case '$': {
        size_t delimiter_length = dollar_length(source);
        return delimiter_length > 0 ? take_dollar(source, delimiter_length) : take_symbol(source);
    }
    default:
        return starts_identifier(*source->at) ? take_lettered(source) : take_symbol(source);
    }
}

bool lexer_token_is_word(const struct lexer_token *token, const char *word)
{
    if (token->kind != LEXER_TOKEN_WORD || token->length != strlen(word))
        return false;
    for (size_t i = 0; i < token->length; i++) {
        if (lower(token->at[i]) != word[i])
            return false;
    }
    return true;
}

bool lexer_token_is_symbol(const struct lexer_token *token, char symbol)
{
    return token->kind == LEXER_TOKEN_SYMBOL && *token->at == symbol;
}

/* Cuts what was appended after `start`, not in the middle of a character (UTF-8). */
static void cut_identifier(struct buffer *value, size_t start)
{
    if (buffer_length(value) - start <= IDENTIFIER_MAX)
        return;
    size_t length = start + IDENTIFIER_MAX;
    while (length > start && (buffer_bytes(value)[length] & 0xc0) == 0x80)
        length--;
    value->end = value->start + length;
}

static bool append_quoted(const struct lexer_token *token, struct buffer *value)
{
    char quote = token->kind == LEXER_TOKEN_QUOTED ? '"' : '\'';

    for (size_t i = 0; i < token->length; i++) {
        char letter = token->at[i];
        if (letter == '\\' && token->backslashes) {
            i++;
            /* \n, \x41, \u0041, …: nothing that a name is written with. */
            if (i == token->length || is_digit(token->at[i]) || starts_identifier(token->at[i]))
                return false;
            letter = token->at[i];
        } else if (letter == quote) {
            i++; /* it stands twice */
        }
        buffer_append(value, &letter, 1);
    }
    return true;
}

bool lexer_token_append_value(const struct lexer_token *token, struct buffer *value)
{
    size_t start = buffer_length(value);

    if (token->opaque)
        return false;
    switch (token->kind) {
    case LEXER_TOKEN_WORD:
        for (size_t i = 0; i < token->length; i++) {
            char letter = lower(token->at[i]);
            buffer_append(value, &letter, 1);
        }
        cut_identifier(value, start);
        return true;
    case LEXER_TOKEN_QUOTED:
        append_quoted(token, value);
        cut_identifier(value, start);
        return true;
    case LEXER_TOKEN_STRING:
        return append_quoted(token, value);
    case LEXER_TOKEN_DOLLAR:
        if (token->length > 0)
            buffer_append(value, token->at, token->length);
        return true;
    case LEXER_TOKEN_END:
    case LEXER_TOKEN_SYMBOL:
        break;
    }
    return false;
}
