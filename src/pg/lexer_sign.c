#include "pg/lexer_sign.h"
#include "pg/lexer_token.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Bodies in dollar quotes within bodies. */
#define DEPTH_MAX 8

static const struct {
    const char *word;
    unsigned sign;
} signs_of_words[] = {
    {"currval", LEXER_READS_SEQUENCE},
    {"lastval", LEXER_READS_SEQUENCE},
    {"nextval", LEXER_DRAWS_SEQUENCE},
    {"setval", LEXER_DRAWS_SEQUENCE},
    {"insert", LEXER_DRAWS_SEQUENCE},
    {"copy", LEXER_DRAWS_SEQUENCE},
    {"merge", LEXER_DRAWS_SEQUENCE},
    {"setseed", LEXER_SETS_SEED},
    {"pg_advisory_lock", LEXER_KEEPS_OBJECT},
    {"pg_advisory_lock_shared", LEXER_KEEPS_OBJECT},
    {"pg_try_advisory_lock", LEXER_KEEPS_OBJECT},
    {"pg_try_advisory_lock_shared", LEXER_KEEPS_OBJECT},
    {"pg_temp", LEXER_KEEPS_OBJECT},
};

struct signs {
    unsigned found;
    unsigned depth;
    unsigned temporary; /* words TEMP and TEMPORARY */
    unsigned drops;     /* ON COMMIT DROP */
};

/* The last three tokens; a command or a block's statement begins behind what `begins` tells. */
struct context {
    struct lexer_token before, last;
    bool begins; /* `last` is the first of a statement */
    bool sets;   /* SET, or SET SESSION, SET LOCAL */
    bool call;   /* set_config( */
};

static bool is_name(const struct lexer_token *token, const char *name)
{
    size_t length = strlen(name);
    if (token->length != length)
        return false;
    if (token->kind == LEXER_TOKEN_WORD)
        return strncasecmp(token->at, name, length) == 0;
    return token->kind == LEXER_TOKEN_QUOTED && memcmp(token->at, name, length) == 0;
}

/* A statement may begin behind this token, in SQL or in a block of PL/pgSQL. */
static bool ends_statement(const struct lexer_token *token)
{
    return lexer_token_is_symbol(token, ';') || lexer_token_is_word(token, "begin") ||
           lexer_token_is_word(token, "then") || lexer_token_is_word(token, "else") ||
           lexer_token_is_word(token, "loop");
}

static void take_seed(struct signs *signs, struct context *context, const struct lexer_token *token)
{
    bool is_seed = is_name(token, "seed");
    if (context->sets) {
        if (is_seed)
            signs->found |= LEXER_SETS_SEED;
        context->sets =
            lexer_token_is_word(token, "session") || lexer_token_is_word(token, "local");
    } else {
        context->sets = lexer_token_is_word(token, "set") &&
                        (context->begins || ends_statement(&context->last));
    }
    bool is_text = token->kind == LEXER_TOKEN_STRING || token->kind == LEXER_TOKEN_DOLLAR;
    if (context->call && is_text && token->length == 4 && strncasecmp(token->at, "seed", 4) == 0)
        signs->found |= LEXER_SETS_SEED;
    context->call = lexer_token_is_symbol(token, '(') && is_name(&context->last, "set_config");
}

static void take_word(struct signs *signs, const struct context *context,
                      const struct lexer_token *token)
{
    if (token->opaque && token->kind == LEXER_TOKEN_QUOTED)
        signs->found |= LEXER_READS_SEQUENCE | LEXER_SETS_SEED | LEXER_KEEPS_OBJECT;
    for (size_t i = 0; i < sizeof signs_of_words / sizeof signs_of_words[0]; i++) {
        if (is_name(token, signs_of_words[i].word))
            signs->found |= signs_of_words[i].sign;
    }
    if (lexer_token_is_word(token, "temp") || lexer_token_is_word(token, "temporary"))
        signs->temporary++;
    if (lexer_token_is_word(token, "drop") && lexer_token_is_word(&context->last, "commit") &&
        lexer_token_is_word(&context->before, "on"))
        signs->drops++;
}

static void search(struct signs *signs, const char *sql, size_t length)
{
    struct lexer_token_source source = {sql, sql + length};
    struct context context = {.begins = true};
    for (;;) {
        struct lexer_token token = lexer_token_next(&source);
        if (token.kind == LEXER_TOKEN_END)
            return;
        take_seed(signs, &context, &token);
        if (token.kind == LEXER_TOKEN_WORD || token.kind == LEXER_TOKEN_QUOTED)
            take_word(signs, &context, &token);
        if ((token.kind == LEXER_TOKEN_DOLLAR || token.kind == LEXER_TOKEN_STRING) &&
            signs->depth < DEPTH_MAX) {
            signs->depth++;
            search(signs, token.at, token.length); /* a body, or what EXECUTE runs */
            signs->depth--;
        }
        context.before = context.last;
        context.last = token;
        context.begins = false;
    }
}

unsigned lexer_signs(const char *sql, size_t length)
{
    struct signs signs = {0};
    search(&signs, sql, length > 0 ? strnlen(sql, length) : 0);
    if (signs.temporary > signs.drops)
        signs.found |= LEXER_KEEPS_OBJECT;
    return signs.found;
}

/* Any letter case; `word` is in lower case. */
static const char *find_letters(const char *at, const char *end, const char *word, size_t length)
{
    for (; (size_t)(end - at) >= length; at++) {
        if ((at[0] | 0x20) == word[0] && strncasecmp(at, word, length) == 0)
            return at;
    }
    return NULL;
}

bool lexer_may_set_seed(const char *sql, size_t length)
{
    return length > 0 && find_letters(sql, sql + length, "seed", 4) != NULL;
}

static bool is_letter(char letter)
{
    unsigned char byte = (unsigned char)letter;
    return byte >= 0x80 || isalnum(byte) || byte == '_' || byte == '$';
}

static bool has_word(const char *sql, size_t length, const char *word)
{
    size_t word_length = strlen(word);
    const char *at = sql, *end = sql + length;
    while ((at = find_letters(at, end, word, word_length)) != NULL) {
        if ((at == sql || !is_letter(at[-1])) &&
            (at + word_length == end || !is_letter(at[word_length])))
            return true;
        at++;
    }
    return false;
}

const char *lexer_find_name(const char *sql, size_t length, char *const *names, size_t count)
{
    for (size_t i = 0; length > 0 && i < count; i++) {
        if (has_word(sql, length, names[i]))
            return names[i];
    }
    return NULL;
}
