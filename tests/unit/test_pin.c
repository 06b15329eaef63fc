/* Exercises the names of the reasons for which a client keeps its server connection. */
#include "state/pin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_reason_has_a_name_that_leads_back_to_it(void **state)
{
    (void)state;
    for (unsigned pin = PIN_TEMPORARY; pin <= PIN_FUNCTION; pin <<= 1) {
        char text[PIN_TEXT_SIZE];
        pin_format(pin, text);
        assert_int_equal(pin_of_name(text), pin);
        assert_string_not_equal(pin_effect(pin), pin_effect(0));
        assert_string_not_equal(pin_effect(pin), pin_effect(pin << 1));
    }
}

static void no_reason_is_no_text(void **state)
{
    char text[PIN_TEXT_SIZE];
    (void)state;
    pin_format(0, text);
    assert_string_equal(text, "");
    assert_int_equal(pin_of_name(""), 0);
    assert_int_equal(pin_of_name("LISTENS"), 0);
}

static void all_reasons_fit_into_the_text(void **state)
{
    char text[PIN_TEXT_SIZE];
    (void)state;
    pin_format(2 * PIN_FUNCTION - 1, text);
    assert_string_equal(text, "TEMPORARY,ADVISORY,CURSOR,PREPARE,LISTEN,LOAD,SETTING,"
                              "SEQUENCE,SEED,FUNCTION");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_name_that_leads_back_to_it),
        cmocka_unit_test(no_reason_is_no_text),
        cmocka_unit_test(all_reasons_fit_into_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
