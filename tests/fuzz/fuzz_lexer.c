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

static bool slowly(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"set_config", "advisory_lock", "advisory_unlock",
                                        "nextval",    "lastval",       "setval",
                                        "currval",    "setseed",       "u&\""};

    for (size_t at = 0; at < size; at++) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (stands_at(data + at, size - at, words[i]))
                return true;
        }
        if (is_temporary(data, size, at))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *sql = (const char *)data;
    size_t count = 0;

    lexer_custom_names(sql, size, take_name, &count);
    require(count <= size);
    require(lexer_may_change_state(sql, size) == slowly(data, size));
    return 0;
}
