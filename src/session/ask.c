#include "session/ask.h"
#include "config/settings.h"
#include "pg/failure.h"
#include "pg/sqlstate.h"
#include "session/client.h"
#include "session/question.h"
#include "session/server.h"
#include "state/guc.h"

/* In session mode the server knows best, but for what the client came with: a RESET must lead back
 * to that, not to the server's default. */
bool ask_is_due(const struct client *client, const struct server *server)
{
    return server->look && (client->settings->mode != SETTINGS_SESSION ||
                            guc_pairs(client->startup_gucs)->count > 0);
}

/* Asks what the session's state is, behind the client's last command. */
void ask_begin(struct client *client, struct server *server)
{
    struct buffer sql = {0};
    question_write(&sql, server->settings->server_user, client->custom_names, client->gucs);
    buffer_append(&sql, "", 1);
    server->look = false;
    question_free(&server->question);
    server->question = question_new();
    (void)server_query(server, SERVER_NOTE_ASK, (const char *)buffer_bytes(&sql));
    buffer_release(&sql);
}

/* After an ask: the client has what its session has; and it keeps what it came with where a RESET
 * has brought the server's default back. */
void ask_take_answer(struct server *server)
{
    server->answered = false;
    struct question *question = server->question;
    server->question = NULL;
    if (question == NULL || question->malformed || server->reset_needed) {
        question_free(&question);
        server->reset_needed = true;
        if (server->client != NULL)
            client_fatal(server->client, SQLSTATE_CONNECTION_FAILURE,
                         "the settings of this session are not known any more",
                         server->failure != NULL ? server->failure->message : NULL, NULL);
        return;
    }
    struct guc_set *answer = guc_intern(&question->gucs);
    guc_release(&server->gucs);
    server->gucs = guc_retain(answer);
    if (server->client != NULL) {
        guc_release(&server->client->gucs);
        server->client->gucs = guc_merge(server->client->startup_gucs, answer);
        server->client->pins =
            (uint8_t)((server->client->pins & ~(unsigned)PIN_ASKABLE) | question->pins);
    } else if (question->pins != 0) {
        server->reset_needed = true; /* its client has gone and left it there */
    }
    guc_release(&answer);
    question_free(&question);
}
