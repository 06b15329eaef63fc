#include "config/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit time_units[] = {
    {"d", 86400 * CLOCK_SECOND}, {"h", 3600 * CLOCK_SECOND}, {"min", 60 * CLOCK_SECOND},
    {"s", CLOCK_SECOND},         {"ms", CLOCK_MILLISECOND},  {"us", 1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Reads digits; `text` then stands behind them. False: none, or the number is too large. */
static bool read_digits(const char **text, int64_t *value)
{
    if (!isdigit((unsigned char)**text))
        return false;
    for (*value = 0; isdigit((unsigned char)**text); ++*text) {
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, **text - '0', value))
            return false;
    }
    return true;
}

/* The part behind a decimal point in millionths; digits past the sixth are dropped. */
static bool read_fraction(const char **text, int64_t *millionths)
{
    *millionths = 0;
    if (**text != '.')
        return true;
    ++*text;
    if (!isdigit((unsigned char)**text))
        return false;
    for (int64_t weight = 100000; isdigit((unsigned char)**text); ++*text, weight /= 10)
        *millionths += (**text - '0') * weight;
    return true;
}

static bool find_unit(const char *name, int64_t base, int64_t *factor)
{
    while (*name == ' ' || *name == '\t')
        name++;
    *factor = base;
    if (*name == '\0')
        return true;
    for (size_t i = 0; i < COUNT(time_units); i++) {
        if (strcmp(name, time_units[i].name) == 0) {
            *factor = time_units[i].factor;
            return true;
        }
    }
    return false;
}

bool units_parse_number(const char *text, int64_t *value)
{
    return read_digits(&text, value) && *text == '\0';
}

bool units_parse_time(const char *text, microseconds base, microseconds *value)
{
    int64_t whole;
    int64_t millionths;
    int64_t factor;
    if (!read_digits(&text, &whole) || !read_fraction(&text, &millionths) ||
        !find_unit(text, base, &factor))
        return false;
    /* The fraction's product is taken in two steps: days of millionths could overflow. */
    int64_t part = factor / 1000000 * millionths + factor % 1000000 * millionths / 1000000;
    return !__builtin_mul_overflow(whole, factor, value) &&
           !__builtin_add_overflow(*value, part, value);
}

void units_format_time(microseconds value, char *text, size_t size)
{
    for (size_t i = 0; i < COUNT(time_units); i++) {
        if (value != 0 && value % time_units[i].factor == 0) {
            snprintf(text, size, "%" PRId64 "%s", value / time_units[i].factor, time_units[i].name);
            return;
        }
    }
    snprintf(text, size, "0");
}
