/*
 * statement.h: prepared statements of the extended protocol, by content.
 *
 * A statement is the body of a Parse message after its name (query text, parameter types),
 * interned: equal content is one object, compared by pointer, shared by all clients and server
 * connections, reference-counted; any thread. Its server-side name is made from the content
 * (SHA-256), so that it is the same on every server connection and in every process.
 *
 * A statement_names maps one client's names to statements; a statement_cache tells which statements
 * one server connection has prepared, least recently used first out. Both belong to one worker.
 * Each has a file of its own: statement_names.c, statement_cache.c.
 */
#ifndef PGSLUICE_STATE_STATEMENT_H
#define PGSLUICE_STATE_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATEMENT_NAME_PREFIX "pgsluice_"
/* Prefix, 32 hex digits, zero byte. */
#define STATEMENT_NAME_SIZE (sizeof STATEMENT_NAME_PREFIX + 32)

struct statement {
    unsigned references; /* atomic */
    uint32_t content_length;
    uint8_t changes;                /* lexer_changes() of its text */
    bool hides_setting;             /* and does not tell by its text which setting */
    char name[STATEMENT_NAME_SIZE]; /* on servers */
    const uint8_t *content;         /* owned */
};

/* One reference for the caller. `content` is not empty and is copied. */
struct statement *statement_intern(const uint8_t *content, size_t length);
struct statement *statement_retain(struct statement *statement);
/* Gives one reference back and nulls the pointer; NULL inside is fine. */
void statement_release(struct statement **statement);

/* NULL is a valid, empty map: a client that prepares nothing owns none. */
struct statement_names;
/* NULL where the name is not there. */
struct statement *statement_names_find(const struct statement_names *names, const char *name);
/* The other way round: a name of the statement that has this name on servers, or NULL. Not for
 * every message: it looks at all of them. `server_name` needs no zero byte at its end. */
const char *statement_names_of(const struct statement_names *names, const char *server_name);
/* Adds (takes a reference of its own); the name must not be there. */
void statement_names_add(struct statement_names **names, const char *name,
                         struct statement *statement);
/* False where it was not there. */
bool statement_names_remove(struct statement_names **names, const char *name);
void statement_names_clear(struct statement_names **names);
size_t statement_names_count(const struct statement_names *names);

/* NULL is a valid, empty cache. */
struct statement_cache;
/* True where it is prepared; makes it the most recently used. */
bool statement_cache_use(struct statement_cache *cache, const struct statement *statement);
/* Adds as most recently used (takes a reference of its own); must not be there. */
void statement_cache_add(struct statement_cache **cache, struct statement *statement);
bool statement_cache_remove(struct statement_cache **cache, const struct statement *statement);
/* Takes the least recently used out where there are more than `limit`, else NULL; the reference is
 * the caller's. */
struct statement *statement_cache_evict(struct statement_cache **cache, size_t limit);
void statement_cache_clear(struct statement_cache **cache);
size_t statement_cache_count(const struct statement_cache *cache);

#endif
