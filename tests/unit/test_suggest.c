/* Exercises suggestions for misspelt words: near ones, and none where nothing is near. */
#include "config/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const words[] = {"size", "overflow", "timeout", "idle_timeout", "warm"};

static const char *nearest(const char *word)
{
    return suggest_nearest(word, words, sizeof(words) / sizeof(*words));
}

static void slips_of_the_finger_are_found(void **state)
{
    (void)state;
    assert_string_equal(nearest("sise"), "size");
    assert_string_equal(nearest("overlfow"), "overflow");
    assert_string_equal(nearest("tiemout"), "timeout");
    assert_string_equal(nearest("idletimeout"), "idle_timeout");
    assert_string_equal(nearest("Warm"), "warm");
}

static void nearest_of_several_wins(void **state)
{
    (void)state;
    static const char *const near[] = {"tcp_keepalive_idle", "tcp_keepalive"};
    assert_string_equal(suggest_nearest("tcp_keepaliv", near, 2), "tcp_keepalive");
}

static void far_words_get_no_suggestion(void **state)
{
    (void)state;
    assert_null(nearest("banana"));
    assert_null(nearest("x"));
    assert_null(nearest(""));
    assert_null(nearest("a_word_that_is_longer_than_any_key_could_reasonably_be_made"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_of_the_finger_are_found),
        cmocka_unit_test(nearest_of_several_wins),
        cmocka_unit_test(far_words_get_no_suggestion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
