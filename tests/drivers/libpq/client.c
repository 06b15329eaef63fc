/* One connection of a case, and the way in which its row executes statements. */

#include "client.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"

enum { MOST_BINARY = 16 };

static void ignore_notice(void *argument, const char *message)
{
    (void)argument;
    (void)message;
}

void client_open(struct client *client)
{
    client->connection = PQconnectdb("");
    PQsetNoticeProcessor(client->connection, ignore_notice, NULL);
    if (PQstatus(client->connection) != CONNECTION_OK)
        client_fail(client, "connect: %s", PQerrorMessage(client->connection));
    if (client->mode == CLIENT_PIPELINE)
        CHECK(client, PQenterPipelineMode(client->connection) == 1);
}

void client_close(struct client *client)
{
    PQclear(client->result);
    client->result = NULL;
    PQfinish(client->connection);
    client->connection = NULL;
}

void client_fail(struct client *client, const char *format, ...)
{
    char text[500];
    int length = snprintf(text, sizeof(text), "client %d: ", client->number);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof(text) - (size_t)length, format, arguments);
    va_end(arguments);
    crowd_break(client->crowd, text);
    pthread_exit(NULL);
}

static PGresult *keep(struct client *client, PGresult *result)
{
    if (result == NULL)
        client_fail(client, "no result: %s", PQerrorMessage(client->connection));
    if (result != client->result)
        PQclear(client->result);
    client->result = result;
    client->affected = atol(PQcmdTuples(result));
    return result;
}

/* Adds the row of a result in single-row mode to those that came before. */
static void add_row(struct client *client, PGresult **rows, PGresult *one)
{
    if (*rows == NULL) {
        *rows = PQcopyResult(one, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
        CHECK(client, *rows != NULL);
    } else {
        int row = PQntuples(*rows);
        for (int column = 0; column < PQnfields(one); column++) {
            bool null = PQgetisnull(one, 0, column) != 0;
            CHECK(client, PQsetvalue(*rows, row, column, null ? NULL : PQgetvalue(one, 0, column),
                                     null ? -1 : PQgetlength(one, 0, column)));
        }
    }
    PQclear(one);
}

static bool is_end_of_pipeline(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_PIPELINE_SYNC;
}

/* Behind each statement of a pipeline a NULL comes; behind the Sync there is no more. */
static void take_sync(struct client *client)
{
    PGresult *sync = PQgetResult(client->connection);
    CHECK(client, is_end_of_pipeline(sync));
    PQclear(sync);
}

PGresult *client_finish(struct client *client, int sent)
{
    CHECK(client, sent == 1);
    if (client->mode == CLIENT_PIPELINE)
        CHECK(client, PQpipelineSync(client->connection) == 1);
    if (client->mode == CLIENT_SINGLE_ROW)
        CHECK(client, PQsetSingleRowMode(client->connection) == 1);
    PGresult *rows = NULL, *last = NULL, *next;
    while ((next = PQgetResult(client->connection)) != NULL) {
        if (PQresultStatus(next) == PGRES_SINGLE_TUPLE) {
            add_row(client, &rows, next);
            continue;
        }
        PQclear(last);
        last = next;
    }
    if (client->mode == CLIENT_PIPELINE)
        take_sync(client);
    keep(client, last);
    if (rows != NULL && client_succeeded(last)) {
        long affected = client->affected;
        keep(client, rows);
        client->affected = affected;
    } else {
        PQclear(rows);
    }
    return client->result;
}

PGresult *client_check(struct client *client, PGresult *result, const char *what)
{
    if (!client_succeeded(result))
        client_fail(client, "%.200s: %s", what, client_describe(result));
    return result;
}

bool client_succeeded(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

PGresult *client_try(struct client *client, const char *sql, int count, const char *const *values)
{
    if (client->mode == CLIENT_PLAIN)
        return keep(client,
                    PQexecParams(client->connection, sql, count, NULL, values, NULL, NULL, 0));
    return client_finish(
        client, PQsendQueryParams(client->connection, sql, count, NULL, values, NULL, NULL, 0));
}

PGresult *client_query(struct client *client, const char *sql, int count, const char *const *values)
{
    return client_check(client, client_try(client, sql, count, values), sql);
}

PGresult *client_query_binary(struct client *client, const char *sql, int count,
                              const struct client_binary *values)
{
    Oid types[MOST_BINARY];
    const char *bytes[MOST_BINARY];
    int lengths[MOST_BINARY], formats[MOST_BINARY];
    CHECK(client, count <= MOST_BINARY);
    for (int i = 0; i < count; i++) {
        types[i] = values[i].type;
        bytes[i] = values[i].bytes;
        lengths[i] = values[i].length;
        formats[i] = 1;
    }
    PGconn *connection = client->connection;
    if (client->mode == CLIENT_PLAIN)
        keep(client, PQexecParams(connection, sql, count, types, bytes, lengths, formats, 1));
    else
        client_finish(client,
                      PQsendQueryParams(connection, sql, count, types, bytes, lengths, formats, 1));
    return client_check(client, client->result, sql);
}

PGresult *client_prepare(struct client *client, const char *name, const char *sql)
{
    /* Single-row mode has nothing to say about a statement without rows. */
    if (client->mode == CLIENT_PIPELINE)
        client_finish(client, PQsendPrepare(client->connection, name, sql, 0, NULL));
    else
        keep(client, PQprepare(client->connection, name, sql, 0, NULL));
    return client_check(client, client->result, sql);
}

PGresult *client_try_execute(struct client *client, const char *name, int count,
                             const char *const *values)
{
    PGconn *connection = client->connection;
    if (client->mode == CLIENT_PLAIN)
        return keep(client, PQexecPrepared(connection, name, count, values, NULL, NULL, 0));
    return client_finish(client,
                         PQsendQueryPrepared(connection, name, count, values, NULL, NULL, 0));
}

PGresult *client_execute(struct client *client, const char *name, int count,
                         const char *const *values)
{
    return client_check(client, client_try_execute(client, name, count, values), name);
}

const char *client_value(struct client *client, const char *sql)
{
    PGresult *result = client_query(client, sql, NOTHING);
    if (PQntuples(result) != 1 || PQnfields(result) != 1)
        client_fail(client, "%.200s: %d rows", sql, PQntuples(result));
    return PQgetvalue(result, 0, 0);
}

void client_expect_error(struct client *client, const char *sql, const char *sqlstate)
{
    PGresult *result = client_try(client, sql, NOTHING);
    if (client_succeeded(result) || strcmp(client_sqlstate(result), sqlstate) != 0)
        client_fail(client, "%.200s: %s instead of %s", sql, client_describe(result), sqlstate);
}

const char *client_sqlstate(const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return sqlstate == NULL ? "" : sqlstate;
}

const char *client_describe(const PGresult *result)
{
    static _Thread_local char ring[4][300];
    static _Thread_local unsigned next;
    char *text = ring[next++ % 4];
    if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
        return "aborted";
    if (client_succeeded(result))
        snprintf(text, sizeof(ring[0]), "%s", PQcmdStatus((PGresult *)result));
    else if (client_sqlstate(result)[0] != '\0')
        snprintf(text, sizeof(ring[0]), "%s %s", client_sqlstate(result),
                 PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    else
        snprintf(text, sizeof(ring[0]), "%s %s", PQresStatus(PQresultStatus(result)),
                 PQresultErrorMessage(result));
    return text;
}

bool client_wait(struct client *client, int milliseconds)
{
    struct pollfd readable = {.fd = PQsocket(client->connection), .events = POLLIN};
    if (poll(&readable, 1, milliseconds) != 1)
        return false;
    if (PQconsumeInput(client->connection) != 1)
        client_fail(client, "%s", PQerrorMessage(client->connection));
    return true;
}
