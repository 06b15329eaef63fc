#include "session/client_text.h"
#include "config/settings.h"
#include "pg/failure.h"
#include "pg/lexer.h"
#include "pg/lexer_body.h"
#include "pg/lexer_sign.h"
#include "pg/message.h"
#include "pg/request.h"
#include "session/ask.h"
#include "session/batch.h"
#include "session/client.h"
#include "session/client_pin.h"
#include "session/client_statement.h"
#include "session/deny.h"
#include "session/sequence.h"
#include "session/server.h"
#include "state/guc.h"
#include "state/prepared.h"
#include "state/routines.h"
#include "state/statement.h"

#include <stdatomic.h>
#include <string.h>

/* Such a statement stands in the server's log. */
#define TEXT_REFUSED "pgsluice refuses this statement"

/* A set of effects in a statement's routines_seen. */
#define TEXT_EFFECTS_BITS 8
#define TEXT_EFFECTS_MASK ((1u << TEXT_EFFECTS_BITS) - 1)

/* Effects that the server cannot be asked about. */
#define TEXT_UNASKABLE (LEXER_BODY_SEEDS | LEXER_BODY_LOADS | LEXER_BODY_HIDES)

/* What is known of a text. */
struct text {
    unsigned signs;       /* enum lexer_sign */
    unsigned pins;        /* reasons that hold as soon as it has run, whatever comes of it */
    const char *function; /* of session_functions, or NULL */
};

/* What holds for as long as the client stays. */
static enum client_text_answer text_pin(struct client *client, const struct text *text,
                                        struct failure **refusal)
{
    unsigned added = text->pins & ~(unsigned)client->pins;
    if (added == 0)
        return CLIENT_TEXT_GO;
    if (!client_pin_may_hold(client)) {
        *refusal = client_pin_refusal(client, added, text->function);
        return CLIENT_TEXT_REFUSED;
    }
    client_pin_set(client, client->pins | added);
    return CLIENT_TEXT_GO;
}

/* Within the transaction that has drawn them, values are right without a pin. */
static bool text_stays_within(const struct server *server, const struct text *text)
{
    return server->transaction_status != MESSAGE_IDLE || server->pipeline.unsynced ||
           (text->signs & LEXER_DRAWS_SEQUENCE) != 0;
}

static enum client_text_answer text_sequences(struct client *client, struct batch *batch,
                                              const struct text *text, struct failure **refusal)
{
    if ((text->signs & LEXER_READS_SEQUENCE) == 0)
        return CLIENT_TEXT_GO;
    switch (sequence_ask(client, batch)) {
    case SEQUENCE_WAIT:
        return CLIENT_TEXT_WAIT;
    case SEQUENCE_REFUSED:
        if ((text->signs & LEXER_DRAWS_SEQUENCE) == 0) {
            *refusal = sequence_refusal();
            return CLIENT_TEXT_REFUSED;
        }
        break;
    case SEQUENCE_GO:
        break;
    }
    if ((client->pins & PIN_SEQUENCE) != 0)
        return CLIENT_TEXT_GO;
    if (!client_pin_may_hold(client)) {
        if (text_stays_within(client->server, text))
            return CLIENT_TEXT_GO;
        *refusal = client_pin_refusal(client, PIN_SEQUENCE, NULL);
        return CLIENT_TEXT_REFUSED;
    }
    client_pin_set(client, client->pins | PIN_SEQUENCE);
    return CLIENT_TEXT_GO;
}

static enum client_text_answer text_run(struct client *client, struct batch *batch,
                                        const struct text *text, struct failure **refusal)
{
    if ((text->signs & LEXER_KEEPS_OBJECT) != 0 && deny_expect(client))
        return CLIENT_TEXT_WAIT;
    if ((text->signs & LEXER_DRAWS_SEQUENCE) != 0)
        client->server->drew |= (text->signs & LEXER_READS_SEQUENCE) == 0;
    enum client_text_answer answer = text_pin(client, text, refusal);
    if (answer != CLIENT_TEXT_GO)
        return answer;
    return text_sequences(client, batch, text, refusal);
}

static const char *text_function(const struct client *client, const char *sql, size_t length)
{
    const struct settings *settings = client->settings;
    return lexer_find_name(sql, length, settings->session_functions,
                           settings->session_function_count);
}

/* What the functions that it names do to the session. */
static void text_add_effects(struct client *client, struct text *text, unsigned effects)
{
    struct server *server = client->server;
    server->look |= (uint8_t)(((effects & LEXER_BODY_SETTINGS) != 0 ? ASK_SETTINGS : 0) |
                              ((effects & LEXER_BODY_OBJECTS) != 0 ? ASK_OBJECTS : 0));
    server->retire |= (effects & LEXER_BODY_LOADS) != 0;
    text->signs |= (effects & LEXER_BODY_KEEPS) != 0 ? LEXER_KEEPS_OBJECT : 0;
    text->pins |= ((effects & LEXER_BODY_SEEDS) != 0 ? PIN_SEED : 0) |
                  ((effects & LEXER_BODY_LOADS) != 0 ? PIN_LOAD : 0) |
                  ((effects & LEXER_BODY_HIDES) != 0 ? PIN_SETTING : 0);
}

/* Those of the client's statements that EXECUTE may run. */
static unsigned text_prepared_effects(const struct client *client, const struct routines *routines)
{
    const struct pairs *pairs = guc_pairs(client->gucs);
    unsigned effects = 0;
    for (size_t i = 0; i < pairs->count; i++) {
        if (!prepared_is(pairs->items[i].name))
            continue;
        const char *sql = prepared_read(pairs->items[i].value).text;
        effects |= routines_effects(routines, sql, strlen(sql));
    }
    return effects;
}

static unsigned text_effects(const struct client *client, const char *sql, size_t length)
{
    const struct routines *routines = client->server->routines;
    unsigned effects = routines_effects(routines, sql, length);
    if ((effects & ROUTINES_EXECUTE) != 0)
        effects |= text_prepared_effects(client, routines);
    return effects;
}

/* A prepared statement's text is looked through once for each set. */
static unsigned text_effects_of(const struct client *client, struct statement *statement)
{
    const struct routines *routines = client->server->routines;
    uint64_t serial = routines_serial(routines);
    uint64_t known = atomic_load_explicit(&statement->routines_seen, memory_order_relaxed);
    unsigned effects = (unsigned)known & TEXT_EFFECTS_MASK;
    if (known >> TEXT_EFFECTS_BITS != serial) {
        const char *sql = (const char *)statement->content;
        effects = routines_effects(routines, sql, strlen(sql));
        atomic_store_explicit(&statement->routines_seen, serial << TEXT_EFFECTS_BITS | effects,
                              memory_order_relaxed);
    }
    if ((effects & ROUTINES_EXECUTE) != 0)
        effects |= text_prepared_effects(client, routines);
    return effects;
}

static unsigned text_pins(unsigned signs, bool hides_setting, const char *function)
{
    return ((signs & LEXER_SETS_SEED) != 0 ? PIN_SEED : 0) | (hides_setting ? PIN_SETTING : 0) |
           (function != NULL ? PIN_FUNCTION : 0);
}

enum client_text_answer client_text_query(struct client *client, struct batch *batch,
                                          const char *sql, size_t length,
                                          const struct client_text *known, struct failure **refusal)
{
    struct text text = {0};
    if ((known->changes & ~(unsigned)LEXER_CHANGES_SETTINGS) != 0 ||
        (known->names_settings && lexer_may_set_seed(sql, length)))
        text.signs = lexer_signs(sql, length);
    if (client->settings->session_function_count > 0)
        text.function = text_function(client, sql, length);
    text.pins = text_pins(text.signs, known->hides_setting, text.function);
    if (client->server->routines != NULL)
        text_add_effects(client, &text, text_effects(client, sql, length));
    if (text.signs == 0 && text.pins == 0)
        return CLIENT_TEXT_GO;
    return text_run(client, batch, &text, refusal);
}

void client_text_has_run_unread(struct client *client)
{
    if (!settings_follows(client->settings))
        return;
    client->server->look |= ASK_ALL;
    const struct routines *routines = client->server->routines;
    if (client->settings->session_function_count > 0 ||
        (routines != NULL && (routines_all_effects(routines) & TEXT_UNASKABLE) != 0))
        client->server->retire = true;
    if ((client->pins & PIN_SETTING) != 0)
        return;
    /* It may have set what nobody can ask for by name. */
    if (client_pin_may_hold(client))
        client_pin_set(client, client->pins | PIN_SETTING);
    else
        client->server->retire = true;
}

void client_text_unread(struct client *client, struct batch *batch)
{
    if (!settings_follows(client->settings))
        return;
    sequence_prepare(client, batch); /* it may ask for values */
    client_text_has_run_unread(client);
}

void client_text_parse(struct client *client, struct batch *batch,
                       const struct statement *statement)
{
    if ((statement->signs & LEXER_READS_SEQUENCE) != 0)
        sequence_prepare(client, batch);
}

/* Its text is looked through once for each list of names. */
static const char *text_function_of(const struct client *client, struct statement *statement)
{
    const struct settings *settings = client->settings;
    uint64_t serial = settings->session_functions_serial;
    uint64_t known = atomic_load_explicit(&statement->functions_seen, memory_order_relaxed);
    if (known == serial << 1)
        return NULL;
    const char *sql = (const char *)statement->content;
    const char *found = text_function(client, sql, strlen(sql));
    atomic_store_explicit(&statement->functions_seen, serial << 1 | (found != NULL),
                          memory_order_relaxed);
    return found;
}

enum client_text_answer client_text_bind(struct client *client, struct batch *batch,
                                         struct statement *statement, struct failure **refusal)
{
    struct text text = {.signs = statement->signs};
    if (client->settings->session_function_count > 0)
        text.function = text_function_of(client, statement);
    text.pins = text_pins(text.signs, statement->hides_setting, text.function);
    if (client->server->routines != NULL)
        text_add_effects(client, &text, text_effects_of(client, statement));
    if (text.signs == 0 && text.pins == 0)
        return CLIENT_TEXT_GO;
    return text_run(client, batch, &text, refusal);
}

static struct server_undo *text_undo(struct server_undo *undo, struct failure **refusal)
{
    if (undo == NULL)
        undo = server_undo_new("", NULL);
    undo->refusal = *refusal;
    *refusal = NULL;
    return undo;
}

struct server_undo *client_text_refuse_query(struct batch *batch, struct server_undo *undo,
                                             struct failure **refusal)
{
    request_query(batch_made_begin(batch), TEXT_REFUSED);
    batch_made_end(batch);
    return text_undo(undo, refusal);
}

void client_text_refuse_bind(struct client *client, struct batch *batch, struct failure **refusal)
{
    static const char content[] = TEXT_REFUSED "\0\0"; /* and no types */
    request_parse(batch_made_begin(batch), STATEMENT_NAME_PREFIX "refused",
                  (const uint8_t *)content, sizeof content);
    batch_made_end(batch);
    client_statement_push(client->server, PIPELINE_PARSE, false, SERVER_NOTE_NONE,
                          text_undo(NULL, refusal));
}
