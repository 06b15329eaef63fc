/* One connection of a case, and the way in which its row executes statements. */

#ifndef DRIVERS_LIBPQ_CLIENT_H
#define DRIVERS_LIBPQ_CLIENT_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Parameters in text format: how many, and which. */
#define TEXTS(...)                                                                                 \
    (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *const[])           \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NOTHING 0, NULL

enum client_mode {
    CLIENT_PLAIN,
    CLIENT_PIPELINE,
    CLIENT_SINGLE_ROW,
};

struct crowd;

/* Used by one thread. */
struct client {
    struct crowd *crowd; /* not owned */
    PGconn *connection;
    PGresult *result; /* owned: what the last statement brought */
    enum client_mode mode;
    int number;    /* 0, 1, ... among those of the case */
    long affected; /* rows, of the last statement */
};

/* A value to be sent in binary format, with the OID of its type. */
struct client_binary {
    Oid type;
    const char *bytes;
    int length;
};

void client_open(struct client *client);
void client_close(struct client *client);

/* Ends the thread, and the case as failed. */
void client_fail(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Fails with the text of the condition unless it holds. */
#define CHECK(client, condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            client_fail(client, "%s:%d: %s", __FILE_NAME__, __LINE__, #condition);                 \
    } while (0)

/*
 * Each executes one statement in the client's mode, and waits for its end. The result belongs to
 * the client and lives until its next statement. The first fails the case on an error of the
 * server; client_try() gives the error to its caller.
 */
PGresult *client_query(struct client *client, const char *sql, int count,
                       const char *const *values);
PGresult *client_try(struct client *client, const char *sql, int count, const char *const *values);
PGresult *client_query_binary(struct client *client, const char *sql, int count,
                              const struct client_binary *values);
PGresult *client_prepare(struct client *client, const char *name, const char *sql);
PGresult *client_execute(struct client *client, const char *name, int count,
                         const char *const *values);
PGresult *client_try_execute(struct client *client, const char *name, int count,
                             const char *const *values);

/* A statement whose one value, of its one row, is wanted as text. */
const char *client_value(struct client *client, const char *sql);

/* Fails unless sql is refused with this SQLSTATE. */
void client_expect_error(struct client *client, const char *sql, const char *sqlstate);

/* Takes all results of a query that the caller has sent, up to the Sync in pipeline mode. */
PGresult *client_finish(struct client *client, int sent);

/* Fails unless the result is a success; what was tried is named in the message. */
PGresult *client_check(struct client *client, PGresult *result, const char *what);

bool client_succeeded(const PGresult *result);
const char *client_sqlstate(const PGresult *result);

/* SQLSTATE and first line of an error, or its command tag: what the user sees. In a ring of few. */
const char *client_describe(const PGresult *result);

/* Waits for the socket to be readable and takes in what is there; false after the time. */
bool client_wait(struct client *client, int milliseconds);

#endif
