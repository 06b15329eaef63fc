#include "daemon/test_connect.h"

#include "daemon/probe.h"

static bool test_one(const struct config *config, size_t index, FILE *out)
{
    const char *name = config_database_name(config, index);
    const char *user = config_database_user(config, index);
    if (user == NULL) {
        fprintf(out, "%-20s skipped: neither `user` nor the url says as whom to connect\n", name);
        return true;
    }
    struct settings *settings = config_resolve(config, name, user);
    struct probe_result result;
    probe_database(settings, NULL, &result);
    if (result.reached)
        fprintf(out,
                "%-20s ok: server version %s, current database %s, %ld active connections, "
                "%.1f ms\n",
                name, result.server_version, result.current_database, result.active_connections,
                result.milliseconds);
    else
        fprintf(out, "%-20s failed: %s (%.1f ms)\n", name, result.error, result.milliseconds);
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
