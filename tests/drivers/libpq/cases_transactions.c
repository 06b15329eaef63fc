/* COPY, transactions, errors in the middle of what was sent together, a table that changes under a
 * prepared statement. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "crowd.h"

enum { COPIED = 20000 };

/* Runs sql, in which %s stands for this client's own table. */
static PGresult *on_table(struct client *client, const char *table, const char *sql)
{
    char text[400];
    snprintf(text, sizeof(text), sql, table);
    return client_query(client, text, NOTHING);
}

static void own_table(struct client *client, char *table, size_t size, const char *create)
{
    snprintf(table, size, "%s_%d", crowd_table(client), client->number);
    on_table(client, table, "DROP TABLE IF EXISTS %s");
    on_table(client, table, create);
}

static long count_rows(struct client *client, const char *table)
{
    return atol(PQgetvalue(on_table(client, table, "SELECT count(*) FROM %s"), 0, 0));
}

/* COPY is the one thing that pipeline mode refuses. */
static void leave_pipeline(struct client *client)
{
    if (client->mode == CLIENT_PIPELINE)
        CHECK(client, PQexitPipelineMode(client->connection) == 1);
}

static void enter_pipeline(struct client *client)
{
    if (client->mode == CLIENT_PIPELINE)
        CHECK(client, PQenterPipelineMode(client->connection) == 1);
}

static void start_copy(struct client *client, const char *sql, const char *table,
                       ExecStatusType wanted)
{
    char text[200];
    snprintf(text, sizeof(text), sql, table);
    PGresult *result = PQexec(client->connection, text);
    CHECK(client, PQresultStatus(result) == wanted);
    PQclear(result);
}

/* The end of a COPY: what it says, in a text that client_describe() owns. */
static const char *end_copy(struct client *client, char *tuples, size_t size)
{
    PGresult *result = PQgetResult(client->connection);
    const char *text = client_describe(result);
    snprintf(tuples, size, "%s", PQcmdTuples(result));
    PQclear(result);
    CHECK(client, PQgetResult(client->connection) == NULL);
    return text;
}

static void put_rows(struct client *client, int count)
{
    char line[60];
    for (int i = 0; i < count; i++) {
        int length = snprintf(line, sizeof(line), "%d\trow\\t%d of it\n", i, i);
        CHECK(client, PQputCopyData(client->connection, line, length) == 1);
    }
}

static void copy_in(struct client *client, const char *table)
{
    char tuples[20];
    start_copy(client, "COPY %s FROM STDIN", table, PGRES_COPY_IN);
    put_rows(client, COPIED);
    CHECK(client, PQputCopyEnd(client->connection, NULL) == 1);
    end_copy(client, tuples, sizeof(tuples));
    CHECK(client, atoi(tuples) == COPIED);
}

static void copy_out(struct client *client, const char *table)
{
    char *line, wanted[60], tuples[20];
    int count = 0, length;
    start_copy(client, "COPY %s TO STDOUT", table, PGRES_COPY_OUT);
    while ((length = PQgetCopyData(client->connection, &line, 0)) > 0) {
        snprintf(wanted, sizeof(wanted), "%d\trow\\t%d of it\n", count, count);
        bool equal = strcmp(line, wanted) == 0;
        PQfreemem(line);
        CHECK(client, equal);
        count++;
    }
    CHECK(client, length == -1);
    end_copy(client, tuples, sizeof(tuples));
    CHECK(client, count == COPIED);
}

static void copy_that_fails(struct client *client, const char *table)
{
    char tuples[20];
    const char *text;
    start_copy(client, "COPY %s FROM STDIN", table, PGRES_COPY_IN);
    put_rows(client, 1000);
    CHECK(client, PQputCopyEnd(client->connection, "the client gives up") == 1);
    text = end_copy(client, tuples, sizeof(tuples));
    if (client->number == 0)
        crowd_observe(client, "abort: %s; ", text);
    start_copy(client, "COPY %s FROM STDIN", table, PGRES_COPY_IN);
    put_rows(client, 1000);
    CHECK(client, PQputCopyData(client->connection, "no number\tx\n", 12) == 1);
    put_rows(client, 1000);
    CHECK(client, PQputCopyEnd(client->connection, NULL) == 1);
    text = end_copy(client, tuples, sizeof(tuples));
    if (client->number == 0)
        crowd_observe(client, "bad row: %s", text);
}

void case_copy(struct client *client)
{
    char table[80];
    own_table(client, table, sizeof(table), "CREATE TABLE %s (id int, word text)");
    leave_pipeline(client);
    copy_in(client, table);
    copy_out(client, table);
    copy_that_fails(client, table);
    enter_pipeline(client);
    CHECK(client, count_rows(client, table) == COPIED);
}

static void check_savepoints(struct client *client, const char *table)
{
    client_query(client, "BEGIN ISOLATION LEVEL SERIALIZABLE", NOTHING);
    CHECK(client, strcmp(client_value(client, "SHOW transaction_isolation"), "serializable") == 0);
    on_table(client, table, "INSERT INTO %s VALUES (10)");
    client_query(client, "SAVEPOINT kept", NOTHING);
    on_table(client, table, "INSERT INTO %s VALUES (11)");
    client_query(client, "RELEASE SAVEPOINT kept", NOTHING);
    client_query(client, "SAVEPOINT outer_one", NOTHING);
    on_table(client, table, "INSERT INTO %s VALUES (12)");
    client_query(client, "SAVEPOINT inner_one", NOTHING);
    client_expect_error(client, "SELECT 1 / 0", "22012");
    CHECK(client, PQtransactionStatus(client->connection) == PQTRANS_INERROR);
    client_expect_error(client, "SELECT 1", "25P02");
    client_query(client, "ROLLBACK TO SAVEPOINT inner_one", NOTHING);
    CHECK(client, count_rows(client, table) == 4);
    client_query(client, "ROLLBACK TO SAVEPOINT outer_one", NOTHING);
    client_query(client, "COMMIT", NOTHING);
    CHECK(client, PQtransactionStatus(client->connection) == PQTRANS_IDLE);
    CHECK(client, count_rows(client, table) == 3);
}

void case_transactions(struct client *client)
{
    char table[80];
    own_table(client, table, sizeof(table), "CREATE TABLE %s (id int)");
    client_query(client, "BEGIN", NOTHING);
    on_table(client, table, "INSERT INTO %s VALUES (1)");
    CHECK(client, PQtransactionStatus(client->connection) == PQTRANS_INTRANS);
    client_query(client, "COMMIT", NOTHING);
    CHECK(client, count_rows(crowd_other(client), table) == 1);
    client_query(client, "BEGIN", NOTHING);
    on_table(client, table, "INSERT INTO %s VALUES (2)");
    client_query(client, "ROLLBACK", NOTHING);
    CHECK(client, count_rows(crowd_other(client), table) == 1);
    check_savepoints(client, table);
    CHECK(client,
          strcmp(client_value(client, "SHOW transaction_isolation"), "read committed") == 0);
}

/* Sends an INSERT of a value, in a pipeline. */
static void send_insert(struct client *client, const char *table, const char *value)
{
    char sql[200];
    const char *const values[] = {value};
    snprintf(sql, sizeof(sql), "INSERT INTO %s VALUES ($1)", table);
    CHECK(client, PQsendQueryParams(client->connection, sql, 1, NULL, values, NULL, NULL, 0) == 1);
}

static void observe_results(struct client *client, int count)
{
    for (int i = 0; i < count; i++) {
        PGresult *result = PQgetResult(client->connection);
        bool sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        CHECK(client, result != NULL);
        if (client->number == 0)
            crowd_observe(client, "%s; ", sync ? "sync" : client_describe(result));
        PQclear(result);
        if (!sync)
            CHECK(client, PQgetResult(client->connection) == NULL);
    }
}

/* Two groups before the first result is read: the error ends the first one only. */
static void errors_in_pipeline(struct client *client, const char *table)
{
    send_insert(client, table, "1");
    send_insert(client, table, "2");
    send_insert(client, table, "no number");
    send_insert(client, table, "3");
    CHECK(client, PQpipelineSync(client->connection) == 1);
    send_insert(client, table, "4");
    CHECK(client, PQpipelineSync(client->connection) == 1);
    observe_results(client, 5 + 2);
    CHECK(client, PQpipelineStatus(client->connection) == PQ_PIPELINE_ON);
}

static void errors_in_script(struct client *client, const char *table)
{
    char sql[500];
    snprintf(sql, sizeof(sql),
             "INSERT INTO %s VALUES (1); INSERT INTO %s SELECT 1 / 0; INSERT INTO %s VALUES (2)",
             table, table, table);
    PGresult *result = PQexec(client->connection, sql);
    if (client->number == 0)
        crowd_observe(client, "%s; ", client_describe(result));
    PQclear(result);
}

static void errors_between_rows(struct client *client)
{
    int rows = 0;
    PGresult *result;
    CHECK(client,
          PQsendQuery(client->connection,
                      "SELECT 1 / (500 - i), repeat('x', 100) FROM generate_series(1, 1000) i;"
                      " SELECT 'never'") == 1);
    CHECK(client, PQsetSingleRowMode(client->connection) == 1);
    while ((result = PQgetResult(client->connection)) != NULL) {
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
            rows++;
        else if (client->number == 0)
            crowd_observe(client, "%d rows, then %s; ", rows, client_describe(result));
        PQclear(result);
    }
}

void case_pipeline_errors(struct client *client)
{
    char table[80];
    own_table(client, table, sizeof(table), "CREATE TABLE %s (id int)");
    for (int round = 0; round < 5; round++) {
        if (client->mode == CLIENT_PIPELINE)
            errors_in_pipeline(client, table);
        else
            errors_in_script(client, table);
        if (client->mode == CLIENT_SINGLE_ROW)
            errors_between_rows(client);
        CHECK(client, PQtransactionStatus(client->connection) == PQTRANS_IDLE);
    }
    long count = count_rows(client, table);
    if (client->number == 0)
        crowd_observe(client, "%ld rows are in the table", count);
}

static void observe_execution(struct client *client)
{
    PGresult *result = client_try_execute(client, "everything", NOTHING);
    if (client->number != 0)
        return;
    if (client_succeeded(result))
        crowd_observe(client, "%d columns, the first one of type %u; ", PQnfields(result),
                      PQftype(result, 0));
    else
        crowd_observe(client, "%s; ", client_describe(result));
}

static void observe_change(struct client *client, const char *table, const char *alter)
{
    on_table(crowd_other(client), table, alter);
    observe_execution(client);
    observe_execution(client);
    client_query(client, "BEGIN", NOTHING);
    observe_execution(client);
    observe_execution(client);
    client_query(client, "ROLLBACK", NOTHING);
    client_query(client, "DEALLOCATE everything", NOTHING);
}

static void prepare_and_execute(struct client *client, const char *table)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "SELECT * FROM %s", table);
    client_prepare(client, "everything", sql);
    for (int i = 0; i < 6; i++)
        client_execute(client, "everything", NOTHING);
}

void case_schema_change(struct client *client)
{
    char table[80];
    own_table(client, table, sizeof(table), "CREATE TABLE %s (id int)");
    on_table(client, table, "INSERT INTO %s VALUES (1)");
    prepare_and_execute(client, table);
    observe_change(client, table, "ALTER TABLE %s ADD COLUMN word text");
    prepare_and_execute(client, table);
    observe_change(client, table, "ALTER TABLE %s ALTER COLUMN id TYPE bigint");
    prepare_and_execute(client, table);
    observe_change(client, table, "ALTER TABLE %s ADD CHECK (id > 0)");
}
