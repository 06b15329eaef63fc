#include "session/ask.h"
#include "config/settings.h"
#include "pg/failure.h"
#include "pg/lexer.h"
#include "pg/message.h"
#include "pg/sqlstate.h"
#include "session/catalog.h"
#include "session/client.h"
#include "session/client_lend.h"
#include "session/client_listen.h"
#include "session/deny.h"
#include "session/learn.h"
#include "session/question.h"
#include "session/server.h"
#include "state/guc.h"
#include "state/parameters.h"
#include "state/prepared.h"
#include "state/routines.h"

#include <string.h>

unsigned ask_for(unsigned changes)
{
    return ((changes & LEXER_CHANGES_SETTINGS) != 0 ? ASK_SETTINGS : 0) |
           ((changes & LEXER_CHANGES_OBJECTS) != 0 ? ASK_OBJECTS : 0);
}

/* In session mode the server knows best, but for what the client came with: a RESET must lead back
 * to that, not to the server's default. */
bool ask_is_due(const struct client *client, const struct server *server)
{
    return server->look != 0 && client->settings->state != SETTINGS_STATE_OFF &&
           (client->settings->mode != SETTINGS_SESSION || client->listening != NULL ||
            guc_pairs(client->startup_gucs)->count > 0);
}

/* So often a question is asked that the session's own statement_timeout may have cut off. */
#define ASK_ATTEMPTS 5

/* Only a transaction that is read-only waits, and only where it begins. PostgreSQL 13 does not
 * report that it is. */
static bool ask_may_wait(const struct server *server)
{
    if (server->transaction_status != MESSAGE_IDLE)
        return false;
    const char *read_only = parameters_find(server->parameters, "default_transaction_read_only");
    return read_only == NULL || strcmp(read_only, "off") != 0;
}

static void ask_send(struct client *client, struct server *server, uint8_t attempt, unsigned what)
{
    struct pairs lent = {0};
    client_lend_list(server, &lent);
    struct question_scope scope = {
        .settings = (what & (ASK_ALL | ASK_SETTINGS)) != 0,
        .objects = (what & (ASK_ALL | ASK_OBJECTS)) != 0,
        .careful = attempt > 0,
        .may_wait = ask_may_wait(server),
        .login_user = server->settings->server_user,
        .custom = client->custom_names,
        .lent = &lent,
        .hidden = server->routines != NULL ? routines_settings(server->routines) : NULL,
        .known = client->gucs,
    };
    struct buffer sql = {0};
    question_write(&sql, &scope);
    pairs_clear(&lent);
    buffer_append(&sql, "", 1);
    question_free(&server->question);
    server->question = question_new();
    server->question->asked = (uint8_t)what;
    server->question->attempt = attempt;
    (void)server_query(server, SERVER_NOTE_ASK, (const char *)buffer_bytes(&sql));
    buffer_release(&sql);
}

void ask_begin(struct client *client, struct server *server)
{
    unsigned what = server->look & ~(unsigned)ASK_CATALOG;
    if (what != server->look) {
        server->look = (uint8_t)what;
        (void)catalog_ask(server); /* the settings that functions name are asked for behind it */
        return;
    }
    server->look = 0;
    ask_send(client, server, 0, what);
}

void ask_what_pins(struct client *client, struct server *server)
{
    ask_send(client, server, 0, ASK_OBJECTS);
}

bool ask_take_pins(struct server *server, unsigned *pins)
{
    struct question *question = server->question;
    bool told = question != NULL && !question->malformed && !server->ask_failed;
    *pins = question != NULL ? question->pins : 0;
    server->answered = false;
    server->ask_failed = false;
    question_free(&server->question);
    return told;
}

/* A failed question is asked again, under no limit of time. */
static bool ask_again(struct server *server)
{
    struct question *question = server->question;
    bool failed = server->ask_failed;
    server->ask_failed = false;
    if (!failed)
        return false;
    server->reset_needed = true; /* unless the second attempt succeeds */
    if (question == NULL || question->attempt + 1 == ASK_ATTEMPTS || server->client == NULL ||
        server->fatal || server->transaction_status != MESSAGE_IDLE)
        return false;
    server->reset_needed = false;
    ask_send(server->client, server, (uint8_t)(question->attempt + 1), question->asked);
    return true;
}

/* What a row's name is about. */
static unsigned ask_kind(const char *name)
{
    return prepared_is(name) ? ASK_OBJECTS : ASK_SETTINGS;
}

/* What was not asked for has not changed. */
static struct guc_set *ask_whole_answer(const struct server *server, struct question *question)
{
    const struct pairs *before = guc_pairs(server->gucs);
    for (size_t i = 0; i < before->count; i++) {
        if ((question->asked & (ASK_ALL | ask_kind(before->items[i].name))) == 0)
            pairs_add(&question->gucs, before->items[i].name, before->items[i].value);
    }
    return guc_intern(&question->gucs);
}

/* What the client has: the answer, and what it came with where a RESET has brought the server's
 * default back, which for a custom setting is the empty string. */
static void ask_give(struct client *client, const struct guc_set *answer, const struct pairs *rows)
{
    const struct pairs *startup = guc_pairs(client->startup_gucs);
    bool has_empty = false;
    for (size_t i = 0; i < startup->count; i++) {
        const char *value = pairs_find(rows, startup->items[i].name);
        has_empty |= value != NULL && value[0] == '\0';
    }
    guc_release(&client->gucs);
    if (!has_empty) {
        client->gucs = guc_merge(client->startup_gucs, answer);
        return;
    }
    struct pairs merged = {0};
    for (size_t i = 0; i < rows->count; i++) {
        const char *name = rows->items[i].name, *value = rows->items[i].value;
        if (value[0] != '\0' || strchr(name, '.') == NULL || pairs_find(startup, name) == NULL)
            pairs_add(&merged, name, value); /* of statements the letter case counts */
    }
    struct guc_set *rest = guc_intern(&merged);
    client->gucs = guc_merge(client->startup_gucs, rest);
    guc_release(&rest);
    pairs_clear(&merged);
}

static void ask_forget(struct server *server)
{
    server->reset_needed = true;
    if (server->client != NULL)
        client_fatal(server->client, SQLSTATE_CONNECTION_FAILURE,
                     "the settings of this session are not known any more",
                     server->failure != NULL ? server->failure->message : NULL, NULL);
}

void ask_take_answer(struct server *server)
{
    server->answered = false;
    if (server->question != NULL && server->question->asked == ASK_CATALOG) {
        catalog_take_answer(server, server->ask_failed);
        server->ask_failed = false;
        return;
    }
    if (ask_again(server))
        return;
    struct question *question = server->question;
    struct client *client = server->client;
    if (question != NULL && !question->malformed && !server->reset_needed &&
        learn_statements(server))
        return;
    server->question = NULL;
    if (question == NULL || question->malformed || server->reset_needed) {
        question_free(&question);
        ask_forget(server);
        return;
    }
    struct guc_set *answer = ask_whole_answer(server, question);
    guc_release(&server->gucs);
    server->gucs = guc_retain(answer);
    bool asked_objects = (question->asked & (ASK_ALL | ASK_OBJECTS)) != 0;
    if (client != NULL) {
        struct guc_set *before = guc_retain(client->gucs);
        ask_give(client, answer, &question->gucs);
        learn_keep_broken(client, before, answer);
        guc_release(&before);
        unsigned pins = client->pins;
        if (asked_objects)
            pins = (pins & ~(unsigned)PIN_ASKABLE) | question->pins;
        deny_take_pins(client, server, pins);
        learn_pin(client, server);
        if (asked_objects && server->client == client) /* it may have been closed */
            client_listen_take_answer(client, server, &question->channels);
    } else if (question->pins != 0 || question->channels.count > 0) {
        server->reset_needed = true; /* its client has gone and left it there */
    }
    guc_release(&answer);
    if (asked_objects)
        client_lend_take_back(server, &question->lent);
    question_free(&question);
}
