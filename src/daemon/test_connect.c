#include "daemon/test_connect.h"

#include "daemon/probe.h"

/* Labels and the first word behind each are for scripts: they stay as they are. */
static void test_print_reached(const struct settings *settings, const struct probe_result *result,
                               FILE *out)
{
    unsigned most = settings->size + settings->overflow;
    fprintf(out, "  server version: %s\n", result->server_version);
    fprintf(out, "  current database: %s\n", result->current_database);
    fprintf(out,
            "  active connections: %ld to this database, this one included; %ld running a query "
            "(pg_stat_activity, as far as user \"%s\" may see)\n",
            result->connections, result->running, settings->server_user);
    fprintf(out, "  connection limit: %ld (%s)\n", result->limit, result->limit_of);
    fprintf(out, "  pool limit: %u (size %u, overflow %u)\n", most, settings->size,
            settings->overflow);
    if (result->limit < (long)most)
        fprintf(out, "  warning: the pool may ask for %u connections, the server allows %ld\n",
                most, result->limit);
}

static void test_print(const char *name, const struct settings *settings,
                       const struct probe_result *result, FILE *out)
{
    fprintf(out, "%s: %s\n", name, result->reached ? "ok" : "failed");
    if (result->reached)
        test_print_reached(settings, result, out);
    else
        fprintf(out, "  error: %s\n", result->error);
    fprintf(out, "  server: %s port %s, user \"%s\"%s\n", result->host, result->port,
            settings->server_user,
            !result->reached    ? ""
            : result->encrypted ? ", with TLS"
                                : ", without TLS");
    fprintf(out, "  time: %.1f ms\n", result->milliseconds);
}

static bool test_one(const struct config *config, size_t index, FILE *out)
{
    const char *name = config_database_name(config, index);
    const char *user = config_database_user(config, index);
    if (user == NULL) {
        fprintf(out, "%s: skipped\n  reason: neither `user` nor the url says as whom to connect\n",
                name);
        return true;
    }
    struct settings *settings = config_resolve(config, name, user);
    struct probe_result result;
    probe_database(settings, NULL, &result);
    test_print(name, settings, &result, out);
    settings_release(&settings);
    return result.reached;
}

int test_connect(const struct config *config, FILE *out)
{
    bool all = true;
    if (config_database_count(config) == 0)
        fputs("nothing to try: [database *] names no database\n", out);
    for (size_t i = 0; i < config_database_count(config); i++)
        all = test_one(config, i, out) && all;
    return all ? 0 : 1;
}
