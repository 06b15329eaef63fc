#include "daemon/probe.h"

#include "base/clock.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_POLL_MILLISECONDS 100
#define PROBE_KEYWORDS 16

/* Comma-separated lists of hosts, as libpq takes them. */
static void probe_join_hosts(const struct settings *settings, char *hosts, char *addresses,
                             char *ports, size_t size)
{
    size_t h = 0, a = 0, p = 0;
    hosts[0] = addresses[0] = ports[0] = '\0';
    for (size_t i = 0; i < settings->host_count; i++) {
        const struct settings_host *host = &settings->hosts[i];
        const char *comma = i > 0 ? "," : "";
        h += (size_t)snprintf(hosts + h, h < size ? size - h : 0, "%s%s", comma,
                              host->host != NULL ? host->host : "");
        a += (size_t)snprintf(addresses + a, a < size ? size - a : 0, "%s%s", comma,
                              host->hostaddr != NULL ? host->hostaddr : "");
        p += (size_t)snprintf(ports + p, p < size ? size - p : 0, "%s%u", comma, host->port);
    }
}

static PGconn *probe_start(const struct settings *settings)
{
    char hosts[1024], addresses[1024], ports[256];
    probe_join_hosts(settings, hosts, addresses, ports, sizeof ports);
    bool has_addresses = strspn(addresses, ",") != strlen(addresses);
    const char *keywords[PROBE_KEYWORDS], *values[PROBE_KEYWORDS];
    size_t count = 0;
#define PROBE_SET(keyword, value) (keywords[count] = (keyword), values[count++] = (value))
    PROBE_SET("host", hosts);
    if (has_addresses)
        PROBE_SET("hostaddr", addresses);
    PROBE_SET("port", ports);
    PROBE_SET("dbname", settings->server_database);
    PROBE_SET("user", settings->server_user);
    if (settings->server_password != NULL)
        PROBE_SET("password", settings->server_password);
    PROBE_SET("target_session_attrs", settings_target_names[settings->target]);
    PROBE_SET("application_name", "pgsluice startup check");
    PROBE_SET("sslmode", "disable");
    PROBE_SET("gssencmode", "disable");
#undef PROBE_SET
    keywords[count] = values[count] = NULL;
    return PQconnectStartParams(keywords, values, 0);
}

static bool probe_expired(microseconds begin, microseconds limit, const atomic_bool *stop)
{
    return (limit != CLOCK_OFF && clock_monotonic() - begin > limit) ||
           (stop != NULL && atomic_load(stop));
}

/* Waits until the socket is ready for what libpq wants; false where the time is over. */
static bool probe_wait(PGconn *connection, short events, microseconds begin, microseconds limit,
                       const atomic_bool *stop)
{
    for (;;) {
        struct pollfd item = {.fd = PQsocket(connection), .events = events};
        if (poll(&item, 1, PROBE_POLL_MILLISECONDS) > 0)
            return true;
        if (probe_expired(begin, limit, stop))
            return false;
    }
}

static bool probe_connect(PGconn *connection, microseconds begin, microseconds limit,
                          const atomic_bool *stop)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (PQstatus(connection) != CONNECTION_BAD) {
        if (!probe_wait(connection, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, begin,
                        limit, stop))
            return false;
        status = PQconnectPoll(connection);
        if (status == PGRES_POLLING_OK)
            return true;
        if (status == PGRES_POLLING_FAILED)
            return true; /* PQstatus says so */
    }
    return true;
}

static bool probe_read(PGconn *connection, microseconds begin, microseconds limit,
                       const atomic_bool *stop, struct probe_result *result)
{
    static const char sql[] =
        "SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_database(),"
        " (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity"
        "   WHERE datname = pg_catalog.current_database()), 1";
    if (!PQsendQuery(connection, sql))
        return true;
    while (PQisBusy(connection)) {
        if (!probe_wait(connection, POLLIN, begin, limit, stop))
            return false;
        if (!PQconsumeInput(connection))
            return true;
    }
    PGresult *rows = PQgetResult(connection);
    if (PQresultStatus(rows) == PGRES_TUPLES_OK) {
        result->reached = true;
        snprintf(result->server_version, sizeof result->server_version, "%.*s",
                 (int)strcspn(PQgetvalue(rows, 0, 0), " "), PQgetvalue(rows, 0, 0));
        snprintf(result->current_database, sizeof result->current_database, "%s",
                 PQgetvalue(rows, 0, 1));
        result->active_connections = strtol(PQgetvalue(rows, 0, 2), NULL, 10);
    }
    PQclear(rows);
    return true;
}

/* libpq's words end in a line feed and may have several lines, indented ones too: one line. */
static void probe_copy_error(const char *message, struct probe_result *result)
{
    size_t length = 0;
    for (const char *at = message; *at != '\0' && length + 1 < sizeof result->error; at++) {
        bool is_blank = strchr(" \t\n", *at) != NULL;
        if (!is_blank)
            result->error[length++] = *at;
        else if (length > 0 && result->error[length - 1] != ' ')
            result->error[length++] = ' ';
    }
    if (length > 0 && result->error[length - 1] == ' ')
        length--;
    result->error[length] = '\0';
}

void probe_database(const struct settings *settings, const atomic_bool *stop,
                    struct probe_result *result)
{
    microseconds begin = clock_monotonic();
    microseconds limit = settings->connect_timeout * (microseconds)settings->host_count;
    memset(result, 0, sizeof *result);
    PGconn *connection = probe_start(settings);
    bool in_time = connection != NULL && probe_connect(connection, begin, limit, stop);
    if (in_time && PQstatus(connection) == CONNECTION_OK)
        in_time = probe_read(connection, begin, limit, stop, result);
    if (!result->reached) {
        if (in_time || connection == NULL)
            probe_copy_error(connection != NULL ? PQerrorMessage(connection) : "out of memory",
                             result);
        else
            snprintf(result->error, sizeof result->error, "connect_timeout (%.1f s) expired",
                     (double)limit / 1e6);
    }
    PQfinish(connection);
    result->milliseconds = (double)(clock_monotonic() - begin) / 1000.0;
}
