/* Cancel requests, notifications, settings of the session. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cases.h"
#include "crowd.h"

enum {
    NOTIFICATIONS = 50,
    TRANSACTIONS = 50,
    FEW = 4, /* of so many clients one is cancelled */
};

static void cancel(struct client *client)
{
    char error[256];
    PGcancel *cancel = PQgetCancel(client->connection);
    bool sent = PQcancel(cancel, error, sizeof(error)) == 1;
    PQfreeCancel(cancel);
    if (!sent)
        client_fail(client, "cancel: %s", error);
}

/* A request that arrives before its query does nothing, so it is said again. */
static void cancel_until_answered(struct client *client)
{
    CHECK(client, PQsendQueryParams(client->connection, "SELECT pg_sleep(60)", NOTHING, NULL, NULL,
                                    NULL, 0) == 1);
    if (client->mode == CLIENT_PIPELINE)
        CHECK(client, PQsendFlushRequest(client->connection) == 1);
    CHECK(client, PQflush(client->connection) == 0);
    for (int i = 0; i < 20 && !client_wait(client, 500); i++)
        cancel(client);
    PGresult *result = client_finish(client, 1);
    if (strcmp(client_sqlstate(result), "57014") != 0)
        client_fail(client, "after the cancel request: %s", client_describe(result));
    if (client->number == 0)
        crowd_observe(client, "%s", client_describe(result));
}

void case_cancel(struct client *client)
{
    time_t start = time(NULL);
    if (client->number % FEW == 0) {
        cancel_until_answered(client);
        CHECK(client, time(NULL) - start <= 10);
    } else {
        client_query(client, "SELECT pg_sleep(1)", NOTHING);
    }
    CHECK(client, strcmp(client_value(client, "SELECT 'works on'"), "works on") == 0);
}

static void receive(struct client *client, const char *channel)
{
    char wanted[40];
    for (int received = 0; received < NOTIFICATIONS;) {
        PGnotify *notification = PQnotifies(client->connection);
        if (notification == NULL) {
            CHECK(client, client_wait(client, 10000));
            continue;
        }
        snprintf(wanted, sizeof(wanted), "payload %d", received++);
        bool equal =
            strcmp(notification->extra, wanted) == 0 && strcmp(notification->relname, channel) == 0;
        PQfreemem(notification);
        CHECK(client, equal);
    }
    client_query(client, "SELECT 1", NOTHING);
    CHECK(client, PQnotifies(client->connection) == NULL);
}

static void listen_and_receive(struct client *client, const char *channel)
{
    char sql[100];
    snprintf(sql, sizeof(sql), "LISTEN %s", channel);
    client_query(client, sql, NOTHING);
    crowd_meet(client);
    receive(client, channel);
    client_query(client, "UNLISTEN *", NOTHING);
}

static void notify(struct client *client, const char *channel)
{
    char payload[40];
    for (int i = 0; i < NOTIFICATIONS; i++) {
        snprintf(payload, sizeof(payload), "payload %d", i);
        client_query(client, "SELECT pg_notify($1, $2)", TEXTS(channel, payload));
    }
}

static void do_transactions(struct client *client)
{
    for (int i = 0; i < TRANSACTIONS; i++) {
        client_query(client, "BEGIN", NOTHING);
        client_query(client, "SELECT 1", NOTHING);
        client_query(client, "COMMIT", NOTHING);
    }
}

void case_notify(struct client *client)
{
    const char *channel = crowd_table(client);
    if (client->number == 0) {
        listen_and_receive(client, channel);
        return;
    }
    crowd_meet(client);
    if (client->number == 1)
        notify(client, channel);
    else
        do_transactions(client);
}

static void check_setting(struct client *client, const char *name, const char *wanted)
{
    const char *sql = "SELECT current_setting($1)";
    const char *found = PQgetvalue(client_query(client, sql, TEXTS(name)), 0, 0);
    if (strcmp(found, wanted) != 0)
        client_fail(client, "%s is %s instead of %s", name, found, wanted);
}

struct settings {
    char application[40], timezone[40], path[40], own[40];
};

static void set_all(struct client *client, struct settings *settings)
{
    char sql[200];
    snprintf(settings->application, sizeof(settings->application), "client %d", client->number);
    snprintf(settings->timezone, sizeof(settings->timezone), "Etc/GMT+%d", client->number % 12 + 1);
    snprintf(settings->path, sizeof(settings->path), "schema_%d, public", client->number);
    snprintf(settings->own, sizeof(settings->own), "value %d", client->number);
    snprintf(sql, sizeof(sql), "SET application_name = '%s'", settings->application);
    client_query(client, sql, NOTHING);
    snprintf(sql, sizeof(sql), "SET TimeZone = '%s'", settings->timezone);
    client_query(client, sql, NOTHING);
    snprintf(sql, sizeof(sql), "SET search_path = %s", settings->path);
    client_query(client, sql, NOTHING);
    snprintf(sql, sizeof(sql), "SET my.name = '%s'", settings->own);
    client_query(client, sql, NOTHING);
}

static void check_all(struct client *client, const struct settings *settings)
{
    check_setting(client, "application_name", settings->application);
    check_setting(client, "TimeZone", settings->timezone);
    check_setting(client, "search_path", settings->path);
    check_setting(client, "my.name", settings->own);
    CHECK(client,
          strcmp(PQparameterStatus(client->connection, "TimeZone"), settings->timezone) == 0);
    CHECK(client, strcmp(PQparameterStatus(client->connection, "application_name"),
                         settings->application) == 0);
}

void case_session_set(struct client *client)
{
    struct settings settings;
    set_all(client, &settings);
    for (int i = 0; i < TRANSACTIONS; i++) {
        client_query(client, "BEGIN", NOTHING);
        client_query(client, "SET LOCAL my.name = 'local'", NOTHING);
        check_setting(client, "my.name", "local");
        client_query(client, i % 2 == 0 ? "COMMIT" : "ROLLBACK", NOTHING);
        check_all(client, &settings);
    }
    client_query(client, "RESET my.name", NOTHING);
    check_setting(client, "my.name", "");
    client_query(client, "RESET search_path", NOTHING);
    check_setting(client, "search_path", "\"$user\", public");
    check_setting(client, "application_name", settings.application);
}
