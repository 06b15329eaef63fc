#include "config/url.h"

#include "base/memory.h"
#include "config/server_settings.h"
#include "config/service.h"
#include "config/units.h"
#include "config/url_rules.h"
#include "config/url_text.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* What the steps of reading one url have in common. */
struct reading {
    PQconninfoOption *options; /* owned; freed by libpq */
    struct url *url;
    bool may_read;
    const struct place *place;
    const char *where;
    struct problems *problems;
};

#define tell_error(reading, ...)                                                                   \
    problems_error((reading)->problems, (reading)->place, (reading)->where, __VA_ARGS__)

static PQconninfoOption *find_option(const struct reading *reading, const char *keyword)
{
    for (PQconninfoOption *option = reading->options; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, keyword) == 0)
            return option;
    }
    return NULL;
}

/* The keyword's value, or NULL where it is not given or empty, which libpq takes for the same. */
static const char *value_of(const struct reading *reading, const char *keyword)
{
    const PQconninfoOption *option = find_option(reading, keyword);
    return option != NULL && option->val != NULL && *option->val != '\0' ? option->val : NULL;
}

static void check_option(const struct reading *reading, const PQconninfoOption *option,
                         const char *origin)
{
    const char *text = NULL;
    switch (url_rules_judge(option->keyword, option->val, &text)) {
    case URL_RULES_FINE:
        break;
    case URL_RULES_WARNING:
        problems_warning(reading->problems, reading->place, reading->where, "%s%s: %s", origin,
                         option->keyword, text);
        break;
    case URL_RULES_ERROR:
        tell_error(reading, "%s%s: %s", origin, option->keyword, text);
        break;
    }
}

static void check_given(const struct reading *reading)
{
    for (PQconninfoOption *option = reading->options; option->keyword != NULL; option++) {
        if (option->val != NULL && *option->val != '\0')
            check_option(reading, option, "");
    }
}

/* libpq's own allocations are malloc()'s, as ours are: PQconninfoFree() frees both. */
static void fill(const struct reading *reading, PQconninfoOption *option, const char *value,
                 const char *origin)
{
    free(option->val);
    option->val = memory_string(value);
    check_option(reading, option, origin);
}

static void fill_from_service(const struct reading *reading)
{
    char problem[PROBLEMS_TEXT];
    struct pairs pairs = {0};
    const char *service = value_of(reading, "service");
    if (service == NULL)
        return;
    if (!reading->may_read) {
        tell_error(reading, "service: not allowed here");
    } else if (!service_read(service, &pairs, problem, sizeof(problem))) {
        tell_error(reading, "%s", problem);
    }
    for (size_t i = 0; i < pairs.count; i++) {
        PQconninfoOption *option = find_option(reading, pairs.items[i].name);
        if (option == NULL)
            tell_error(reading, "the service's \"%s\" is no connection parameter of libpq",
                       pairs.items[i].name);
        else if (option->val == NULL)
            fill(reading, option, pairs.items[i].value, "of the service: ");
        explicit_bzero(pairs.items[i].value, strlen(pairs.items[i].value));
    }
    pairs_clear(&pairs);
}

/* Who logs in where is the url's to say, or the client's; the rest may be libpq's environment. */
static bool is_identity(const char *keyword)
{
    return strcmp(keyword, "user") == 0 || strcmp(keyword, "password") == 0 ||
           strcmp(keyword, "dbname") == 0;
}

static void fill_from_environment(const struct reading *reading)
{
    for (PQconninfoOption *option = reading->options; option->keyword != NULL; option++) {
        const char *value = option->envvar != NULL ? getenv(option->envvar) : NULL;
        if (option->val != NULL || value == NULL || *value == '\0' || is_identity(option->keyword))
            continue;
        char origin[64];
        snprintf(origin, sizeof(origin), "of the environment (%s): ", option->envvar);
        fill(reading, option, value, origin);
    }
}

/* Item `index` of a comma-separated list; the caller frees it. NULL: it is empty or not there. */
static char *list_item(const char *list, size_t index)
{
    for (; list != NULL && index > 0; index--) {
        list = strchr(list, ',');
        if (list != NULL)
            list++;
    }
    size_t length = list != NULL ? strcspn(list, ",") : 0;
    return length > 0 ? memory_string_of(list, length) : NULL;
}

static size_t list_length(const char *list)
{
    size_t length = list != NULL ? 1 : 0;
    for (; list != NULL && *list != '\0'; list++)
        length += *list == ',';
    return length;
}

/* One port serves all hosts. */
static unsigned port_of(const struct reading *reading, const char *ports, size_t index)
{
    char *text = list_item(ports, list_length(ports) == 1 ? 0 : index);
    int64_t port = 5432;
    if (text != NULL && (!units_parse_number(text, &port) || port < 1 || port > 65535)) {
        tell_error(reading, "expected ports from 1 to 65535, got \"%s\"", text);
        port = 5432;
    }
    free(text);
    return (unsigned)port;
}

/* libpq knows the folder that it was built with, and tells it for a connection never opened. */
static char *default_host(void)
{
    static const char *const keywords[] = {"password", "target_session_attrs", NULL};
    /* With a password no passfile is read; the other value is one that libpq refuses at once. */
    static const char *const values[] = {"unused", "none of libpq's", NULL};
    PGconn *connection = PQconnectStartParams(keywords, values, 0);
    const char *host = connection != NULL ? PQhost(connection) : NULL;
    char *result = memory_string(host != NULL && *host != '\0' ? host : "/tmp");
    PQfinish(connection);
    return result;
}

static bool is_numeric(const char *address)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1;
}

static void read_host(const struct reading *reading, struct settings_host *host, size_t index)
{
    host->host = list_item(value_of(reading, "host"), index);
    host->hostaddr = list_item(value_of(reading, "hostaddr"), index);
    host->port = port_of(reading, value_of(reading, "port"), index);
    if (host->hostaddr != NULL && !is_numeric(host->hostaddr))
        tell_error(reading, "hostaddr: expected a numeric address, got \"%s\"", host->hostaddr);
    if (host->host == NULL)
        host->host = host->hostaddr != NULL ? memory_string(host->hostaddr) : default_host();
    bool is_folder = host->host[0] == '/' || host->host[0] == '@';
    if (!is_folder && strchr(host->host, ':') != NULL && !is_numeric(host->host))
        tell_error(reading,
                   "host: expected a name, an address or a folder, got \"%s\" (a port stands in "
                   "\"port\")",
                   host->host);
}

static void read_hosts(const struct reading *reading)
{
    size_t hosts = list_length(value_of(reading, "host"));
    size_t addresses = list_length(value_of(reading, "hostaddr"));
    size_t ports = list_length(value_of(reading, "port"));
    size_t count = hosts > addresses ? hosts : addresses;
    if (count == 0)
        count = 1;
    if (hosts > 0 && addresses > 0 && hosts != addresses)
        tell_error(reading, "expected as many addresses in \"hostaddr\" as hosts: %zu, got %zu",
                   hosts, addresses);
    if (ports > 1 && ports != count)
        tell_error(reading, "expected one port or as many ports as hosts: %zu, got %zu", count,
                   ports);
    reading->url->hosts = memory_zeroed(count * sizeof(*reading->url->hosts));
    reading->url->host_count = count;
    for (size_t i = 0; i < count; i++)
        read_host(reading, &reading->url->hosts[i], i);
}

static void read_target(const struct reading *reading)
{
    const char *text = value_of(reading, "target_session_attrs");
    if (text == NULL)
        return;
    for (int i = 0; settings_target_names[i] != NULL; i++) {
        if (strcmp(text, settings_target_names[i]) == 0) {
            reading->url->target = (enum settings_target)i;
            reading->url->has_target = true;
            return;
        }
    }
    tell_error(reading,
               "target_session_attrs: expected any, read-write, read-only, primary, standby or "
               "prefer-standby, got \"%s\"",
               text);
}

static void read_connect_timeout(const struct reading *reading)
{
    const char *text = value_of(reading, "connect_timeout");
    int64_t seconds = 0;
    if (text == NULL)
        return;
    if (!units_parse_number(text, &seconds) || seconds < 1 || seconds > 3600)
        tell_error(reading, "connect_timeout: expected 1 to 3600 (seconds), got \"%s\"", text);
    else
        reading->url->connect_timeout = seconds * CLOCK_SECOND;
}

static void read_server_settings(const struct reading *reading)
{
    char problem[PROBLEMS_TEXT];
    struct pairs *pairs = &reading->url->server_settings;
    const char *name = value_of(reading, "application_name");
    const char *encoding = value_of(reading, "client_encoding");
    const char *options = value_of(reading, "options");
    if (name == NULL)
        name = value_of(reading, "fallback_application_name");
    if (name != NULL)
        pairs_set(pairs, "application_name", name);
    if (encoding != NULL && strcmp(encoding, "auto") != 0)
        pairs_set(pairs, "client_encoding", encoding);
    if (options != NULL && !server_settings_parse_options(options, pairs, problem, sizeof(problem)))
        tell_error(reading, "%s", problem);
}

static char *copy_of(const struct reading *reading, const char *keyword)
{
    const char *value = value_of(reading, keyword);
    return value != NULL ? memory_string(value) : NULL;
}

static void read_passfile(const struct reading *reading)
{
    char problem[PROBLEMS_TEXT];
    if (!reading->may_read) {
        if (value_of(reading, "passfile") != NULL)
            tell_error(reading, "passfile: not allowed here");
        return;
    }
    char *path = copy_of(reading, "passfile");
    if (path == NULL)
        path = passfile_default_path();
    if (path == NULL)
        return;
    reading->url->passfile = passfile_read(path, problem, sizeof(problem));
    if (*problem != '\0')
        problems_warning(reading->problems, reading->place, reading->where, "%s", problem);
    free(path);
}

static void read_options(const struct reading *reading)
{
    check_given(reading);
    fill_from_service(reading);
    if (reading->may_read)
        fill_from_environment(reading);
    reading->url->user = copy_of(reading, "user");
    reading->url->password = copy_of(reading, "password");
    reading->url->database = copy_of(reading, "dbname");
    read_hosts(reading);
    read_target(reading);
    read_connect_timeout(reading);
    read_server_settings(reading);
    if (reading->url->password == NULL)
        read_passfile(reading);
}

/* PQconninfoFree() does not wipe. */
static void free_options(PQconninfoOption *options)
{
    for (PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (option->val != NULL)
            explicit_bzero(option->val, strlen(option->val));
    }
    PQconninfoFree(options);
}

struct url *url_parse(const char *text, bool may_read, const struct place *place, const char *where,
                      struct problems *problems)
{
    char problem[PROBLEMS_TEXT];
    char *message = NULL;
    char *uri = url_text_for_libpq(text, problem, sizeof(problem));
    PQconninfoOption *options = uri != NULL ? PQconninfoParse(uri, &message) : NULL;
    if (uri != NULL && options == NULL)
        url_text_explain(message != NULL ? message : "out of memory", problem, sizeof(problem));
    PQfreemem(message);
    memory_wipe_string(uri);
    if (options == NULL) {
        problems_error(problems, place, where, "%s", problem);
        return NULL;
    }
    unsigned errors = problems->errors;
    struct url *url = memory_new(struct url);
    struct reading reading = {.options = options,
                              .url = url,
                              .may_read = may_read,
                              .place = place,
                              .where = where,
                              .problems = problems};
    read_options(&reading);
    free_options(options);
    if (problems->errors > errors)
        url_free(&url);
    return url;
}

void url_free(struct url **url)
{
    struct url *freed = *url;
    *url = NULL;
    if (freed == NULL)
        return;
    for (size_t i = 0; i < freed->host_count; i++) {
        free(freed->hosts[i].host);
        free(freed->hosts[i].hostaddr);
    }
    free(freed->hosts);
    free(freed->database);
    free(freed->user);
    memory_wipe_string(freed->password);
    passfile_free(&freed->passfile);
    pairs_clear(&freed->server_settings);
    free(freed);
}

const char *url_passfile_password(const struct url *url, const char *database, const char *user)
{
    for (size_t i = 0; url->passfile != NULL && i < url->host_count; i++) {
        const struct settings_host *host = &url->hosts[i];
        const char *password = passfile_find(url->passfile, host->host, host->port, database, user);
        /* A socket in libpq's usual folder goes by "localhost" in the file. */
        if (password == NULL && host->host[0] == '/')
            password = passfile_find(url->passfile, "localhost", host->port, database, user);
        if (password != NULL)
            return password;
    }
    return NULL;
}
