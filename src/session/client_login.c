/*
 * From the startup packet to ReadyForQuery ("Message Flow", "Start-up"). What only a login needs
 * is in struct client_login, which is freed at its end.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/config.h"
#include "io/loop.h"
#include "pg/failure.h"
#include "pg/message.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "pg/startup.h"
#include "pool/registry.h"
#include "session/authentication.h"
#include "session/cancel.h"
#include "session/client.h"
#include "session/greeting.h"
#include "session/lease.h"
#include "session/server.h"
#include "session/worker.h"
#include "state/guc.h"
#include "state/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A password message's length, as PostgreSQL bounds it (PG_MAX_AUTH_TOKEN_LENGTH). */
#define LOGIN_MAX_PASSWORD_MESSAGE 65535
/* Bytes that may be waiting behind the login. */
#define LOGIN_MAX_INPUT ((size_t)1 << 16)

struct client_login {
    struct pairs parameters; /* as sent */
    const char *user;        /* in parameters */
    const char *database;    /* in parameters */
    bool is_console;
    struct settings *settings; /* owned reference */
    struct authentication *authentication;
};

bool service_is_console(const char *database)
{
    return strcmp(database, "pgsluice") == 0;
}

void client_login_free(struct client_login **login)
{
    if (*login == NULL)
        return;
    pairs_clear(&(*login)->parameters);
    settings_release(&(*login)->settings);
    authentication_free(&(*login)->authentication);
    free(*login);
    *login = NULL;
}

const char *client_login_user(const struct client *client)
{
    return client->login != NULL ? client->login->user : NULL;
}

/* Ends the login: the client has all it needs to send its first query. */
static void login_finish(struct client *client, const struct parameters *parameters,
                         enum client_state next)
{
    struct worker *worker = client->worker;
    struct buffer reply = {0};
    reply_authentication_ok(&reply);
    parameters_write_difference(NULL, parameters, &reply);
    reply_backend_key(&reply, client_pid(client), client->secret);
    reply_ready(&reply, MESSAGE_IDLE);
    if (next == CLIENT_CONSOLE)
        authentication_free(&client->login->authentication); /* its names are shown */
    else
        client_login_free(&client->login);
    client_set_state(client, next);
    client->request_at = loop_now(worker->loop);
    bool sent = client_send(client, &reply);
    buffer_release(&reply);
    if (!sent)
        return;
    if (worker->config->log_connections) {
        char prefix[CLIENT_PREFIX_SIZE];
        client_prefix(client, prefix);
        log_info(prefix, "logged in");
    }
}

void client_login_greet(struct client *client, struct parameters *parameters)
{
    check(client->state == CLIENT_GREETING);
    client->told = parameters_retain(parameters);
    login_finish(client, parameters, client->server != NULL ? CLIENT_ACTIVE : CLIENT_IDLE);
}

static void login_console(struct client *client)
{
    static const struct pair values[] = {
        {(char *)(uintptr_t) "server_version", (char *)(uintptr_t) "15.0 (pgsluice)"},
        {(char *)(uintptr_t) "server_encoding", (char *)(uintptr_t) "UTF8"},
        {(char *)(uintptr_t) "client_encoding", (char *)(uintptr_t) "UTF8"},
        {(char *)(uintptr_t) "DateStyle", (char *)(uintptr_t) "ISO, MDY"},
        {(char *)(uintptr_t) "integer_datetimes", (char *)(uintptr_t) "on"},
        {(char *)(uintptr_t) "standard_conforming_strings", (char *)(uintptr_t) "on"},
        {(char *)(uintptr_t) "TimeZone", (char *)(uintptr_t) "UTC"},
    };
    struct pairs pairs = {0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        pairs_add(&pairs, values[i].name, values[i].value);
    client->told = parameters_intern(&pairs);
    pairs_clear(&pairs);
    login_finish(client, client->told, CLIENT_CONSOLE);
}

/* Everything in the startup packet that is not about the connection itself is a setting. Those of
 * `options` come first, as in PostgreSQL, where a parameter of its own wins. */
static bool login_collect_gucs(struct client *client)
{
    const struct pairs *sent = &client->login->parameters;
    struct pairs gucs = {0};
    const char *problem = NULL;
    const char *options = pairs_find(sent, "options");
    if (options != NULL && !startup_split_options(options, &gucs, &problem)) {
        pairs_clear(&gucs);
        client_fatal(client, SQLSTATE_SYNTAX_ERROR,
                     "invalid command-line argument for server process", problem,
                     "Use -c name=value in the connection parameter \"options\".");
        return false;
    }
    for (size_t i = 0; i < sent->count; i++) {
        const char *name = sent->items[i].name;
        if (strcmp(name, "user") != 0 && strcmp(name, "database") != 0 &&
            strcmp(name, "options") != 0 && strcmp(name, "replication") != 0)
            pairs_set(&gucs, name, sent->items[i].value);
    }
    guc_release(&client->startup_gucs);
    guc_release(&client->gucs);
    client->startup_gucs = guc_intern(&gucs);
    client->gucs = guc_retain(client->startup_gucs);
    pairs_clear(&gucs);
    return true;
}

void client_login_ask_server(struct client *client)
{
    client_set_state(client, CLIENT_GREETING);
    client->request_at = loop_now(client->worker->loop);
    switch (lease_begin(client)) {
    case LEASE_READY:
        lease_prepared(client->server);
        break;
    case LEASE_PREPARING:
    case LEASE_WAITS:
        break;
    case LEASE_REFUSED:
        client_fatal_failure(client, client->failure);
        break;
    }
}

static void login_authenticated(struct client *client)
{
    struct client_login *login = client->login;
    if (login->is_console) {
        if (!config_is_admin(client->worker->config, login->user)) {
            client_fatal(client, SQLSTATE_INSUFFICIENT_PRIVILEGE,
                         "permission denied for the admin console",
                         "The user is not one of admin_users.", NULL);
            return;
        }
        login_console(client);
        return;
    }
    struct service *service = client->worker->service;
    client->pool = registry_pool(service->registry, login->settings);
    if (atomic_load(&service->stopping)) /* it may be new, and unknown to the daemon's end */
        pool_shutdown(client->pool, loop_now(client->worker->loop));
    client->settings = pool_settings(client->pool);
    if (!login_collect_gucs(client))
        return;
    struct parameters *parameters = greeting_find(client->pool, client->gucs);
    if (parameters == NULL) {
        client_login_ask_server(client);
        return;
    }
    client_set_state(client, CLIENT_GREETING);
    client_login_greet(client, parameters);
    parameters_release(&parameters);
}

/* Which of the reasons it is, strangers are not told, but the log is. */
static void login_log_wrong_password(struct client *client)
{
    const struct client_login *login = client->login;
    const struct config *config = client->worker->config;
    const char *database = login->is_console ? NULL : login->database;
    bool is_known = config_secret(config, database, login->user) != NULL;
    char prefix[CLIENT_PREFIX_SIZE];
    client_prefix(client, prefix);
    if (config->auth_file != NULL)
        log_info(prefix, "database \"%s\": %s the user list %s", login->database,
                 is_known ? "its password is not that of" : "it is not in", config->auth_file);
    else
        log_info(prefix,
                 "database \"%s\": without an auth_file it has to be the user and password of the "
                 "url, and the %s is not",
                 login->database, is_known ? "password" : "user");
}

static void login_wrong_password(struct client *client)
{
    char *message =
        memory_printf("password authentication failed for user \"%s\"", client->login->user);
    login_log_wrong_password(client);
    client_fatal(client, SQLSTATE_INVALID_PASSWORD, message,
                 "pgsluice says so, before it asks the server; its log tells why.", NULL);
    free(message);
}

static void login_answer(struct client *client, enum authentication_answer answer,
                         struct buffer *replies, const char *problem)
{
    if (buffer_length(replies) > 0 && !client_send(client, replies))
        return;
    switch (answer) {
    case AUTHENTICATION_OK:
        login_authenticated(client);
        break;
    case AUTHENTICATION_MORE:
        client_set_state(client, CLIENT_AUTHENTICATING);
        break;
    case AUTHENTICATION_WRONG:
        login_wrong_password(client);
        break;
    case AUTHENTICATION_MALFORMED:
        client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION, problem, NULL, NULL);
        break;
    }
}

static bool login_is_replication(const struct pairs *parameters)
{
    const char *value = pairs_find(parameters, "replication");
    return value != NULL && strcmp(value, "false") != 0 && strcmp(value, "off") != 0 &&
           strcmp(value, "0") != 0 && strcmp(value, "no") != 0;
}

/* Counts the client against max_clients; those of the console always come in. */
static bool login_count(struct client *client)
{
    const struct worker *worker = client->worker;
    if (client->login->is_console)
        return true;
    client->counted = true;
    unsigned count =
        atomic_fetch_add_explicit(&worker->service->client_count, 1, memory_order_relaxed);
    if (count < worker->config->max_clients)
        return true;
    char *detail =
        memory_printf("It is the limit of pgsluice, not of the server: max_clients is %u.",
                      worker->config->max_clients);
    client_fatal(client, SQLSTATE_TOO_MANY_CONNECTIONS, "sorry, too many clients already", detail,
                 "Raise max_clients, or let clients close what they do not use.");
    free(detail);
    return false;
}

/* Whether the names of the startup packet lead anywhere. */
static bool login_find_database(struct client *client)
{
    struct client_login *login = client->login;
    login->user = pairs_find(&login->parameters, "user");
    if (login->user == NULL || login->user[0] == '\0') {
        login->user = NULL;
        client_fatal(client, SQLSTATE_INVALID_AUTHORIZATION,
                     "no PostgreSQL user name specified in startup packet", NULL, NULL);
        return false;
    }
    login->database = pairs_find(&login->parameters, "database");
    if (login->database == NULL || login->database[0] == '\0')
        login->database = login->user;
    login->is_console = service_is_console(login->database);
    if (login->is_console)
        return true;
    if (login_is_replication(&login->parameters)) {
        client_fatal(client, SQLSTATE_FEATURE_NOT_SUPPORTED,
                     "replication connections cannot be pooled", NULL,
                     "Connect to the PostgreSQL server itself.");
        return false;
    }
    login->settings = config_resolve(client->worker->config, login->database, login->user);
    if (login->settings != NULL)
        return true;
    char *message = memory_printf("database \"%s\" does not exist", login->database);
    client_fatal(client, SQLSTATE_INVALID_CATALOG_NAME, message,
                 "pgsluice has no section for it, nor one for all others ([database *]).", NULL);
    free(message);
    return false;
}

static void login_begin(struct client *client, struct startup *startup, const uint8_t *packet)
{
    check(client->login == NULL);
    client->login = memory_new(struct client_login);
    client->login->parameters = startup->parameters;
    startup->parameters = (struct pairs){0};
    if (!login_find_database(client) || !login_count(client))
        return;
    struct client_login *login = client->login;
    const struct config *config = client->worker->config;
    struct buffer replies = {0};
    if (startup->minor > 0 || startup->unknown_protocol_options)
        startup_write_negotiation(&replies, packet, startup->size, 0);
    const char *secret =
        config_secret(config, login->is_console ? NULL : login->database, login->user);
    enum authentication_answer answer =
        authentication_start(&login->authentication, &client->worker->verifiers, config->auth,
                             login->user, secret, &replies);
    login_answer(client, answer, &replies, NULL);
    buffer_release(&replies);
}

/* Refuses encryption in the way of the protocol: one byte. */
static bool login_refuse_encryption(struct client *client)
{
    struct buffer reply = {0};
    buffer_append(&reply, "N", 1);
    bool sent = client_send(client, &reply);
    buffer_release(&reply);
    return sent;
}

static size_t login_take_startup(struct client *client, const uint8_t *bytes, size_t length)
{
    struct startup startup;
    startup_parse(bytes, length, &startup);
    switch (startup.kind) {
    case STARTUP_MORE:
        return 0;
    case STARTUP_BAD:
        client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION, startup.problem, NULL, NULL);
        return length;
    case STARTUP_SSL:
    case STARTUP_GSSENC:
        (void)login_refuse_encryption(client);
        return startup.size;
    case STARTUP_CANCEL:
        client_set_state(client, CLIENT_CANCELLING);
        cancel_request_start(client, startup.cancel_pid, startup.cancel_key,
                             startup.cancel_key_length);
        return startup.size;
    case STARTUP_LOGIN:
        login_begin(client, &startup, bytes);
        return startup.size;
    }
    return length;
}

static size_t login_take_password(struct client *client, const uint8_t *bytes, size_t length)
{
    if (bytes[0] != MESSAGE_PASSWORD) {
        client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION,
                     "expected password response, got another message type", NULL, NULL);
        return length;
    }
    if (length < 5)
        return 0;
    size_t size =
        (size_t)bytes[1] << 24 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 | bytes[4];
    if (size < 4 || size > LOGIN_MAX_PASSWORD_MESSAGE) {
        client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION, "invalid password packet size", NULL,
                     NULL);
        return length;
    }
    if (length < 1 + size)
        return 0;
    struct buffer replies = {0};
    const char *problem = NULL;
    enum authentication_answer answer =
        authentication_step(client->login->authentication, bytes + 5, size - 4, &replies, &problem);
    login_answer(client, answer, &replies, problem);
    buffer_release(&replies);
    return 1 + size;
}

/* One step; 0 where more bytes, or the end of the login, are awaited. */
static size_t login_take(struct client *client, const uint8_t *bytes, size_t length)
{
    if (client->state == CLIENT_STARTUP)
        return login_take_startup(client, bytes, length);
    if (client->state == CLIENT_AUTHENTICATING)
        return login_take_password(client, bytes, length);
    return 0;
}

static bool login_read(struct client *client)
{
    size_t size;
    switch (stream_read(&client->stream, client->worker->scratch, WORKER_READ_SIZE, &size)) {
    case STREAM_DONE:
        break;
    case STREAM_BLOCKED:
        return false;
    case STREAM_END:
    case STREAM_FAILED:
        client_close(client, "hung up before it was logged in");
        return false;
    }
    if (client->input == NULL)
        client->input = memory_new(struct buffer);
    buffer_append(client->input, client->worker->scratch, size);
    return true;
}

void client_login_readable(struct client *client)
{
    if (!login_read(client))
        return;
    /* The steps may close the client; its memory stays until the loop's turn ends. They may also
     * end the login: what follows in the input is worked on after its bytes are used up. */
    client->busy = true;
    while (client->state < CLIENT_IDLE && client->input != NULL &&
           buffer_length(client->input) > 0) {
        size_t used = login_take(client, buffer_bytes(client->input), buffer_length(client->input));
        if (used == 0 || client->input == NULL)
            break;
        buffer_consume(client->input, used);
    }
    client->busy = false;
    if (client->state >= CLIENT_CLOSING)
        return;
    if (client->state >= CLIENT_IDLE)
        client_relay_resume(client);
    else if (buffer_length(client->input) > LOGIN_MAX_INPUT)
        client_fatal(client, SQLSTATE_PROTOCOL_VIOLATION, "too many bytes before the login's end",
                     NULL, NULL);
}
