/*
 * demo.c: the traffic of ./quickstart. Many clients at once run short transactions, first straight
 * against the server, then through pgsluice, and a table sets the two side by side.
 *
 *   pgsluice-demo [--clients N] [--transactions N] [--at-most N] URL HOST PORT
 *   pgsluice-demo --field KEYWORD URL
 *
 * URL is the server's, HOST and PORT are pgsluice's. The exit status is 1 where a client could not
 * connect to pgsluice, a transaction failed there, changed its server connection half-way, or more
 * than --at-most server connections were seen. The second form prints one field of the URL.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_CLIENTS 1000
#define TIME_LIMIT 120.0 /* seconds for one side */

/* A client's transaction: the two middle statements must name the same server connection. */
static const char *const STATEMENTS[] = {"BEGIN", "SELECT pg_backend_pid()",
                                         "SELECT pg_backend_pid()", "COMMIT"};
enum { STATEMENT_COUNT = sizeof(STATEMENTS) / sizeof(STATEMENTS[0]) };

enum client_phase { PHASE_CONNECTING, PHASE_READY, PHASE_RUNNING, PHASE_DONE };

struct client {
    PGconn *connection;
    enum client_phase phase;
    PostgresPollingStatusType polling; /* while connecting */
    unsigned statement;                /* index of the one that runs */
    unsigned transactions;             /* finished */
    double began;
    int pid;
};

/* What one side did. */
struct run {
    unsigned client_count;
    unsigned per_client;
    struct client clients[MAX_CLIENTS];
    unsigned connected;
    unsigned errors;
    char first_error[512];
    double seconds;
    double *latencies; /* milliseconds, of whole transactions */
    double *waits;     /* milliseconds, until BEGIN was answered */
    size_t latency_count;
    size_t wait_count;
    int *pids; /* distinct */
    size_t pid_count;
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fputs("pgsluice-demo: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

/* SQLAlchemy's "postgresql+driver://" is what libpq knows as "postgresql://". */
static char *url_for_libpq(const char *url)
{
    char *copy = strdup(url);
    if (copy == NULL)
        exit(2);
    char *plus = strchr(copy, '+');
    char *rest = strstr(copy, "://");
    if (plus != NULL && rest != NULL && plus < rest)
        memmove(plus, rest, strlen(rest) + 1);
    return copy;
}

static PQconninfoOption *parse_url(const char *url)
{
    char *plain = url_for_libpq(url);
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(plain, &message);
    free(plain);
    if (options == NULL) {
        fprintf(stderr, "pgsluice-demo: %s", message != NULL ? message : "out of memory\n");
        exit(2);
    }
    return options;
}

/* ---- one side ------------------------------------------------------------------------------ */

static void client_failed(struct run *run, struct client *client, const char *message)
{
    if (run->errors++ == 0)
        snprintf(run->first_error, sizeof run->first_error, "%s", message);
    PQfinish(client->connection);
    client->connection = NULL;
    client->phase = PHASE_DONE;
}

/* Host and port replace those of the URL where they are given. */
static void client_connect(struct client *client, PQconninfoOption *options, const char *host,
                           const char *port)
{
    const char *keywords[64];
    const char *values[64];
    size_t count = 0;
    for (PQconninfoOption *option = options; option->keyword != NULL && count < 60; option++) {
        bool is_place = strcmp(option->keyword, "host") == 0 ||
                        strcmp(option->keyword, "hostaddr") == 0 ||
                        strcmp(option->keyword, "port") == 0;
        if (option->val == NULL || (host != NULL && is_place))
            continue;
        keywords[count] = option->keyword;
        values[count++] = option->val;
    }
    if (host != NULL) {
        keywords[count] = "host";
        values[count++] = host;
        keywords[count] = "port";
        values[count++] = port;
    }
    keywords[count] = NULL;
    values[count] = NULL;
    client->connection = PQconnectStartParams(keywords, values, 0);
    client->polling = PGRES_POLLING_WRITING;
    client->phase = PHASE_CONNECTING;
}

static void client_send(struct run *run, struct client *client)
{
    if (!PQsendQuery(client->connection, STATEMENTS[client->statement]))
        client_failed(run, client, PQerrorMessage(client->connection));
}

static void client_begin(struct run *run, struct client *client)
{
    if (client->transactions == run->per_client) {
        client->phase = PHASE_DONE;
        return;
    }
    client->phase = PHASE_RUNNING;
    client->statement = 0;
    client->pid = 0;
    client->began = seconds_now();
    client_send(run, client);
}

static void remember_pid(struct run *run, int pid)
{
    for (size_t i = 0; i < run->pid_count; i++)
        if (run->pids[i] == pid)
            return;
    run->pids[run->pid_count++] = pid;
}

/* Takes one result; false where the client failed and is gone. */
static bool client_take_result(struct run *run, struct client *client, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        client_failed(run, client, PQresultErrorMessage(result));
        return false;
    }
    if (status == PGRES_COMMAND_OK)
        return true;
    int pid = atoi(PQgetvalue(result, 0, 0));
    if (client->pid != 0 && client->pid != pid) {
        client_failed(run, client, "a transaction changed its server connection half-way\n");
        return false;
    }
    if (client->pid == 0 && run->pid_count < (size_t)run->client_count * run->per_client)
        remember_pid(run, pid);
    client->pid = pid;
    return true;
}

static void client_statement_done(struct run *run, struct client *client)
{
    double now = seconds_now();
    if (client->statement == 0)
        run->waits[run->wait_count++] = (now - client->began) * 1e3;
    if (++client->statement < STATEMENT_COUNT) {
        client_send(run, client);
        return;
    }
    run->latencies[run->latency_count++] = (now - client->began) * 1e3;
    client->transactions++;
    client_begin(run, client);
}

static void client_read(struct run *run, struct client *client)
{
    if (!PQconsumeInput(client->connection)) {
        client_failed(run, client, PQerrorMessage(client->connection));
        return;
    }
    while (client->phase == PHASE_RUNNING && !PQisBusy(client->connection)) {
        PGresult *result = PQgetResult(client->connection);
        if (result == NULL) {
            client_statement_done(run, client);
            continue;
        }
        bool alive = client_take_result(run, client, result);
        PQclear(result);
        if (!alive)
            return;
    }
}

static void client_go_on_connecting(struct run *run, struct client *client)
{
    client->polling = PQconnectPoll(client->connection);
    if (client->polling == PGRES_POLLING_FAILED) {
        client_failed(run, client, PQerrorMessage(client->connection));
    } else if (client->polling == PGRES_POLLING_OK) {
        run->connected++;
        client->phase = PHASE_READY;
    }
}

static short client_wants(const struct client *client)
{
    bool writing = client->phase == PHASE_CONNECTING && client->polling == PGRES_POLLING_WRITING;
    return writing ? POLLOUT : POLLIN;
}

/* Serves every client in the given phase until none is left in it. */
static void run_phase(struct run *run, enum client_phase phase, double deadline,
                      void (*serve)(struct run *run, struct client *client))
{
    struct pollfd polls[MAX_CLIENTS];
    struct client *polled[MAX_CLIENTS];
    for (;;) {
        nfds_t count = 0;
        for (unsigned i = 0; i < run->client_count; i++) {
            struct client *client = &run->clients[i];
            if (client->phase != phase)
                continue;
            polls[count] =
                (struct pollfd){.fd = PQsocket(client->connection), .events = client_wants(client)};
            polled[count++] = client;
        }
        if (count == 0)
            return;
        bool late = seconds_now() > deadline;
        if (!late && poll(polls, count, 1000) < 0 && errno != EINTR)
            late = true;
        for (nfds_t i = 0; i < count; i++) {
            if (late)
                client_failed(run, polled[i], "no answer within the time limit\n");
            else if (polls[i].revents != 0)
                serve(run, polled[i]);
        }
    }
}

static struct run *run_side(PQconninfoOption *options, const char *host, const char *port,
                            unsigned clients, unsigned transactions)
{
    struct run *run = allocate(1, sizeof *run);
    size_t total = (size_t)clients * transactions;
    run->client_count = clients;
    run->per_client = transactions;
    run->latencies = allocate(total, sizeof *run->latencies);
    run->waits = allocate(total, sizeof *run->waits);
    run->pids = allocate(total, sizeof *run->pids);

    double deadline = seconds_now() + TIME_LIMIT;
    for (unsigned i = 0; i < clients; i++) {
        client_connect(&run->clients[i], options, host, port);
        if (run->clients[i].connection == NULL ||
            PQstatus(run->clients[i].connection) == CONNECTION_BAD)
            client_failed(run, &run->clients[i], PQerrorMessage(run->clients[i].connection));
    }
    run_phase(run, PHASE_CONNECTING, deadline, client_go_on_connecting);

    double began = seconds_now();
    for (unsigned i = 0; i < clients; i++)
        if (run->clients[i].phase == PHASE_READY)
            client_begin(run, &run->clients[i]);
    run_phase(run, PHASE_RUNNING, deadline, client_read);
    run->seconds = seconds_now() - began;

    for (unsigned i = 0; i < clients; i++)
        PQfinish(run->clients[i].connection);
    return run;
}

static void run_free(struct run *run)
{
    free(run->latencies);
    free(run->waits);
    free(run->pids);
    free(run);
}

/* ---- the table ----------------------------------------------------------------------------- */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile(const double *sorted, size_t count, double part)
{
    return count == 0 ? 0.0 : sorted[(size_t)(part * (double)(count - 1))];
}

static void print_counts(const char *name, size_t direct, size_t pooled)
{
    printf("  %-34s %12zu %18zu\n", name, direct, pooled);
}

static void print_times(const char *name, double direct, double pooled)
{
    printf("  %-34s %12.2f %18.2f\n", name, direct, pooled);
}

static void print_table(struct run *direct, struct run *pooled)
{
    struct run *sides[] = {direct, pooled};
    for (int i = 0; i < 2; i++) {
        qsort(sides[i]->latencies, sides[i]->latency_count, sizeof(double), compare_doubles);
        qsort(sides[i]->waits, sides[i]->wait_count, sizeof(double), compare_doubles);
    }
    printf("  %-34s %12s %18s\n", "", "direct", "through pgsluice");
    print_counts("clients connected", direct->connected, pooled->connected);
    print_counts("transactions", direct->latency_count, pooled->latency_count);
    print_counts("server connections seen", direct->pid_count, pooled->pid_count);
    print_counts("errors", direct->errors, pooled->errors);
    print_times("transactions a second", (double)direct->latency_count / direct->seconds,
                (double)pooled->latency_count / pooled->seconds);
    static const struct {
        const char *name;
        double part;
    } ROWS[] = {{"median", 0.5}, {"95 of 100 within", 0.95}, {"99 of 100 within", 0.99}};
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "transaction, ms: %s", ROWS[i].name);
        print_times(name, percentile(direct->latencies, direct->latency_count, ROWS[i].part),
                    percentile(pooled->latencies, pooled->latency_count, ROWS[i].part));
    }
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i += 2) {
        char name[64];
        snprintf(name, sizeof name, "wait for BEGIN, ms: %s", ROWS[i].name);
        print_times(name, percentile(direct->waits, direct->wait_count, ROWS[i].part),
                    percentile(pooled->waits, pooled->wait_count, ROWS[i].part));
    }
    if (direct->errors > 0)
        printf("  direct: %s", direct->first_error);
    if (pooled->errors > 0)
        printf("  through pgsluice: %s", pooled->first_error);
}

static int print_field(const char *keyword, const char *url)
{
    PQconninfoOption *options = parse_url(url);
    for (PQconninfoOption *option = options; option->keyword != NULL; option++)
        if (strcmp(option->keyword, keyword) == 0 && option->val != NULL)
            puts(option->val);
    PQconninfoFree(options);
    return 0;
}

static unsigned number(const char *text, unsigned most)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value == 0 || value > most) {
        fprintf(stderr, "pgsluice-demo: \"%s\" is not a number from 1 to %u\n", text, most);
        exit(2);
    }
    return (unsigned)value;
}

int main(int argc, char **argv)
{
    unsigned clients = 100;
    unsigned transactions = 100;
    unsigned at_most = MAX_CLIENTS;
    int next = 1;
    if (argc == 4 && strcmp(argv[1], "--field") == 0)
        return print_field(argv[2], argv[3]);
    for (; next + 1 < argc && strncmp(argv[next], "--", 2) == 0; next += 2) {
        if (strcmp(argv[next], "--clients") == 0)
            clients = number(argv[next + 1], MAX_CLIENTS);
        else if (strcmp(argv[next], "--transactions") == 0)
            transactions = number(argv[next + 1], 100000);
        else if (strcmp(argv[next], "--at-most") == 0)
            at_most = number(argv[next + 1], MAX_CLIENTS);
        else
            break;
    }
    if (argc - next != 3) {
        fputs("usage: pgsluice-demo [--clients N] [--transactions N] [--at-most N] URL HOST PORT\n"
              "       pgsluice-demo --field KEYWORD URL\n",
              stderr);
        return 2;
    }

    PQconninfoOption *options = parse_url(argv[next]);
    struct run *direct = run_side(options, NULL, NULL, clients, transactions);
    struct run *pooled = run_side(options, argv[next + 1], argv[next + 2], clients, transactions);
    print_table(direct, pooled);
    bool passed = pooled->errors == 0 && pooled->connected == clients &&
                  pooled->latency_count == (size_t)clients * transactions &&
                  pooled->pid_count <= at_most;
    run_free(direct);
    run_free(pooled);
    PQconninfoFree(options);
    return passed ? 0 : 1;
}
