#include "session/learn.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "pg/pairs.h"
#include "pg/quote.h"
#include "session/client.h"
#include "session/client_pin.h"
#include "session/question.h"
#include "session/replay.h"
#include "session/server.h"
#include "state/guc.h"
#include "state/parameters.h"
#include "state/prepared.h"

#include <stdlib.h>
#include <string.h>

/* Shapes of those that stay: */
#define LEARN_FOR_GOOD UINT64_C(0) /* by their text */
#define LEARN_FOR_NOW UINT64_C(1)  /* the server could not describe it */

static bool learn_is_on(const struct server *server, const char *name)
{
    const char *value = parameters_find(server->parameters, name);
    return value != NULL && strcmp(value, "on") == 0;
}

static void learn_set(struct pair *row, struct prepared prepared)
{
    struct buffer value = {0};
    prepared.text = row->value;
    prepared_write(&value, &prepared);
    free(row->value);
    row->value = memory_string((const char *)buffer_bytes(&value));
    buffer_release(&value);
}

/* The same as before; false where that is not known, or is to be looked at again. */
static bool learn_is_known(const struct server *server, struct pair *row)
{
    const char *value = guc_find(server->client->gucs, row->name);
    if (value == NULL || server->redescribe)
        return false;
    struct prepared known = prepared_read(value);
    if (strcmp(known.text, row->value) != 0 ||
        (known.kind == PREPARED_STAYS && known.shape == LEARN_FOR_NOW))
        return false;
    learn_set(row, known);
    return true;
}

/* One row, not yet in its form; true where it must be described. */
static bool learn_row(const struct server *server, struct pair *row)
{
    if (strstr(row->value, "'" PREPARED_MARKER) != NULL &&
        guc_find(server->gucs, row->name) != NULL &&
        prepared_read(guc_find(server->gucs, row->name)).kind == PREPARED_BROKEN) {
        row->value[0] = '\0';
        learn_set(row, (struct prepared){.kind = PREPARED_BROKEN});
        return false;
    }
    if (learn_is_known(server, row))
        return false;
    if (row->name[sizeof PREPARED_PREFIX - 1] != '\0' &&
        prepared_can_follow(row->value, learn_is_on(server, "standard_conforming_strings")))
        return true;
    learn_set(row, (struct prepared){.kind = PREPARED_STAYS, .shape = LEARN_FOR_GOOD});
    return false;
}

/* The server has described what is new. */
static void learn_take_shapes(struct server *server)
{
    const struct replay *replay = server->replay;
    struct pairs *rows = &server->question->gucs;
    for (size_t i = 0; i < replay->count; i++) {
        const struct replay_item *item = &replay->items[i];
        struct pair *row = &rows->items[item->row];
        struct prepared prepared = {.kind = PREPARED_STAYS, .shape = LEARN_FOR_NOW};
        if (item->described) {
            prepared.kind = PREPARED_FOLLOWS;
            prepared.shape = item->shape;
            prepared.parameters = item->parameters;
            prepared.context = prepared_depends_on_settings(row->value)
                                   ? parameters_context(server->parameters, false)
                                   : 0;
        }
        learn_set(row, prepared);
    }
    replay_free(&server->replay);
    server->redescribe = false;
}

/* One client's statements, of which a copy is kept as long as they are: */
#define LEARN_MOST_STATEMENTS 200
#define LEARN_MOST_TEXT ((size_t)262144)

/* Where they are more, no name is kept: as one that stays. */
static void learn_limit(struct pairs *rows)
{
    size_t count = 0, length = 0;
    for (size_t i = 0; i < rows->count; i++) {
        count += prepared_is(rows->items[i].name);
        length += prepared_is(rows->items[i].name) ? strlen(rows->items[i].value) : 0;
    }
    if (count <= LEARN_MOST_STATEMENTS && length <= LEARN_MOST_TEXT)
        return;
    for (size_t i = 0; i < rows->count; i++) {
        if (!prepared_is(rows->items[i].name))
            continue;
        rows->items[i].name[sizeof PREPARED_PREFIX - 1] = '\0';
        rows->items[i].value[0] = '\0';
    }
}

bool learn_statements(struct server *server)
{
    if (server->replay != NULL) {
        learn_take_shapes(server);
        return false;
    }
    struct pairs *rows = &server->question->gucs;
    struct replay *replay = NULL;
    learn_limit(rows);
    for (size_t i = 0; i < rows->count; i++) {
        struct pair *row = &rows->items[i];
        if (!prepared_is(row->name))
            continue;
        if (server->client == NULL) {
            server->reset_needed = true; /* its client has gone and left it there */
            return false;
        }
        if (!learn_row(server, row))
            continue;
        if (replay == NULL)
            replay = memory_new(struct replay);
        replay_add(replay, row->name, NULL, i);
    }
    server->replay = replay;
    if (replay == NULL) {
        server->redescribe = false;
        return false;
    }
    (void)replay_send(server); /* where it was not, server_close has seen to the client */
    return true;
}

/* Whether text goes to the server as it comes from there. */
static bool learn_keeps_bytes(const struct server *server)
{
    const char *one = parameters_find(server->parameters, "client_encoding");
    const char *other = parameters_find(server->parameters, "server_encoding");
    return one != NULL && other != NULL &&
           (strcmp(one, other) == 0 || strcmp(other, "SQL_ASCII") == 0);
}

static bool learn_stays(const struct server *server, const struct prepared *prepared)
{
    switch (prepared->kind) {
    case PREPARED_STAYS:
        return true;
    case PREPARED_BROKEN:
        return false;
    case PREPARED_FOLLOWS:
        break;
    }
    return (prepared->context != 0 &&
            prepared->context != parameters_context(server->parameters, false)) ||
           (!quote_is_ascii(prepared->text) && !learn_keeps_bytes(server));
}

void learn_pin(struct client *client, const struct server *server)
{
    const struct pairs *pairs = guc_pairs(server->gucs);
    unsigned pins = client->pins & ~(unsigned)PIN_PREPARE;
    for (size_t i = 0; i < pairs->count; i++) {
        if (!prepared_is(pairs->items[i].name))
            continue;
        struct prepared prepared = prepared_read(pairs->items[i].value);
        if (learn_stays(server, &prepared)) {
            pins |= PIN_PREPARE;
            break;
        }
    }
    client_pin_set(client, pins);
}

void learn_keep_broken(struct client *client, const struct guc_set *before,
                       const struct guc_set *answer)
{
    const struct pairs *pairs = guc_pairs(answer);
    for (size_t i = 0; i < pairs->count; i++) {
        const char *name = pairs->items[i].name;
        if (!prepared_is(name) || prepared_read(pairs->items[i].value).kind != PREPARED_BROKEN)
            continue;
        const char *value = guc_find(before, name);
        struct guc_set *kept =
            value != NULL ? guc_with(client->gucs, name, value) : guc_without(client->gucs, name);
        guc_release(&client->gucs);
        client->gucs = kept;
    }
}
