/*
 * test_statement.c: statement.c, statement_names.c, statement_cache.c: equal content is one object
 * with one name, also between threads; a client's names; a server connection's statements in the
 * order of their use.
 */
#include "state/statement.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The content of a Parse for `query` without parameter types. */
static struct statement *statement_of(const char *query)
{
    uint8_t content[256];
    size_t length = strlen(query) + 1;
    assert_true(length + 2 <= sizeof content);
    memcpy(content, query, length);
    content[length] = content[length + 1] = 0;
    return statement_intern(content, length + 2, 0);
}

static void test_equal_content_is_one_object(void **state)
{
    (void)state;
    struct statement *one = statement_of("select 1");
    struct statement *other = statement_of("select 1");
    struct statement *different = statement_of("select 2");
    assert_ptr_equal(one, other);
    assert_ptr_not_equal(one, different);
    assert_string_not_equal(one->name, different->name);
    statement_release(&one);
    assert_null(one);
    assert_int_equal(other->content_length, sizeof "select 1" + 2);
    assert_memory_equal(other->content, "select 1\0\0", other->content_length);
    statement_release(&other);
    statement_release(&other);
    statement_release(&different);
}

static void test_content_is_copied_and_compared_whole(void **state)
{
    (void)state;
    uint8_t content[] = "select $1\0\0\1\0\0\0\x17";
    struct statement *one = statement_intern(content, sizeof content - 1, 0);
    content[sizeof content - 2] = 25;
    struct statement *other = statement_intern(content, sizeof content - 1, 0);
    assert_ptr_not_equal(one, other);
    assert_int_equal(one->content[sizeof content - 2], 23);
    assert_string_not_equal(one->name, other->name);
    statement_release(&one);
    statement_release(&other);
}

static void test_another_context_is_another_statement(void **state)
{
    (void)state;
    const uint8_t content[] = "select 'x'\0\0";
    struct statement *none = statement_intern(content, sizeof content, 0);
    struct statement *one = statement_intern(content, sizeof content, 1);
    struct statement *same = statement_intern(content, sizeof content, 1);
    struct statement *other = statement_intern(content, sizeof content, 2);
    assert_ptr_equal(one, same);
    assert_ptr_not_equal(one, none);
    assert_ptr_not_equal(one, other);
    assert_string_not_equal(one->name, none->name);
    assert_string_not_equal(one->name, other->name);
    assert_int_equal(one->content_length, sizeof content);
    statement_release(&none);
    statement_release(&one);
    statement_release(&same);
    statement_release(&other);
}

static void test_constants_need_a_context(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool needs;
    } cases[] = {
        {"", false},
        {"SELECT a, b FROM t WHERE c = $1 AND d = $23", false},
        {"SELECT 'x'", true},
        {"SELECT $$x$$", true},
        {"SELECT $a$x$a$", true},
        {"SELECT $1 || $b$x$b$", true},
        {"SELECT caf\xc3\xa9", true},
        {"SELECT $", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (statement_needs_context(cases[i].sql, strlen(cases[i].sql)) != cases[i].needs)
            fail_msg("wrong: %s", cases[i].sql);
    }
}

/* The name must be the same in every process: `printf 'select 1\0\0\0' | sha256sum`. */
static void test_name_is_of_the_content(void **state)
{
    (void)state;
    struct statement *statement = statement_of("select 1");
    assert_string_equal(statement->name, "pgsluice_7564e853d733d68343faa17c9a203410");
    assert_int_equal(strlen(statement->name) + 1, STATEMENT_NAME_SIZE);
    statement_release(&statement);
    statement = statement_of("select 1");
    assert_string_equal(statement->name, "pgsluice_7564e853d733d68343faa17c9a203410");
    statement_release(&statement);
}

static void test_names_of_a_client(void **state)
{
    (void)state;
    struct statement_names *names = NULL;
    struct statement *one = statement_of("select 1");
    struct statement *two = statement_of("select 2");

    assert_null(statement_names_find(names, "a"));
    assert_false(statement_names_remove(&names, "a"));
    assert_int_equal(statement_names_count(names), 0);
    statement_names_add(&names, "a", one);
    statement_names_add(&names, "", two);
    statement_names_add(&names, "ab", one);
    assert_int_equal(statement_names_count(names), 3);
    assert_ptr_equal(statement_names_find(names, "a"), one);
    assert_ptr_equal(statement_names_find(names, ""), two);
    assert_null(statement_names_find(names, "A"));
    assert_true(statement_names_remove(&names, "a"));
    assert_false(statement_names_remove(&names, "a"));
    assert_null(statement_names_find(names, "a"));
    assert_ptr_equal(statement_names_find(names, "ab"), one);
    assert_true(statement_names_remove(&names, "ab"));
    assert_true(statement_names_remove(&names, ""));
    assert_null(names);
    statement_release(&one);
    statement_release(&two);
}

static void test_names_keep_their_statements(void **state)
{
    (void)state;
    struct statement_names *names = NULL;
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "s%d", i);
        struct statement *statement = statement_of(name);
        statement_names_add(&names, name, statement);
        statement_release(&statement);
    }
    assert_int_equal(statement_names_count(names), 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_string_equal((const char *)statement_names_find(names, name)->content, name);
    }
    statement_names_clear(&names);
    assert_null(names);
    statement_names_clear(&names);
}

/* What the cache evicts with the limit, "-" where it evicts nothing. */
static void assert_evicts(struct statement_cache **cache, size_t limit, const char *query)
{
    struct statement *evicted = statement_cache_evict(cache, limit);
    assert_string_equal(evicted == NULL ? "-" : (const char *)evicted->content, query);
    statement_release(&evicted);
}

static void test_cache_evicts_the_least_recently_used(void **state)
{
    (void)state;
    static const char *const queries[] = {"a", "b", "c", "d"};
    struct statement_cache *cache = NULL;
    struct statement *statements[4];

    for (size_t i = 0; i < 4; i++) {
        statements[i] = statement_of(queries[i]);
        assert_false(statement_cache_use(cache, statements[i]));
        statement_cache_add(&cache, statements[i]);
    }
    assert_int_equal(statement_cache_count(cache), 4);
    assert_evicts(&cache, 4, "-");
    assert_true(statement_cache_use(cache, statements[0]));
    assert_true(statement_cache_use(cache, statements[3]));
    assert_true(statement_cache_use(cache, statements[2]));
    assert_evicts(&cache, 3, "b");
    assert_evicts(&cache, 3, "-");
    assert_false(statement_cache_use(cache, statements[1]));
    assert_evicts(&cache, 1, "a");
    assert_evicts(&cache, 1, "d");
    assert_evicts(&cache, 0, "c");
    assert_evicts(&cache, 0, "-");
    assert_null(cache);
    for (size_t i = 0; i < 4; i++)
        statement_release(&statements[i]);
}

static void test_cache_removes_and_clears(void **state)
{
    (void)state;
    struct statement_cache *cache = NULL;
    struct statement *one = statement_of("select 1");
    struct statement *two = statement_of("select 2");

    assert_false(statement_cache_remove(&cache, one));
    assert_int_equal(statement_cache_count(cache), 0);
    statement_cache_add(&cache, one);
    statement_cache_add(&cache, two);
    assert_true(statement_cache_remove(&cache, one));
    assert_false(statement_cache_remove(&cache, one));
    assert_int_equal(statement_cache_count(cache), 1);
    statement_cache_add(&cache, one);
    statement_release(&one);
    statement_release(&two);
    statement_cache_clear(&cache);
    assert_null(cache);
    statement_cache_clear(&cache);
}

/* Last releases meet lookups of the same content. */
static void *intern_and_release(void *context)
{
    static const char *const queries[] = {"select 1", "select 2", "select 3"};
    unsigned *mismatches = context;
    for (unsigned i = 0; i < 20000; i++) {
        struct statement *one = statement_of(queries[i % 3]);
        struct statement *kept = statement_retain(one);
        struct statement *again = statement_of(queries[i % 3]);
        if (again != one || strcmp((const char *)kept->content, queries[i % 3]) != 0)
            ++*mismatches;
        statement_release(&one);
        statement_release(&again);
        statement_release(&kept);
    }
    return NULL;
}

static void test_threads_share_statements(void **state)
{
    (void)state;
    pthread_t threads[2];
    unsigned mismatches[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, intern_and_release, &mismatches[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(mismatches[0] + mismatches[1], 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_content_is_one_object),
        cmocka_unit_test(test_content_is_copied_and_compared_whole),
        cmocka_unit_test(test_another_context_is_another_statement),
        cmocka_unit_test(test_constants_need_a_context),
        cmocka_unit_test(test_name_is_of_the_content),
        cmocka_unit_test(test_names_of_a_client),
        cmocka_unit_test(test_names_keep_their_statements),
        cmocka_unit_test(test_cache_evicts_the_least_recently_used),
        cmocka_unit_test(test_cache_removes_and_clears),
        cmocka_unit_test(test_threads_share_statements),
    };
    return cmocka_run_group_tests_name("statement", tests, NULL, NULL);
}
