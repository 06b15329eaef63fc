/*
 * test_guc.c: guc.c and pair_set.c: sets that are equal are one object whatever way they came to
 * be, also when two threads intern and release the same; and the text of guc_write_switch (that
 * PostgreSQL understands it so is the system tests' matter).
 */
#include "state/guc.h"

#include "base/buffer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "name=value;name=value" */
static struct guc_set *set_of(const char *text)
{
    struct pairs pairs = {0};
    char copy[1024];
    char *rest = NULL;
    assert_true(strlen(text) < sizeof copy);
    strcpy(copy, text);
    for (char *item = strtok_r(copy, ";", &rest); item != NULL; item = strtok_r(NULL, ";", &rest)) {
        char *value = strchr(item, '=');
        *value++ = '\0';
        pairs_add(&pairs, item, value);
    }
    struct guc_set *set = guc_intern(&pairs);
    pairs_clear(&pairs);
    return set;
}

static void assert_set(const struct guc_set *set, const char *expected)
{
    const struct pairs *pairs = guc_pairs(set);
    char text[1024] = "";
    size_t length = 0;
    for (size_t i = 0; i < pairs->count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s=%s", i > 0 ? ";" : "",
                                   pairs->items[i].name, pairs->items[i].value);
    assert_string_equal(text, expected);
}

static void test_empty_is_one_object(void **state)
{
    (void)state;
    struct guc_set *one = guc_empty();
    struct guc_set *other = set_of("");
    struct guc_set *work_mem = set_of("work_mem=1MB");
    struct guc_set *without = guc_without(work_mem, "work_mem");
    assert_non_null(one);
    assert_ptr_equal(one, other);
    assert_ptr_equal(one, without);
    assert_int_equal(guc_pairs(one)->count, 0);
    guc_release(&one);
    guc_release(&other);
    guc_release(&without);
    guc_release(&work_mem);
    assert_null(one);
    guc_release(&one);
    one = guc_empty();
    assert_int_equal(guc_pairs(one)->count, 0);
    guc_release(&one);
}

static void test_equal_sets_are_one_object(void **state)
{
    (void)state;
    struct guc_set *one = set_of("work_mem=1MB;DateStyle=ISO;app.user_id=7");
    struct guc_set *other = set_of("app.User_ID=7;datestyle=ISO;WORK_MEM=1MB");
    struct guc_set *different = set_of("app.user_id=7;datestyle=iso;work_mem=1MB");
    assert_ptr_equal(one, other);
    assert_ptr_not_equal(one, different);
    assert_set(one, "app.user_id=7;datestyle=ISO;work_mem=1MB");
    guc_release(&one);
    assert_set(other, "app.user_id=7;datestyle=ISO;work_mem=1MB");
    guc_release(&other);
    guc_release(&different);
}

static void test_later_pairs_win(void **state)
{
    (void)state;
    struct guc_set *set = set_of("a=1;b=1;A=2;c=1;a=3;b=2");
    assert_set(set, "a=3;b=2;c=1");
    guc_release(&set);
}

static void test_where_a_value_ends_matters(void **state)
{
    (void)state;
    struct guc_set *one = set_of("a=;b=c");
    struct guc_set *other = set_of("a=b;c=");
    assert_ptr_not_equal(one, other);
    assert_set(one, "a=;b=c");
    assert_set(other, "a=b;c=");
    guc_release(&one);
    guc_release(&other);
}

static void test_with_adds_and_changes_anywhere(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        const char *result;
    } cases[] = {
        {"a", "1", "a=1;b=1;d=2;f=3"}, {"C", "1", "b=1;c=1;d=2;f=3"},
        {"g", "1", "b=1;d=2;f=3;g=1"}, {"B", "changed", "b=changed;d=2;f=3"},
        {"d", "", "b=1;d=;f=3"},       {"f", "longer", "b=1;d=2;f=longer"},
        {"b", "1", "b=1;d=2;f=3"},
    };
    struct guc_set *from = set_of("b=1;d=2;f=3");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guc_set *with = guc_with(from, cases[i].name, cases[i].value);
        struct guc_set *whole = set_of(cases[i].result);
        assert_set(with, cases[i].result);
        assert_ptr_equal(with, whole);
        guc_release(&with);
        guc_release(&whole);
    }
    assert_set(from, "b=1;d=2;f=3");
    guc_release(&from);
}

static void test_without_takes_out_anywhere(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"A", "b=2;c=3"}, {"b", "a=1;c=3"}, {"c", "a=1;b=2"}, {"bb", "a=1;b=2;c=3"}};
    struct guc_set *from = set_of("a=1;b=2;c=3");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guc_set *without = guc_without(from, cases[i][0]);
        struct guc_set *whole = set_of(cases[i][1]);
        assert_ptr_equal(without, whole);
        guc_release(&without);
        guc_release(&whole);
    }
    guc_release(&from);
}

static void test_merge_prefers_over(void **state)
{
    (void)state;
    struct guc_set *under = set_of("a=1;b=1;d=1");
    struct guc_set *over = set_of("B=2;c=2;e=2");
    struct guc_set *empty = guc_empty();
    struct guc_set *merged = guc_merge(under, over);
    struct guc_set *same = guc_merge(under, empty);
    struct guc_set *same_over = guc_merge(empty, over);
    assert_set(merged, "a=1;b=2;c=2;d=1;e=2");
    assert_ptr_equal(same, under);
    assert_ptr_equal(same_over, over);
    guc_release(&under);
    guc_release(&over);
    guc_release(&empty);
    guc_release(&merged);
    guc_release(&same);
    guc_release(&same_over);
}

#define CALL(name, value) "pg_catalog.set_config(E'" name "'," value ",false)IS NULL"

static void test_switch_texts(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *sql;
    } cases[] = {
        {"", "a=1", "SELECT " CALL("a", "E'1'")},
        {"a=1", "", "SELECT " CALL("a", "NULL")},
        {"a=1;b=1", "b=2;c=3",
         "SELECT " CALL("a", "NULL") "," CALL("b", "E'2'") "," CALL("c", "E'3'")},
        {"", "a=it's \\ \"x\"", "SELECT " CALL("a", "E'it''s \\\\ \"x\"'")},
        {"", "search_path=\"a b\", '', public",
         "SELECT " CALL("search_path", "E'\"a b\", '''', public'")},
        {"app.o'k\\=1", "", "SELECT " CALL("app.o''k\\\\", "NULL")},
        {"", "a=h\xc3\xa9",
         "SELECT " CALL("a", "pg_catalog.convert_from(pg_catalog.decode('68c3a9','hex'),"
                             "pg_catalog.getdatabaseencoding())")},
        {"a=1", "client_encoding=LATIN1",
         "SELECT " CALL("a", "NULL") "," CALL("client_encoding", "E'LATIN1'")},
        {"", "role=r;session_authorization=s;zzz=1",
         "SELECT " CALL("zzz", "E'1'") "," CALL("session_authorization", "E's'") "," CALL("role",
                                                                                          "E'r'")},
        {"role=r;session_authorization=s;zzz=1", "",
         "SELECT " CALL("role", "NULL") "," CALL("session_authorization", "NULL") "," CALL("zzz",
                                                                                           "NULL")},
        {"datestyle=ISO, DMY", "datestyle=SQL",
         "SELECT " CALL("datestyle", "NULL") "," CALL("datestyle", "E'SQL'")},
        {"datestyle=ISO, DMY", "a=1;datestyle=ISO, DMY", "SELECT " CALL("a", "E'1'")},
        {"default_transaction_deferrable=on", "a=1",
         "SET TRANSACTION NOT DEFERRABLE;SELECT " CALL("default_transaction_deferrable",
                                                       "NULL") "," CALL("a", "E'1'")},
        {"a=1;role=r", "a=2;role=r",
         "SELECT " CALL("role", "NULL") "," CALL("a", "E'2'") "," CALL("role", "E'r'")},
        {"prepare:q=x;prepare:Q=y", "", "DEALLOCATE \"Q\";DEALLOCATE \"q\";"},
        {"a=1;prepare:kept=x;prepare:other=y;prepare:gone=z;role=r",
         "b=1;prepare:kept=x;prepare:new=x;prepare:other=Y",
         "DEALLOCATE \"gone\";DEALLOCATE \"other\";SELECT " CALL("role", "NULL") "," CALL(
             "a", "NULL") "," CALL("b", "E'1'")},
        {"", "prepare:q=x", ""},
        {"prepare:a\"b\\ c=x", "", "DEALLOCATE \"a\"\"b\\ c\";"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guc_set *from = set_of(cases[i].from);
        struct guc_set *to = set_of(cases[i].to);
        struct buffer sql = {0};
        assert_true(guc_write_switch(from, to, &sql));
        buffer_append(&sql, "", 1);
        assert_string_equal((char *)buffer_bytes(&sql), cases[i].sql);
        buffer_release(&sql);
        guc_release(&from);
        guc_release(&to);
    }
}

static void test_no_switch_between_equals(void **state)
{
    (void)state;
    struct guc_set *one = set_of("a=1;role=r");
    struct guc_set *other = set_of("ROLE=r;A=1");
    struct buffer sql = {0};
    assert_false(guc_write_switch(one, other, &sql));
    assert_int_equal(buffer_length(&sql), 0);
    guc_release(&one);
    guc_release(&other);
}

static void test_a_long_switch_takes_several_selects(void **state)
{
    (void)state;
    struct pairs pairs = {0};
    char name[32];
    for (int i = 0; i < 2001; i++) {
        snprintf(name, sizeof name, "app.n%d", i);
        pairs_add(&pairs, name, "x");
    }
    struct guc_set *many = guc_intern(&pairs);
    struct guc_set *empty = guc_empty();
    struct buffer sql = {0};
    assert_int_equal(guc_pairs(many)->count, 2001);
    assert_true(guc_write_switch(empty, many, &sql));
    buffer_append(&sql, "", 1);
    size_t selects = 0;
    for (const char *at = (char *)buffer_bytes(&sql); (at = strstr(at, "SELECT ")) != NULL; at++)
        selects++;
    assert_int_equal(selects, 3);
    assert_null(strstr((char *)buffer_bytes(&sql), ",;"));
    assert_null(strstr((char *)buffer_bytes(&sql), "SELECT ,"));
    buffer_release(&sql);
    pairs_clear(&pairs);
    guc_release(&many);
    guc_release(&empty);
}

/* The same few sets are interned and released over and over, so that last releases meet lookups. */
static void *intern_and_release(void *context)
{
    static const char *const values[] = {"1", "2", "3"};
    unsigned *mismatches = context;
    for (unsigned i = 0; i < 20000; i++) {
        struct guc_set *empty = guc_empty();
        struct guc_set *one = guc_with(empty, "a", values[i % 3]);
        struct guc_set *two = guc_with(one, "B", "x");
        struct guc_set *kept = guc_retain(two);
        struct guc_set *back = guc_without(two, "b");
        if (back != one || strcmp(guc_pairs(two)->items[0].value, values[i % 3]) != 0)
            ++*mismatches;
        guc_release(&empty);
        guc_release(&one);
        guc_release(&two);
        guc_release(&kept);
        guc_release(&back);
    }
    return NULL;
}

static void test_threads_share_sets(void **state)
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
        cmocka_unit_test(test_empty_is_one_object),
        cmocka_unit_test(test_equal_sets_are_one_object),
        cmocka_unit_test(test_later_pairs_win),
        cmocka_unit_test(test_where_a_value_ends_matters),
        cmocka_unit_test(test_with_adds_and_changes_anywhere),
        cmocka_unit_test(test_without_takes_out_anywhere),
        cmocka_unit_test(test_merge_prefers_over),
        cmocka_unit_test(test_switch_texts),
        cmocka_unit_test(test_no_switch_between_equals),
        cmocka_unit_test(test_a_long_switch_takes_several_selects),
        cmocka_unit_test(test_threads_share_sets),
    };
    return cmocka_run_group_tests_name("guc", tests, NULL, NULL);
}
