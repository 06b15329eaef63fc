/*
 * keys.h: the table of all keys. Parsing, defaults, ranges, SHOW CONFIG, the example file and the
 * manual's list come from it, and from nothing else.
 */
#ifndef PGSLUICE_CONFIG_KEYS_H
#define PGSLUICE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In which sections a key may stand. */
enum keys_section {
    KEYS_PGSLUICE = 1,
    KEYS_POOL = 2,
    KEYS_DATABASE = 4,
    KEYS_USER = 8,
};

enum keys_type {
    KEYS_SWITCH, /* bool */
    KEYS_NUMBER, /* unsigned */
    KEYS_TIME,   /* microseconds; a bare number counts seconds */
    KEYS_CHOICE, /* an enum whose values count from 0 in the order of `choices` */
    KEYS_TEXT,   /* char *, NULL where empty */
    KEYS_URL,    /* read by url.h */
    KEYS_OTHER,  /* by `set` */
};

/* What a key's value is written into: struct config, or struct settings. */
typedef bool keys_setter(void *target, const char *text, char *problem, size_t size);

struct key {
    const char *name;
    unsigned sections; /* set of enum keys_section */
    enum keys_type type;
    size_t offset;              /* in struct config for [pgsluice], in struct settings else */
    const char *default_value;  /* as it would be written in a file; "" for none */
    int64_t least, most;        /* KEYS_NUMBER, KEYS_TIME */
    const char *zero;           /* the word for 0 ("off", "auto"); NULL: there is none */
    const char *const *choices; /* NULL ends them */
    keys_setter *set;
    const char *expected; /* what a value looks like, where the type does not say it */
    bool needs_restart;
    bool is_secret;
    const char *help; /* whole sentences */
};

#define KEYS_COUNT 44
extern const struct key keys_table[KEYS_COUNT];

/* By name, or NULL. */
const struct key *keys_find(const char *name);
size_t keys_index(const struct key *key);
/* "a whole number from 0 to 10000", … */
void keys_expectation(const struct key *key, char *text, size_t size);
/*
 * Reads a value into the struct that the key belongs to; false: `problem` says what was expected
 * and nothing was changed. Not for KEYS_URL.
 */
bool keys_apply(const struct key *key, const char *value, void *target, char *problem, size_t size)
    __attribute__((warn_unused_result));
/* The value in the struct, in its plainest form; false for types that have none (text, other). */
bool keys_format(const struct key *key, const void *target, char *text, size_t size);

#endif
