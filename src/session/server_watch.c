/*
 * What a server's messages tell of the session's state: whether it may have changed, so that the
 * server is asked before the lease ends.
 */
#include "config/settings.h"
#include "pg/frame.h"
#include "pg/reader.h"
#include "pg/reply.h"
#include "pg/tag.h"
#include "session/ask.h"
#include "session/batch.h"
#include "session/belief.h"
#include "session/client.h"
#include "session/client_pin.h"
#include "session/deny.h"
#include "session/greeting.h"
#include "session/server.h"
#include "state/guc.h"
#include "state/parameters.h"
#include "state/prepared.h"
#include "state/statement.h"

#include <string.h>

/* What the server reports by itself is known without a question. */
static void watch_follow_parameter(struct server *server, const char *name, const char *value)
{
    static const char *const names[] = {
        "application_name", "client_encoding", "DateStyle",
        "IntervalStyle",    "TimeZone",        "standard_conforming_strings",
        "search_path",
    };
    struct guc_set **sets[] = {&server->gucs, &server->client->gucs};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        for (size_t k = 0; k < 2; k++) {
            struct guc_set *with = guc_with(*sets[k], name, value);
            guc_release(sets[k]);
            *sets[k] = with;
        }
    }
}

/* The client's statements and the server's, both gone by DEALLOCATE ALL or DISCARD ALL; those whose
 * Parse is still under way are not. */
static void watch_forget_statements(struct server *server)
{
    struct client *client = server->client;
    const struct pipeline *pipeline = &server->pipeline;
    statement_cache_clear(&server->prepared);
    if (client != NULL)
        statement_names_clear(&client->statements);
    for (unsigned i = 0; i < pipeline->count; i++) {
        const struct pipeline_entry *entry = pipeline_at(pipeline, i);
        const struct server_undo *undo = entry->subject;
        bool named = entry->note == SERVER_NOTE_NAMED;
        if (undo == NULL || (!named && !(entry->note == SERVER_NOTE_PREPARE && undo->cached)))
            continue;
        if (!statement_cache_use(server->prepared, undo->statement))
            statement_cache_add(&server->prepared, undo->statement);
        if (named && client != NULL && statement_names_find(client->statements, undo->name) == NULL)
            statement_names_add(&client->statements, undo->name, undo->statement);
    }
}

/* The client may have changed functions, or what calls them; within its transaction it may call one
 * that pgsluice cannot know yet. */
static void watch_routines(struct server *server)
{
    if (server->client != NULL && settings_follows(server->client->settings))
        server->look |= ASK_ALL | ASK_CATALOG;
}

/* CREATE, ALTER or DROP of something that is, has or calls functions. */
static bool watch_is_about_routines(const struct frame *frame)
{
    static const char *const kinds[] = {"FUNCTION", "PROCEDURE", "ROUTINE",
                                        "TRIGGER",  "EXTENSION", "SCHEMA"};
    const char *kind = memchr(frame->body, ' ', frame->size - FRAME_HEADER_SIZE);
    size_t length = kind != NULL ? strcspn(kind + 1, " ") : 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strlen(kinds[i]) == length && memcmp(kind + 1, kinds[i], length) == 0)
            return true;
    }
    return false;
}

/* "ALTER …", "DROP …"; what else begins so, DELETE among it, is more frequent. */
static bool watch_alters(const struct frame *frame)
{
    const uint8_t *tag = frame->body;
    return frame->size > FRAME_HEADER_SIZE + 2 &&
           ((tag[0] == 'A' && tag[1] == 'L') || (tag[0] == 'D' && tag[1] == 'R'));
}

/* What no longer holds. */
static void watch_unpin(struct server *server, unsigned pins)
{
    struct client *client = server->client;
    if (client != NULL && (client->pins & pins) != 0)
        client_pin_set(client, client->pins & ~pins);
}

/* What is created without a schema is temporary. */
static bool watch_creates_temporary(const struct server *server)
{
    const struct client *client = server->client;
    const char *path = client != NULL ? guc_find(client->gucs, "search_path") : NULL;
    return path != NULL && strstr(path, "pg_temp") != NULL;
}

/* Commands whose tag ends in a count, and that may draw values from sequences. */
static bool watch_may_draw(const struct frame *frame)
{
    return frame->size > FRAME_HEADER_SIZE && strchr("IUMC", frame->body[0]) != NULL;
}

static bool watch_is_sequences(const struct frame *frame)
{
    static const char tag[] = "DISCARD SEQUENCES";
    return frame->size == FRAME_HEADER_SIZE + sizeof tag &&
           memcmp(frame->body, tag, sizeof tag) == 0;
}

static bool watch_listens(const struct server *server)
{
    return server->client != NULL && server->client->listening != NULL;
}

/* The client may have let go of what it has prepared by SQL. */
static void watch_deallocate(struct server *server)
{
    server->redescribe = true;
    if (server->client == NULL || prepared_any(server->client->gucs))
        server->look |= ASK_OBJECTS;
}

void server_watch_command(struct server *server, const struct frame *frame, enum server_note note)
{
    size_t length = frame->size - FRAME_HEADER_SIZE;
    enum tag tag = tag_parse((const char *)frame->body, length > 0 ? length - 1 : 0);
    if (server->belief != NULL)
        belief_command(server, tag);
    server->resetting = tag == TAG_RESET || tag == TAG_DISCARD_ALL;
    switch (tag) {
    case TAG_SET:
        if (note != SERVER_NOTE_SET)
            server->look |= ASK_SETTINGS;
        break;
    case TAG_RESET:
        if (note != SERVER_NOTE_SET)
            server->look |= ASK_SETTINGS;
        break;
    case TAG_DO_OR_CALL:
        server->look |= ASK_ALL;
        if (frame->body[0] == 'D')
            watch_routines(server);
        server->redescribe = true;
        server->drew = true;
        deny_watch(server, tag);
        break;
    case TAG_DECLARE_CURSOR:
        deny_watch(server, tag);
        server->look |= ASK_OBJECTS;
        break;
    case TAG_PREPARE:
        server->look |= ASK_OBJECTS;
        break;
    case TAG_LISTEN:
        server->look |= ASK_OBJECTS;
        server->relistens = watch_listens(server);
        break;
    case TAG_UNLISTEN:
        server->relistens = watch_listens(server);
        server->look |= server->relistens ? ASK_OBJECTS : 0;
        break;
    case TAG_DISCARD_ALL:
        if (note != SERVER_NOTE_SET)
            server->look |= ASK_ALL;
        server->redescribe = true;
        watch_unpin(server, ~(unsigned)PIN_CLOSES);
        server->relistens = watch_listens(server);
        watch_forget_statements(server);
        break;
    case TAG_DEALLOCATE_ALL:
        watch_forget_statements(server);
        watch_deallocate(server);
        break;
    case TAG_DEALLOCATE:
        watch_deallocate(server);
        break;
    case TAG_LOAD:
        deny_watch(server, tag);
        break;
    case TAG_DISCARD:
        if (watch_is_sequences(frame))
            watch_unpin(server, PIN_SEQUENCE);
        break;
    case TAG_OTHER:
        server->drew |= watch_may_draw(frame);
        if (watch_alters(frame) && watch_is_about_routines(frame))
            watch_routines(server);
        break;
    case TAG_CREATE_TABLE:
    case TAG_CREATE_OTHER:
        server->look |= ASK_OBJECTS; /* temporary perhaps, by the search_path */
        if (watch_creates_temporary(server))
            deny_watch(server, tag);
        if (tag == TAG_CREATE_OTHER && watch_is_about_routines(frame))
            watch_routines(server);
        break;
    case TAG_CLOSE_CURSOR:
    case TAG_BEGIN:
    case TAG_COMMIT:
    case TAG_ROLLBACK:
        break;
    }
}

/* RESET and DISCARD ALL lead the server connection to its own default, but the client to what it
 * came with. True where that is so for this setting: the client has been told so. */
static bool watch_tell_startup(struct server *server, struct batch *batch, const char *name)
{
    struct client *client = server->client;
    if (!server->resetting || client->told == NULL || guc_find(client->startup_gucs, name) == NULL)
        return false;
    struct parameters *greeting = greeting_find(client->pool, client->startup_gucs);
    const char *value = greeting != NULL ? parameters_find(greeting, name) : NULL;
    const char *told = parameters_find(client->told, name);
    if (value != NULL && (told == NULL || strcmp(told, value) != 0)) {
        struct parameters *known = client->told;
        reply_parameter_status(batch_made_begin(batch), name, value);
        batch_made_end(batch);
        client->told = parameters_with(known, name, value);
        parameters_release(&known);
    }
    parameters_release(&greeting);
    return value != NULL;
}

bool server_watch_parameter(struct server *server, struct batch *batch, const struct frame *frame,
                            bool is_ours)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    const char *name = reader_string(&reader);
    const char *value = reader_string(&reader);
    if (!reader_finished(&reader))
        return false;
    struct parameters *old = server->parameters;
    server->parameters = parameters_with(old, name, value);
    struct client *client = server->client;
    bool told = client != NULL && !is_ours;
    if (told && client->settings->state == SETTINGS_STATE_OFF)
        watch_follow_parameter(server, name, value);
    else if (told && server->parameters != old && !belief_covers(server, name))
        server->look |= ASK_SETTINGS; /* a function may have set it, behind an innocent tag */
    if (told && watch_tell_startup(server, batch, name)) {
        parameters_release(&old);
        return false;
    }
    if (told && client->told != NULL) {
        struct parameters *known = client->told;
        client->told = known == old ? parameters_retain(server->parameters)
                                    : parameters_with(known, name, value);
        parameters_release(&known);
    }
    parameters_release(&old);
    return told;
}
