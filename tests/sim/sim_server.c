/* sim_server.c: backends and their postmaster. */
#include "sim_server.h"

#include "sim_ledger.h"
#include "sim_random.h"
#include "sim_session.h"
#include "sim_stream.h"
#include "sim_trace.h"
#include "sim_wire.h"

#include "base/check.h"
#include "base/memory.h"
#include "pg/message.h"
#include "pg/reply.h"
#include "pg/startup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define NOBODY SIM_MOST_CLIENTS
#define OUT_LIMIT 16384

struct sim_backend {
    struct sim_end *end;
    struct buffer in;
    struct sim_session session;
    bool logged_in;
    bool cancelled; /* its command is to end */
    bool going;     /* says what is left to say, then closes */
    unsigned pid;
    uint32_t secret;
    unsigned client; /* whose statement was the last one, or NOBODY */
    microseconds wake_at;
    microseconds silent_until;
    const struct sim_statement *slept; /* has slept for this one */
    TAILQ_ENTRY(sim_backend) link;
};

enum server_mood { MOOD_WELL, MOOD_REFUSING, MOOD_STARTING, MOOD_SILENT };

static struct {
    TAILQ_HEAD(, sim_backend) backends;
    unsigned backend_count;
    struct sim_server_faults faults;
    enum server_mood mood;
    microseconds mood_until;
    unsigned next_pid;
    struct sim_ledger ledger;
    unsigned cancelled[SIM_MOST_CLIENTS];
    unsigned long long statements;
} server;

static microseconds now(void)
{
    return clock_monotonic();
}

/* ---- What the ledger and the rules say ---- */

static void check_own(struct sim_backend *backend, const struct sim_statement *statement)
{
    const struct sim_session *session = &backend->session;
    sim_trace("server %u: pgsluice's %.190s", backend->pid, statement->text);
    bool is_cleaning = statement->kind == SIM_ROLLBACK;
    sim_require(is_cleaning || session->status == MESSAGE_IDLE,
                "server %u: pgsluice's own %.60s within the transaction of client %u", backend->pid,
                statement->text, backend->client);
    sim_require(statement->kind == SIM_SET_CONFIG || statement->kind == SIM_CALM ||
                    statement->kind == SIM_QUESTION || statement->kind == SIM_CATALOG ||
                    statement->kind == SIM_DISCARD_ALL || is_cleaning,
                "server %u: a statement without a token: %s", backend->pid, statement->text);
}

static void backend_runs(struct sim_session *session, const struct sim_statement *statement)
{
    struct sim_backend *backend = session->context;
    if (statement->token[0] == '\0') {
        check_own(backend, statement);
        return;
    }
    unsigned client = sim_token_client(statement->token);
    sim_trace("server %u: client %u: %.60s (%c)", backend->pid, client, statement->text,
              session->status);
    if (client != backend->client) {
        sim_require(session->status == MESSAGE_IDLE && session->pending_count == 0,
                    "server %u: client %u's %s runs in the transaction of client %u", backend->pid,
                    client, statement->text, backend->client);
        backend->client = client;
    }
    server.statements++;
    struct sim_token_entry *entry = sim_ledger_entry(&server.ledger, statement->token);
    entry->runs++;
    sim_require(entry->runs == 1, "server %u: %s has run twice", backend->pid, statement->token);
}

static void backend_committed(struct sim_session *session, const char *token)
{
    (void)session;
    struct sim_token_entry *entry = sim_ledger_entry(&server.ledger, token);
    sim_require(!entry->committed, "%s is committed twice", token);
    entry->committed = true;
}

static const struct sim_session_host backend_host = {backend_runs, backend_committed};

bool sim_server_has(const char *token)
{
    return sim_ledger_entry(&server.ledger, token)->committed;
}

unsigned sim_server_runs(const char *token)
{
    return sim_ledger_entry(&server.ledger, token)->runs;
}

unsigned sim_server_cancelled(unsigned client)
{
    return server.cancelled[client];
}

unsigned long long sim_server_statements(void)
{
    return server.statements;
}

/* ---- Birth and death ---- */

static void backend_free(struct sim_backend *backend)
{
    TAILQ_REMOVE(&server.backends, backend, link);
    server.backend_count--;
    sim_session_end(&backend->session);
    buffer_release(&backend->in);
    free(backend);
}

static void backend_close(struct sim_backend *backend)
{
    sim_trace("server %u: closes", backend->pid);
    sim_end_close(backend->end);
    backend_free(backend);
}

static void backend_go(struct sim_backend *backend, const char *sqlstate, const char *message)
{
    sim_trace("server %u: FATAL %s", backend->pid, sqlstate);
    reply_error(&backend->session.out, "FATAL", sqlstate, message, NULL, NULL);
    backend->going = true;
}

static void network_accept(const struct address *address, struct sim_end *end)
{
    (void)address;
    struct sim_backend *backend = memory_new(struct sim_backend);
    backend->end = end;
    backend->pid = server.next_pid++;
    backend->secret = (uint32_t)sim_random();
    backend->client = NOBODY;
    sim_session_start(&backend->session, &backend_host, backend);
    TAILQ_INSERT_TAIL(&server.backends, backend, link);
    server.backend_count++;
    sim_trace("server %u: accepted", backend->pid);
}

static enum sim_connect_answer network_answer(const struct address *address)
{
    (void)address;
    if (server.mood == MOOD_SILENT)
        return SIM_CONNECT_SILENT;
    return server.mood == MOOD_REFUSING ? SIM_CONNECT_REFUSED : SIM_CONNECT_ACCEPTED;
}

static int network_fail_at_once(void)
{
    return server.mood == MOOD_REFUSING && sim_chance(300) ? ENETUNREACH : 0;
}

static struct sim_network network = {network_answer, network_accept, network_fail_at_once, {0}};

void sim_server_start(const struct sim_server_faults *faults)
{
    memset(&server, 0, sizeof server);
    TAILQ_INIT(&server.backends);
    server.faults = *faults;
    server.next_pid = 1001;
    network.rooms[0] = sim_chance(300) ? 16 : 4096;
    network.rooms[1] = network.rooms[0] * 16;
    sim_stream_use_network(&network);
}

void sim_server_calm(void)
{
    server.faults = (struct sim_server_faults){.sleeping = server.faults.sleeping};
    server.mood = MOOD_WELL;
    struct sim_backend *backend;
    TAILQ_FOREACH (backend, &server.backends, link)
        backend->silent_until = 0;
}

void sim_server_stop(void)
{
    struct sim_backend *backend;
    while ((backend = TAILQ_FIRST(&server.backends)) != NULL)
        backend_close(backend);
}

unsigned sim_server_backend_count(void)
{
    return server.backend_count;
}

/* ---- Login and cancel ---- */

static void login(struct sim_backend *backend)
{
    struct buffer *out = &backend->session.out;
    if (server.mood == MOOD_STARTING) {
        backend_go(backend, "57P03", "the database system is starting up");
        return;
    }
    reply_authentication_ok(out);
    reply_parameter_status(out, "server_version", "15.4");
    sim_session_report_all(&backend->session);
    reply_backend_key(out, backend->pid, backend->secret);
    reply_ready(out, MESSAGE_IDLE);
    backend->logged_in = true;
}

/* A signal that finds its backend without a command is forgotten. */
static void cancel(const struct startup *startup)
{
    struct sim_backend *backend;
    const uint8_t *key = startup->cancel_key;
    uint32_t secret =
        (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | (uint32_t)key[3];
    TAILQ_FOREACH (backend, &server.backends, link) {
        if (backend->pid != startup->cancel_pid)
            continue;
        sim_require(backend->secret == secret, "a cancel request with a wrong key");
        backend->cancelled = sim_session_may_fail(&backend->session);
        sim_trace("server %u: cancel %s", backend->pid,
                  backend->cancelled ? "hits a command" : "finds no command");
    }
}

static void take_startup(struct sim_backend *backend)
{
    struct startup startup;
    startup_parse(buffer_bytes(&backend->in), buffer_length(&backend->in), &startup);
    switch (startup.kind) {
    case STARTUP_MORE:
        return;
    case STARTUP_LOGIN:
        pairs_clear(&startup.parameters);
        buffer_consume(&backend->in, startup.size);
        login(backend);
        return;
    case STARTUP_CANCEL:
        cancel(&startup);
        backend_close(backend);
        return;
    case STARTUP_BAD:
    case STARTUP_SSL:
    case STARTUP_GSSENC:
        sim_fail("server %u: a bad startup packet", backend->pid);
    }
}

/* ---- One step ---- */

static void read_some(struct sim_backend *backend)
{
    uint8_t bytes[8192];
    size_t size = sim_end_read(backend->end, bytes, sizeof bytes);
    if (size > 0) {
        buffer_append(&backend->in, bytes, size);
        return;
    }
    sim_trace("server %u: its client has hung up", backend->pid);
    backend_close(backend);
}

static void write_some(struct sim_backend *backend)
{
    struct buffer *out = &backend->session.out;
    size_t taken;
    size_t size = sim_size(buffer_length(out));
    if (sim_end_write(backend->end, buffer_bytes(out), size, &taken) != 0) {
        backend_close(backend);
        return;
    }
    buffer_consume(out, taken);
    if (buffer_length(out) == 0 && backend->going)
        backend_close(backend);
}

static void be_cancelled(struct sim_backend *backend)
{
    const struct sim_statement *next = sim_session_next(&backend->session);
    if (next == NULL && backend->session.copying)
        next = &backend->session.list[backend->session.next];
    backend->cancelled = false;
    backend->wake_at = 0;
    sim_trace("server %u: cancels %.60s", backend->pid, next != NULL ? next->text : "a message");
    if (next != NULL && next->kind != SIM_EMPTY) {
        /* A ROLLBACK that cleans goes out together with the cancel, and is said again. */
        sim_require(next->token[0] != '\0' || backend->end->ended || next->kind == SIM_ROLLBACK,
                    "server %u: a cancel has hit pgsluice's own %.60s", backend->pid, next->text);
        if (next->token[0] != '\0')
            server.cancelled[sim_token_client(next->token)]++;
    }
    sim_session_cancel(&backend->session);
    sim_session_error(&backend->session, "57014", "canceling statement due to user request");
}

static void work(struct sim_backend *backend)
{
    struct sim_session *session = &backend->session;
    if (backend->cancelled && sim_session_may_fail(session)) {
        be_cancelled(backend);
        return;
    }
    if (!session->busy) {
        const uint8_t *bytes = buffer_bytes(&backend->in);
        if (bytes[0] == MESSAGE_TERMINATE) {
            sim_trace("server %u: Terminate", backend->pid);
            backend_close(backend);
            return;
        }
        size_t used = sim_session_take(session, bytes, buffer_length(&backend->in));
        buffer_consume(&backend->in, used);
        backend->slept = NULL;
        if (session->busy && session->type != MESSAGE_QUERY)
            sim_trace("server %u: takes %c %.40s", backend->pid, session->type,
                      buffer_length(&session->body) > 0 ? (char *)buffer_bytes(&session->body)
                                                        : "");
        return;
    }
    const struct sim_statement *next = sim_session_next(session);
    if (next != NULL && next->kind == SIM_SLEEP && backend->slept != next &&
        session->status != MESSAGE_FAILED_TRANSACTION) {
        backend->slept = next;
        backend->wake_at = now() + next->number % (server.faults.sleeping + 1) * CLOCK_MILLISECOND;
        return;
    }
    sim_session_run(session);
    if (!session->busy && !session->copying)
        backend->cancelled = false;
}

static bool has_message(const struct sim_backend *backend)
{
    const struct buffer *in = &backend->in;
    size_t length = buffer_length(in);
    const uint8_t *b = buffer_bytes(in);
    if (length < 5)
        return false;
    size_t size = (size_t)b[1] << 24 | (size_t)b[2] << 16 | (size_t)b[3] << 8 | b[4];
    return length >= size + 1;
}

static bool can_work(const struct sim_backend *backend)
{
    if (backend->going || !backend->logged_in || buffer_length(&backend->session.out) > OUT_LIMIT)
        return false;
    if (backend->cancelled && sim_session_may_fail(&backend->session))
        return true;
    if (backend->session.busy)
        return backend->wake_at <= now();
    return has_message(backend);
}

static bool can_start(const struct sim_backend *backend)
{
    struct startup startup;
    if (backend->logged_in || backend->going || buffer_length(&backend->in) == 0)
        return false;
    startup_parse(buffer_bytes(&backend->in), buffer_length(&backend->in), &startup);
    pairs_clear(&startup.parameters);
    return startup.kind != STARTUP_MORE;
}

/* A backend that runs a command does not read: it may not even notice that its client has gone. */
static bool can_read(const struct sim_backend *backend)
{
    return !backend->session.busy && !backend->going && sim_end_is_readable(backend->end);
}

static bool can_write(const struct sim_backend *backend)
{
    return buffer_length(&backend->session.out) > 0 && sim_end_is_writable(backend->end);
}

unsigned sim_server_collect(struct sim_backend **backends, unsigned most)
{
    unsigned count = 0;
    struct sim_backend *backend;
    if (server.mood != MOOD_WELL && now() >= server.mood_until) {
        sim_trace("server: well again");
        server.mood = MOOD_WELL;
    }
    TAILQ_FOREACH (backend, &server.backends, link) {
        if (backend->silent_until > now() || count == most)
            continue;
        if (can_read(backend) || can_write(backend) || can_work(backend) || can_start(backend))
            backends[count++] = backend;
    }
    return count;
}

void sim_server_step(struct sim_backend *backend)
{
    void (*steps[3])(struct sim_backend *);
    unsigned count = 0;
    if (can_read(backend))
        steps[count++] = read_some;
    if (can_write(backend))
        steps[count++] = write_some;
    if (can_work(backend))
        steps[count++] = work;
    else if (can_start(backend))
        steps[count++] = take_startup;
    if (count > 0)
        steps[sim_choose(count)](backend);
}

microseconds sim_server_due(void)
{
    microseconds due = server.mood != MOOD_WELL ? server.mood_until : INT64_MAX;
    struct sim_backend *backend;
    TAILQ_FOREACH (backend, &server.backends, link) {
        microseconds at = backend->silent_until > now() ? backend->silent_until : backend->wake_at;
        if (at > now() && at < due)
            due = at;
    }
    return due;
}

/* ---- Faults ---- */

static struct sim_backend *any_backend(void)
{
    unsigned index = sim_choose(server.backend_count);
    struct sim_backend *backend = TAILQ_FIRST(&server.backends);
    while (index-- > 0)
        backend = TAILQ_NEXT(backend, link);
    return backend;
}

static void end_backend(struct sim_backend *backend)
{
    if (sim_chance(600)) {
        if (!backend->going)
            backend_go(backend, "57P01", "terminating connection due to administrator command");
        return;
    }
    sim_trace("server %u: breaks", backend->pid);
    sim_end_break(backend->end);
    backend_free(backend);
}

static void be_moody(enum server_mood mood)
{
    sim_trace("server: mood %d", (int)mood);
    server.mood = mood;
    server.mood_until = now() + (microseconds)sim_choose(3000) * CLOCK_MILLISECOND;
}

static void restart(void)
{
    struct sim_backend *backend, *next;
    for (backend = TAILQ_FIRST(&server.backends); backend != NULL; backend = next) {
        next = TAILQ_NEXT(backend, link);
        end_backend(backend);
    }
    be_moody(sim_chance(500) ? MOOD_REFUSING : MOOD_STARTING);
}

void sim_server_fault(void)
{
    bool kill = server.faults.kills && (!server.faults.silences || sim_chance(600));
    if (kill) {
        if (sim_chance(200))
            restart();
        else if (server.backend_count > 0)
            end_backend(any_backend());
    } else if (server.faults.silences) {
        if (sim_chance(300))
            be_moody(MOOD_SILENT);
        else if (server.backend_count > 0)
            any_backend()->silent_until = now() + (microseconds)sim_choose(20000) * 1000;
    }
}
