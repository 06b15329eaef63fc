#include "config/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Longer words are not compared: no key is as long, and the table below stays on the stack. */
#define WORD_MAX 48

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

static bool same_letter(char one, char other)
{
    return tolower((unsigned char)one) == tolower((unsigned char)other);
}

/* Insertions, deletions, replacements, and swaps of two neighbours. */
static size_t distance(const char *one, size_t one_length, const char *other, size_t other_length)
{
    size_t table[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= one_length; i++)
        table[i][0] = i;
    for (size_t j = 0; j <= other_length; j++)
        table[0][j] = j;
    for (size_t i = 1; i <= one_length; i++) {
        for (size_t j = 1; j <= other_length; j++) {
            size_t replaced = table[i - 1][j - 1] + (same_letter(one[i - 1], other[j - 1]) ? 0 : 1);
            table[i][j] = least(replaced, least(table[i - 1][j], table[i][j - 1]) + 1);
            if (i > 1 && j > 1 && same_letter(one[i - 1], other[j - 2]) &&
                same_letter(one[i - 2], other[j - 1]))
                table[i][j] = least(table[i][j], table[i - 2][j - 2] + 1);
        }
    }
    return table[one_length][other_length];
}

const char *suggest_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t length = strlen(word);
    if (length < 2 || length > WORD_MAX)
        return NULL;
    /* A third of the letters may be wrong, three at most: farther words only resemble by chance. */
    size_t bound = least(3, (length + 2) / 3);
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t candidate_length = strlen(candidates[i]);
        if (candidate_length > WORD_MAX)
            continue;
        size_t found = distance(word, length, candidates[i], candidate_length);
        if (found <= bound && (nearest == NULL || found < bound)) {
            nearest = candidates[i];
            bound = found;
        }
    }
    return nearest;
}
