/* test_registry.c: pools by (database, user) (src/pool/registry.c). */
#include "pool/registry.h"

#include "base/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pool_server *create(struct pool *pool, unsigned worker)
{
    (void)pool;
    (void)worker;
    fail();
    return NULL;
}

static const struct pool_methods methods = {.create = create};

static struct pool *pool_for(struct registry *registry, const char *database, const char *user)
{
    struct settings *settings = memory_new(struct settings);

    settings->references = 1;
    settings->database = memory_string(database);
    settings->user = memory_string(user);
    struct pool *pool = registry_pool(registry, settings);
    settings_release(&settings);
    return pool;
}

static void same_database_and_user_share_a_pool(void **context)
{
    int owner;
    struct registry *registry = registry_new(2, &methods, &owner, 1);
    (void)context;

    struct pool *pool = pool_for(registry, "shop", "alice");
    assert_ptr_equal(pool_for(registry, "shop", "alice"), pool);
    assert_ptr_equal(pool_owner(pool), &owner);
    registry_free(registry);
}

static void others_have_their_own(void **context)
{
    struct registry *registry = registry_new(2, &methods, NULL, 1);
    (void)context;

    struct pool *pool = pool_for(registry, "shop", "alice");
    assert_ptr_not_equal(pool_for(registry, "shop", "bob"), pool);
    assert_ptr_not_equal(pool_for(registry, "shopa", "lice"), pool);
    assert_ptr_not_equal(pool_for(registry, "Shop", "alice"), pool);
    registry_free(registry);
}

static void first_settings_stay_until_reconfigured(void **context)
{
    struct registry *registry = registry_new(1, &methods, NULL, 1);
    struct settings *settings = memory_new(struct settings);
    (void)context;

    settings->references = 1;
    settings->database = memory_string("shop");
    settings->user = memory_string("alice");
    settings->size = 3;
    struct pool *pool = registry_pool(registry, settings);
    assert_ptr_equal(pool_for(registry, "shop", "alice"), pool);
    struct settings *current = pool_settings(pool);
    assert_ptr_equal(current, settings);
    settings_release(&current);
    settings_release(&settings);
    registry_free(registry);
}

static void write_name(struct pool *pool, void *context)
{
    struct settings *settings = pool_settings(pool);
    char *names = context;

    sprintf(names + strlen(names), "%s/%s ", settings->database, settings->user);
    settings_release(&settings);
}

static void visit_goes_in_order_of_names(void **context)
{
    struct registry *registry = registry_new(1, &methods, NULL, 1);
    char names[256] = "";
    (void)context;

    registry_visit(registry, write_name, names);
    assert_string_equal(names, "");
    pool_for(registry, "shop", "bob");
    pool_for(registry, "shop2", "alice");
    pool_for(registry, "shop", "alice");
    pool_for(registry, "a", "z");
    registry_visit(registry, write_name, names);
    assert_string_equal(names, "a/z shop/alice shop/bob shop2/alice ");
    pool_for(registry, "b", "z");
    names[0] = '\0';
    registry_visit(registry, write_name, names);
    assert_string_equal(names, "a/z b/z shop/alice shop/bob shop2/alice ");
    registry_free(registry);
}

static void make_another(struct pool *pool, void *context)
{
    (void)pool;
    pool_for(context, "made", "inside");
}

static void visitor_may_use_the_registry(void **context)
{
    struct registry *registry = registry_new(1, &methods, NULL, 1);
    char names[64] = "";
    (void)context;

    pool_for(registry, "shop", "alice");
    registry_visit(registry, make_another, registry);
    registry_visit(registry, write_name, names);
    assert_string_equal(names, "made/inside shop/alice ");
    registry_free(registry);
}

struct finder {
    pthread_t thread;
    struct registry *registry;
    struct pool *pools[100];
};

static void *find_all(void *argument)
{
    struct finder *finder = argument;

    for (unsigned i = 0; i < 100; i++) {
        char user[16];
        snprintf(user, sizeof(user), "user%u", i);
        finder->pools[i] = pool_for(finder->registry, "shop", user);
    }
    return NULL;
}

static void threads_find_the_same_pools(void **context)
{
    struct registry *registry = registry_new(2, &methods, NULL, 1);
    struct finder finders[2] = {{.registry = registry}, {.registry = registry}};
    (void)context;

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&finders[i].thread, NULL, find_all, &finders[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(finders[i].thread, NULL), 0);
    for (int i = 0; i < 100; i++)
        assert_ptr_equal(finders[0].pools[i], finders[1].pools[i]);
    registry_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_database_and_user_share_a_pool),
        cmocka_unit_test(others_have_their_own),
        cmocka_unit_test(first_settings_stay_until_reconfigured),
        cmocka_unit_test(visit_goes_in_order_of_names),
        cmocka_unit_test(visitor_may_use_the_registry),
        cmocka_unit_test(threads_find_the_same_pools),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
