#include "daemon/startup_check.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/probe.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct startup_check {
    struct config *config; /* owned reference */
    pthread_t thread;
    atomic_bool stop;
};

/* Nobody to try it as: the clients' own users are not known yet. */
static void startup_check_skip(const struct settings *settings)
{
    log_write(settings->startup_check == SETTINGS_CHECK_REQUIRE ? LOG_SEVERITY_WARNING
                                                                : LOG_SEVERITY_INFO,
              NULL,
              "database \"%s\" is not checked: neither `user` nor the url says as whom to connect",
              settings->database);
}

static bool startup_check_probe(const struct settings *settings, const atomic_bool *stop)
{
    struct probe_result result;
    probe_database(settings, stop, &result);
    if (result.reached)
        log_info(
            NULL, "database \"%s\": server version %s, %ld active connections, checked in %.1f ms",
            settings->database, result.server_version, result.connections, result.milliseconds);
    else if (stop == NULL || !atomic_load(stop))
        log_write(settings->startup_check == SETTINGS_CHECK_REQUIRE ? LOG_SEVERITY_ERROR
                                                                    : LOG_SEVERITY_WARNING,
                  NULL, "database \"%s\" cannot be reached: %s", settings->database, result.error);
    return result.reached;
}

/* False where the database is to be checked in this way and cannot be reached. */
static bool startup_check_one(const struct config *config, size_t index,
                              enum settings_startup_check kind, const atomic_bool *stop)
{
    const char *user = config_database_user(config, index);
    struct settings *settings =
        config_resolve(config, config_database_name(config, index), user != NULL ? user : "");
    bool reached = true;
    if (settings->startup_check == kind && user == NULL)
        startup_check_skip(settings);
    else if (settings->startup_check == kind)
        reached = startup_check_probe(settings, stop);
    settings_release(&settings);
    return reached;
}

bool startup_check_required(const struct config *config)
{
    bool all = true;
    for (size_t i = 0; i < config_database_count(config); i++)
        all = startup_check_one(config, i, SETTINGS_CHECK_REQUIRE, NULL) && all;
    return all;
}

static void *startup_check_run(void *context)
{
    struct startup_check *startup = context;
    for (size_t i = 0; i < config_database_count(startup->config); i++) {
        if (atomic_load(&startup->stop))
            break;
        (void)startup_check_one(startup->config, i, SETTINGS_CHECK_WARN, &startup->stop);
    }
    return NULL;
}

struct startup_check *startup_check_start(struct config *config)
{
    struct startup_check *startup = memory_new(struct startup_check);
    startup->config = config_retain(config);
    /* Signals are the main thread's. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    check(pthread_create(&startup->thread, NULL, startup_check_run, startup) == 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return startup;
}

void startup_check_stop(struct startup_check *startup)
{
    atomic_store(&startup->stop, true);
    pthread_join(startup->thread, NULL);
    config_release(&startup->config);
    free(startup);
}
