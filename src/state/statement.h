/*
 * statement.h: prepared statements of the extended protocol, by content.
 *
 * A statement is the body of a Parse message after its name (query text, parameter types) and what
 * its constants depend on, interned: equal content is one object, compared by pointer, shared by
 * all clients and server connections, reference-counted; any thread. Its server-side name is made
 * from the content (SHA-256), so that it is the same on every server connection and in every
 * process.
 *
 * A statement_names maps one client's names to statements; a statement_cache tells which statements
 * one server connection has prepared, least recently used first out. Both belong to one worker.
 * Each has a file of its own: statement_names.c, statement_cache.c; and so has what a statement
 * returns: statement_shape.c.
 */
#ifndef PGSLUICE_STATE_STATEMENT_H
#define PGSLUICE_STATE_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pairs;

#define STATEMENT_NAME_PREFIX "pgsluice_"
/* Prefix, 32 hex digits, zero byte. */
#define STATEMENT_NAME_SIZE (sizeof STATEMENT_NAME_PREFIX + 32)

struct statement {
    unsigned references; /* atomic */
    uint32_t content_length;
    uint8_t changes;                /* lexer_changes() of its text */
    bool sets;                      /* it is a SET to be believed (lexer_set.h) */
    uint8_t signs;                  /* lexer_signs() of its text, where they matter */
    bool sets_locally;              /* all its set_config() are for the transaction only */
    bool hides_setting;             /* and does not tell by its text which setting */
    bool names_statements;          /* its text may name prepared statements */
    char name[STATEMENT_NAME_SIZE]; /* on servers */
    const uint8_t *content;         /* owned */
    uint64_t context;
    /* The session's: the serial of a list of names, twice, and whether one stands in the text. */
    _Atomic uint64_t functions_seen;
    /* And the serial of a set of functions (routines.h), and what the text may do by those. */
    _Atomic uint64_t routines_seen;
};

/*
 * One reference for the caller. `content` is not empty and is copied. `context` (0: none) stands
 * for the settings under which a Parse reads the text's constants: with another, it is another
 * statement.
 */
struct statement *statement_intern(const uint8_t *content, size_t length, uint64_t context);
/* Whether what the text means may depend on such settings: it has string constants, or bytes that
 * are not ASCII. */
bool statement_needs_context(const char *sql, size_t length);
struct statement *statement_retain(struct statement *statement);
/* Gives one reference back and nulls the pointer; NULL inside is fine. */
void statement_release(struct statement **statement);

/*
 * The shape of a statement is what it returns, as PostgreSQL fixes it at Parse and compares it at
 * each use: the names, types and type modifiers of its columns, in a hash. `body` is that of a
 * RowDescription.
 */
#define STATEMENT_SHAPE_UNKNOWN UINT64_C(0)
#define STATEMENT_SHAPE_NONE UINT64_C(1) /* NoData: it returns no rows */
uint64_t statement_shape_of(const uint8_t *body, size_t length);
/* The same of a RowDescription that is too long to be read, by what is known of it. */
uint64_t statement_shape_of_long(size_t length);

/* NULL is a valid, empty map: a client that prepares nothing owns none. */
struct statement_names;
/* What a client has under a name. */
struct statement_named {
    struct statement *statement; /* owned reference */
    uint64_t shape;              /* as it was at the client's Parse */
};
/* NULL where the name is not there. Valid until it is removed. */
struct statement_named *statement_names_at(struct statement_names *names, const char *name);
struct statement *statement_names_find(const struct statement_names *names, const char *name);
/* The other way round: a name of the statement that has this name on servers, or NULL. Not for
 * every message: it looks at all of them. `server_name` needs no zero byte at its end. */
const char *statement_names_of(const struct statement_names *names, const char *server_name);
/* Adds (takes a reference of its own) in an unknown shape; the name must not be there. */
void statement_names_add(struct statement_names **names, const char *name,
                         struct statement *statement);
/* False where it was not there. */
bool statement_names_remove(struct statement_names **names, const char *name);
void statement_names_clear(struct statement_names **names);
/* Adds the names to `list`, with empty values. */
void statement_names_list(const struct statement_names *names, struct pairs *list);
size_t statement_names_count(const struct statement_names *names);

/* NULL is a valid, empty cache. */
struct statement_cache;
/* Where its shape is kept, or NULL where it is not prepared; makes it the most recently used. Valid
 * until it is removed. */
uint64_t *statement_cache_use(struct statement_cache *cache, const struct statement *statement);
/* Adds as most recently used (takes a reference of its own) in an unknown shape; must not be there.
 */
void statement_cache_add(struct statement_cache **cache, struct statement *statement);
bool statement_cache_remove(struct statement_cache **cache, const struct statement *statement);
/* Takes the least recently used out where there are more than `limit`, else NULL; the reference is
 * the caller's. */
struct statement *statement_cache_evict(struct statement_cache **cache, size_t limit);
void statement_cache_clear(struct statement_cache **cache);
size_t statement_cache_count(const struct statement_cache *cache);

#endif
