/* Rows written and read back, parameters of many types, many prepared statements, many statements
 * at once, large values. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "crowd.h"

enum {
    ROWS = 20,
    STATEMENTS = 300,
    BATCH = 200,
    LARGE = 64 * 1024 * 1024,
    QUICK_LARGE = 4 * 1024 * 1024,
};

/* Runs sql, in which %s stands for the case's table; count of the rows that it touched. */
static long change(struct client *client, const char *sql, int count, const char *const *values)
{
    char text[400];
    snprintf(text, sizeof(text), sql, crowd_table(client));
    client_query(client, text, count, values);
    return client->affected;
}

static void make_table(struct client *client, const char *create)
{
    if (client->number == 0) {
        change(client, "DROP TABLE IF EXISTS %s", NOTHING);
        change(client, create, NOTHING);
    }
    crowd_meet(client);
}

static void check_rows(struct client *client, const char *who, const char *format)
{
    char text[200], wanted[40];
    snprintf(text, sizeof(text), "SELECT id, word FROM %s WHERE who = $1 ORDER BY id",
             crowd_table(client));
    PGresult *result = client_query(client, text, TEXTS(who));
    CHECK(client, PQntuples(result) == ROWS);
    for (int i = 0; i < ROWS; i++) {
        snprintf(wanted, sizeof(wanted), format, i);
        CHECK(client, atoi(PQgetvalue(result, i, 0)) == i);
        CHECK(client, strcmp(PQgetvalue(result, i, 1), wanted) == 0);
    }
}

void case_crud(struct client *client)
{
    char who[12], id[12], word[40], insert[200];
    make_table(client, "CREATE TABLE %s (who int, id int, word text, PRIMARY KEY (who, id))");
    snprintf(who, sizeof(who), "%d", client->number);
    snprintf(insert, sizeof(insert), "INSERT INTO %s VALUES ($1, $2, $3)", crowd_table(client));
    client_prepare(client, "insert_row", insert);
    for (int i = 0; i < ROWS; i++) {
        snprintf(id, sizeof(id), "%d", i);
        snprintf(word, sizeof(word), "word %d", i);
        client_execute(client, "insert_row", TEXTS(who, id, word));
        CHECK(client, client->affected == 1);
    }
    check_rows(client, who, "word %d");
    for (int i = 0; i < ROWS; i++) {
        snprintf(id, sizeof(id), "%d", i);
        CHECK(client, change(client, "UPDATE %s SET word = 'new ' || id WHERE who = $1 AND id = $2",
                             TEXTS(who, id)) == 1);
    }
    check_rows(client, who, "new %d");
    CHECK(client, change(client, "DELETE FROM %s WHERE who = $1 AND id = 3", TEXTS(who)) == 1);
    CHECK(client, change(client, "DELETE FROM %s WHERE who = $1", TEXTS(who)) == ROWS - 1);
    CHECK(client, change(client, "SELECT FROM %s WHERE who = $1", TEXTS(who)) == 0);
}

static const struct {
    const char *type, *value;
} as_text[] = {
    {"int2", "-32768"},
    {"int4", "2147483647"},
    {"int8", "-9223372036854775808"},
    {"numeric", "12345678901234567890.123456789"},
    {"float8", "0.1"},
    {"bool", "t"},
    {"text", ""},
    {"text", "it's \"quoted\" \\ back\\slash"},
    {"text", "Grüße, 你好, \xf0\x9f\x90\x98"},
    {"date", "2024-02-29"},
    {"timestamp", "2024-02-29 23:59:59.123456"},
    {"timestamptz", "2024-02-29 23:59:59.123456+00"},
    {"interval", "1 year 2 mons 3 days 04:05:06.789"},
    {"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {"json", "{\"a\" : [1, null]}"},
    {"jsonb", "{\"a\": [1, null]}"},
    {"int[]", "{1,2,-3}"},
    {"text[]", "{a,NULL,\"with, comma\",\"\"}"},
    {"mood", "happy"},
    {"inet", "192.168.0.0/24"},
    {"int4", NULL},
    {"text", NULL},
    {"jsonb", NULL},
    {"mood", NULL},
};

static void check_as_text(struct client *client)
{
    char sql[60];
    client_query(client, "SET timezone = 'UTC'", NOTHING);
    for (size_t i = 0; i < sizeof(as_text) / sizeof(as_text[0]); i++) {
        const char *wanted = as_text[i].value;
        snprintf(sql, sizeof(sql), "SELECT $1::%s", as_text[i].type);
        PGresult *result = client_query(client, sql, TEXTS(wanted));
        const char *found = PQgetisnull(result, 0, 0) ? NULL : PQgetvalue(result, 0, 0);
        if (wanted == NULL ? found != NULL : found == NULL || strcmp(found, wanted) != 0)
            client_fail(client, "%s: %s came back as %s", as_text[i].type,
                        wanted == NULL ? "NULL" : wanted, found == NULL ? "NULL" : found);
    }
}

static void check_as_binary(struct client *client)
{
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    const struct client_binary values[] = {
        {17, all, sizeof(all)},                        /* bytea */
        {21, "\x80\x00", 2},                           /* int2 */
        {23, "\x00\x00\x01\x02", 4},                   /* int4 */
        {20, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8},   /* int8 */
        {701, "\x3f\xf8\x00\x00\x00\x00\x00\x00", 8},  /* float8 */
        {16, "\x01", 1},                               /* bool */
        {2950, "0123456789abcdef", 16},                /* uuid */
        {1114, "\x00\x02\x9f\x05\x3c\x1a\x40\x00", 8}, /* timestamp */
        {25, "", 0},                                   /* text */
        {25, NULL, 0},
    };
    const int count = sizeof(values) / sizeof(values[0]);
    PGresult *result = client_query_binary(client, "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10",
                                           count, values);
    for (int i = 0; i < count; i++) {
        CHECK(client, PQgetisnull(result, 0, i) == (values[i].bytes == NULL));
        CHECK(client, PQftype(result, i) == values[i].type);
        CHECK(client, PQgetlength(result, 0, i) == values[i].length);
        CHECK(client,
              memcmp(PQgetvalue(result, 0, i), values[i].bytes == NULL ? "" : values[i].bytes,
                     (size_t)values[i].length) == 0);
    }
}

void case_types(struct client *client)
{
    if (client->number == 0)
        client_query(client,
                     "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');"
                     " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
                     NOTHING);
    crowd_meet(client);
    check_as_text(client);
    check_as_binary(client);
}

/* Statements differ in text and in the type of what they give. */
static void name_statement(int i, char *name, size_t size)
{
    snprintf(name, size, "statement %d", i);
}

static void prepare_one(struct client *client, int i)
{
    static const char *const types[] = {"int4", "text", "numeric", "float8", "int8"};
    char name[40], sql[100];
    name_statement(i, name, sizeof(name));
    snprintf(sql, sizeof(sql), "SELECT %d + $1::int4, ($1::int4)::%s AS value_%d", i, types[i % 5],
             i);
    client_prepare(client, name, sql);
}

static void execute_one(struct client *client, int i, int value)
{
    char name[40], text[12];
    name_statement(i, name, sizeof(name));
    snprintf(text, sizeof(text), "%d", value);
    PGresult *result = client_execute(client, name, TEXTS(text));
    CHECK(client, atoi(PQgetvalue(result, 0, 0)) == i + value);
    CHECK(client, strcmp(PQgetvalue(result, 0, 1), text) == 0);
    snprintf(name, sizeof(name), "value_%d", i);
    CHECK(client, strcmp(PQfname(result, 1), name) == 0);
}

void case_statements(struct client *client)
{
    char sql[100];
    for (int i = 0; i < STATEMENTS; i++)
        prepare_one(client, i);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < STATEMENTS; i++) {
            for (int value = 0; value <= round; value++)
                execute_one(client, i, value);
        }
    }
    for (int i = 0; i < STATEMENTS; i += 7) {
        snprintf(sql, sizeof(sql), "DEALLOCATE \"statement %d\"", i);
        client_query(client, sql, NOTHING);
        snprintf(sql, sizeof(sql), "EXECUTE \"statement %d\" (1)", i);
        client_expect_error(client, sql, "26000");
        prepare_one(client, i);
        execute_one(client, i, 4);
    }
}

/* The results of BATCH statements that have been sent, in order. */
static void take_batch(struct client *client)
{
    for (int i = 0; i < BATCH; i++) {
        if (client->mode == CLIENT_SINGLE_ROW) {
            PGresult *row = PQgetResult(client->connection);
            CHECK(client, PQresultStatus(row) == PGRES_SINGLE_TUPLE);
            CHECK(client, atoi(PQgetvalue(row, 0, 0)) == i);
            PQclear(row);
        }
        PGresult *result = PQgetResult(client->connection);
        CHECK(client, PQresultStatus(result) == PGRES_TUPLES_OK);
        if (client->mode != CLIENT_SINGLE_ROW)
            CHECK(client, atoi(PQgetvalue(result, 0, 0)) == i);
        PQclear(result);
        if (client->mode == CLIENT_PIPELINE)
            CHECK(client, PQgetResult(client->connection) == NULL);
    }
}

static void send_pipeline(struct client *client)
{
    char text[12];
    const char *const values[] = {text};
    for (int i = 0; i < BATCH; i++) {
        snprintf(text, sizeof(text), "%d", i);
        CHECK(client, PQsendQueryParams(client->connection, "SELECT $1::int4", 1, NULL, values,
                                        NULL, NULL, 0) == 1);
    }
    CHECK(client, PQpipelineSync(client->connection) == 1);
}

static void send_script(struct client *client)
{
    char script[BATCH * 16] = "";
    size_t length = 0;
    for (int i = 0; i < BATCH; i++)
        length += (size_t)snprintf(script + length, sizeof(script) - length, "SELECT %d;", i);
    CHECK(client, PQsendQuery(client->connection, script) == 1);
    if (client->mode == CLIENT_SINGLE_ROW)
        CHECK(client, PQsetSingleRowMode(client->connection) == 1);
}

void case_batch(struct client *client)
{
    for (int round = 0; round < 5; round++) {
        if (client->mode == CLIENT_PIPELINE)
            send_pipeline(client);
        else
            send_script(client);
        take_batch(client);
        PGresult *end = PQgetResult(client->connection);
        if (client->mode == CLIENT_PIPELINE)
            CHECK(client, PQresultStatus(end) == PGRES_PIPELINE_SYNC);
        else
            CHECK(client, end == NULL);
        PQclear(end);
    }
}

void case_large_rows(struct client *client)
{
    const int size = getenv("QUICK") == NULL ? LARGE : QUICK_LARGE;
    char *bytes = malloc((size_t)size);
    for (int i = 0; i < size; i++)
        bytes[i] = (char)((unsigned)i * 2654435761U >> 13);
    const struct client_binary value = {17, bytes, size};
    PGresult *result = client_query_binary(client, "SELECT $1::bytea", 1, &value);
    bool equal = PQgetlength(result, 0, 0) == size &&
                 memcmp(PQgetvalue(result, 0, 0), bytes, (size_t)size) == 0;
    free(bytes);
    CHECK(client, equal);
    CHECK(client, strcmp(client_value(client, "SELECT 1"), "1") == 0);
}
