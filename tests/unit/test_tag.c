/* test_tag.c: which command tags tell of session state (pg/tag). */
#include "pg/tag.h"

#include "pg_bytes.h"

#include <string.h>

static enum tag parse(const char *text)
{
    return tag_parse(text, strlen(text));
}

static void row_counts_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(parse("SELECT 1"), TAG_OTHER);
    assert_int_equal(parse("INSERT 0 1"), TAG_OTHER);
    assert_int_equal(parse("UPDATE 100"), TAG_OTHER);
    assert_int_equal(parse("DELETE 0"), TAG_OTHER);
    assert_int_equal(parse("FETCH 9"), TAG_OTHER);
    assert_int_equal(parse("COPY 7"), TAG_OTHER);
}

static void session_state_is_recognised(void **state)
{
    (void)state;
    assert_int_equal(parse("SET"), TAG_SET);
    assert_int_equal(parse("RESET"), TAG_RESET);
    assert_int_equal(parse("DISCARD ALL"), TAG_DISCARD_ALL);
    assert_int_equal(parse("DISCARD TEMP"), TAG_DISCARD);
    assert_int_equal(parse("DISCARD PLANS"), TAG_DISCARD);
    assert_int_equal(parse("DISCARD SEQUENCES"), TAG_DISCARD);
    assert_int_equal(parse("PREPARE"), TAG_PREPARE);
    assert_int_equal(parse("DEALLOCATE"), TAG_DEALLOCATE);
    assert_int_equal(parse("DEALLOCATE ALL"), TAG_DEALLOCATE_ALL);
    assert_int_equal(parse("LISTEN"), TAG_LISTEN);
    assert_int_equal(parse("UNLISTEN"), TAG_UNLISTEN);
    assert_int_equal(parse("DECLARE CURSOR"), TAG_DECLARE_CURSOR);
    assert_int_equal(parse("CLOSE CURSOR"), TAG_CLOSE_CURSOR);
    assert_int_equal(parse("CLOSE CURSOR ALL"), TAG_CLOSE_CURSOR);
    assert_int_equal(parse("CREATE TABLE"), TAG_CREATE_TABLE);
    assert_int_equal(parse("CREATE TABLE AS"), TAG_CREATE_TABLE);
    assert_int_equal(parse("SELECT INTO"), TAG_CREATE_TABLE);
    assert_int_equal(parse("CREATE VIEW"), TAG_CREATE_OTHER);
    assert_int_equal(parse("CREATE SEQUENCE"), TAG_CREATE_OTHER);
    assert_int_equal(parse("LOAD"), TAG_LOAD);
    assert_int_equal(parse("DO"), TAG_DO_OR_CALL);
    assert_int_equal(parse("CALL"), TAG_DO_OR_CALL);
}

static void transactions_are_recognised(void **state)
{
    (void)state;
    assert_int_equal(parse("BEGIN"), TAG_BEGIN);
    assert_int_equal(parse("START TRANSACTION"), TAG_BEGIN);
    assert_int_equal(parse("COMMIT"), TAG_COMMIT);
    assert_int_equal(parse("PREPARE TRANSACTION"), TAG_COMMIT);
    assert_int_equal(parse("ROLLBACK"), TAG_ROLLBACK);
    /* They end somebody else's. */
    assert_int_equal(parse("COMMIT PREPARED"), TAG_OTHER);
    assert_int_equal(parse("ROLLBACK PREPARED"), TAG_OTHER);
}

static void others_are_other(void **state)
{
    (void)state;
    assert_int_equal(parse(""), TAG_OTHER);
    assert_int_equal(tag_parse(NULL, 0), TAG_OTHER);
    assert_int_equal(parse("SE"), TAG_OTHER);
    assert_int_equal(parse("SETX"), TAG_OTHER);
    assert_int_equal(parse("set"), TAG_OTHER);
    assert_int_equal(parse("CREATE"), TAG_OTHER);
    assert_int_equal(parse("DISCARD"), TAG_OTHER);
    assert_int_equal(parse("ALTER TABLE"), TAG_OTHER);
    assert_int_equal(parse("SAVEPOINT"), TAG_OTHER);
    assert_int_equal(parse("LOCK TABLE"), TAG_OTHER);
}

static void zero_byte_may_be_counted_or_not(void **state)
{
    (void)state;
    assert_int_equal(tag_parse("DISCARD ALL", 12), TAG_DISCARD_ALL);
    assert_int_equal(tag_parse("SELECT 1", 9), TAG_OTHER);
    assert_int_equal(tag_parse("\0\0", 2), TAG_OTHER);
    assert_int_equal(tag_parse("RESETTLE", 5), TAG_RESET); /* reads no further than its length */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_counts_change_nothing),
        cmocka_unit_test(session_state_is_recognised),
        cmocka_unit_test(transactions_are_recognised),
        cmocka_unit_test(others_are_other),
        cmocka_unit_test(zero_byte_may_be_counted_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
