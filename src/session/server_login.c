/*
 * From name resolution to the first ReadyForQuery: each address of each host in turn, each under
 * connect_timeout; cleartext, md5 and SCRAM-SHA-256 passwords; target_session_attrs by the
 * parameters that the server reports. What only a login needs is in struct server_login.
 */
#include "base/check.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "io/loop.h"
#include "io/resolver.h"
#include "pg/failure.h"
#include "pg/frame.h"
#include "pg/md5.h"
#include "pg/message.h"
#include "pg/pairs.h"
#include "pg/reader.h"
#include "pg/request.h"
#include "pg/scram.h"
#include "pg/sqlstate.h"
#include "pg/startup.h"
#include "session/greeting.h"
#include "session/key_cache.h"
#include "session/notifier.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/guc.h"
#include "state/parameters.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

/* A login that takes longer is told in the log. */
#define LOGIN_SLOW CLOCK_SECOND

/* "Authentication…" codes of the protocol. */
enum {
    LOGIN_OK = 0,
    LOGIN_CLEARTEXT = 3,
    LOGIN_MD5 = 5,
    LOGIN_SASL = 10,
    LOGIN_SASL_CONTINUE = 11,
    LOGIN_SASL_FINAL = 12,
};

struct server_login {
    size_t host;               /* of settings->hosts, the one that is tried */
    struct address *addresses; /* owned: of that host */
    size_t address_count;
    size_t address;                 /* the one that is tried */
    microseconds began;             /* with that host */
    struct resolver_lookup *lookup; /* under way, or NULL */
    struct failure *failure;        /* owned reference: why the last attempt failed */
    struct pairs parameters;        /* as reported so far */
    struct scram_client scram;
    bool sasl_started;
    bool sasl_proved; /* the server has proved that it knows the password */
    bool answered;    /* it has said something */
    bool authenticated;
    bool second_round; /* prefer-standby: any server is good now */
};

static void login_next_host(struct server *server);
static void login_next_address(struct server *server);

void server_login_free(struct server_login **login)
{
    if (*login == NULL)
        return;
    if ((*login)->lookup != NULL)
        resolver_cancel((*login)->lookup);
    free((*login)->addresses);
    failure_release(&(*login)->failure);
    pairs_clear(&(*login)->parameters);
    scram_client_clear(&(*login)->scram);
    free(*login);
    *login = NULL;
}

/* Takes the reference over. */
static void login_set_failure(struct server *server, struct failure *failure)
{
    failure_release(&server->login->failure);
    server->login->failure = failure;
}

/* "connection to server at "h" (1.2.3.4), port 5432 failed: reason", as libpq words it. */
static struct failure *login_network_failure(const struct server *server, const char *reason)
{
    const struct settings_host *host = &server->settings->hosts[server->login->host];
    const char *name = host->host != NULL ? host->host : host->hostaddr;
    char address[ADDRESS_TEXT_SIZE] = "";
    if (server->address.length > 0)
        address_format_host(&server->address, address);
    if (strcmp(name, address) == 0)
        address[0] = '\0';
    char *message = memory_printf("connection to server at \"%s\"%s%s%s, port %u failed: %s", name,
                                  address[0] != '\0' ? " (" : "", address,
                                  address[0] != '\0' ? ")" : "", host->port, reason);
    struct failure *failure = failure_new(SQLSTATE_CANNOT_CONNECT, message, NULL, NULL);
    free(message);
    return failure;
}

/* This address is of no use: the next one, the next host, or the end. */
static void login_try_next(struct server *server, struct failure *failure)
{
    login_set_failure(server, failure);
    char prefix[SERVER_PREFIX_SIZE];
    server_prefix(server, prefix);
    log_debug(prefix, "%s", failure->message);
    stream_close(&server->stream);
    if (server->input != NULL)
        buffer_clear(server->input);
    server->login->address++;
    login_next_address(server);
}

/* The server itself refuses this login: another address of the same host would say the same, but
 * another host may be another server, as with libpq. */
static void login_refused(struct server *server, struct failure *failure)
{
    login_set_failure(server, failure);
    stream_close(&server->stream);
    if (server->input != NULL)
        buffer_clear(server->input);
    server->login->host++;
    login_next_host(server);
}

/* An error of the server: its words, and whose they are, since clients read them as pgsluice's. */
static struct failure *login_server_failure(const struct server *server, const struct frame *frame)
{
    struct failure *said = failure_parse(frame->body, frame->size - FRAME_HEADER_SIZE);
    if (said == NULL)
        return failure_new(SQLSTATE_PROTOCOL_VIOLATION, "malformed ErrorResponse message", NULL,
                           NULL);
    char address[ADDRESS_TEXT_SIZE];
    address_format(&server->address, address);
    char *detail =
        memory_printf("%s%sPostgreSQL at %s said so when pgsluice logged in to "
                      "database \"%s\" as user \"%s\".",
                      said->detail != NULL ? said->detail : "", said->detail != NULL ? " " : "",
                      address, server->settings->server_database, server->settings->server_user);
    struct failure *failure = failure_new(said->sqlstate, said->message, detail, said->hint);
    free(detail);
    failure_release(&said);
    return failure;
}

static void login_give_up(struct server *server)
{
    struct failure *failure =
        server->login->failure != NULL
            ? failure_retain(server->login->failure)
            : failure_new(SQLSTATE_CANNOT_CONNECT, "no host of the database can be connected to",
                          NULL, NULL);
    server_close(server, failure, "cannot connect");
    failure_release(&failure);
}

static void login_resolved(const struct address *addresses, size_t count, const char *problem,
                           void *context)
{
    struct server *server = context;
    struct server_login *login = server->login;
    login->lookup = NULL;
    if (problem != NULL || count == 0) {
        char *reason = memory_printf("could not translate host name: %s",
                                     problem != NULL ? problem : "no address");
        login_set_failure(server, login_network_failure(server, reason));
        free(reason);
        login->host++;
        login_next_host(server);
        return;
    }
    login->addresses = memory_resize(login->addresses, count * sizeof *addresses);
    memcpy(login->addresses, addresses, count * sizeof *addresses);
    login->address_count = count;
    login->address = 0;
    login_next_address(server);
}

static void login_next_host(struct server *server)
{
    struct server_login *login = server->login;
    const struct settings *settings = server->settings;
    if (login->host == settings->host_count && settings->target == SETTINGS_TARGET_PREFER_STANDBY &&
        !login->second_round) {
        login->second_round = true;
        login->host = 0;
    }
    if (login->host == settings->host_count) {
        login_give_up(server);
        return;
    }
    const struct settings_host *host = &settings->hosts[login->host];
    login->began = loop_now(server->worker->loop);
    server->host = host->host != NULL ? host->host : host->hostaddr;
    server->address.length = 0;
    if (settings->connect_timeout != CLOCK_OFF)
        server->deadline = loop_now(server->worker->loop) + settings->connect_timeout;
    struct resolver_lookup *lookup = resolver_start(
        server->worker->resolver, host->hostaddr != NULL ? host->hostaddr : host->host, host->port,
        login_resolved, server);
    /* Where the answer was there at once, this login has gone on already, or has ended. */
    if (lookup != NULL)
        login->lookup = lookup;
}

static void login_next_address(struct server *server)
{
    struct server_login *login = server->login;
    if (login->address >= login->address_count) {
        login->host++;
        login_next_host(server);
        return;
    }
    const struct config *config = server->worker->config;
    struct stream_options options = {
        .keepalive = config->tcp_keepalive,
        .keepalive_idle = config->tcp_keepalive_idle,
        .keepalive_interval = config->tcp_keepalive_interval,
        .keepalive_count = config->tcp_keepalive_count,
        .user_timeout = config->tcp_user_timeout,
    };
    server->address = login->addresses[login->address];
    pairs_clear(&login->parameters);
    scram_client_clear(&login->scram);
    login->sasl_started = login->sasl_proved = login->authenticated = login->answered = false;
    if (server->settings->connect_timeout != CLOCK_OFF)
        server->deadline = loop_now(server->worker->loop) + server->settings->connect_timeout;
    int error = stream_connect(&server->stream, server->worker->loop, &server->address, &options,
                               &server_stream_handler);
    if (error != 0)
        login_try_next(server, login_network_failure(server, strerror(error)));
}

void server_login_start(struct server *server)
{
    server->login = memory_new(struct server_login);
    login_next_host(server);
}

/* Where the login stands, for who asks what is slow. */
static const char *login_step(const struct server *server)
{
    if (server->login->lookup != NULL)
        return "looking up its name";
    if (server->stream.connecting)
        return "waiting for it to accept the connection";
    if (server->login->answered)
        return "waiting for it to finish the login"; /* which PostgreSQL tells at its very end */
    return "waiting for it to answer the login";
}

void server_login_timeout(struct server *server)
{
    char *reason =
        memory_printf("connect_timeout (%.1f s) expired while %s",
                      (double)server->settings->connect_timeout / 1e6, login_step(server));
    struct failure *failure = login_network_failure(server, reason);
    free(reason);
    if (server->login->lookup != NULL) {
        resolver_cancel(server->login->lookup);
        server->login->lookup = NULL;
        login_refused(server, failure);
        return;
    }
    login_try_next(server, failure);
}

void server_login_connected(struct server *server, int error)
{
    if (error != 0) {
        login_try_next(server, login_network_failure(server, strerror(error)));
        return;
    }
    const struct settings *settings = server->settings;
    struct pairs parameters = {0};
    pairs_add(&parameters, "user", settings->server_user);
    pairs_add(&parameters, "database", settings->server_database);
    for (size_t i = 0; i < settings->server_settings.count; i++)
        pairs_add(&parameters, settings->server_settings.items[i].name,
                  settings->server_settings.items[i].value);
    struct buffer packet = {0};
    startup_write_login(&packet, &parameters);
    pairs_clear(&parameters);
    enum stream_result result =
        stream_write(&server->stream, buffer_bytes(&packet), buffer_length(&packet));
    buffer_release(&packet);
    if (result == STREAM_FAILED)
        login_try_next(server, login_network_failure(server, strerror(server->stream.error)));
}

/* Sends one message of the login; on failure the next address is tried. */
static bool login_send(struct server *server, struct buffer *message)
{
    enum stream_result result =
        stream_write(&server->stream, buffer_bytes(message), buffer_length(message));
    buffer_release(message);
    if (result != STREAM_FAILED)
        return true;
    login_try_next(server, login_network_failure(server, strerror(server->stream.error)));
    return false;
}

static bool login_no_password(struct server *server, const char *method)
{
    char *message = memory_printf("no password supplied for user \"%s\": the server asks for %s",
                                  server->settings->server_user, method);
    login_refused(
        server, failure_new(SQLSTATE_INVALID_PASSWORD, message,
                            server->settings->server_secret != NULL
                                ? "The user list has a verifier only, with which pgsluice cannot "
                                  "log in to the server."
                                : NULL,
                            "Set `password` or the password in `url`, or put the plain secret into "
                            "the user list."));
    free(message);
    return false;
}

static bool login_malformed(struct server *server, const char *problem)
{
    char address[ADDRESS_TEXT_SIZE];
    address_format(&server->address, address);
    char *detail = memory_printf("pgsluice was logging in at %s.", address);
    login_refused(server, failure_new(SQLSTATE_PROTOCOL_VIOLATION, problem, detail, NULL));
    free(detail);
    return false;
}

static bool login_cleartext(struct server *server)
{
    if (server->settings->server_password == NULL)
        return login_no_password(server, "a password");
    struct buffer message = {0};
    request_password(&message, server->settings->server_password);
    return login_send(server, &message);
}

static bool login_md5(struct server *server, struct reader *reader)
{
    const struct settings *settings = server->settings;
    const uint8_t *salt = reader_bytes(reader, 4);
    char verifier[MD5_TEXT_SIZE], response[MD5_TEXT_SIZE];
    if (!reader_finished(reader))
        return login_malformed(server, "malformed AuthenticationMD5Password message");
    if (settings->server_password != NULL) {
        if (!md5_verifier(settings->server_password, settings->server_user, verifier))
            return login_malformed(server, "this machine's OpenSSL has no MD5");
    } else if (settings->server_secret != NULL &&
               strlen(settings->server_secret) == MD5_TEXT_SIZE - 1) {
        memcpy(verifier, settings->server_secret, MD5_TEXT_SIZE);
    } else {
        return login_no_password(server, "an md5 password");
    }
    if (!md5_response(verifier, salt, response))
        return login_malformed(server, "this machine's OpenSSL has no MD5");
    struct buffer message = {0};
    request_password(&message, response);
    return login_send(server, &message);
}

static bool login_sasl(struct server *server, struct reader *reader)
{
    bool offered = false;
    while (!reader->failed && reader_left(reader) > 1)
        offered |= strcmp(reader_string(reader), "SCRAM-SHA-256") == 0;
    if (!offered || server->login->sasl_started)
        return login_malformed(server, "the server offers no SASL mechanism that pgsluice knows");
    if (server->settings->server_password == NULL)
        return login_no_password(server, "SCRAM-SHA-256");
    uint8_t random[SCRAM_NONCE_BYTES];
    check(RAND_bytes(random, sizeof random) == 1);
    char *first = scram_client_first(&server->login->scram, random);
    struct buffer message = {0};
    request_sasl_initial(&message, "SCRAM-SHA-256", first);
    free(first);
    server->login->sasl_started = true;
    return login_send(server, &message);
}

static bool login_sasl_continue(struct server *server, struct reader *reader)
{
    struct server_login *login = server->login;
    const struct settings *settings = server->settings;
    const char *problem = "SASL continuation without a beginning";
    size_t length = reader_left(reader);
    const char *data = (const char *)reader_bytes(reader, length);
    if (!login->sasl_started || !scram_client_take_first(&login->scram, data, length, &problem))
        return login_malformed(server, problem);
    struct scram_keys keys;
    if (!key_cache_find(settings->server_user, settings->server_password, login->scram.salt,
                        login->scram.salt_length, login->scram.iterations, &keys))
        return login_malformed(server, "cannot derive the SCRAM keys");
    char *final = scram_client_final(&login->scram, &keys);
    OPENSSL_cleanse(&keys, sizeof keys);
    if (final == NULL)
        return login_malformed(server, "cannot compute the SCRAM proof");
    struct buffer message = {0};
    request_sasl_response(&message, final);
    free(final);
    return login_send(server, &message);
}

static bool login_sasl_final(struct server *server, struct reader *reader)
{
    const char *problem = NULL;
    size_t length = reader_left(reader);
    const char *data = (const char *)reader_bytes(reader, length);
    if (!server->login->sasl_started ||
        !scram_client_take_final(&server->login->scram, data, length, &problem))
        return login_malformed(server, problem != NULL ? problem : "unexpected SASL message");
    server->login->sasl_proved = true;
    return true;
}

static bool login_authentication(struct server *server, const struct frame *frame)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    uint32_t code = reader_uint32(&reader);
    if (reader.failed)
        return login_malformed(server, "malformed authentication message");
    switch (code) {
    case LOGIN_OK:
        /* A server that began SCRAM and leaves its proof out does not know the password. */
        if (server->login->sasl_started && !server->login->sasl_proved)
            return login_malformed(server, "the server did not prove that it knows the password");
        server->login->authenticated = true;
        return true;
    case LOGIN_CLEARTEXT:
        return login_cleartext(server);
    case LOGIN_MD5:
        return login_md5(server, &reader);
    case LOGIN_SASL:
        return login_sasl(server, &reader);
    case LOGIN_SASL_CONTINUE:
        return login_sasl_continue(server, &reader);
    case LOGIN_SASL_FINAL:
        return login_sasl_final(server, &reader);
    default:
        return login_malformed(server, "the server asks for an authentication method that pgsluice "
                                       "does not know");
    }
}

static bool login_key(struct server *server, const struct frame *frame)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    server->backend_pid = reader_uint32(&reader);
    size_t length = reader_left(&reader);
    const uint8_t *key = reader_bytes(&reader, length);
    if (reader.failed || length == 0 || length > 256)
        return login_malformed(server, "malformed BackendKeyData message");
    free(server->cancel_key);
    server->cancel_key = memory_zeroed(length);
    memcpy(server->cancel_key, key, length);
    server->cancel_key_length = length;
    return true;
}

static bool login_parameter(struct server *server, const struct frame *frame)
{
    struct reader reader;
    reader_init_frame(&reader, frame);
    const char *name = reader_string(&reader);
    const char *value = reader_string(&reader);
    if (!reader_finished(&reader))
        return login_malformed(server, "malformed ParameterStatus message");
    pairs_set(&server->login->parameters, name, value);
    return true;
}

/* Whether the session is of the kind that target_session_attrs wants; the server says what it is
 * by `in_hot_standby` and `default_transaction_read_only` (PostgreSQL 14 and later). */
static bool login_fits_target(const struct server *server)
{
    const struct pairs *reported = &server->login->parameters;
    const char *standby = pairs_find(reported, "in_hot_standby");
    const char *read_only = pairs_find(reported, "default_transaction_read_only");
    bool is_standby = standby != NULL && strcmp(standby, "on") == 0;
    bool is_read_only = is_standby || (read_only != NULL && strcmp(read_only, "on") == 0);
    switch (server->settings->target) {
    case SETTINGS_TARGET_ANY:
        return true;
    case SETTINGS_TARGET_READ_WRITE:
        return !is_read_only;
    case SETTINGS_TARGET_READ_ONLY:
        return is_read_only;
    case SETTINGS_TARGET_PRIMARY:
        return !is_standby;
    case SETTINGS_TARGET_STANDBY:
        return is_standby;
    case SETTINGS_TARGET_PREFER_STANDBY:
        return is_standby || server->login->second_round;
    }
    return false;
}

/* Clients wait for it meanwhile, and find no error that would tell why they did. */
static void login_tell_slow(const struct server *server, microseconds now)
{
    microseconds took = now - server->login->began;
    if (took < LOGIN_SLOW)
        return;
    char prefix[SERVER_PREFIX_SIZE];
    server_prefix(server, prefix);
    log_warning(prefix, "a slow login: it took %.1f s; connect_timeout is %.1f s",
                (double)took / 1e6, (double)server->settings->connect_timeout / 1e6);
}

static bool login_ready(struct server *server)
{
    if (!server->login->authenticated)
        return login_malformed(server, "ReadyForQuery before the authentication's end");
    if (!login_fits_target(server)) {
        login_refused(server, login_network_failure(
                                  server, "session is not of the kind of target_session_attrs"));
        return false;
    }
    if (buffer_length(server->input) > WORKER_KEEP_SIZE)
        return login_malformed(server, "the server sends what it was not asked for");
    microseconds now = loop_now(server->worker->loop);
    login_tell_slow(server, now);
    server->parameters = parameters_intern(&server->login->parameters);
    server_login_free(&server->login);
    server->deadline = 0;
    server->transaction_status = MESSAGE_IDLE;
    server->member.session_state = server->gucs;
    greeting_store(server->member.pool, server->gucs, server->parameters);
    char prefix[SERVER_PREFIX_SIZE];
    server_prefix(server, prefix);
    log_debug(prefix, "connected, server version %s",
              parameters_find(server->parameters, "server_version"));
    if (server->notifier != NULL) {
        notifier_connected(server);
        return false;
    }
    server_set_state(server, SERVER_IDLE);
    pool_connected(&server->member, now);
    return false; /* what follows is for the relay */
}

/* One message; true where the login goes on with the next. */
static bool login_message(struct server *server, const struct frame *frame)
{
    switch (frame->type) {
    case MESSAGE_AUTHENTICATION:
        return login_authentication(server, frame);
    case MESSAGE_BACKEND_KEY_DATA:
        return login_key(server, frame);
    case MESSAGE_PARAMETER_STATUS:
        return login_parameter(server, frame);
    case MESSAGE_NOTICE_RESPONSE:
    case MESSAGE_NEGOTIATE_PROTOCOL_VERSION:
        return true;
    case MESSAGE_ERROR_RESPONSE:
        login_refused(server, login_server_failure(server, frame));
        return false;
    case MESSAGE_READY_FOR_QUERY:
        return login_ready(server);
    default:
        return login_malformed(server, "unexpected message during the login to the server");
    }
}

static void login_take(struct server *server)
{
    /* login_message may close the stream, start another attempt, or end the login: then stop. */
    for (;;) {
        struct frame frame;
        struct buffer *input = server->input;
        switch (frame_from_server(buffer_bytes(input), buffer_length(input), &frame)) {
        case FRAME_WHOLE:
            break;
        case FRAME_PART:
            if (frame.size <= WORKER_KEEP_SIZE)
                return;
            (void)login_malformed(server, "too long a message during the login to the server");
            return;
        case FRAME_NOTHING:
            return;
        case FRAME_BAD_TYPE:
        case FRAME_BAD_LENGTH:
            (void)login_malformed(server, "what answers does not speak PostgreSQL's protocol");
            return;
        }
        server->login->answered = true;
        /* Its bytes are used up first: a login that ends leaves only what follows. */
        struct buffer message = {0};
        buffer_append(&message, buffer_bytes(input), frame.size);
        frame.body = buffer_bytes(&message) + FRAME_HEADER_SIZE;
        buffer_consume(input, frame.size);
        bool more = login_message(server, &frame);
        buffer_release(&message);
        if (!more)
            return;
    }
}

void server_login_readable(struct server *server)
{
    size_t size;
    struct worker *worker = server->worker;
    switch (stream_read(&server->stream, worker->scratch, WORKER_READ_SIZE, &size)) {
    case STREAM_DONE:
        break;
    case STREAM_BLOCKED:
        return;
    case STREAM_END:
        login_try_next(server,
                       login_network_failure(server, "server closed the connection unexpectedly"));
        return;
    case STREAM_FAILED:
        login_try_next(server, login_network_failure(server, strerror(server->stream.error)));
        return;
    }
    if (server->input == NULL)
        server->input = memory_new(struct buffer);
    buffer_append(server->input, worker->scratch, size);
    login_take(server);
}
