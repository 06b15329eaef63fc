/*
 * fuzz_lexer.c: any text. The names that are found are dotted; and the quick search for watched
 * words says the same as a slow and obvious one.
 */
#include "pg/lexer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool right)
{
    if (!right)
        abort();
}

static void take_name(const char *name, void *context)
{
    size_t *count = context;

    require(strchr(name, '.') != NULL);
    (*count)++;
}

static bool stands_at(const uint8_t *text, size_t left, const char *word)
{
    if (left < strlen(word))
        return false;
    for (size_t i = 0; i < strlen(word); i++) {
        if ((text[i] | 0x20) != (word[i] | 0x20))
            return false;
    }
    return true;
}

static bool in_identifier(const uint8_t *data, size_t size, size_t at)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

    return at < size && (data[at] >= 0x80 || (data[at] != 0 && strchr(letters, data[at]) != NULL));
}

static bool is_temporary(const uint8_t *data, size_t size, size_t at)
{
    if (stands_at(data + at, size - at, "pg_temp"))
        return true;
    if (at > 0 && in_identifier(data, size, at - 1))
        return false;
    return (stands_at(data + at, size - at, "temp") && !in_identifier(data, size, at + 4)) ||
           (stands_at(data + at, size - at, "temporary") && !in_identifier(data, size, at + 9));
}

static unsigned slowly(const uint8_t *data, size_t size)
{
    static const struct {
        const char *text;
        unsigned changes;
    } words[] = {
        {"set_config", LEXER_CHANGES_SETTINGS},   {"pg_settings", LEXER_CHANGES_SETTINGS},
        {"advisory_lock", LEXER_CHANGES_OBJECTS}, {"advisory_unlock", LEXER_CHANGES_OBJECTS},
        {"nextval", LEXER_CHANGES_SEQUENCES},     {"lastval", LEXER_CHANGES_SEQUENCES},
        {"setval", LEXER_CHANGES_SEQUENCES},      {"currval", LEXER_CHANGES_SEQUENCES},
        {"setseed", LEXER_CHANGES_SEED},          {"u&\"", 15},
    };
    unsigned changes = 0;

    for (size_t at = 0; at < size; at++) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (stands_at(data + at, size - at, words[i].text))
                changes |= words[i].changes;
        }
        if (is_temporary(data, size, at))
            changes |= LEXER_CHANGES_OBJECTS;
    }
    return changes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *sql = (const char *)data;
    size_t count = 0;

    lexer_settings(sql, size, take_name, &count);
    require(count <= size);
    require(lexer_changes(sql, size) == slowly(data, size));
    return 0;
}
