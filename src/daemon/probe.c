#include "daemon/probe.h"

#include "base/buffer.h"
#include "base/clock.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_POLL_MILLISECONDS 100
#define PROBE_KEYWORDS 16

/* One attempt at one host. */
struct probe {
    const struct settings *settings;
    const struct settings_host *host;
    const char *target; /* target_session_attrs */
    const atomic_bool *stop;
    microseconds begin;
    PGconn *connection;
};

/* The pool's startup parameters, as `options` takes them: "-c name=value", with blanks escaped. */
static void probe_write_options(const struct pairs *settings, struct buffer *options)
{
    for (size_t i = 0; i < settings->count; i++) {
        buffer_append(options, " -c ", 4);
        buffer_append(options, settings->items[i].name, strlen(settings->items[i].name));
        buffer_append(options, "=", 1);
        for (const char *at = settings->items[i].value; *at != '\0'; at++) {
            if (strchr(" \\\t\n", *at) != NULL)
                buffer_append(options, "\\", 1);
            buffer_append(options, at, 1);
        }
    }
    buffer_append(options, "", 1);
}

static PGconn *probe_start(const struct probe *probe)
{
    const struct settings *settings = probe->settings;
    const struct settings_host *host = probe->host;
    char port[16];
    snprintf(port, sizeof port, "%u", host->port);
    struct buffer options = {0};
    probe_write_options(&settings->server_settings, &options);
    const char *keywords[PROBE_KEYWORDS], *values[PROBE_KEYWORDS];
    size_t count = 0;
#define PROBE_SET(keyword, value) (keywords[count] = (keyword), values[count++] = (value))
    if (host->host != NULL)
        PROBE_SET("host", host->host);
    if (host->hostaddr != NULL)
        PROBE_SET("hostaddr", host->hostaddr);
    PROBE_SET("port", port);
    PROBE_SET("dbname", settings->server_database);
    PROBE_SET("user", settings->server_user);
    if (settings->server_password != NULL)
        PROBE_SET("password", settings->server_password);
    PROBE_SET("target_session_attrs", probe->target);
    PROBE_SET("application_name", "pgsluice connection test");
    PROBE_SET("options", (const char *)buffer_bytes(&options));
    PROBE_SET("sslmode", "disable");
    PROBE_SET("gssencmode", "disable");
#undef PROBE_SET
    keywords[count] = values[count] = NULL;
    PGconn *connection = PQconnectStartParams(keywords, values, 0);
    buffer_release(&options);
    if (connection != NULL)
        PQsetErrorVerbosity(connection, PQERRORS_VERBOSE); /* it has the SQLSTATE */
    return connection;
}

static bool probe_expired(const struct probe *probe)
{
    microseconds limit = probe->settings->connect_timeout;
    return (limit != CLOCK_OFF && clock_monotonic() - probe->begin > limit) ||
           (probe->stop != NULL && atomic_load(probe->stop));
}

/* Waits until the socket is ready for what libpq wants; false where the time is over. */
static bool probe_wait(const struct probe *probe, short events)
{
    for (;;) {
        struct pollfd item = {.fd = PQsocket(probe->connection), .events = events};
        if (poll(&item, 1, PROBE_POLL_MILLISECONDS) > 0)
            return true;
        if (probe_expired(probe))
            return false;
    }
}

static bool probe_connect(const struct probe *probe)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (PQstatus(probe->connection) != CONNECTION_BAD) {
        if (!probe_wait(probe, status == PGRES_POLLING_READING ? POLLIN : POLLOUT))
            return false;
        status = PQconnectPoll(probe->connection);
        if (status == PGRES_POLLING_OK || status == PGRES_POLLING_FAILED)
            return true; /* PQstatus says which */
    }
    return true;
}

/*
 * Of other users' connections pg_stat_activity shows whose they are and to which database, but not
 * what they do, nor what kind of process they are. Superusers are held by max_connections alone.
 */
static const char probe_sql[] =
    "WITH me AS (SELECT rolname, rolconnlimit, rolsuper FROM pg_catalog.pg_roles"
    "   WHERE rolname = SESSION_USER),"
    " server AS (SELECT pg_catalog.current_setting('max_connections')::bigint AS most,"
    "   pg_catalog.current_setting('superuser_reserved_connections')::bigint"
    "   + COALESCE(pg_catalog.current_setting('reserved_connections', true), '0')::bigint AS kept),"
    " limits (value, words) AS ("
    "   SELECT most, 'max_connections' FROM server, me WHERE rolsuper"
    "   UNION ALL SELECT most - kept,"
    "     pg_catalog.format('max_connections %s, of which %s are reserved', most, kept)"
    "     FROM server, me WHERE NOT rolsuper"
    "   UNION ALL SELECT rolconnlimit, pg_catalog.format('CONNECTION LIMIT of user \"%s\"', "
    "rolname)"
    "     FROM me WHERE rolconnlimit >= 0 AND NOT rolsuper"
    "   UNION ALL SELECT datconnlimit,"
    "     pg_catalog.format('CONNECTION LIMIT of database \"%s\"', datname)"
    "     FROM pg_catalog.pg_database, me"
    "     WHERE datname = pg_catalog.current_database() AND datconnlimit >= 0 AND NOT rolsuper),"
    " least (value, words) AS (SELECT value, words FROM limits ORDER BY value LIMIT 1)"
    " SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_database(),"
    "   pg_catalog.count(*), pg_catalog.count(*) FILTER"
    "     (WHERE state = 'active' AND pid <> pg_catalog.pg_backend_pid()),"
    "   (SELECT value FROM least), (SELECT words FROM least)"
    " FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database()"
    "   AND (backend_type IS NULL OR backend_type = 'client backend')";

static void probe_take_row(const PGresult *rows, struct probe_result *result)
{
    result->reached = true;
    snprintf(result->server_version, sizeof result->server_version, "%.*s",
             (int)strcspn(PQgetvalue(rows, 0, 0), " "), PQgetvalue(rows, 0, 0));
    snprintf(result->current_database, sizeof result->current_database, "%s",
             PQgetvalue(rows, 0, 1));
    result->connections = strtol(PQgetvalue(rows, 0, 2), NULL, 10);
    result->running = strtol(PQgetvalue(rows, 0, 3), NULL, 10);
    result->limit = strtol(PQgetvalue(rows, 0, 4), NULL, 10);
    snprintf(result->limit_of, sizeof result->limit_of, "%s", PQgetvalue(rows, 0, 5));
}

static bool probe_read(const struct probe *probe, struct probe_result *result)
{
    if (!PQsendQuery(probe->connection, probe_sql))
        return true;
    while (PQisBusy(probe->connection)) {
        if (!probe_wait(probe, POLLIN))
            return false;
        if (!PQconsumeInput(probe->connection))
            return true;
    }
    PGresult *rows = PQgetResult(probe->connection);
    if (PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) == 1)
        probe_take_row(rows, result);
    PQclear(rows);
    return true;
}

/* Each run of blanks becomes one. */
static void probe_add_line(const char *line, size_t length, struct probe_result *result)
{
    size_t at = strlen(result->error);
    for (size_t i = 0; i < length && at + 2 < sizeof result->error; i++) {
        bool is_blank = strchr(" \t", line[i]) != NULL;
        if (!is_blank)
            result->error[at++] = line[i];
        else if (at > 0 && result->error[at - 1] != ' ') /* lines may be indented */
            result->error[at++] = ' ';
    }
    result->error[at] = '\0';
}

/* libpq's words as one line, without those that name places in the server's source. */
static void probe_add_error(const char *message, struct probe_result *result)
{
    const char *separator = result->error[0] != '\0' ? " / " : "";
    while (*message != '\0') {
        size_t length = strcspn(message, "\n");
        if (strncmp(message, "LOCATION:", 9) != 0) {
            probe_add_line(separator, strlen(separator), result);
            probe_add_line(message, length, result);
            separator = "; ";
        }
        message += length + (message[length] == '\n');
    }
}

/* As pgsluice itself words it for its clients. */
static void probe_add_timeout(const struct probe *probe, struct probe_result *result)
{
    char message[512];
    snprintf(message, sizeof message,
             "connection to server at \"%s\", port %s failed: connect_timeout (%.1f s) expired",
             result->host, result->port, (double)probe->settings->connect_timeout / 1e6);
    probe_add_error(message, result);
}

static void probe_name_host(const struct probe *probe, struct probe_result *result)
{
    const struct settings_host *host = probe->host;
    snprintf(result->host, sizeof result->host, "%s",
             host->host != NULL ? host->host : host->hostaddr);
    snprintf(result->port, sizeof result->port, "%u", host->port);
}

static void probe_host(struct probe *probe, struct probe_result *result)
{
    probe_name_host(probe, result);
    probe->begin = clock_monotonic();
    probe->connection = probe_start(probe);
    if (probe->connection == NULL) {
        probe_add_error("out of memory", result);
        return;
    }
    bool in_time = probe_connect(probe);
    if (in_time && PQstatus(probe->connection) == CONNECTION_OK)
        in_time = probe_read(probe, result);
    result->encrypted = PQsslInUse(probe->connection) != 0;
    if (!result->reached && in_time)
        probe_add_error(PQerrorMessage(probe->connection), result);
    else if (!result->reached)
        probe_add_timeout(probe, result);
    PQfinish(probe->connection);
}

/* Host after host, each under a connect_timeout of its own, as a pool tries them. */
static void probe_hosts(struct probe *probe, const char *target, struct probe_result *result)
{
    probe->target = target;
    for (size_t i = 0; i < probe->settings->host_count && !result->reached; i++) {
        if (probe->stop != NULL && atomic_load(probe->stop))
            return;
        probe->host = &probe->settings->hosts[i];
        probe_host(probe, result);
    }
}

void probe_database(const struct settings *settings, const atomic_bool *stop,
                    struct probe_result *result)
{
    microseconds begin = clock_monotonic();
    struct probe probe = {.settings = settings, .stop = stop};
    memset(result, 0, sizeof *result);
    if (settings->target != SETTINGS_TARGET_PREFER_STANDBY) {
        probe_hosts(&probe, settings_target_names[settings->target], result);
    } else {
        probe_hosts(&probe, "standby", result);
        result->error[0] = '\0';
        if (!result->reached)
            probe_hosts(&probe, "any", result);
    }
    result->milliseconds = (double)(clock_monotonic() - begin) / 1000.0;
}
