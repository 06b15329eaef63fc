#include "daemon/daemon.h"

#include "admin/console.h"
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/limits.h"
#include "daemon/listen.h"
#include "daemon/startup_check.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "pool/registry.h"
#include "session/catalog.h"
#include "session/greeting.h"
#include "session/key_cache.h"
#include "session/lease.h"
#include "session/service.h"
#include "session/worker.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum daemon_stop { DAEMON_RUNS, DAEMON_DRAINS, DAEMON_ENDS_AT_ONCE };

/* One a process: signal handlers and the console reach it by this pointer. Main thread, but for
 * what says otherwise. */
static struct daemon {
    struct config *config; /* owned reference */
    struct loop *loop;
    struct service service; /* shared with the workers */
    pthread_t *threads;     /* owned; one a worker */
    struct listen *listen;  /* owned */
    struct startup_check *startup_check;
    enum daemon_stop stop;
    microseconds stop_deadline;
    unsigned drained; /* workers that have nothing left */
    struct mailbox_message shutdown_message;
    atomic_bool shutdown_asked; /* any thread: shutdown_message was posted */
} daemon_state;

/* ---- Workers ---- */

static void *daemon_worker(void *context)
{
    worker_run(context);
    return NULL;
}

static void daemon_start_workers(struct daemon *daemon)
{
    struct service *service = &daemon->service;
    service->worker_count = daemon->config->workers;
    service->workers = memory_zeroed(service->worker_count * sizeof(struct worker *));
    daemon->threads = memory_zeroed(service->worker_count * sizeof(pthread_t));
    for (unsigned i = 0; i < service->worker_count; i++)
        service->workers[i] = worker_new(service, i, daemon->config);
    for (unsigned i = 0; i < service->worker_count; i++)
        check(pthread_create(&daemon->threads[i], NULL, daemon_worker, service->workers[i]) == 0);
}

struct daemon_drained {
    struct mailbox_message message;
};

static void daemon_drained_arrived(struct mailbox_message *message)
{
    struct daemon *daemon = &daemon_state;
    free(container_of(message, struct daemon_drained, message));
    if (++daemon->drained == daemon->service.worker_count)
        loop_stop(daemon->loop);
}

/* On the worker's thread. */
static void daemon_worker_drained(struct worker *worker)
{
    struct daemon_drained *drained = memory_new(struct daemon_drained);
    (void)worker;
    drained->message.deliver = daemon_drained_arrived;
    mailbox_post(daemon_state.loop, &drained->message);
}

static const struct service_upward daemon_upward = {
    .console_query = console_query,
    .worker_drained = daemon_worker_drained,
};

/* ---- Pools that are kept warm ---- */

static void daemon_make_named_pools(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    for (size_t i = 0; i < config_database_count(config); i++) {
        const char *user = config_database_user(config, i);
        if (user == NULL)
            continue;
        struct settings *settings = config_resolve(config, config_database_name(config, i), user);
        (void)registry_pool(daemon->service.registry, settings);
        settings_release(&settings);
    }
}

/* ---- Stop ---- */

static void daemon_shut_pool(struct pool *pool, void *context)
{
    pool_shutdown(pool, *(const microseconds *)context);
}

/* Pools first: a worker that ends its server connections must not be asked for others. A pool that
 * comes into being meanwhile is shut by whoever made it (client_login.c), since `stopping` is set.
 */
static void daemon_drain(struct daemon *daemon, bool at_once)
{
    microseconds now = clock_monotonic();
    registry_visit(daemon->service.registry, daemon_shut_pool, &now);
    for (unsigned i = 0; i < daemon->service.worker_count; i++)
        worker_drain(daemon->service.workers[i], at_once);
}

static void daemon_stop(struct daemon *daemon, enum daemon_stop how, const char *why)
{
    if (daemon->stop == DAEMON_ENDS_AT_ONCE) {
        log_error(NULL, "%s again: ending without order", why);
        log_stop();
        _exit(1);
    }
    if (daemon->stop == DAEMON_DRAINS)
        how = DAEMON_ENDS_AT_ONCE;
    sd_notify(0, "STOPPING=1");
    if (how == DAEMON_DRAINS)
        log_info(NULL, "%s: stopping; running transactions have %.1f s to end", why,
                 (double)daemon->config->shutdown_timeout / 1e6);
    else
        log_info(NULL, "%s: stopping at once", why);
    daemon->stop = how;
    daemon->stop_deadline = clock_monotonic() + daemon->config->shutdown_timeout;
    atomic_store(&daemon->service.stopping, true);
    listen_close(&daemon->listen);
    daemon_drain(daemon, how == DAEMON_ENDS_AT_ONCE);
}

static void daemon_timer(void *context)
{
    struct daemon *daemon = context;
    if (daemon->stop != DAEMON_DRAINS || clock_monotonic() < daemon->stop_deadline)
        return;
    daemon_stop(daemon, DAEMON_ENDS_AT_ONCE, "shutdown_timeout is over");
}

static void daemon_shutdown_arrived(struct mailbox_message *message)
{
    (void)message;
    if (daemon_state.stop == DAEMON_RUNS)
        daemon_stop(&daemon_state, DAEMON_DRAINS, "SHUTDOWN");
}

/* Any thread. */
static void daemon_console_shutdown(void)
{
    if (atomic_exchange(&daemon_state.shutdown_asked, true))
        return;
    daemon_state.shutdown_message.deliver = daemon_shutdown_arrived;
    mailbox_post(daemon_state.loop, &daemon_state.shutdown_message);
}

/* ---- Reload ---- */

struct daemon_reconfigure {
    const struct config *config;
    microseconds now;
};

static void daemon_reconfigure_pool(struct pool *pool, void *context)
{
    const struct daemon_reconfigure *reconfigure = context;
    struct settings *old = pool_settings(pool);
    struct settings *settings = config_resolve(reconfigure->config, old->database, old->user);
    if (settings != NULL)
        pool_reconfigure(pool, settings, reconfigure->now);
    else
        log_warning(NULL,
                    "database \"%s\" is no longer configured: its clients of user \"%s\" stay, "
                    "new ones are refused",
                    old->database, old->user);
    settings_release(&settings);
    settings_release(&old);
}

static void daemon_use_config(struct daemon *daemon, struct config *config)
{
    char restart[512];
    if (config_restart_needed(daemon->config, config, restart, sizeof restart))
        log_warning(NULL, "a restart is needed for new values of: %s", restart);
    log_set_severity(config->log_level);
    limits_raise(config);
    config_release(&daemon->config);
    daemon->config = config;
    key_cache_clear();
    catalog_expire_all();
    if (daemon->listen != NULL)
        listen_take_config(daemon->listen, config);
    struct daemon_reconfigure reconfigure = {.config = config, .now = clock_monotonic()};
    registry_visit(daemon->service.registry, daemon_reconfigure_pool, &reconfigure);
    daemon_make_named_pools(daemon);
    for (unsigned i = 0; i < daemon->service.worker_count; i++)
        worker_give_config(daemon->service.workers[i], config);
    log_info(NULL, "configuration reloaded%s%s", config->file != NULL ? " from " : "",
             config->file != NULL ? config->file : "");
}

static void daemon_log_problems(char *problems)
{
    char *rest = NULL;
    for (char *line = strtok_r(problems, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        log_error(NULL, "%s", line);
}

/* problems: the text is the caller's to free; NULL where all is well. */
static char *daemon_reload(struct daemon *daemon)
{
    char *problems = NULL;
    size_t size = 0;
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_monotonic());
    FILE *stream = open_memstream(&problems, &size);
    check(stream != NULL);
    struct config *config = config_load(daemon->config->file, stream);
    fclose(stream);
    if (config != NULL) {
        daemon_use_config(daemon, config);
        if (size > 0)
            daemon_log_problems(problems);
        free(problems);
        problems = NULL;
    } else {
        char *lines = memory_string(problems);
        daemon_log_problems(lines);
        free(lines);
        log_error(NULL, "the configuration was not reloaded: nothing has changed");
        /* The console's message needs no line feed at its end. */
        if (size > 0 && problems[size - 1] == '\n')
            problems[size - 1] = '\0';
    }
    sd_notify(0, "READY=1");
    return problems;
}

struct daemon_reload_request {
    struct mailbox_message message;
    void (*done)(void *context, const char *problems);
    void *context;
};

static void daemon_reload_arrived(struct mailbox_message *message)
{
    struct daemon_reload_request *request =
        container_of(message, struct daemon_reload_request, message);
    char *problems = daemon_state.stop == DAEMON_RUNS ? daemon_reload(&daemon_state)
                                                      : memory_string("pgsluice is shutting down");
    request->done(request->context, problems);
    free(problems);
    free(request);
}

/* Any thread. */
static void daemon_console_reload(void (*done)(void *context, const char *problems), void *context)
{
    struct daemon_reload_request *request = memory_new(struct daemon_reload_request);
    request->message.deliver = daemon_reload_arrived;
    request->done = done;
    request->context = context;
    mailbox_post(daemon_state.loop, &request->message);
}

static const struct console_actions daemon_console_actions = {
    .reload = daemon_console_reload,
    .shutdown = daemon_console_shutdown,
};

/* ---- Begin and end ---- */

static void daemon_signal(int number, void *context)
{
    struct daemon *daemon = context;
    if (number == SIGHUP) {
        if (daemon->stop == DAEMON_RUNS)
            free(daemon_reload(daemon));
    } else if (number == SIGINT) {
        daemon_stop(daemon, DAEMON_ENDS_AT_ONCE, "SIGINT");
    } else {
        daemon_stop(daemon, DAEMON_DRAINS, "SIGTERM");
    }
}

static void daemon_end(struct daemon *daemon)
{
    if (daemon->startup_check != NULL)
        startup_check_stop(daemon->startup_check);
    for (unsigned i = 0; i < daemon->service.worker_count; i++)
        loop_stop(daemon->service.workers[i]->loop);
    for (unsigned i = 0; i < daemon->service.worker_count; i++)
        pthread_join(daemon->threads[i], NULL);
    for (unsigned i = 0; i < daemon->service.worker_count; i++)
        worker_free(daemon->service.workers[i]);
    registry_free(daemon->service.registry);
    catalog_forget_all();
    greeting_forget_all();
    key_cache_clear();
    free(daemon->service.workers);
    free(daemon->threads);
    loop_free(daemon->loop);
    config_release(&daemon->config);
}

static void daemon_start(struct daemon *daemon)
{
    uint64_t seed;
    check(RAND_bytes((unsigned char *)&seed, sizeof seed) == 1);
    daemon->loop = loop_new("main");
    daemon->service.upward = &daemon_upward;
    console_use_actions(&daemon_console_actions);
    daemon->service.registry =
        registry_new(daemon->config->workers, &lease_methods, &daemon->service, seed);
    loop_on_signal(daemon->loop, SIGTERM, daemon_signal, daemon);
    loop_on_signal(daemon->loop, SIGINT, daemon_signal, daemon);
    loop_on_signal(daemon->loop, SIGHUP, daemon_signal, daemon);
    loop_every(daemon->loop, 100 * CLOCK_MILLISECOND, daemon_timer, daemon);
    /* Threads inherit a mask that leaves every signal to the main thread. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    daemon_start_workers(daemon);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    daemon_make_named_pools(daemon);
}

int daemon_run(struct config *config)
{
    struct daemon *daemon = &daemon_state;
    daemon->config = config;
    signal(SIGPIPE, SIG_IGN);
    log_set_severity(config->log_level);
    log_start();
    log_info(NULL, "pgsluice starts, process %d, configuration %s", (int)getpid(),
             config->file != NULL ? config->file : "from the environment");
    limits_raise(config);
    if (!startup_check_required(config))
        log_fatal("a database with startup_check = require cannot be reached");
    daemon_start(daemon);
    daemon->listen = listen_open(config, daemon->loop, &daemon->service);
    if (daemon->listen == NULL)
        log_fatal("cannot listen where the configuration says");
    daemon->startup_check = startup_check_start(config);
    log_info(NULL, "ready: %u worker%s, %zu database%s, up to %u clients", config->workers,
             config->workers == 1 ? "" : "s", config_database_count(config),
             config_database_count(config) == 1 ? "" : "s", config->max_clients);
    sd_notify(0, "READY=1");
    loop_run(daemon->loop);
    daemon_end(daemon);
    log_info(NULL, "stopped");
    log_stop();
    return 0;
}
