/* test_pool_schedule.c: thousands of seeded schedules of leases, returns, losses, cancels, late
 * messages, ticks and new settings on several workers in virtual time; after each step the pool's
 * invariants and its counts are compared with the model's (src/pool). */
#include "pool_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SCHEDULES 4000
#define STEPS 300

static unsigned limit; /* size + overflow of the present settings */

/* What went by over all schedules, to see that each way is gone. */
static struct {
    uint64_t leases, moved, overtaken, refusals, cancelled, timeouts, lost;
} gone;

/* Nobody in line who should have gone first? */
static void check_order(struct model *model, struct model_client *client,
                        struct model_server *server)
{
    microseconds now = model->now;
    bool is_own = client->worker == server->home;

    gone.moved += is_own ? 0 : 1;
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        for (unsigned j = 0; j < MODEL_CLIENTS; j++) {
            struct model_client *other = &model->workers[i].clients[j];
            if (other->waiter.state != POOL_WAITER_WAITING || other->arrival > client->arrival)
                continue;
            check(is_own && other->worker != client->worker);
            check(now - other->waiter.since < POOL_FAIRNESS);
            gone.overtaken++;
        }
    }
}

static void check_limit(struct model *model)
{
    check(model->server_count < limit);
}

static unsigned count_waiters(struct model *model)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        for (unsigned j = 0; j < MODEL_CLIENTS; j++)
            count += model->workers[i].clients[j].waiter.state == POOL_WAITER_WAITING;
    }
    return count;
}

static unsigned count_leases(struct model *model)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        for (unsigned j = 0; j < MODEL_CLIENTS; j++)
            count += model->workers[i].clients[j].state == CLIENT_LEASES;
    }
    return count;
}

static void check_counts(struct model *model)
{
    struct pool_counts counts = pool_count(model->pool, model->now);

    pool_check(model->pool);
    check(counts.leased == count_leases(model));
    check(counts.waiting == count_waiters(model));
    check(counts.connecting + counts.idle + counts.granted + counts.leased + counts.closing ==
          model->server_count);
}

static void tick(struct model *model, uint64_t *random)
{
    static const microseconds lengths[] = {CLOCK_MILLISECOND, 4 * CLOCK_MILLISECOND,
                                           100 * CLOCK_MILLISECOND};

    model->now +=
        model_choose(random, 16) == 0 ? 2 * CLOCK_SECOND : lengths[model_choose(random, 3)];
    if (model_choose(random, 2) == 0)
        pool_tick(model->pool, model->now);
}

static void reconfigure(struct model *model, uint64_t *random)
{
    struct settings *settings = model_settings(random);

    limit = settings->size + settings->overflow;
    pool_reconfigure(model->pool, settings, model->now);
    settings_release(&settings);
}

static void step(struct model *model, uint64_t *random)
{
    unsigned choice = model_choose(random, 100);

    if (choice < 10)
        tick(model, random);
    else if (choice < 11)
        reconfigure(model, random);
    else
        model_worker_step(&model->workers[model_choose(random, MODEL_WORKERS)]);
    check_counts(model);
}

static bool is_at_rest(struct model *model)
{
    struct pool_counts counts = pool_count(model->pool, model->now);

    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        if (!model_clients_rest(&model->workers[i]) || !TAILQ_EMPTY(&model->workers[i].messages))
            return false;
    }
    return counts.connecting == 0 && counts.closing == 0 && counts.granted == 0;
}

static void come_to_rest(struct model *model, uint64_t *random)
{
    model->draining = true;
    for (unsigned i = 0; !is_at_rest(model); i++) {
        check(i < 100000);
        if (i % 64 == 0)
            tick(model, random);
        model_worker_step(&model->workers[model_choose(random, MODEL_WORKERS)]);
        check_counts(model);
    }
    struct pool_counts counts = pool_count(model->pool, model->now);
    check(counts.waiting == 0 && counts.leased == 0 && counts.idle <= limit);
    check(counts.longest_wait == 0);
}

static void run_schedule(uint64_t seed)
{
    struct model model;
    uint64_t random = ~seed;
    struct settings *settings = model_settings(&random);

    model_start(&model, settings, seed);
    model.on_grant = check_order;
    model.faults = (unsigned)(seed % 4) * 33;
    model.on_create = check_limit;
    limit = settings->size + settings->overflow;
    settings_release(&settings);
    for (int i = 0; i < STEPS; i++)
        step(&model, &random);
    if (seed % 2 == 0) /* shutting down in the midst of it must end as well */
        pool_shutdown(model.pool, model.now);
    come_to_rest(&model, &random);
    pool_shutdown(model.pool, model.now);
    come_to_rest(&model, &random);
    struct pool_counts counts = pool_count(model.pool, model.now);
    gone.timeouts += counts.timeouts;
    gone.lost += counts.lost;
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        gone.leases += model.workers[i].leases;
        gone.refusals += model.workers[i].refusals;
        gone.cancelled += model.workers[i].cancelled;
    }
    model_stop(&model);
}

static void invariants_hold_in_every_schedule(void **context)
{
    (void)context;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++)
        run_schedule(seed);
    print_message("%u schedules: %llu leases, %llu moved, %llu overtaken within the bound, "
                  "%llu refusals, %llu timeouts, %llu cancelled, %llu lost\n",
                  SCHEDULES, (unsigned long long)gone.leases, (unsigned long long)gone.moved,
                  (unsigned long long)gone.overtaken, (unsigned long long)gone.refusals,
                  (unsigned long long)gone.timeouts, (unsigned long long)gone.cancelled,
                  (unsigned long long)gone.lost);
    assert_true(gone.leases > SCHEDULES && gone.moved > SCHEDULES);
    assert_true(gone.overtaken > 0 && gone.refusals > 0 && gone.timeouts > 0);
    assert_true(gone.cancelled > 0 && gone.lost > 0);
}

static void record_order(struct model *model, struct model_client *client,
                         struct model_server *server)
{
    (void)model;
    gone.moved = gone.moved * 31 + client->arrival * 7 + server->home->number;
}

static uint64_t fingerprint(uint64_t seed)
{
    struct model model;
    uint64_t random = seed;
    struct settings *settings = model_settings(&random);

    memset(&gone, 0, sizeof(gone));
    model_start(&model, settings, seed);
    model.on_grant = record_order;
    settings_release(&settings);
    for (int i = 0; i < STEPS; i++)
        step(&model, &random);
    come_to_rest(&model, &random);
    pool_shutdown(model.pool, model.now);
    come_to_rest(&model, &random);
    model_stop(&model);
    return gone.moved;
}

static void same_seed_gives_the_same_schedule(void **context)
{
    (void)context;
    assert_true(fingerprint(42) == fingerprint(42));
    assert_true(fingerprint(42) != fingerprint(43));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invariants_hold_in_every_schedule),
        cmocka_unit_test(same_seed_gives_the_same_schedule),
    };
    return cmocka_run_group_tests_name("pool_schedule", tests, NULL, NULL);
}
