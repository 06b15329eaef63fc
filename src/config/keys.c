#include "config/keys.h"

#include "config/config.h"
#include "config/lists.h"
#include "config/server_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_POOL (KEYS_POOL | KEYS_DATABASE | KEYS_USER)
#define SECOND CLOCK_SECOND
#define DAY (86400 * CLOCK_SECOND)

#define CONFIG(field) .sections = KEYS_PGSLUICE, .offset = offsetof(struct config, field)
#define SETTINGS(field) .sections = IN_POOL, .offset = offsetof(struct settings, field)

static const char *const auth_names[] = {"trust", "password", "md5", "scram-sha-256", NULL};
static const char *const severity_names[] = {"debug", "info", "warning", "error", NULL};
static const char *const mode_names[] = {"transaction", "session", "statement", NULL};
static const char *const state_names[] = {"ask", "always", "reset", "off", NULL};
static const char *const ping_names[] = {"off", "on", "always", NULL};
static const char *const lost_names[] = {"notice", "close", NULL};
static const char *const pin_names[] = {"allow", "warn", "deny", NULL};
static const char *const check_names[] = {"off", "warn", "require", NULL};

static keys_setter set_server_settings;

const struct key keys_table[KEYS_COUNT] = {
    {.name = "listen",
     CONFIG(listen),
     .type = KEYS_OTHER,
     .set = lists_set_listen,
     .default_value = "127.0.0.1",
     .needs_restart = true,
     .expected = "addresses and folders, with commas between them",
     .help = "Where clients connect: numeric addresses such as 127.0.0.1, ::1, 0.0.0.0 or * (all "
             "addresses), each with a port of its own if wished (127.0.0.1:6433, [::1]:6433), and "
             "folders for Unix sockets such as /run/pgsluice."},
    {.name = "port",
     CONFIG(port),
     .type = KEYS_NUMBER,
     .default_value = "6432",
     .least = 1,
     .most = 65535,
     .needs_restart = true,
     .help = "The port of all places to listen on that name none, and the number in the name of a "
             "Unix socket."},
    {.name = "workers",
     CONFIG(workers),
     .type = KEYS_NUMBER,
     .default_value = "auto",
     .least = 1,
     .most = 1024,
     .zero = "auto",
     .needs_restart = true,
     .help = "Threads that serve clients. auto is one for each core."},
    {.name = "max_clients",
     CONFIG(max_clients),
     .type = KEYS_NUMBER,
     .default_value = "1000",
     .least = 1,
     .most = 1000000,
     .help = "Client connections at one time. One more is refused with SQLSTATE 53300. The soft "
             "limit of open files is raised to fit."},
    {.name = "auth",
     CONFIG(auth),
     .type = KEYS_CHOICE,
     .choices = auth_names,
     .default_value = "scram-sha-256",
     .help = "How clients prove who they are. trust asks for nothing."},
    {.name = "auth_file",
     CONFIG(auth_file),
     .type = KEYS_TEXT,
     .default_value = "",
     .expected = "the name of a file",
     .help = "The user list: one line a user, \"user\" \"secret\", where the secret is a password, "
             "an md5 hash or a SCRAM verifier as PostgreSQL stores them. A relative name is seen "
             "from the folder of the file that this line stands in. Without a list, clients log in "
             "to a database with the user and password of its url."},
    {.name = "admin_users",
     CONFIG(admin_users),
     .type = KEYS_OTHER,
     .set = lists_set_admin_users,
     .default_value = "",
     .expected = "user names, with commas between them",
     .help = "Users who may connect to the database pgsluice, the admin console."},
    {.name = "log_level",
     CONFIG(log_level),
     .type = KEYS_CHOICE,
     .choices = severity_names,
     .default_value = "info",
     .help = "The least severity that is logged."},
    {.name = "log_connections",
     CONFIG(log_connections),
     .type = KEYS_SWITCH,
     .default_value = "off",
     .help = "Whether each client's coming and going is logged."},
    {.name = "client_login_timeout",
     CONFIG(client_login_timeout),
     .type = KEYS_TIME,
     .default_value = "1min",
     .least = CLOCK_MILLISECOND,
     .most = DAY,
     .zero = "off",
     .help = "How long a client may take to log in."},
    {.name = "client_idle_timeout",
     CONFIG(client_idle_timeout),
     .type = KEYS_TIME,
     .default_value = "off",
     .least = CLOCK_MILLISECOND,
     .most = 365 * DAY,
     .zero = "off",
     .help = "A client that sends nothing for so long is disconnected."},
    {.name = "shutdown_timeout",
     CONFIG(shutdown_timeout),
     .type = KEYS_TIME,
     .default_value = "30s",
     .least = CLOCK_MILLISECOND,
     .most = DAY,
     .help = "How long a graceful stop waits for running transactions."},
    {.name = "tcp_keepalive",
     CONFIG(tcp_keepalive),
     .type = KEYS_SWITCH,
     .default_value = "on",
     .help = "Whether TCP keepalive is on for clients and servers. It finds dead peers."},
    {.name = "tcp_keepalive_idle",
     CONFIG(tcp_keepalive_idle),
     .type = KEYS_TIME,
     .default_value = "1min",
     .least = SECOND,
     .most = 32767 * SECOND,
     .zero = "off",
     .help = "Silence after which keepalive starts to ask, in whole seconds. off leaves the "
             "system's value."},
    {.name = "tcp_keepalive_interval",
     CONFIG(tcp_keepalive_interval),
     .type = KEYS_TIME,
     .default_value = "10s",
     .least = SECOND,
     .most = 32767 * SECOND,
     .zero = "off",
     .help = "Time between two such questions, in whole seconds. off leaves the system's value."},
    {.name = "tcp_keepalive_count",
     CONFIG(tcp_keepalive_count),
     .type = KEYS_NUMBER,
     .default_value = "3",
     .least = 1,
     .most = 127,
     .zero = "off",
     .help = "Unanswered questions after which the connection is dead. off leaves the system's "
             "value."},
    {.name = "tcp_user_timeout",
     CONFIG(tcp_user_timeout),
     .type = KEYS_TIME,
     .default_value = "off",
     .least = CLOCK_MILLISECOND,
     .most = DAY,
     .zero = "off",
     .help =
         "How long sent bytes may go without acknowledgement before the connection is dead. off "
         "leaves the system's value."},

    {.name = "url",
     .sections = KEYS_DATABASE,
     .type = KEYS_URL,
     .default_value = "",
     .is_secret = true,
     .expected = "a connection URI or keyword string of libpq",
     .help =
         "Where the database is: any connection URI or keyword string of libpq, several hosts "
         "included, or a URL of SQLAlchemy (postgresql+asyncpg://...). Without a database in it, "
         "the name in the section's title is meant; in [database *], the one that the client "
         "asks for."},
    {.name = "mode",
     SETTINGS(mode),
     .type = KEYS_CHOICE,
     .choices = mode_names,
     .default_value = "transaction",
     .help =
         "How long a client keeps its server connection: for a transaction, for its session, or "
         "for a statement (transactions of several statements are refused)."},
    {.name = "state",
     SETTINGS(state),
     .type = KEYS_CHOICE,
     .choices = state_names,
     .default_value = "ask",
     .help = "What is done, outside session mode, about the settings and other state that a "
             "transaction leaves in its session. ask: where it may have left some, the server is "
             "asked what, behind the client's answer, and it follows the client. always: the "
             "server is asked after every transaction. reset: as ask, and DISCARD ALL cleans each "
             "server connection on its return. off: nothing is asked; but for what the client "
             "came with and what the server reports by itself (TimeZone, DateStyle, "
             "client_encoding, application_name, ...), settings reach whoever gets the server "
             "connection next."},
    {.name = "size",
     SETTINGS(size),
     .type = KEYS_NUMBER,
     .default_value = "20",
     .least = 0,
     .most = 100000,
     .help = "Server connections that the pool of one database and user keeps. 0 keeps none: each "
             "lease opens one within overflow and closes it on return."},
    {.name = "overflow",
     SETTINGS(overflow),
     .type = KEYS_NUMBER,
     .default_value = "10",
     .least = 0,
     .most = 100000,
     .help = "Server connections above size that are opened under load and closed on return when "
             "nobody waits."},
    {.name = "timeout",
     SETTINGS(timeout),
     .type = KEYS_TIME,
     .default_value = "30s",
     .least = CLOCK_MILLISECOND,
     .most = DAY,
     .zero = "off",
     .help = "How long a client waits in line for a server connection before it gets an error."},
    {.name = "max_waiting",
     SETTINGS(max_waiting),
     .type = KEYS_NUMBER,
     .default_value = "off",
     .least = 1,
     .most = 1000000,
     .zero = "off",
     .help = "Clients that may wait in line. One more gets an error at once."},
    {.name = "recycle",
     SETTINGS(recycle),
     .type = KEYS_TIME,
     .default_value = "1h",
     .least = SECOND,
     .most = 365 * DAY,
     .zero = "off",
     .help = "A server connection of this age is replaced when it is next idle."},
    {.name = "pre_ping",
     SETTINGS(pre_ping),
     .type = KEYS_CHOICE,
     .choices = ping_names,
     .default_value = "on",
     .help = "Whether a server connection is tried before it is leased: when it has been idle for "
             "longer than pre_ping_after (on), always, or never (off). A dead one is replaced and "
             "the client does not notice."},
    {.name = "pre_ping_after",
     SETTINGS(pre_ping_after),
     .type = KEYS_TIME,
     .default_value = "1s",
     .least = 0,
     .most = DAY,
     .help = "Idle time after which pre_ping = on tries a connection."},
    {.name = "pre_ping_timeout",
     SETTINGS(pre_ping_timeout),
     .type = KEYS_TIME,
     .default_value = "2s",
     .least = CLOCK_MILLISECOND,
     .most = 3600 * SECOND,
     .help = "How long a ping may go unanswered before the connection counts as dead."},
    {.name = "warm",
     SETTINGS(warm),
     .type = KEYS_NUMBER,
     .default_value = "1",
     .least = 0,
     .most = 100000,
     .help =
         "Server connections that are opened ahead and kept ready, size at most. The default is "
         "1 for a named database and 0 for [database *]."},
    {.name = "idle_timeout",
     SETTINGS(idle_timeout),
     .type = KEYS_TIME,
     .default_value = "10min",
     .least = CLOCK_MILLISECOND,
     .most = 365 * DAY,
     .zero = "off",
     .help = "An idle server connection above warm is closed after so long."},
    {.name = "connect_timeout",
     SETTINGS(connect_timeout),
     .type = KEYS_TIME,
     .default_value = "10s",
     .least = 10 * CLOCK_MILLISECOND,
     .most = 3600 * SECOND,
     .help = "How long one host may take to accept and log in a server connection."},
    {.name = "target_session_attrs",
     SETTINGS(target),
     .type = KEYS_CHOICE,
     .choices = settings_target_names,
     .default_value = "any",
     .help = "Which of several hosts will do, as in libpq; the url may say it too."},
    {.name = "server_settings",
     SETTINGS(server_settings),
     .type = KEYS_OTHER,
     .set = set_server_settings,
     .default_value = "",
     .expected = "\"name = value\" pairs with commas between them",
     .help = "Run-time parameters of server connections, such as jit=off, statement_timeout=60s. "
             "Values with commas stand in single quotes. Sections add to each other by name."},
    {.name = "user",
     SETTINGS(server_user),
     .type = KEYS_TEXT,
     .default_value = "",
     .expected = "a user name",
     .help = "The user of server connections. Without it, it is the url's user, or else the "
             "client's own."},
    {.name = "password",
     SETTINGS(server_password),
     .type = KEYS_TEXT,
     .default_value = "",
     .is_secret = true,
     .expected = "a password",
     .help =
         "The password of server connections. Without it, it is the url's, or else the one that "
         "the user list has for the user, or else the one in libpq's password file."},
    {.name = "command_timeout",
     SETTINGS(command_timeout),
     .type = KEYS_TIME,
     .default_value = "off",
     .least = CLOCK_MILLISECOND,
     .most = 365 * DAY,
     .zero = "off",
     .help = "A command that runs longer is cancelled on the server, and its client gets SQLSTATE "
             "57014."},
    {.name = "transaction_timeout",
     SETTINGS(transaction_timeout),
     .type = KEYS_TIME,
     .default_value = "off",
     .least = CLOCK_MILLISECOND,
     .most = 365 * DAY,
     .zero = "off",
     .help = "How long a transaction may take from its first command to its end."},
    {.name = "idle_transaction_timeout",
     SETTINGS(idle_transaction_timeout),
     .type = KEYS_TIME,
     .default_value = "off",
     .least = CLOCK_MILLISECOND,
     .most = 365 * DAY,
     .zero = "off",
     .help = "How long a client may be silent within a transaction."},
    {.name = "prepared_statements",
     SETTINGS(prepared_statements),
     .type = KEYS_NUMBER,
     .default_value = "500",
     .least = 1,
     .most = 1000000,
     .help =
         "Prepared statements kept on one server connection. The least recently used is dropped "
         "for a new one."},
    {.name = "listen_lost",
     SETTINGS(listen_lost),
     .type = KEYS_CHOICE,
     .choices = lost_names,
     .default_value = "notice",
     .help = "What happens to clients that LISTEN when the one server connection that listens for "
             "all clients of the pool is lost, so that notifications may have been missed: they "
             "get a NOTICE (of severity WARNING) once it is restored, or are disconnected (close) "
             "with SQLSTATE 08006."},
    {.name = "pin",
     SETTINGS(pin),
     .type = KEYS_CHOICE,
     .choices = pin_names,
     .default_value = "allow",
     .help =
         "What becomes of a client whose session has what cannot be moved (a temporary table, a "
         "session-level advisory lock, ...): it keeps its server connection (allow), it does "
         "so and is told by a warning, as is the log (warn), or the statement gets an error "
         "(deny)."},
    {.name = "max_pinned",
     SETTINGS(max_pinned),
     .type = KEYS_NUMBER,
     .default_value = "auto",
     .least = 1,
     .most = 200000,
     .zero = "auto",
     .help = "Server connections of one pool that clients may keep in that way. A statement that "
             "would take one more gets SQLSTATE 53400. auto leaves one of size and overflow to "
             "everybody else."},
    {.name = "session_functions",
     SETTINGS(session_functions),
     .type = KEYS_OTHER,
     .set = lists_set_session_functions,
     .default_value = "",
     .expected = "names of functions without their schemas, with commas between them",
     .help = "Functions that keep state in the session which the server cannot tell of, such as "
             "dblink_connect or a function in PL/Perl that uses %_SHARED. Whoever names one keeps "
             "its server connection until it leaves; then that is closed."},
    {.name = "startup_check",
     .sections = KEYS_POOL | KEYS_DATABASE,
     .offset = offsetof(struct settings, startup_check),
     .type = KEYS_CHOICE,
     .choices = check_names,
     .default_value = "warn",
     .help = "What happens when a database cannot be reached at start: nothing is tried (off), the "
             "log says so (warn), or pgsluice exits with an error (require)."},
};

static bool set_server_settings(void *target, const char *text, char *problem, size_t size)
{
    struct settings *settings = target;
    return server_settings_parse_list(text, &settings->server_settings, problem, size);
}

const struct key *keys_find(const char *name)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strcmp(keys_table[i].name, name) == 0)
            return &keys_table[i];
    }
    return NULL;
}

size_t keys_index(const struct key *key)
{
    return (size_t)(key - keys_table);
}
