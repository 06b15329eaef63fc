/* test_pool_threads.c: a pool under real threads: workers that lease, return, cancel and lose while
 * another thread ticks and changes the settings. Meant for ThreadSanitizer and AddressSanitizer: it
 * is the lifetimes of servers and waiters between threads that this tries (src/pool). */
#include "pool_model.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define LEASES 3000 /* of each worker, at least */

struct player {
    struct model_worker *worker;
    pthread_t thread;
    atomic_bool is_done; /* has had its leases; it goes on until all have */
    atomic_bool rests;   /* none of its clients wants anything */
    atomic_bool *stop;
};

static void *play(void *argument)
{
    struct player *player = argument;
    struct model_worker *worker = player->worker;

    while (worker->leases < LEASES) {
        model_worker_step(worker);
        sched_yield();
    }
    player->is_done = true;
    while (!*player->stop) {
        model_worker_step(worker);
        player->rests = worker->model->draining && model_clients_rest(worker);
        sched_yield();
    }
    return NULL;
}

static bool all_done(struct player *players)
{
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        if (!players[i].is_done)
            return false;
    }
    return true;
}

static bool all_rest(struct model *model, struct player *players)
{
    struct pool_counts counts = pool_count(model->pool, model->now);

    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        if (!players[i].rests)
            return false;
    }
    return counts.connecting + counts.granted + counts.leased + counts.closing == 0;
}

/* What the main thread does about once a millisecond; virtual time runs ten times as fast. */
static void tick(struct model *model, uint64_t *random)
{
    struct timespec pause = {.tv_nsec = 500000};

    nanosleep(&pause, NULL);
    model->now += 10 * CLOCK_MILLISECOND;
    pool_tick(model->pool, model->now);
    pool_check(model->pool);
    if (!model->draining && model_choose(random, 10) == 0) {
        struct settings *settings = model_settings(random);
        pool_reconfigure(model->pool, settings, model->now);
        settings_release(&settings);
    }
}

static void threads_share_a_pool(void **context)
{
    struct model model;
    struct player players[MODEL_WORKERS] = {0};
    atomic_bool stop = false;
    uint64_t random = 1;
    struct settings *settings = model_settings(&random);
    (void)context;

    model_start(&model, settings, 1);
    model.faults = 20;
    settings_release(&settings);
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        players[i].worker = &model.workers[i];
        players[i].stop = &stop;
        assert_int_equal(pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
    }
    while (!all_done(players))
        tick(&model, &random);
    model.draining = true;
    while (!all_rest(&model, players))
        tick(&model, &random);
    pool_shutdown(model.pool, model.now);
    while (model.server_count > 0)
        tick(&model, &random);
    stop = true;
    uint64_t leases = 0, refusals = 0, cancelled = 0;
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        assert_int_equal(pthread_join(players[i].thread, NULL), 0);
        leases += model.workers[i].leases;
        refusals += model.workers[i].refusals;
        cancelled += model.workers[i].cancelled;
    }
    struct pool_counts counts = pool_count(model.pool, model.now);
    assert_int_equal(counts.leases, leases);
    print_message("%llu leases, %llu waits, %llu refused, %llu cancelled\n",
                  (unsigned long long)leases, (unsigned long long)counts.waits,
                  (unsigned long long)refusals, (unsigned long long)cancelled);
    assert_true(refusals > 0 && cancelled > 0);
    model_stop(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_pool),
    };
    return cmocka_run_group_tests_name("pool_threads", tests, NULL, NULL);
}
