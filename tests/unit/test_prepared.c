/*
 * test_prepared.c: prepared.c: statements prepared by SQL as pairs of a session's state, whose
 * names are case sensitive among settings whose names are not.
 */
#include "state/prepared.h"

#include "pg/pairs.h"
#include "state/guc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The set with one more statement; uses `set` up. */
static struct guc_set *with(struct guc_set *set, const char *pair_name, struct prepared prepared)
{
    struct buffer value = {0};
    prepared_write(&value, &prepared);
    struct guc_set *more = guc_with(set, pair_name, (const char *)buffer_bytes(&value));
    buffer_release(&value);
    guc_release(&set);
    return more;
}

static void test_names_are_case_sensitive(void **state)
{
    (void)state;
    struct guc_set *set = guc_empty();
    assert_false(prepared_any(set));
    assert_null(prepared_find(set, "foo"));
    set = with(set, "prepare:foo", (struct prepared){.text = "PREPARE foo AS SELECT 1"});
    set = with(set, "prepare:Foo", (struct prepared){.text = "PREPARE \"Foo\" AS SELECT 2"});
    set = with(set, "prepare:foo:Bar", (struct prepared){.text = "3"});
    struct guc_set *more = guc_with(set, "Work_Mem", "1MB");
    assert_int_equal(guc_pairs(more)->count, 4);
    assert_string_equal(guc_find(more, "WORK_MEM"), "1MB");
    assert_true(prepared_any(more));
    assert_string_equal(prepared_find(more, "foo"), "PREPARE foo AS SELECT 1");
    assert_string_equal(prepared_find(more, "Foo"), "PREPARE \"Foo\" AS SELECT 2");
    assert_string_equal(prepared_find(more, "foo:Bar"), "3");
    assert_null(prepared_find(more, "FOO"));
    assert_null(prepared_find(more, "foo:bar"));
    assert_null(prepared_find(more, "work_mem"));
    struct guc_set *less = guc_without(more, "prepare:FOO");
    assert_ptr_equal(less, more);
    guc_release(&set);
    guc_release(&more);
    guc_release(&less);
}

static void test_pairs_that_are_statements(void **state)
{
    (void)state;
    assert_true(prepared_is("prepare:a"));
    assert_true(prepared_is("prepare:"));
    assert_false(prepared_is("prepare"));
    assert_false(prepared_is("work_mem"));
    assert_false(prepared_is("app.prepare:a"));
}

static void test_value_tells_what_it_was_made_of(void **state)
{
    (void)state;
    static const struct prepared all[] = {
        {PREPARED_FOLLOWS, 0, 0, "PREPARE a AS SELECT 1"},
        {PREPARED_STAYS, UINT64_MAX, 1, ""},
        {PREPARED_BROKEN, 1, UINT64_MAX, "\xc3\xa9"},
        {PREPARED_FOLLOWS, 0x0123456789abcdef, 0xfedcba9876543210, "f"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct buffer value = {0};
        prepared_write(&value, &all[i]);
        struct prepared read = prepared_read((const char *)buffer_bytes(&value));
        assert_int_equal(read.kind, all[i].kind);
        assert_true(read.shape == all[i].shape);
        assert_true(read.context == all[i].context);
        assert_string_equal(read.text, all[i].text);
        buffer_release(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_case_sensitive),
        cmocka_unit_test(test_pairs_that_are_statements),
        cmocka_unit_test(test_value_tells_what_it_was_made_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
