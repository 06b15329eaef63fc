/* sim_client.c: sends, reads, compares. */
#include "sim_client.h"

#include "sim_ledger.h"
#include "sim_random.h"
#include "sim_script.h"
#include "sim_server.h"
#include "sim_session.h"
#include "sim_trace.h"
#include "sim_wire.h"

#include "base/check.h"
#include "base/memory.h"
#include "pg/failure.h"
#include "pg/frame.h"
#include "pg/message.h"
#include "pg/pairs.h"
#include "pg/reader.h"
#include "pg/request.h"
#include "pg/startup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum client_state {
    STARTING, /* until the first ReadyForQuery */
    RUNNING,
    CANCELLING, /* a cancel request: waits for the end of file */
    GONE,
};

struct sim_client {
    unsigned number;
    enum client_state state;
    struct sim_end *end;
    struct buffer out, in;
    struct buffer sent;        /* what `own` has not seen yet */
    struct sim_session own;    /* what the server should be for it */
    struct sim_ledger *ledger; /* what `own` has committed */
    struct sim_script script;
    char told[SIM_GUC_COUNT][SIM_VALUE_SIZE];
    uint32_t pid, secret;
    unsigned units, burst, depth;
    unsigned cancels, hits; /* requests that named it, commands of it that were cancelled */
    bool doubt;             /* what it sent last may have been carried out or not */
    bool begun;             /* its block has had nothing but the BEGIN yet */
    bool void_block;        /* and no server connection: what follows must fail */
    bool leaving;           /* has said Terminate, or was told FATAL */
    microseconds rests_until;
    TAILQ_ENTRY(sim_client) link;
};

static struct {
    struct sim_client_rules rules;
    TAILQ_HEAD(, sim_client) clients;
    unsigned made;
    bool finishing, shutting_down;
    struct sim_ledger ledger;
    unsigned long long answers;
} world;

/* ---- Its own session ---- */

static void own_runs(struct sim_session *session, const struct sim_statement *statement)
{
    (void)session, (void)statement;
}

static void own_committed(struct sim_session *session, const char *token)
{
    const struct sim_client *client = session->context;
    sim_ledger_entry(&world.ledger, token)->committed = true;
    sim_require(sim_server_has(token), "client %u: %s was acknowledged and is not committed",
                client->number, token);
}

static const struct sim_session_host own_host = {own_runs, own_committed};

/* Nothing is owed to it. */
static bool is_quiet(const struct sim_client *client)
{
    return buffer_length(&client->sent) == 0 && !client->own.busy && !client->own.copying &&
           buffer_length(&client->own.out) == 0;
}

static void own_take(struct sim_client *client)
{
    size_t used =
        sim_session_take(&client->own, buffer_bytes(&client->sent), buffer_length(&client->sent));
    sim_require(used > 0, "client %u: got a message that nothing asked for", client->number);
    buffer_consume(&client->sent, used);
}

static bool has_no_reply(const struct sim_client *client, uint8_t type)
{
    return (client->own.skipping && type != MESSAGE_SYNC) || type == MESSAGE_COPY_DATA ||
           type == MESSAGE_COPY_DONE || type == MESSAGE_COPY_FAIL || type == MESSAGE_FLUSH;
}

/* What brings no reply is not waited for. */
static void own_skip_silent(struct sim_client *client)
{
    while (!client->own.busy && !client->own.copying && buffer_length(&client->own.out) == 0 &&
           buffer_length(&client->sent) > 0 &&
           has_no_reply(client, buffer_bytes(&client->sent)[0])) {
        own_take(client);
        if (client->own.busy)
            sim_session_run(&client->own);
    }
}

/* ---- Errors that its own session does not know of ---- */

static bool is_outside_transaction(const struct sim_client *client)
{
    return client->own.status == MESSAGE_IDLE && !client->own.in_transaction;
}

static bool is_surprise(struct sim_client *client, const struct failure *failure)
{
    const char *code = failure->sqlstate;
    if (strcmp(code, "57014") == 0) {
        client->hits++;
        client->void_block |= client->begun && failure->detail != NULL; /* in line */
        sim_require(client->hits <= client->cancels,
                    "client %u: cancelled %u times, asked for %u times: %s", client->number,
                    client->hits, client->cancels, failure->message);
        return true;
    }
    if (client->void_block && strcmp(code, "25P02") == 0)
        return true;
    bool refused = strcmp(code, "53300") == 0;
    bool lost = strncmp(code, "08", 2) == 0 || strncmp(code, "57P", 3) == 0;
    if (!refused && !lost)
        return false;
    sim_require(refused ? world.rules.may_wait_long || world.rules.rough
                        : world.rules.rough || world.shutting_down,
                "client %u: %s %s", client->number, code, failure->message);
    sim_require(is_outside_transaction(client) || client->begun || client->void_block,
                "client %u: %s %s within its transaction", client->number, code, failure->message);
    client->void_block |= client->begun;
    return true;
}

static bool is_fatal(const struct frame *frame)
{
    return memmem(frame->body, frame->size - FRAME_HEADER_SIZE, "FATAL", 5) != NULL;
}

static void take_fatal(struct sim_client *client, const struct failure *failure)
{
    /* A COMMIT that must not be taken for a success. */
    bool void_commit = client->void_block || client->begun;
    sim_require(world.rules.rough || world.shutting_down || void_commit, "client %u: FATAL %s %s",
                client->number, failure->sqlstate, failure->message);
    client->leaving = client->doubt = true;
}

/* ---- Comparing ---- */

static void describe(const struct frame *frame, char text[160])
{
    size_t length = frame->size - FRAME_HEADER_SIZE;
    size_t at = 0;
    text[at++] = (char)frame->type;
    text[at++] = ' ';
    for (size_t i = 0; i < length && at < 150; i++)
        text[at++] = frame->body[i] >= ' ' && frame->body[i] < 127 ? (char)frame->body[i] : '.';
    text[at] = '\0';
}

static bool is_error(const struct frame *frame, const char *sqlstate)
{
    return frame->type == MESSAGE_ERROR_RESPONSE &&
           memmem(frame->body, frame->size - FRAME_HEADER_SIZE, sqlstate, 5) != NULL;
}

static bool is_tag(const struct frame *frame, const char *tag)
{
    return frame->type == MESSAGE_COMMAND_COMPLETE &&
           frame->size == FRAME_HEADER_SIZE + strlen(tag) + 1 &&
           memcmp(frame->body, tag, strlen(tag)) == 0;
}

static bool is_ready(const struct frame *frame, uint8_t status)
{
    return frame->type == MESSAGE_READY_FOR_QUERY && frame->body[0] == status;
}

/* The next message that its own session says; settings are compared by what they are. */
static void expect(struct sim_client *client, const struct frame *got)
{
    struct frame want;
    struct buffer *out = &client->own.out;
    char got_text[160], want_text[160];
    sim_require(frame_from_server(buffer_bytes(out), buffer_length(out), &want) == FRAME_WHOLE,
                "half a message of the model");
    /* A statement whose Parse failed behind an earlier Sync goes by pgsluice's name of it. */
    if (is_error(got, "26000") && is_error(&want, "26000")) {
        buffer_consume(out, want.size);
        return;
    }
    /* A block that no server connection knew of. */
    if (client->begun && is_tag(got, "ROLLBACK") && is_tag(&want, "COMMIT")) {
        buffer_consume(out, want.size);
        return;
    }
    /* A ROLLBACK of the extended protocol went to a server that knows of no block. */
    if ((client->void_block || client->begun) && is_ready(got, MESSAGE_IDLE) &&
        !is_ready(&want, MESSAGE_IDLE) && want.type == MESSAGE_READY_FOR_QUERY) {
        buffer_consume(out, want.size);
        client->own.status = MESSAGE_IDLE;
        client->own.in_transaction = false;
        return;
    }
    if (want.size != got->size ||
        memcmp(buffer_bytes(out), got->body - FRAME_HEADER_SIZE, got->size) != 0) {
        describe(got, got_text);
        describe(&want, want_text);
        sim_fail("client %u: got \"%s\" in the place of \"%s\"", client->number, got_text,
                 want_text);
    }
    buffer_consume(out, want.size);
    world.answers++;
}

static void drop_parameters(struct sim_client *client)
{
    struct buffer *out = &client->own.out;
    struct frame frame;
    while (frame_from_server(buffer_bytes(out), buffer_length(out), &frame) == FRAME_WHOLE &&
           frame.type == MESSAGE_PARAMETER_STATUS)
        buffer_consume(out, frame.size);
}

static void check_told(const struct sim_client *client)
{
    for (unsigned i = 0; i < SIM_GUC_COUNT; i++) {
        const char *value = sim_session_value(&client->own, i);
        sim_require(!sim_gucs[i].is_reported || strcmp(client->told[i], value) == 0,
                    "client %u: was told %s is \"%s\", it is \"%s\"", client->number,
                    sim_gucs[i].name, client->told[i], value);
    }
}

/* A BEGIN for which there is no server connection begins; its first statement gets the error. */
static void watch_block(struct sim_client *client, const struct frame *frame)
{
    if (frame->type == MESSAGE_COMMAND_COMPLETE)
        client->begun = is_tag(frame, "BEGIN");
    else if (client->own.status == MESSAGE_IDLE)
        client->begun = client->void_block = false;
}

static void take_reply(struct sim_client *client, const struct frame *frame)
{
    struct failure *failure = frame->type == MESSAGE_ERROR_RESPONSE
                                  ? failure_parse(frame->body, frame->size - FRAME_HEADER_SIZE)
                                  : NULL;
    if (failure != NULL && is_fatal(frame)) {
        take_fatal(client, failure);
        failure_release(&failure);
        return;
    }
    drop_parameters(client);
    bool may_surprise = failure != NULL && buffer_length(&client->own.out) == 0;
    bool surprise = may_surprise && is_surprise(client, failure);
    /* pgsluice's own has a detail: the server has seen nothing of the message. */
    bool by_server = surprise && failure->detail == NULL && strcmp(failure->sqlstate, "57014") == 0;
    failure_release(&failure);
    while (buffer_length(&client->own.out) == 0) {
        if (surprise && sim_session_may_fail(&client->own)) {
            if (by_server)
                sim_session_cancel(&client->own);
            sim_session_error(&client->own, NULL, NULL);
            client->begun = false;
            own_skip_silent(client);
            return;
        }
        if (client->own.busy)
            sim_session_run(&client->own);
        else
            own_take(client);
        drop_parameters(client);
    }
    expect(client, frame);
    watch_block(client, frame);
    if (frame->type == MESSAGE_READY_FOR_QUERY)
        check_told(client);
    own_skip_silent(client);
}

static void take_parameter(struct sim_client *client, const struct frame *frame)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    const char *name = reader_string(&reader);
    const char *value = reader_string(&reader);
    unsigned guc = sim_guc_find(name, strlen(name));
    sim_require(reader_finished(&reader), "client %u: malformed ParameterStatus", client->number);
    if (guc < SIM_GUC_COUNT)
        strcpy(client->told[guc], value);
}

static void take_login(struct sim_client *client, const struct frame *frame)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    switch (frame->type) {
    case MESSAGE_AUTHENTICATION:
        break;
    case MESSAGE_BACKEND_KEY_DATA:
        client->pid = reader_uint32(&reader);
        client->secret = reader_uint32(&reader);
        break;
    case MESSAGE_READY_FOR_QUERY:
        sim_trace("client %u: logged in", client->number);
        client->state = RUNNING;
        check_told(client);
        break;
    case MESSAGE_ERROR_RESPONSE: {
        struct failure *failure = failure_parse(frame->body, frame->size - FRAME_HEADER_SIZE);
        bool excused = strcmp(failure->sqlstate, "53300") == 0 && world.rules.may_wait_long;
        if (!excused)
            take_fatal(client, failure);
        client->leaving = true;
        failure_release(&failure);
        break;
    }
    default:
        sim_fail("client %u: message '%c' at its login", client->number, frame->type);
    }
}

static void take_message(struct sim_client *client, const struct frame *frame)
{
    char text[160];
    describe(frame, text);
    sim_trace("client %u: gets %.80s", client->number, text);
    sim_require(!client->leaving || world.rules.rough || world.shutting_down,
                "client %u: got %s after the end", client->number, text);
    if (client->leaving)
        return;
    if (frame->type == MESSAGE_PARAMETER_STATUS)
        take_parameter(client, frame);
    else if (client->state == STARTING)
        take_login(client, frame);
    else if (frame->type != MESSAGE_NOTICE_RESPONSE)
        take_reply(client, frame);
}

/* ---- What it does ---- */

static void go(struct sim_client *client)
{
    sim_trace("client %u: gone", client->number);
    if (!is_quiet(client) || client->own.in_transaction)
        client->doubt = true;
    sim_end_close(client->end);
    client->end = NULL;
    client->state = GONE;
    buffer_release(&client->in);
    buffer_release(&client->out);
    buffer_release(&client->sent);
    sim_session_end(&client->own);
}

static void read_some(struct sim_client *client)
{
    uint8_t bytes[4096];
    size_t size = sim_end_read(client->end, bytes, sizeof bytes);
    if (size == 0) {
        sim_require(client->leaving || client->state == CANCELLING || world.rules.rough ||
                        world.shutting_down,
                    "client %u: its connection has ended", client->number);
        go(client);
        return;
    }
    sim_require(client->state != CANCELLING || world.shutting_down,
                "client %u: an answer to a cancel request", client->number);
    if (client->state == CANCELLING)
        return;
    buffer_append(&client->in, bytes, size);
    struct frame frame;
    while (frame_from_server(buffer_bytes(&client->in), buffer_length(&client->in), &frame) ==
           FRAME_WHOLE) {
        take_message(client, &frame);
        buffer_consume(&client->in, frame.size);
    }
}

static void write_some(struct sim_client *client)
{
    size_t taken;
    size_t size = sim_size(buffer_length(&client->out));
    if (sim_end_write(client->end, buffer_bytes(&client->out), size, &taken) != 0) {
        buffer_clear(&client->out); /* it will read the end */
        return;
    }
    buffer_consume(&client->out, taken);
}

static void trace_messages(const struct sim_client *client, const struct buffer *messages)
{
    size_t at = 0;
    struct frame frame;
    char text[160];
    while (frame_from_client(buffer_bytes(messages) + at, buffer_length(messages) - at, &frame) ==
           FRAME_WHOLE) {
        describe(&frame, text);
        sim_trace("client %u: says %.80s", client->number, text);
        at += frame.size;
    }
}

static void say(struct sim_client *client, struct buffer *messages)
{
    trace_messages(client, messages);
    buffer_append(&client->out, buffer_bytes(messages), buffer_length(messages));
    buffer_append(&client->sent, buffer_bytes(messages), buffer_length(messages));
    buffer_release(messages);
}

static void leave_politely(struct sim_client *client)
{
    if (sim_chance(700))
        request_terminate(&client->out);
    size_t taken;
    (void)sim_end_write(client->end, buffer_bytes(&client->out), buffer_length(&client->out),
                        &taken);
    go(client);
}

static void next_unit(struct sim_client *client)
{
    struct buffer messages = {0};
    client->burst = is_quiet(client) ? 1 : client->burst + 1;
    if (client->units > 0 && !world.finishing) {
        client->units--;
        sim_script_unit(&client->script, &messages);
    } else if (client->script.in_block || client->script.unsynced) {
        sim_script_last_unit(&client->script, &messages);
    } else if (is_quiet(client)) {
        leave_politely(client);
        return;
    }
    say(client, &messages);
    own_skip_silent(client);
    if (world.rules.thinking > 0 && sim_chance(300))
        client->rests_until =
            clock_monotonic() + (microseconds)sim_choose(world.rules.thinking * 1000);
}

static bool can_say(const struct sim_client *client)
{
    if (client->state != RUNNING || client->leaving || buffer_length(&client->out) > 0)
        return false;
    bool ends = client->units == 0 || world.finishing;
    if (ends && !client->script.in_block && !client->script.unsynced)
        return is_quiet(client);
    return is_quiet(client) || client->burst < client->depth;
}

static bool can_read(const struct sim_client *client)
{
    return sim_end_is_readable(client->end);
}

static bool can_write(const struct sim_client *client)
{
    return buffer_length(&client->out) > 0 && sim_end_is_writable(client->end);
}

static bool must_go(const struct sim_client *client)
{
    return client->leaving && buffer_length(&client->out) == 0 && !can_read(client);
}

unsigned sim_clients_collect(struct sim_client **clients, unsigned most)
{
    unsigned count = 0;
    struct sim_client *client;
    TAILQ_FOREACH (client, &world.clients, link) {
        if (client->state == GONE || client->rests_until > clock_monotonic() || count == most)
            continue;
        if (can_read(client) || can_write(client) || can_say(client) || must_go(client))
            clients[count++] = client;
    }
    return count;
}

void sim_client_step(struct sim_client *client)
{
    void (*steps[4])(struct sim_client *);
    unsigned count = 0;
    if (world.rules.leaves && !world.finishing && client->state != CANCELLING && sim_chance(3)) {
        sim_trace("client %u: disappears", client->number);
        client->doubt = true;
        go(client);
        return;
    }
    if (can_read(client))
        steps[count++] = read_some;
    if (can_write(client))
        steps[count++] = write_some;
    if (can_say(client))
        steps[count++] = next_unit;
    if (must_go(client))
        steps[count++] = go;
    if (count > 0)
        steps[sim_choose(count)](client);
    if (client->state == RUNNING && !world.finishing && sim_chance(4))
        client->rests_until = clock_monotonic() + (microseconds)sim_choose(200000);
}

microseconds sim_clients_due(void)
{
    microseconds due = INT64_MAX, now = clock_monotonic();
    struct sim_client *client;
    TAILQ_FOREACH (client, &world.clients, link) {
        if (client->state != GONE && client->rests_until > now && client->rests_until < due)
            due = client->rests_until;
    }
    return due;
}

/* ---- Birth and end ---- */

void sim_clients_start(const struct sim_client_rules *rules)
{
    memset(&world, 0, sizeof world);
    world.rules = *rules;
    TAILQ_INIT(&world.clients);
}

static struct sim_client *client_new(void)
{
    struct sim_client *client = memory_new(struct sim_client);
    client->number = world.made++;
    client->end = sim_wire_new(sim_chance(300) ? 1 + sim_choose(64) : 8192);
    sim_session_start(&client->own, &own_host, client);
    TAILQ_INSERT_TAIL(&world.clients, client, link);
    return client;
}

static void start_with(struct sim_client *client, struct pairs *parameters, unsigned guc)
{
    char value[SIM_VALUE_SIZE] = "from client A";
    value[strlen(value) - 1] = (char)('A' + sim_choose(3));
    pairs_add(parameters, sim_gucs[guc].name, value);
    client->own.start[guc].set = true;
    strcpy(client->own.start[guc].text, value);
    client->script.may_reset = false;
}

int sim_client_new(void)
{
    if (world.made == SIM_MOST_CLIENTS)
        return -1;
    struct sim_client *client = client_new();
    struct pairs parameters = {0};
    sim_script_start(&client->script, client->number);
    client->script.may_reset = true;
    client->units = 1 + sim_choose(world.rules.units);
    client->depth = sim_chance(600) ? 1 : 1 + sim_choose(6);
    pairs_add(&parameters, "user", world.rules.users[sim_choose(2)]);
    pairs_add(&parameters, "database", "app");
    if (sim_chance(300))
        start_with(client, &parameters, 0);
    if (sim_chance(100))
        start_with(client, &parameters, 1 + sim_choose(SIM_GUC_COUNT - 1));
    startup_write_login(&client->out, &parameters);
    pairs_clear(&parameters);
    sim_trace("client %u: connects", client->number);
    return sim_wire_give_descriptor(client->end->peer);
}

static struct sim_client *somebody(void)
{
    struct sim_client *client, *found = NULL;
    unsigned count = 0;
    TAILQ_FOREACH (client, &world.clients, link) {
        if (client->state == RUNNING && !client->script.early_sync && sim_choose(++count) == 0)
            found = client;
    }
    return found;
}

int sim_client_new_cancel(void)
{
    struct sim_client *target = somebody();
    if (target == NULL || !world.rules.cancels || world.made == SIM_MOST_CLIENTS)
        return -1;
    struct sim_client *client = client_new();
    uint32_t secret = target->secret;
    bool wrong = sim_chance(150);
    if (wrong)
        secret ^= 1u << sim_choose(32);
    else
        target->cancels++;
    uint8_t key[4] = {(uint8_t)(secret >> 24), (uint8_t)(secret >> 16), (uint8_t)(secret >> 8),
                      (uint8_t)secret};
    client->state = CANCELLING;
    startup_write_cancel(&client->out, target->pid, key, sizeof key);
    sim_trace("client %u: asks to cancel client %u%s", client->number, target->number,
              wrong ? " with a wrong key" : "");
    return sim_wire_give_descriptor(client->end->peer);
}

void sim_clients_finish(void)
{
    world.finishing = true;
}

void sim_clients_expect_shutdown(void)
{
    world.shutting_down = true;
}

unsigned sim_clients_alive(void)
{
    unsigned count = 0;
    struct sim_client *client;
    TAILQ_FOREACH (client, &world.clients, link)
        count += client->state != GONE;
    return count;
}

unsigned sim_clients_made(void)
{
    return world.made;
}

unsigned long long sim_clients_answers(void)
{
    return world.answers;
}

void sim_clients_explain(void)
{
    struct sim_client *client;
    TAILQ_FOREACH (client, &world.clients, link) {
        if (client->state != GONE)
            sim_trace("client %u: state %d, %zu bytes to send, %zu not answered, %s%s%s",
                      client->number, (int)client->state, buffer_length(&client->out),
                      buffer_length(&client->sent), client->own.busy ? "busy " : "",
                      client->own.copying ? "copying " : "", client->leaving ? "leaving" : "");
    }
}

/* What was not acknowledged is not there, unless nobody could know. */
static void check_ledger(const struct sim_client *client)
{
    char token[SIM_TOKEN_SIZE];
    sim_require(client->doubt || sim_server_cancelled(client->number) <= client->cancels,
                "client %u: %u commands were cancelled, %u times asked for", client->number,
                sim_server_cancelled(client->number), client->cancels);
    for (unsigned i = 0; i < client->script.tokens; i++) {
        snprintf(token, sizeof token, "c%u.%u", client->number, i);
        bool own = sim_ledger_entry(&world.ledger, token)->committed;
        sim_require(client->doubt || own == sim_server_has(token),
                    "%s: committed, and its client was not told", token);
    }
}

void sim_clients_stop(void)
{
    struct sim_client *client;
    while ((client = TAILQ_FIRST(&world.clients)) != NULL) {
        check(client->state == GONE);
        check_ledger(client);
        TAILQ_REMOVE(&world.clients, client, link);
        free(client);
    }
}
