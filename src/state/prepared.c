/*
 * prepared.c: a pair's value is "k", the shape and the context in sixteen hexadecimal digits each,
 * the number of parameters in four, then the text.
 */
#include "state/prepared.h"

#include "pg/lexer.h"
#include "pg/lexer_token.h"
#include "pg/quote.h"
#include "state/guc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_SIZE 37
static const char kinds[] = {
    [PREPARED_FOLLOWS] = 'f', [PREPARED_STAYS] = 's', [PREPARED_BROKEN] = 'b'};

bool prepared_is(const char *pair_name)
{
    return strncmp(pair_name, PREPARED_PREFIX, sizeof PREPARED_PREFIX - 1) == 0;
}

const char *prepared_find(const struct guc_set *set, const char *name)
{
    struct buffer pair_name = {0};
    buffer_append(&pair_name, PREPARED_PREFIX, sizeof PREPARED_PREFIX - 1);
    buffer_append(&pair_name, name, strlen(name) + 1);
    const char *value = guc_find(set, (const char *)buffer_bytes(&pair_name));
    buffer_release(&pair_name);
    return value != NULL ? prepared_read(value).text : NULL;
}

bool prepared_any(const struct guc_set *set)
{
    const struct pairs *pairs = guc_pairs(set);
    for (size_t i = 0; i < pairs->count; i++) {
        if (prepared_is(pairs->items[i].name))
            return true;
    }
    return false;
}

void prepared_write(struct buffer *value, const struct prepared *prepared)
{
    char header[HEADER_SIZE + 1];
    snprintf(header, sizeof header, "%c%016" PRIx64 "%016" PRIx64 "%04" PRIx16,
             kinds[prepared->kind], prepared->shape, prepared->context, prepared->parameters);
    buffer_append(value, header, HEADER_SIZE);
    buffer_append(value, prepared->text, strlen(prepared->text) + 1);
}

/* Of so many hexadecimal digits. */
static uint64_t read_number(const char *digits, size_t count)
{
    char number[17];
    memcpy(number, digits, count);
    number[count] = '\0';
    return strtoull(number, NULL, 16);
}

struct prepared prepared_read(const char *value)
{
    struct prepared prepared = {.kind = PREPARED_STAYS, .text = value};
    if (strlen(value) < HEADER_SIZE)
        return prepared;
    for (size_t i = 0; i < sizeof kinds; i++) {
        if (value[0] == kinds[i])
            prepared.kind = (enum prepared_kind)i;
    }
    prepared.shape = read_number(value + 1, 16);
    prepared.context = read_number(value + 17, 16);
    prepared.parameters = (uint16_t)read_number(value + 33, 4);
    prepared.text = value + HEADER_SIZE;
    return prepared;
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* 'now', 'Today 12:00' and the like: dates that are worked out when the text is read. */
static bool is_point_in_time(const struct lexer_token *token)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    const char *at = token->at, *end = token->at + token->length;

    if (token->kind != LEXER_TOKEN_STRING && token->kind != LEXER_TOKEN_DOLLAR)
        return false;
    while (at < end && !is_letter(*at))
        at++;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(end - at) >= length && strncasecmp(at, words[i], length) == 0 &&
            (at + length == end || !is_letter(at[length])))
            return true;
    }
    return false;
}

bool prepared_can_follow(const char *text, bool plain_backslashes)
{
    size_t length = strlen(text);
    struct lexer_token_source source = {text, text + length};
    struct lexer_token token = lexer_token_next(&source);
    bool ended = false;

    if (!lexer_token_is_word(&token, "prepare") || lexer_changes(text, length) != 0 ||
        strstr(text, PREPARED_MARKER) != NULL || (!plain_backslashes && strchr(text, '\\') != NULL))
        return false;
    for (;;) {
        token = lexer_token_next(&source);
        if (token.kind == LEXER_TOKEN_END)
            return true;
        if ((ended && !lexer_token_is_symbol(&token, ';')) || is_point_in_time(&token))
            return false;
        ended |= lexer_token_is_symbol(&token, ';');
    }
}

static bool has_digit_or_backslash(const struct lexer_token *token)
{
    for (size_t i = 0; i < token->length; i++) {
        if ((token->at[i] >= '0' && token->at[i] <= '9') || token->at[i] == '\\')
            return true;
    }
    return false;
}

bool prepared_depends_on_settings(const char *text)
{
    struct lexer_token_source source = {text, text + strlen(text)};
    for (;;) {
        struct lexer_token token = lexer_token_next(&source);
        if ((token.kind == LEXER_TOKEN_STRING || token.kind == LEXER_TOKEN_DOLLAR) &&
            has_digit_or_backslash(&token))
            return true;
        if (token.kind == LEXER_TOKEN_END)
            return false;
    }
}

static void write_text(struct buffer *sql, const char *text)
{
    buffer_append(sql, text, strlen(text));
}

void prepared_write_deallocate(struct buffer *sql, const char *pair_name)
{
    write_text(sql, "DEALLOCATE ");
    quote_identifier(sql, pair_name + sizeof PREPARED_PREFIX - 1);
    write_text(sql, ";");
}

/* Planning works the constant out, and fails: so EXPLAIN EXECUTE does too. */
void prepared_write_broken(struct buffer *sql, const char *pair_name, unsigned parameters,
                           size_t number)
{
    char part[120];
    write_text(sql, "PREPARE ");
    quote_identifier(sql, pair_name + sizeof PREPARED_PREFIX - 1);
    snprintf(part, sizeof part,
             " AS SELECT '" PREPARED_MARKER "%zu'::pg_catalog.text::pg_catalog.int4", number);
    write_text(sql, part);
    for (unsigned i = 1; i <= parameters; i++) {
        snprintf(part, sizeof part, ",$%u::pg_catalog.text", i);
        write_text(sql, part);
    }
    write_text(sql, ";");
}
