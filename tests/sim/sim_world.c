/* sim_world.c: builds the world of a seed, lets it run, lets it come to rest, takes it down. */
#include "sim_world.h"

#include "sim_client.h"
#include "sim_invariant.h"
#include "sim_loop.h"
#include "sim_random.h"
#include "sim_server.h"
#include "sim_stream.h"
#include "sim_trace.h"
#include "sim_wire.h"

#include "base/check.h"
#include "base/memory.h"
#include "config/config.h"
#include "io/stream.h"
#include "pool/registry.h"
#include "session/catalog.h"
#include "session/greeting.h"
#include "session/key_cache.h"
#include "session/service.h"
#include "session/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_WORKERS 3
#define MOST_EVENTS 256
#define REST_LIMIT (400 * CLOCK_SECOND)

/* What kind of world it is. */
struct nature {
    bool faults, silences, leaves, cancels, reconfigures, stops_early;
    unsigned clients;
};

static struct {
    struct service service;
    struct worker *workers[MOST_WORKERS];
    struct config *config;
    struct nature nature;
    microseconds now;
    unsigned drained;
    bool stopped;
    unsigned long long events;
} world;

/* ---- Configuration ---- */

static const char *pick(const char *const *words, unsigned count)
{
    return words[sim_choose(count)];
}

static void write_pool(FILE *file)
{
    static const char *const timeouts[] = {"300ms", "2s", "30s", "1h"};
    static const char *const pings[] = {"off", "on", "always"};
    static const char *const ages[] = {"off", "1s", "10s", "1h"};
    fprintf(file, "[pool]\nsize = %u\noverflow = %u\n", 1 + sim_choose(4), sim_choose(4));
    fprintf(file, "timeout = %s\npre_ping = %s\npre_ping_after = %ums\nrecycle = %s\n",
            world.nature.faults ? pick(timeouts, 4) : "1h", pick(pings, 3), sim_choose(1000),
            pick(ages, 4));
    fprintf(file, "idle_timeout = %s\nconnect_timeout = %us\nprepared_statements = %u\nwarm = %u\n",
            pick(ages, 4), 1 + sim_choose(5), sim_chance(500) ? 2 : 500, sim_choose(2));
    if (world.nature.faults && sim_chance(200))
        fprintf(file, "max_waiting = %u\n", 1 + sim_choose(4));
}

static struct config *make_config(unsigned workers)
{
    char *text = NULL, *problems = NULL;
    size_t size, problem_size;
    FILE *file = open_memstream(&text, &size);
    fprintf(file, "[pgsluice]\nlisten = 127.0.0.1\nworkers = %u\nauth = trust\n", workers);
    write_pool(file);
    fprintf(file, "[database app]\nurl = postgresql://alice@db/app\n");
    fclose(file);
    FILE *problem_file = open_memstream(&problems, &problem_size);
    struct config *config = config_load_text("sim.ini", text, size, problem_file);
    fclose(problem_file);
    sim_require(config != NULL, "configuration: %s\n%s", problems, text);
    sim_trace("%s", text);
    free(text);
    free(problems);
    return config;
}

/* ---- Upwards of session ---- */

static void console_query(struct client *client, const char *sql)
{
    (void)client, (void)sql;
    sim_fail("nobody asks the console");
}

static void worker_drained(struct worker *worker)
{
    sim_trace("worker %u: drained", worker->number);
    world.drained++;
}

static const struct service_upward upward = {console_query, worker_drained};

/* ---- Birth and death ---- */

static void choose_nature(void)
{
    struct nature *nature = &world.nature;
    *nature = (struct nature){.clients = 2 + sim_choose(10)};
    if (sim_chance(300)) /* calm: every byte is as it must be */
        return;
    nature->faults = sim_chance(600);
    nature->silences = nature->faults && sim_chance(300);
    nature->leaves = sim_chance(500);
    nature->cancels = sim_chance(500);
    nature->reconfigures = sim_chance(200);
    nature->stops_early = sim_chance(150);
}

static void start_world(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    sim_random_start(seed);
    sim_trace_start(seed);
    world.now = 1000 * CLOCK_SECOND;
    sim_clock_set(world.now);
    choose_nature();
    unsigned workers = 1 + sim_choose(MOST_WORKERS);
    world.config = make_config(workers);
    struct sim_server_faults faults = {.kills = world.nature.faults,
                                       .silences = world.nature.silences,
                                       .sleeping = sim_chance(300) ? 500 : 20};
    sim_server_start(&faults);
    struct sim_client_rules rules = {.rough = world.nature.faults,
                                     .may_wait_long = world.nature.faults,
                                     .leaves = world.nature.leaves,
                                     .cancels = world.nature.cancels,
                                     .units = 1 + sim_choose(20),
                                     .thinking = sim_chance(500) ? 0 : 50,
                                     .users = {"alice", sim_chance(300) ? "bob" : "alice"}};
    sim_clients_start(&rules);
    world.service =
        (struct service){.workers = world.workers, .worker_count = workers, .upward = &upward};
    world.service.registry =
        registry_new(workers, sim_invariant_methods(), &world.service, sim_random());
    for (unsigned i = 0; i < workers; i++)
        world.workers[i] = worker_new(&world.service, i, world.config);
    sim_invariant_start(&world.service);
}

static void stop_world(void)
{
    for (unsigned i = 0; i < world.service.worker_count; i++)
        worker_free(world.workers[i]);
    registry_free(world.service.registry);
    catalog_forget_all();
    greeting_forget_all();
    key_cache_clear();
    config_release(&world.config);
    sim_clients_stop();
    sim_server_stop();
    sim_require(sim_wire_open_count() == 0, "%u ends of connections are left open",
                sim_wire_open_count());
}

/* ---- What the main thread does ---- */

static void add_client(int descriptor)
{
    if (descriptor >= 0)
        worker_give_client(world.workers[sim_choose(world.service.worker_count)], descriptor);
}

static void reconfigure_pool(struct pool *pool, void *context)
{
    struct settings *old = pool_settings(pool);
    struct settings *settings = config_resolve(context, old->database, old->user);
    pool_reconfigure(pool, settings, world.now);
    settings_release(&settings);
    settings_release(&old);
}

static void reload(void)
{
    sim_trace("main: reload");
    config_release(&world.config);
    world.config = make_config(world.service.worker_count);
    registry_visit(world.service.registry, reconfigure_pool, world.config);
    for (unsigned i = 0; i < world.service.worker_count; i++)
        worker_give_config(world.workers[i], world.config);
}

static void shut_pool(struct pool *pool, void *context)
{
    (void)context;
    pool_shutdown(pool, world.now);
}

static void stop(bool at_once)
{
    sim_trace("main: stop%s", at_once ? " at once" : "");
    sim_clients_expect_shutdown();
    world.stopped = true;
    atomic_store(&world.service.stopping, true);
    for (unsigned i = 0; i < world.service.worker_count; i++)
        worker_drain(world.workers[i], false);
    registry_visit(world.service.registry, shut_pool, NULL);
    for (unsigned i = 0; at_once && i < world.service.worker_count; i++)
        worker_drain(world.workers[i], true);
}

static void act(void)
{
    const struct nature *nature = &world.nature;
    if (sim_clients_made() < 2 || (sim_clients_alive() < nature->clients && sim_chance(30)))
        add_client(sim_client_new());
    if (nature->cancels && sim_chance(10))
        add_client(sim_client_new_cancel());
    if (nature->faults && sim_chance(4))
        sim_server_fault();
    if (nature->reconfigures && sim_chance(2))
        reload();
}

/* ---- Events ---- */

enum sim_event_kind {
    EVENT_MAIL,
    EVENT_TIMER,
    EVENT_ANSWER,
    EVENT_READ,
    EVENT_WRITE,
    EVENT_CONNECT,
    EVENT_BACKEND,
    EVENT_CLIENT,
};

struct sim_event {
    enum sim_event_kind kind;
    unsigned worker;
    void *object;
};

static struct sim_event events[MOST_EVENTS];
static unsigned event_count;

static void add_event(enum sim_event_kind kind, unsigned worker, void *object)
{
    if (event_count < MOST_EVENTS)
        events[event_count++] = (struct sim_event){kind, worker, object};
}

static unsigned worker_of(const struct loop *loop)
{
    for (unsigned i = 0; i < world.service.worker_count; i++) {
        if (world.workers[i]->loop == loop)
            return i;
    }
    sim_fail("a stream on no worker's loop");
}

static void collect_stream(struct stream *stream)
{
    struct loop *loop = sim_stream_loop(stream);
    if (loop == NULL)
        return;
    unsigned worker = worker_of(loop);
    if (sim_stream_wants_read(stream) || (!stream->paused && !stream->connecting && sim_chance(5)))
        add_event(EVENT_READ, worker, stream);
    if (sim_stream_wants_write(stream))
        add_event(EVENT_WRITE, worker, stream);
    if (sim_stream_wants_connect(stream))
        add_event(EVENT_CONNECT, worker, stream);
}

static void collect(void)
{
    event_count = 0;
    for (unsigned i = 0; i < world.service.worker_count; i++) {
        struct worker *worker = world.workers[i];
        if (sim_loop_has_mail(worker->loop))
            add_event(EVENT_MAIL, i, worker->loop);
        if (sim_loop_due(worker->loop) <= world.now)
            add_event(EVENT_TIMER, i, worker->loop);
        if (sim_resolver_has_answer(worker->resolver))
            add_event(EVENT_ANSWER, i, worker->resolver);
    }
    for (int i = 0; i < sim_wire_descriptor_limit(); i++) {
        struct sim_end *end = sim_wire_end(i);
        if (end != NULL && end->stream != NULL)
            collect_stream(end->stream);
    }
    struct sim_backend *backends[32];
    unsigned count = sim_server_collect(backends, 32);
    for (unsigned i = 0; i < count; i++)
        add_event(EVENT_BACKEND, 0, backends[i]);
    struct sim_client *clients[64];
    count = sim_clients_collect(clients, 64);
    for (unsigned i = 0; i < count; i++)
        add_event(EVENT_CLIENT, 0, clients[i]);
}

static void run_worker_event(const struct sim_event *event)
{
    switch (event->kind) {
    case EVENT_MAIL:
        sim_loop_deliver(event->object);
        break;
    case EVENT_TIMER:
        sim_loop_fire(event->object);
        break;
    case EVENT_ANSWER:
        sim_resolver_answer(event->object);
        break;
    case EVENT_READ:
        sim_stream_read_event(event->object);
        break;
    case EVENT_WRITE:
        sim_stream_write_event(event->object);
        break;
    case EVENT_CONNECT:
        sim_stream_connect_event(event->object);
        break;
    case EVENT_BACKEND:
    case EVENT_CLIENT:
        sim_fail("not a worker's event");
    }
}

static void run_event(const struct sim_event *event)
{
    world.events++;
    if (event->kind == EVENT_BACKEND) {
        sim_server_step(event->object);
    } else if (event->kind == EVENT_CLIENT) {
        sim_client_step(event->object);
    } else {
        struct worker *worker = world.workers[event->worker];
        sim_loop_enter(worker->loop);
        worker_play(worker);
        run_worker_event(event);
        worker_play(NULL);
        sim_loop_leave();
        sim_invariant_check();
    }
}

/* ---- Time ---- */

static microseconds next_due(void)
{
    microseconds due = sim_server_due();
    if (sim_clients_due() < due)
        due = sim_clients_due();
    for (unsigned i = 0; i < world.service.worker_count; i++) {
        if (sim_loop_due(world.workers[i]->loop) < due)
            due = sim_loop_due(world.workers[i]->loop);
    }
    return due;
}

static void advance(void)
{
    unsigned choice = sim_choose(1000);
    if (choice < 800)
        world.now += sim_choose(20);
    else if (choice < 995)
        world.now += sim_choose(2000);
    else
        world.now += sim_choose(300000);
    sim_clock_set(world.now);
}

static void step(void)
{
    collect();
    if (event_count == 0) {
        world.now = next_due() > world.now ? next_due() : world.now;
        sim_clock_set(world.now);
        return;
    }
    run_event(&events[sim_choose(event_count)]);
    advance();
}

/* ---- To the end ---- */

static bool clients_are_gone(void)
{
    return sim_clients_alive() == 0;
}

static bool pools_are_at_rest(void)
{
    return sim_invariant_at_rest();
}

static bool workers_are_drained(void)
{
    for (unsigned i = 0; i < world.service.worker_count; i++) {
        if (sim_loop_has_mail(world.workers[i]->loop))
            return false;
    }
    return world.drained == world.service.worker_count;
}

static void run_until(bool (*done)(void), const char *what)
{
    microseconds limit = world.now + REST_LIMIT;
    while (!done()) {
        if (world.now > limit) {
            sim_clients_explain();
            sim_invariant_explain();
            sim_fail("%s: it has not come to that in %d s", what, (int)(REST_LIMIT / CLOCK_SECOND));
        }
        step();
    }
}

static void add_counts(struct pool *pool, void *context)
{
    struct sim_totals *totals = context;
    struct pool_counts counts = pool_count(pool, world.now);
    totals->leases += counts.leases;
    totals->waits += counts.waits;
    totals->timeouts += counts.timeouts;
    totals->opened += counts.opened;
    totals->lost += counts.lost;
}

void sim_world_run(uint64_t seed, unsigned steps, struct sim_totals *totals)
{
    start_world(seed);
    unsigned stop_at = world.nature.stops_early ? sim_choose(steps) : steps;
    for (unsigned i = 0; i < stop_at; i++) {
        act();
        step();
    }
    if (world.nature.stops_early)
        stop(sim_chance(500));
    sim_clients_finish();
    sim_server_calm();
    run_until(clients_are_gone, "all clients are gone");
    run_until(pools_are_at_rest, "the pools are at rest");
    if (!world.stopped)
        stop(false);
    run_until(workers_are_drained, "all workers are drained");
    registry_visit(world.service.registry, add_counts, totals);
    totals->clients += sim_clients_made();
    totals->answers += sim_clients_answers();
    totals->statements += sim_server_statements();
    totals->events += world.events;
    stop_world();
}
