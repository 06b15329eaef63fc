/*
 * lexer.c: custom GUC names. A small automaton is fed with one token after the other; it looks for
 *
 *   SET [SESSION | LOCAL] name, RESET name      wherever the word stands
 *   set_config( 'name' ,                        also set_config(setting_name => 'name'
 */
#include "pg/lexer.h"

#include "pg/lexer_token.h"

#include <string.h>
#include <strings.h>

/* Bodies in dollar quotes may hold others; nobody writes deeper than this. */
#define DEPTH_MAX 8

enum step {
    STEP_ANY,          /* nothing begun */
    STEP_NAME,         /* after SET or RESET: the name's first part */
    STEP_DOT,          /* after a part of the name */
    STEP_PART,         /* after a dot */
    STEP_OPEN,         /* after set_config */
    STEP_ARGUMENT,     /* in the parentheses, before the name */
    STEP_ARGUMENT_END, /* after a string constant there */
    STEP_REST,         /* what follows the name, up to the closing one */
};

struct finder {
    enum step step;
    bool scope;           /* the part before STEP_DOT was SESSION or LOCAL */
    bool missed;          /* a name could not be told */
    bool lasting;         /* a set_config may be for longer than the transaction */
    bool known;           /* in STEP_REST: the name was told */
    unsigned calls;       /* of set_config */
    unsigned depth;       /* of dollar quotes */
    unsigned parentheses; /* of a call of set_config, open */
    unsigned tokens;      /* of its present argument, in STEP_REST */
    bool is_true;         /* the last of them was the word `true` */
    struct buffer name;
    lexer_name_callback *callback;
    void *context;
};

/* What is not ASCII is another name under another client_encoding; a colon tells names of another
 * kind from those of settings (state/guc.h). PostgreSQL 13 allows both. */
static bool can_be_told(const struct buffer *name)
{
    for (size_t i = name->start; i < name->end; i++) {
        if (name->memory[i] >= 0x80 || name->memory[i] == ':')
            return false;
    }
    return true;
}

static void report_if_dotted(struct finder *finder)
{
    size_t length = buffer_length(&finder->name);

    if (length > 0 && memchr(buffer_bytes(&finder->name), '.', length) != NULL) {
        bool can = can_be_told(&finder->name);
        finder->missed |= !can;
        buffer_append(&finder->name, "", 1);
        if (can)
            finder->callback((const char *)buffer_bytes(&finder->name), finder->context);
    }
    buffer_clear(&finder->name);
}

static void miss(struct finder *finder)
{
    finder->missed = true;
    buffer_clear(&finder->name);
    finder->step = STEP_ANY;
}

static const char function[] = "set_config";
static const char view[] = "pg_settings";

static bool is_name(const struct lexer_token *token, const char *name)
{
    return lexer_token_is_word(token, name) ||
           (token->kind == LEXER_TOKEN_QUOTED && token->length == strlen(name) &&
            memcmp(token->at, name, token->length) == 0);
}

static void begin(struct finder *finder, const struct lexer_token *token)
{
    buffer_clear(&finder->name);
    if (lexer_token_is_word(token, "set") || lexer_token_is_word(token, "reset")) {
        finder->step = STEP_NAME;
    } else if (is_name(token, function)) {
        finder->step = STEP_OPEN;
    } else if (token->kind == LEXER_TOKEN_QUOTED && token->opaque) {
        /* It may mean set_config: look at what follows as if it were. */
        finder->lasting = true;
        finder->step = STEP_OPEN;
    } else {
        finder->lasting |= is_name(token, view); /* whose UPDATE is a SET */
        finder->step = STEP_ANY;
    }
}

/* One part of a name after SET; false where the token cannot be one. */
static bool take_part(struct finder *finder, const struct lexer_token *token)
{
    if (token->kind != LEXER_TOKEN_WORD && token->kind != LEXER_TOKEN_QUOTED)
        return false;
    finder->scope = finder->step == STEP_NAME &&
                    (lexer_token_is_word(token, "session") || lexer_token_is_word(token, "local"));
    if (lexer_token_append_value(token, &finder->name))
        finder->step = STEP_DOT;
    else
        miss(finder);
    return true;
}

/* What follows a part; false where the token does not belong to the name. */
static bool take_dot(struct finder *finder, const struct lexer_token *token)
{
    if (lexer_token_is_symbol(token, '.')) {
        buffer_append(&finder->name, ".", 1);
        finder->step = STEP_PART;
        return true;
    }
    report_if_dotted(finder);
    finder->step = finder->scope ? STEP_NAME : STEP_ANY;
    return false;
}

/* The end of a call, or of the text before it. */
static void end_call(struct finder *finder, bool is_local)
{
    finder->lasting |= !is_local;
    finder->missed |= !is_local && !finder->known;
    finder->step = STEP_ANY;
}

/* After a name. A setting that is_local says to be the transaction's own does not matter: then the
 * last argument is `true` and nothing else. */
static void take_rest(struct finder *finder, const struct lexer_token *token)
{
    if (token->kind == LEXER_TOKEN_END || lexer_token_is_symbol(token, ';')) {
        end_call(finder, false);
        return;
    }
    if (lexer_token_is_symbol(token, ')') && --finder->parentheses == 0) {
        end_call(finder, finder->tokens == 1 && finder->is_true);
        return;
    }
    if (lexer_token_is_symbol(token, '('))
        finder->parentheses++;
    if (is_name(token, function) || (token->kind == LEXER_TOKEN_QUOTED && token->opaque)) {
        finder->missed = true; /* a call within this one, whose name is not looked for */
        finder->lasting = true;
    }
    bool separates = lexer_token_is_symbol(token, ',') && finder->parentheses == 1;
    finder->tokens = separates ? 0 : finder->tokens + 1;
    finder->is_true = lexer_token_is_word(token, "true");
}

static void begin_rest(struct finder *finder, const struct lexer_token *token, bool known)
{
    buffer_clear(&finder->name);
    finder->step = STEP_REST;
    finder->known = known;
    finder->tokens = 0;
    take_rest(finder, token);
}

static void take_argument(struct finder *finder, const struct lexer_token *token)
{
    if (token->kind == LEXER_TOKEN_STRING || token->kind == LEXER_TOKEN_DOLLAR) {
        finder->step = STEP_ARGUMENT_END;
        if (!lexer_token_append_value(token, &finder->name))
            begin_rest(finder, token, false);
    } else if (token->kind == LEXER_TOKEN_END || lexer_token_is_symbol(token, ',') ||
               lexer_token_is_symbol(token, '(') || lexer_token_is_symbol(token, ')') ||
               lexer_token_is_symbol(token, ';')) {
        begin_rest(finder, token, false);
    }
    /* Else perhaps a type's name, or "setting_name =>", before the constant. */
}

/* Only a comma or a cast may follow, or the constant is but a part of an expression. */
static void take_argument_end(struct finder *finder, const struct lexer_token *token)
{
    bool known = lexer_token_is_symbol(token, ',') || lexer_token_is_symbol(token, ':');
    if (known)
        report_if_dotted(finder);
    begin_rest(finder, token, known);
}

/* One step; false where the step has ended before this token, which has to be shown again. */
static bool feed(struct finder *finder, const struct lexer_token *token)
{
    switch (finder->step) {
    case STEP_ANY:
        begin(finder, token);
        return true;
    case STEP_DOT:
        return take_dot(finder, token);
    case STEP_NAME:
    case STEP_PART:
        if (take_part(finder, token))
            return true;
        break;
    case STEP_OPEN:
        if (lexer_token_is_symbol(token, '(')) {
            finder->step = STEP_ARGUMENT;
            finder->parentheses = 1;
            finder->calls++;
            return true;
        }
        break;
    case STEP_ARGUMENT:
        take_argument(finder, token);
        return true;
    case STEP_ARGUMENT_END:
        take_argument_end(finder, token);
        return true;
    case STEP_REST:
        take_rest(finder, token);
        return true;
    }
    finder->step = STEP_ANY;
    return false;
}

static void find(struct finder *finder, const char *sql, size_t length);

/* What stands in dollar quotes, unless it is the argument itself. */
static void find_inside(struct finder *finder, const struct lexer_token *token)
{
    enum step step = finder->step;

    if (finder->depth == DEPTH_MAX) {
        finder->missed = true;
        return;
    }
    finder->depth++;
    find(finder, token->at, token->length);
    finder->depth--;
    finder->step = step;
}

static void find(struct finder *finder, const char *sql, size_t length)
{
    struct lexer_token_source source = {.at = sql, .end = length > 0 ? sql + length : sql};
    struct lexer_token token;

    finder->step = STEP_ANY;
    do {
        token = lexer_token_next(&source);
        while (!feed(finder, &token))
            continue;
        if (token.kind == LEXER_TOKEN_DOLLAR && finder->step == STEP_ANY)
            find_inside(finder, &token);
    } while (token.kind != LEXER_TOKEN_END);
}

/* Wherever it stands, in string constants too. */
static unsigned count_function(const char *sql, size_t length)
{
    unsigned count = 0;
    for (size_t i = 0; i + strlen(function) <= length; i++)
        count +=
            (sql[i] | 0x20) == function[0] && strncasecmp(sql + i, function, strlen(function)) == 0;
    return count;
}

unsigned lexer_settings(const char *sql, size_t length, lexer_name_callback *callback,
                        void *context)
{
    struct finder finder = {.callback = callback, .context = context};
    size_t end = length > 0 ? strnlen(sql, length) : 0; /* names are handed out as C strings */

    find(&finder, sql, end);
    buffer_release(&finder.name);
    bool lasting = finder.lasting || finder.calls != count_function(sql, end);
    return (finder.missed ? LEXER_NAMES_MISSED : 0) | (lasting ? LEXER_NAMES_LASTING : 0);
}
