#include "session/belief.h"
#include "base/memory.h"
#include "pg/lexer.h"
#include "pg/lexer_reset.h"
#include "pg/lexer_set.h"
#include "pg/message.h"
#include "pg/pairs.h"
#include "session/ask.h"
#include "session/client.h"
#include "session/learn.h"
#include "session/server.h"
#include "state/guc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct belief {
    struct pairs set;    /* what the transaction's SETs have set, once it commits */
    struct pairs local;  /* names that SET LOCAL has used: custom ones stay, and are empty */
    bool local_missed;   /* there are more */
    bool reset;          /* all settings are what they were at login */
    bool in_transaction; /* a ReadyForQuery within it was seen */
    bool committed;
    bool rolled_back;
};

struct server_undo *belief_of_text(const char *sql, size_t length)
{
    struct buffer name = {0}, value = {0};
    struct server_undo *set = NULL;
    enum lexer_set kind = lexer_set_parse(sql, length, &name, &value);
    if (kind != LEXER_SET_OTHER) {
        set = server_undo_new(buffer_length(&name) > 0 ? (const char *)buffer_bytes(&name) : "",
                              NULL);
        if (kind == LEXER_SET_SESSION)
            set->value = memory_string((const char *)buffer_bytes(&value));
    }
    buffer_release(&name);
    buffer_release(&value);
    return set;
}

struct server_undo *belief_of_reset(const struct client *client, const char *sql, size_t length)
{
    if (client->pins != 0 || client->listening != NULL)
        return NULL;
    enum lexer_reset reset = lexer_reset_parse(sql, length);
    if (reset == LEXER_RESET_OTHER)
        return NULL;
    struct server_undo *undo = server_undo_new("", NULL);
    undo->resets = reset == LEXER_RESET_SETTINGS;
    return undo;
}

/* Past so many it is cheaper to ask; a client's text may hold thousands. */
#define BELIEF_MOST_LOCAL 100

static void belief_take_local(const char *name, void *context)
{
    struct belief *belief = context;
    if (belief->local.count < BELIEF_MOST_LOCAL)
        pairs_set(&belief->local, name, "");
    else
        belief->local_missed = true;
}

void belief_add(struct server *server, const struct server_undo *set)
{
    if (server->client == NULL) {
        server->look |= ASK_SETTINGS;
        return;
    }
    if (server->belief == NULL)
        server->belief = memory_new(struct belief);
    server->belief->reset |= set->resets;
    if (set->value != NULL)
        pairs_set(&server->belief->set, set->name, set->value);
    else if (set->name[0] != '\0')
        belief_take_local(set->name, server->belief);
    if (server->belief->local_missed)
        server->look |= ASK_SETTINGS;
}

void belief_add_local(struct server *server, const char *sql, size_t length)
{
    if (server->belief == NULL)
        server->belief = memory_new(struct belief);
    (void)lexer_settings(sql, length, belief_take_local, server->belief);
    if (server->belief->local_missed)
        server->look |= ASK_SETTINGS;
}

void belief_command(struct server *server, enum tag tag)
{
    struct belief *belief = server->belief;
    belief->committed |= tag == TAG_COMMIT;
    belief->rolled_back |= tag == TAG_ROLLBACK;
}

bool belief_covers(const struct server *server, const char *name)
{
    const struct pipeline_entry *head = pipeline_head(&server->pipeline);
    const struct server_undo *set =
        head != NULL && head->note == SERVER_NOTE_SET ? head->subject : NULL;
    if (set != NULL && (set->resets || strcasecmp(set->name, name) == 0))
        return true;
    if (server->belief == NULL)
        return false;
    const struct pairs *sets[] = {&server->belief->set, &server->belief->local};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < sets[k]->count; i++) {
            if (strcasecmp(sets[k]->items[i].name, name) == 0)
                return true;
        }
    }
    return false;
}

static void belief_take(struct guc_set **gucs, const struct belief *belief, bool committed)
{
    struct pairs merged = {0};
    pairs_copy(&merged, guc_pairs(*gucs));
    for (size_t i = 0; i < belief->local.count; i++) {
        if (strchr(belief->local.items[i].name, '.') != NULL &&
            pairs_find(&merged, belief->local.items[i].name) == NULL)
            pairs_set(&merged, belief->local.items[i].name, "");
    }
    for (size_t i = 0; committed && i < belief->set.count; i++)
        pairs_set(&merged, belief->set.items[i].name, belief->set.items[i].value);
    guc_release(gucs);
    *gucs = guc_intern(&merged);
    pairs_clear(&merged);
}

void belief_doubt(struct server *server)
{
    if (server->belief == NULL)
        return;
    server->look |= server->belief->reset ? ASK_ALL : ASK_SETTINGS;
    belief_free(&server->belief);
}

/* RESET ALL leaves a role alone, a custom setting empty. */
static bool belief_is_plain(const struct guc_set *gucs)
{
    const struct pairs *pairs = guc_pairs(gucs);
    for (size_t i = 0; i < pairs->count; i++) {
        const char *name = pairs->items[i].name;
        if (strpbrk(name, ".:") != NULL || strcmp(name, "role") == 0 ||
            strcmp(name, "session_authorization") == 0)
            return false;
    }
    return true;
}

/* The text was a transaction of its own, and nothing else was in it. */
static void belief_take_reset(struct server *server)
{
    const struct belief *belief = server->belief;
    struct client *client = server->client;
    if (belief->in_transaction || belief->committed || belief->rolled_back ||
        belief->set.count > 0 || belief->local.count > 0 || client->pins != 0 ||
        !belief_is_plain(server->gucs) || !belief_is_plain(client->gucs)) {
        belief_doubt(server);
        return;
    }
    guc_release(&server->gucs);
    server->gucs = guc_empty();
    guc_release(&client->gucs);
    client->gucs = guc_retain(client->startup_gucs);
    belief_free(&server->belief);
}

void belief_ready(struct server *server)
{
    struct belief *belief = server->belief;
    bool ended = belief->committed || belief->rolled_back;
    if (server->transaction_status != MESSAGE_IDLE) {
        /* COMMIT AND CHAIN, ROLLBACK TO SAVEPOINT: part of it counts. */
        if (belief->reset || (ended && belief->set.count > 0))
            belief_doubt(server);
        else
            belief->in_transaction = true;
        return;
    }
    if (server->client == NULL || (server->look & (ASK_ALL | ASK_SETTINGS)) != 0 ||
        (belief->set.count > 0 &&
         (belief->in_transaction ? belief->committed == belief->rolled_back : ended))) {
        belief_doubt(server);
        return;
    }
    if (belief->reset) {
        belief_take_reset(server);
        return;
    }
    bool committed = !belief->rolled_back;
    struct client *client = server->client;
    bool same = client->gucs == server->gucs;
    belief_take(&server->gucs, belief, committed);
    if (same) {
        guc_release(&client->gucs);
        client->gucs = guc_retain(server->gucs);
    } else {
        belief_take(&client->gucs, belief, committed);
    }
    belief_free(&server->belief);
    learn_pin(client, server);
}

void belief_free(struct belief **belief)
{
    if (*belief == NULL)
        return;
    pairs_clear(&(*belief)->set);
    pairs_clear(&(*belief)->local);
    free(*belief);
    *belief = NULL;
}
