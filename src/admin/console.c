#include "admin/console.h"

#include "base/check.h"
#include "base/memory.h"
#include "io/mailbox.h"
#include "pg/message.h"
#include "pg/reply.h"
#include "pg/sqlstate.h"
#include "session/client.h"
#include "session/worker.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A query of the console on its way through the workers; owned by whichever thread has it. */
struct console_request {
    struct worker *home; /* of the client */
    uint32_t slot;       /* of the client, which may go meanwhile */
    uint32_t secret;
    const struct console_command *command;
    unsigned next_worker;
    void *state; /* the command's */
    char *error; /* owned, or NULL */
    struct buffer reply;
};

static const struct console_command *const console_commands[] = {
    &console_show_clients, &console_show_config, &console_show_pools, &console_show_servers,
    &console_show_version, &console_reload,      &console_shutdown,
};

static const struct console_actions *console_actions;

void console_use_actions(const struct console_actions *actions)
{
    console_actions = actions;
}

struct buffer *console_request_reply(struct console_request *request)
{
    return &request->reply;
}

void **console_request_state(struct console_request *request)
{
    return &request->state;
}

const struct console_actions *console_request_actions(const struct console_request *request)
{
    (void)request;
    return console_actions;
}

/* Compares words without regard to case, space or a semicolon at the end. */
static bool console_is(const char *sql, const char *words)
{
    while (isspace((unsigned char)*sql))
        sql++;
    for (; *words != '\0'; words++) {
        if (*words == ' ') {
            if (!isspace((unsigned char)*sql))
                return false;
            while (isspace((unsigned char)*sql))
                sql++;
        } else if (toupper((unsigned char)*sql++) != *words) {
            return false;
        }
    }
    while (isspace((unsigned char)*sql) || *sql == ';')
        sql++;
    return *sql == '\0';
}

/* At home again. */
static void console_answer(struct worker *worker, void *context)
{
    struct console_request *request = context;
    if (request->command->end != NULL)
        request->command->end(request, worker);
    if (request->error != NULL) {
        buffer_clear(&request->reply);
        reply_error(&request->reply, "ERROR", SQLSTATE_INVALID_PARAMETER_VALUE, request->error,
                    NULL, NULL);
    } else {
        reply_command_complete(&request->reply, request->command->tag);
    }
    reply_ready(&request->reply, MESSAGE_IDLE);
    client_console_finish(worker, request->slot, request->secret, &request->reply);
    buffer_release(&request->reply);
    free(request->error);
    free(request);
}

void console_request_finish(struct console_request *request, const char *error)
{
    request->error = error != NULL ? memory_string(error) : NULL;
    worker_call(request->home, console_answer, request);
}

static void console_visit(struct worker *worker, void *context)
{
    struct console_request *request = context;
    const struct service *service = worker->service;
    request->command->visit(request, worker);
    request->next_worker++;
    if (request->next_worker < service->worker_count)
        worker_call(service->workers[request->next_worker], console_visit, request);
    else
        worker_call(request->home, console_answer, request);
}

static void console_unknown(struct client *client)
{
    struct buffer reply = {0};
    struct buffer hint = {0};
    for (size_t i = 0; i < sizeof console_commands / sizeof console_commands[0]; i++) {
        buffer_append(&hint, i == 0 ? "Commands: " : ", ", i == 0 ? 10 : 2);
        buffer_append(&hint, console_commands[i]->words, strlen(console_commands[i]->words));
    }
    buffer_append(&hint, ".", 2);
    reply_error(&reply, "ERROR", SQLSTATE_SYNTAX_ERROR, "unknown command of the admin console",
                NULL, (const char *)buffer_bytes(&hint));
    reply_ready(&reply, MESSAGE_IDLE);
    client_console_finish(client->worker, client->slot, client->secret, &reply);
    buffer_release(&hint);
    buffer_release(&reply);
}

/* Only space, semicolons or nothing. */
static bool console_is_empty(const char *sql)
{
    return strspn(sql, " \t\r\n;") == strlen(sql);
}

void console_query(struct client *client, const char *sql)
{
    if (console_is_empty(sql)) {
        struct buffer reply = {0};
        buffer_append(&reply, "I\0\0\0\4", 5);
        reply_ready(&reply, MESSAGE_IDLE);
        client_console_finish(client->worker, client->slot, client->secret, &reply);
        buffer_release(&reply);
        return;
    }
    for (size_t i = 0; i < sizeof console_commands / sizeof console_commands[0]; i++) {
        const struct console_command *command = console_commands[i];
        if (!console_is(sql, command->words))
            continue;
        struct console_request *request = memory_new(struct console_request);
        request->home = client->worker;
        request->slot = client->slot;
        request->secret = client->secret;
        request->command = command;
        command->begin(request, client->worker);
        if (command->visit != NULL)
            worker_call(client->worker->service->workers[0], console_visit, request);
        else if (!command->is_deferred)
            worker_call(client->worker, console_answer, request);
        return;
    }
    console_unknown(client);
}
