/* Exercises numbers with units: what is read, what is refused, and how times are written. */
#include "config/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_time(const char *text, microseconds expected)
{
    microseconds value = -1;
    assert_true(units_parse_time(text, CLOCK_SECOND, &value));
    assert_int_equal(value, expected);
}

static void each_unit_of_time_is_read(void **state)
{
    (void)state;
    assert_time("7us", 7);
    assert_time("500ms", 500 * CLOCK_MILLISECOND);
    assert_time("30s", 30 * CLOCK_SECOND);
    assert_time("10min", 600 * CLOCK_SECOND);
    assert_time("1h", 3600 * CLOCK_SECOND);
    assert_time("2d", 2 * 86400 * CLOCK_SECOND);
}

static void bare_number_counts_in_the_base_unit(void **state)
{
    (void)state;
    microseconds value;
    assert_time("30", 30 * CLOCK_SECOND);
    assert_true(units_parse_time("30", CLOCK_MILLISECOND, &value));
    assert_int_equal(value, 30 * CLOCK_MILLISECOND);
}

static void fractions_and_blanks_are_read(void **state)
{
    (void)state;
    assert_time("1.5h", 5400 * CLOCK_SECOND);
    assert_time("0.25 s", 250 * CLOCK_MILLISECOND);
    assert_time("1.0000009s", CLOCK_SECOND);
}

static void malformed_times_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "s",
                                        "-1s",
                                        "+1s",
                                        "1.s",
                                        ".5s",
                                        "1 sec",
                                        "1S",
                                        "1m",
                                        "1s ",
                                        "1e3",
                                        "0x1",
                                        "1,5s",
                                        "1s2s",
                                        "off",
                                        "9223372036854775808",
                                        "9223372036854775807s"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        microseconds value;
        assert_false(units_parse_time(texts[i], CLOCK_SECOND, &value));
    }
}

static void numbers_are_whole_and_bounded(void **state)
{
    (void)state;
    int64_t value;
    assert_true(units_parse_number("9223372036854775807", &value));
    assert_true(value == INT64_MAX);
    assert_true(units_parse_number("007", &value));
    assert_int_equal(value, 7);
    assert_false(units_parse_number("9223372036854775808", &value));
    assert_false(units_parse_number("1.5", &value));
    assert_false(units_parse_number("-1", &value));
    assert_false(units_parse_number(" 1", &value));
    assert_false(units_parse_number("", &value));
}

static void assert_written(microseconds value, const char *expected)
{
    char text[UNITS_TEXT];
    units_format_time(value, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void times_are_written_without_fraction(void **state)
{
    (void)state;
    assert_written(0, "0");
    assert_written(1, "1us");
    assert_written(1500 * CLOCK_MILLISECOND, "1500ms");
    assert_written(90 * 60 * CLOCK_SECOND, "90min");
    assert_written(48 * 3600 * CLOCK_SECOND, "2d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_unit_of_time_is_read),
        cmocka_unit_test(bare_number_counts_in_the_base_unit),
        cmocka_unit_test(fractions_and_blanks_are_read),
        cmocka_unit_test(malformed_times_are_refused),
        cmocka_unit_test(numbers_are_whole_and_bounded),
        cmocka_unit_test(times_are_written_without_fraction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
