/*
 * lexer_watch.c: the checks that every Query and Parse passes. The text is looked at sixteen bytes
 * at a time, in a form that compilers turn into vector instructions, for a pair of letters out of
 * each word; only where such a pair stands are the words compared.
 */
#include "pg/lexer.h"

#include <stdint.h>
#include <string.h>

#define CHUNK 16

/* Letter case is one bit; other characters that it confuses make us look once too often. */
#define CASE_BIT 0x20

struct watched_word {
    const char *text;
    size_t length;
    size_t pair_at;   /* where its pair of letters stands, one of those in mark_pairs() */
    unsigned changes; /* enum lexer_change */
};

#define WATCHED(text, pair_at, changes)                                                            \
    {                                                                                              \
        text, sizeof text - 1, pair_at, changes                                                    \
    }

#define ALL_CHANGES                                                                                \
    (LEXER_CHANGES_SETTINGS | LEXER_CHANGES_OBJECTS | LEXER_CHANGES_SEQUENCES | LEXER_CHANGES_SEED)

static const struct watched_word watched_words[] = {
    WATCHED("set_config", 6, LEXER_CHANGES_SETTINGS),  /* nf */
    WATCHED("pg_settings", 1, LEXER_CHANGES_SETTINGS), /* g_ */
    WATCHED("advisory_lock", 1,
            LEXER_CHANGES_OBJECTS), /* dv; not the _xact_ ones, which end with the transaction */
    WATCHED("advisory_unlock", 1, LEXER_CHANGES_OBJECTS), /* dv */
    WATCHED("nextval", 3, LEXER_CHANGES_SEQUENCES),       /* tv */
    WATCHED("lastval", 3, LEXER_CHANGES_SEQUENCES),       /* tv */
    WATCHED("setval", 2, LEXER_CHANGES_SEQUENCES),        /* tv */
    WATCHED("currval", 3, LEXER_CHANGES_SEQUENCES),       /* rv */
    WATCHED("setseed", 4, LEXER_CHANGES_SEED),            /* ee */
    WATCHED("u&\"", 0, ALL_CHANGES),                      /* u& */
};

static const struct watched_word temporary = WATCHED("temp", 2, LEXER_CHANGES_OBJECTS); /* mp */

/* Marks where one of the pairs begins; CHUNK + 1 bytes are read. True where there is any. */
static inline bool mark_pairs(const uint8_t *chunk, uint8_t marks[CHUNK])
{
    uint8_t any = 0;

    for (int i = 0; i < CHUNK; i++) {
        uint8_t first = chunk[i] | CASE_BIT;
        uint8_t second = chunk[i + 1] | CASE_BIT;
        uint8_t mark = (uint8_t)(first == 'n') & (uint8_t)(second == 'f');
        mark |=
            (uint8_t)((first == 'd') | (first == 't') | (first == 'r')) & (uint8_t)(second == 'v');
        mark |= (uint8_t)(first == 'e') & (uint8_t)(second == 'e');
        mark |= (uint8_t)(first == 'm') & (uint8_t)(second == 'p');
        mark |= (uint8_t)(first == 'u') & (uint8_t)(second == '&');
        mark |= (uint8_t)(first == 'g') & (uint8_t)(second == ('_' | CASE_BIT));
        marks[i] = mark;
        any |= mark;
    }
    return any != 0;
}

static bool same_letters(const uint8_t *text, const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((text[i] | CASE_BIT) != ((uint8_t)word[i] | CASE_BIT))
            return false;
    }
    return true;
}

/* True where the word's pair stands at this position, and the rest of the word around it. */
static bool stands_at(const struct watched_word *word, const uint8_t *sql, size_t length,
                      size_t position)
{
    if (position < word->pair_at || position - word->pair_at + word->length > length)
        return false;
    return same_letters(sql + position - word->pair_at, word->text, word->length);
}

static bool continues_identifier(uint8_t letter)
{
    uint8_t lower = letter | CASE_BIT;

    return (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9') || letter == '_' ||
           letter >= 0x80;
}

/* TEMP and TEMPORARY as words, and anything of pg_temp: not "template", "attempt", "temp_c". */
static bool is_temporary(const uint8_t *sql, size_t length, size_t position)
{
    if (!stands_at(&temporary, sql, length, position))
        return false;
    size_t start = position - temporary.pair_at;
    size_t end = start + temporary.length;
    if (start >= 3 && same_letters(sql + start - 3, "pg_", 3))
        return true;
    if (start > 0 && continues_identifier(sql[start - 1]))
        return false;
    if (length - end >= 5 && same_letters(sql + end, "orary", 5))
        end += 5;
    return end == length || !continues_identifier(sql[end]);
}

static unsigned watched_at(const uint8_t *sql, size_t length, size_t position)
{
    unsigned changes = is_temporary(sql, length, position) ? temporary.changes : 0;
    for (size_t i = 0; i < sizeof watched_words / sizeof watched_words[0]; i++) {
        if (stands_at(&watched_words[i], sql, length, position))
            changes |= watched_words[i].changes;
    }
    return changes;
}

/* `chunk` is the text from `start` on, or a copy of it with room behind. */
static inline unsigned watched_in_chunk(const uint8_t *sql, size_t length, size_t start,
                                        const uint8_t *chunk)
{
    uint8_t marks[CHUNK];
    unsigned changes = 0;

    if (!mark_pairs(chunk, marks))
        return 0;
    for (size_t i = 0; i < CHUNK; i++) {
        if (marks[i])
            changes |= watched_at(sql, length, start + i);
    }
    return changes;
}

unsigned lexer_changes(const char *sql, size_t length)
{
    const uint8_t *bytes = (const uint8_t *)sql;
    uint8_t last[CHUNK + 1] = {0};
    unsigned changes = 0;
    size_t start = 0;

    for (; length - start > CHUNK; start += CHUNK)
        changes |= watched_in_chunk(bytes, length, start, bytes + start);
    if (start == length)
        return changes;
    memcpy(last, bytes + start, length - start);
    return changes | watched_in_chunk(bytes, length, start, last);
}

/* True where "et" begins in the chunk; CHUNK + 1 bytes are read. */
static inline bool has_end_of_set(const uint8_t *chunk)
{
    uint8_t any = 0;

    for (int i = 0; i < CHUNK; i++) {
        uint8_t first = chunk[i] | CASE_BIT;
        uint8_t second = chunk[i + 1] | CASE_BIT;
        any |= (uint8_t)(first == 'e') & (uint8_t)(second == 't');
    }
    return any != 0;
}

/* True where "set" begins in the text, at `from` or behind it, before `to`. */
static bool has_set(const uint8_t *sql, size_t length, size_t from, size_t to)
{
    for (size_t i = from; i < to && i + 3 <= length; i++) {
        if (same_letters(sql + i, "set", 3))
            return true;
    }
    return false;
}

bool lexer_may_name_settings(const char *sql, size_t length)
{
    const uint8_t *bytes = (const uint8_t *)sql;
    uint8_t last[CHUNK + 1] = {0};
    size_t start = 0;

    for (; length - start > CHUNK; start += CHUNK) {
        if (has_end_of_set(bytes + start) &&
            has_set(bytes, length, start > 0 ? start - 1 : 0, start + CHUNK))
            return true;
    }
    if (start == length)
        return false;
    memcpy(last, bytes + start, length - start);
    return has_end_of_set(last) && has_set(bytes, length, start > 0 ? start - 1 : 0, length);
}
