/*
 * test_prepared.c: prepared.c: statements prepared by SQL as pairs of a session's state, whose
 * names are case sensitive among settings whose names are not; and what their texts must be.
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
        {PREPARED_FOLLOWS, 0, 0, 0, "PREPARE a AS SELECT 1"},
        {PREPARED_STAYS, UINT64_MAX, UINT16_MAX, 1, ""},
        {PREPARED_BROKEN, 1, 10, UINT64_MAX, "\xc3\xa9"},
        {PREPARED_FOLLOWS, 0x0123456789abcdef, 1, 0xfedcba9876543210, "f"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct buffer value = {0};
        prepared_write(&value, &all[i]);
        struct prepared read = prepared_read((const char *)buffer_bytes(&value));
        assert_int_equal(read.kind, all[i].kind);
        assert_true(read.shape == all[i].shape);
        assert_true(read.context == all[i].context);
        assert_int_equal(read.parameters, all[i].parameters);
        assert_string_equal(read.text, all[i].text);
        buffer_release(&value);
    }
}

static void test_only_one_prepare_alone_can_follow(void **state)
{
    (void)state;
    static const char *const follow[] = {
        "PREPARE q AS SELECT 1",
        " /* ; */ prepare\n\"q;\" (int) as select $1 ; -- ;\n ; ",
        "PREPARE q AS SELECT ';', E'\\';', $$;$$, $a$;$$;$a$, \";\" FROM t",
        "PREPARE q AS SELECT 'unknown', 'nowhere', 'todays', now(), 'x now'",
        "PREPARE q AS INSERT INTO t VALUES ($1) RETURNING \"now\"",
        "PREPARE q AS SELECT 'a\\'",
    };
    static const char *const stay[] = {
        "",
        "SELECT 1; PREPARE q AS SELECT 1",
        "PREPARE q AS SELECT 1; SELECT 2",
        "PREPARE q AS SELECT 1;;SELECT 2",
        "/* PREPARE */ DO $$ PREPARE q AS SELECT 1 $$",
        "\"prepare\" q AS SELECT 1",
        "PREPARE q AS SELECT 'NOW'",
        "PREPARE q AS SELECT timestamp ' (today) 12:00'",
        "PREPARE q AS SELECT $$tomorrow$$::date, 'yesterday'",
        "PREPARE q AS SELECT nextval('s')",
        "PREPARE q AS SELECT set_config('a', 'b', false)",
        "PREPARE q AS SELECT '" PREPARED_MARKER "'",
    };
    for (size_t i = 0; i < sizeof follow / sizeof follow[0]; i++)
        assert_true(prepared_can_follow(follow[i], true));
    for (size_t i = 0; i < sizeof stay / sizeof stay[0]; i++)
        assert_false(prepared_can_follow(stay[i], true));
    /* Where a backslash may escape a quote, nobody knows where the statement ends. */
    assert_false(prepared_can_follow("PREPARE q AS SELECT 'a\\'; SELECT 2 --'", false));
    assert_true(prepared_can_follow("PREPARE q AS SELECT 'a'", false));
}

static void test_constants_that_settings_change_are_found(void **state)
{
    (void)state;
    assert_true(prepared_depends_on_settings("PREPARE q AS SELECT '1 May'::date"));
    assert_true(prepared_depends_on_settings("PREPARE q AS SELECT 1, $$1$$"));
    assert_true(prepared_depends_on_settings("PREPARE q AS SELECT 'a\\b'"));
    assert_false(prepared_depends_on_settings("PREPARE q AS SELECT 'a', 1, $1 -- '1'"));
    assert_false(prepared_depends_on_settings("PREPARE \"'1'\" AS SELECT 1 /* '1' */"));
}

static void test_texts_quote_names(void **state)
{
    (void)state;
    struct buffer sql = {0};
    prepared_write_deallocate(&sql, "prepare:A \"b\"; c");
    prepared_write_broken(&sql, "prepare:q", 2, 12);
    buffer_append(&sql, "", 1);
    assert_string_equal((const char *)buffer_bytes(&sql),
                        "DEALLOCATE \"A \"\"b\"\"; c\";PREPARE \"q\" AS SELECT '" PREPARED_MARKER
                        "12'::pg_catalog.text::pg_catalog.int4"
                        ",$1::pg_catalog.text,$2::pg_catalog.text;");
    buffer_release(&sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_case_sensitive),
        cmocka_unit_test(test_pairs_that_are_statements),
        cmocka_unit_test(test_value_tells_what_it_was_made_of),
        cmocka_unit_test(test_only_one_prepare_alone_can_follow),
        cmocka_unit_test(test_constants_that_settings_change_are_found),
        cmocka_unit_test(test_texts_quote_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
