/* Exercises libpq's service files: which file, which section, what is no setting. */
#include "config/service.h"

#include "config_text.h"

static void service_comes_from_the_users_file_then_the_systems(void **state)
{
    (void)state;
    char problem[200] = "";
    struct pairs pairs = {0};
    char *folder = config_text_folder();
    char *user = config_text_file(folder, "mine.conf",
                                  "# comment\n[other]\nhost=wrong\n[main]\n host = db \n"
                                  "#port=1\npassword=a;b#c\nno setting\n[last]\nhost=wrong\n");
    char *system =
        config_text_file(folder, "pg_service.conf", "[main]\nhost=no\n[shared]\nport=7\n");
    setenv("PGSERVICEFILE", user, 1);
    setenv("PGSYSCONFDIR", folder, 1);

    assert_true(service_read("main", &pairs, problem, sizeof(problem)));
    assert_int_equal(pairs.count, 2);
    assert_string_equal(pairs_find(&pairs, "host"), "db");
    assert_string_equal(pairs_find(&pairs, "password"), "a;b#c");
    pairs_clear(&pairs);

    assert_true(service_read("shared", &pairs, problem, sizeof(problem)));
    assert_string_equal(pairs_find(&pairs, "port"), "7");
    pairs_clear(&pairs);

    assert_false(service_read("mai", &pairs, problem, sizeof(problem)));
    assert_string_equal(problem, "the service \"mai\" is in no service file of libpq");
    pairs_clear(&pairs);
    config_text_remove(user);
    config_text_remove(system);
    config_text_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_comes_from_the_users_file_then_the_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
