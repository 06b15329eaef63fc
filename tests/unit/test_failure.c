/* test_failure.c: errors are taken over from a server and told to clients (pg/failure). */
#include "pg/failure.h"

#include "pg_bytes.h"

/* As PostgreSQL 15 words it, file and line included. */
#define SERVER_ERROR                                                                               \
    "SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0Dthe detail\0Hthe hint\0"           \
    "Fproc.c\0L361\0RInitProcess\0\0"

static void error_of_a_server_is_taken_over(void **state)
{
    struct failure *failure = failure_parse(BYTES(SERVER_ERROR), LENGTH(SERVER_ERROR));

    (void)state;
    assert_non_null(failure);
    assert_string_equal(failure->sqlstate, "53300");
    assert_string_equal(failure->message, "sorry, too many clients already");
    assert_string_equal(failure->detail, "the detail");
    assert_string_equal(failure->hint, "the hint");
    failure_release(&failure);
    assert_null(failure);
}

static void detail_and_hint_may_be_absent(void **state)
{
    const char body[] = "SERROR\0C28P01\0Mno\0\0";
    struct failure *failure = failure_parse(BYTES(body), LENGTH(body));

    (void)state;
    assert_non_null(failure);
    assert_null(failure->detail);
    assert_null(failure->hint);
    failure_release(&failure);
}

#define assert_malformed(body) assert_null(failure_parse(BYTES(body), LENGTH(body)))

static void malformed_errors_are_refused(void **state)
{
    (void)state;
    assert_null(failure_parse(NULL, 0));
    assert_malformed("\0");                 /* no field at all */
    assert_malformed("C28P01\0\0");         /* no message */
    assert_malformed("Mtext\0\0");          /* no code */
    assert_malformed("C28P0\0Mtext\0\0");   /* a short code */
    assert_malformed("C28P011\0Mtext\0\0"); /* a long code */
    assert_malformed("C28P01\0Mtext\0");    /* no end */
    assert_malformed("C28P01\0Mtext");      /* a string without its end */
    assert_malformed("C28P01\0Mtext\0\0X"); /* something after the end */
    /* Every cut of a good one is a bad one. */
    for (size_t length = 0; length < LENGTH(SERVER_ERROR); length++)
        assert_null(failure_parse(BYTES(SERVER_ERROR), length));
}

static void severity_is_the_callers(void **state)
{
    struct failure *failure = failure_new("57P03", "not now", NULL, NULL);
    struct buffer buffer = {0};

    (void)state;
    failure_write(&buffer, "FATAL", failure);
    assert_wrote(&buffer, "E\0\0\0\x23SFATAL\0VFATAL\0C57P03\0Mnot now\0\0");
    failure_release(&failure);

    failure = failure_new("57P03", "not now", "why", "wait");
    failure_write(&buffer, "ERROR", failure);
    assert_wrote(&buffer, "E\0\0\0\x2eSERROR\0VERROR\0C57P03\0Mnot now\0Dwhy\0Hwait\0\0");
    failure_release(&failure);
    buffer_release(&buffer);
}

static void what_was_written_can_be_parsed(void **state)
{
    struct failure *failure = failure_new("08006", "lost", "the detail", NULL);
    struct buffer buffer = {0};

    (void)state;
    failure_write(&buffer, "ERROR", failure);
    failure_release(&failure);
    failure = failure_parse(buffer_bytes(&buffer) + 5, buffer_length(&buffer) - 5);
    assert_non_null(failure);
    assert_string_equal(failure->sqlstate, "08006");
    assert_string_equal(failure->message, "lost");
    assert_string_equal(failure->detail, "the detail");
    assert_null(failure->hint);
    failure_release(&failure);
    buffer_release(&buffer);
}

static void lives_as_long_as_somebody_refers_to_it(void **state)
{
    struct failure *one = failure_new("08006", "lost", NULL, NULL);
    struct failure *other = failure_retain(one);

    (void)state;
    assert_ptr_equal(one, other);
    failure_release(&one);
    assert_null(one);
    assert_string_equal(other->message, "lost"); /* the address sanitizer would object */
    failure_release(&other);
    failure_release(&other); /* NULL now */
    assert_null(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_of_a_server_is_taken_over),
        cmocka_unit_test(detail_and_hint_may_be_absent),
        cmocka_unit_test(malformed_errors_are_refused),
        cmocka_unit_test(severity_is_the_callers),
        cmocka_unit_test(what_was_written_can_be_parsed),
        cmocka_unit_test(lives_as_long_as_somebody_refers_to_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
