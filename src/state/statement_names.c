/*
 * statement_names.c: one client's names. The map is a uthash table, whose handle is its first
 * entry: a client without names has nothing but a NULL pointer.
 */
#include "state/statement.h"

#include "base/check.h"
#include "pg/pairs.h"
#include "state/table.h"

#include <string.h>

struct statement_names {
    struct statement_named named;
    UT_hash_handle hh;
    char name[];
};

static struct statement_names *find_entry(const struct statement_names *names, const char *name)
{
    struct statement_names *found = NULL;
    HASH_FIND(hh, names, name, strlen(name), found);
    return found;
}

struct statement *statement_names_find(const struct statement_names *names, const char *name)
{
    const struct statement_names *found = find_entry(names, name);
    return found == NULL ? NULL : found->named.statement;
}

struct statement_named *statement_names_at(struct statement_names *names, const char *name)
{
    struct statement_names *found = find_entry(names, name);
    return found == NULL ? NULL : &found->named;
}

const char *statement_names_of(const struct statement_names *names, const char *server_name)
{
    for (const struct statement_names *entry = names; entry != NULL; entry = entry->hh.next) {
        if (memcmp(entry->named.statement->name, server_name, STATEMENT_NAME_SIZE - 1) == 0)
            return entry->name;
    }
    return NULL;
}

void statement_names_add(struct statement_names **names, const char *name,
                         struct statement *statement)
{
    size_t length = strlen(name);
    check(find_entry(*names, name) == NULL);
    struct statement_names *entry = memory_zeroed(sizeof *entry + length + 1);
    memcpy(entry->name, name, length + 1);
    entry->named.shape = STATEMENT_SHAPE_UNKNOWN;
    entry->named.statement = statement_retain(statement);
    HASH_ADD(hh, *names, name, length, entry);
}

static void remove_entry(struct statement_names **names, struct statement_names *entry)
{
    HASH_DEL(*names, entry);
    statement_release(&entry->named.statement);
    free(entry);
}

bool statement_names_remove(struct statement_names **names, const char *name)
{
    struct statement_names *found = find_entry(*names, name);
    if (found == NULL)
        return false;
    remove_entry(names, found);
    return true;
}

void statement_names_clear(struct statement_names **names)
{
    while (*names != NULL)
        remove_entry(names, *names);
}

void statement_names_list(const struct statement_names *names, struct pairs *list)
{
    for (const struct statement_names *entry = names; entry != NULL; entry = entry->hh.next)
        pairs_add(list, entry->name, "");
}

size_t statement_names_count(const struct statement_names *names)
{
    return HASH_COUNT(names);
}
