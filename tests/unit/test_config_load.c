/*
 * Exercises loading: each kind of mistake gives exactly its line with file, line, section and key;
 * all are told in one run; the environment fills what the file leaves open.
 */
#include "config_text.h"

#include <unistd.h>

#define WHOLE CONFIG_TEXT_DATABASE

static void all_mistakes_are_told_in_order(void **state)
{
    (void)state;
    config_text_refused(
        "[pgsluice]\nport = 70000\nauth = scram-sha256\n[pool]\nsize = many\n[database app]\n"
        "url = host=db sslmode=require\n",
        "test.ini:2: [pgsluice] port: expected a whole number from 1 to 65535, got \"70000\"\n"
        "test.ini:3: [pgsluice] auth: expected trust, password, md5 or scram-sha-256, got "
        "\"scram-sha256\"; did you mean \"scram-sha-256\"?\n"
        "test.ini:5: [pool] size: expected a whole number from 0 to 100000, got \"many\"\n"
        "test.ini:7: [database app] url: sslmode: TLS to servers is not there yet; expected "
        "disable, allow or prefer\n");
}

static void unknown_key_gets_a_suggestion(void **state)
{
    (void)state;
    config_text_refused(
        WHOLE "sise = 3\nbanana = 1\n",
        "test.ini:3: [database app] sise: expected a key that this section has; "
        "did you mean \"size\"?\n"
        "test.ini:4: [database app] banana: expected a key that this section has\n");
}

static void unknown_section_gets_a_suggestion_and_its_keys_are_passed_over(void **state)
{
    (void)state;
    config_text_refused(WHOLE "[databse x]\nurl = y\n[banana]\nsize = z\n",
                        "test.ini:3: expected [pgsluice], [pool], [database NAME], [database *] or "
                        "[user NAME], got "
                        "\"[databse x]\"; did you mean \"database\"?\n"
                        "test.ini:5: expected [pgsluice], [pool], [database NAME], [database *] or "
                        "[user NAME], got "
                        "\"[banana]\"\n");
}

static void titles_of_sections_are_checked(void **state)
{
    (void)state;
    config_text_refused(
        WHOLE "[database]\n[user]\n[pool x]\n[database pgsluice]\n[user *]\n[]\n",
        "test.ini:3: expected [database NAME] or [database *], got \"[database]\"\n"
        "test.ini:4: expected [user NAME], got \"[user]\"\n"
        "test.ini:5: expected no name in the title of this section, got \"[pool x]\"\n"
        "test.ini:6: expected another name: the database \"pgsluice\" is the admin console, got "
        "\"[database pgsluice]\"\n"
        "test.ini:7: expected the name of a user; what holds for all users stands in [pool], got "
        "\"[user *]\"\n"
        "test.ini:8: expected [pgsluice], [pool], [database NAME], [database *] or [user NAME], "
        "got "
        "\"[]\"\n");
}

static void key_in_the_wrong_section_is_told(void **state)
{
    (void)state;
    config_text_refused(
        "[pgsluice]\nsize = 3\n[pool]\nlisten = *\nurl = x\n[user bob]\nstartup_check = "
        "off\n" WHOLE,
        "test.ini:2: [pgsluice] size: expected this key in [pool] or [database NAME] only\n"
        "test.ini:4: [pool] listen: expected this key in [pgsluice] only\n"
        "test.ini:5: [pool] url: expected this key in [database NAME] only\n"
        "test.ini:7: [user bob] startup_check: expected this key in [pool] or [database NAME] "
        "only\n");
}

static void key_before_any_section_is_told(void **state)
{
    (void)state;
    config_text_refused("size = 3\n" WHOLE, "test.ini:1: size: expected a section such as "
                                            "[pgsluice] before the first key\n");
}

static void duplicates_are_told(void **state)
{
    (void)state;
    config_text_refused(
        WHOLE "size = 3\nsize = 4\n[pool]\n[pool]\nsize = x\nsize = 5\n",
        "test.ini:4: [database app] size: expected each key once, got it again (first in "
        "test.ini:3)\n"
        "test.ini:6: [pool]: expected each section once, got it again (first in test.ini:5)\n"
        "test.ini:7: [pool] size: expected a whole number from 0 to 100000, got \"x\"\n"
        "test.ini:8: [pool] size: expected each key once, got it again (first in test.ini:7)\n");
}

static void bad_values_of_each_type_are_told(void **state)
{
    (void)state;
    config_text_refused(
        "[pgsluice]\ntcp_keepalive = onn\nlog_level = wraning\nclient_idle_timeout = 5 minutes\n"
        "listen = localhost\nadmin_users = ,\nshutdown_timeout = off\nworkers = 0.5\n"
        "[pool]\nserver_settings = jit\nsize = ${PGSLUICE_TEST_UNSET}\n" WHOLE,
        "test.ini:2: [pgsluice] tcp_keepalive: expected on or off, got \"onn\"\n"
        "test.ini:3: [pgsluice] log_level: expected debug, info, warning or error, got "
        "\"wraning\"; "
        "did you mean \"warning\"?\n"
        "test.ini:4: [pgsluice] client_idle_timeout: expected a length of time from 1ms to 365d, "
        "or "
        "off (units: us, ms, s, min, h, d), got \"5 minutes\"\n"
        "test.ini:5: [pgsluice] listen: expected numeric addresses (127.0.0.1, [::1]:6433, *) and "
        "folders for Unix sockets, with commas between them; this is none: \"localhost\"\n"
        "test.ini:6: [pgsluice] admin_users: expected user names, with commas between them\n"
        "test.ini:7: [pgsluice] shutdown_timeout: expected a length of time from 1ms to 1d (units: "
        "us, ms, s, min, h, d), got \"off\"\n"
        "test.ini:8: [pgsluice] workers: expected a whole number from 1 to 1024, or auto, got "
        "\"0.5\"\n"
        "test.ini:10: [pool] server_settings: expected \"name = value\" pairs with commas between "
        "them\n"
        "test.ini:11: [pool] size: the environment variable PGSLUICE_TEST_UNSET is not set\n");
}

static void values_cannot_fake_a_line(void **state)
{
    (void)state;
    setenv("PGSLUICE_TEST", "1\nother.ini:1: all is well", 1);
    config_text_refused("[pool]\nsize = ${PGSLUICE_TEST}\n" WHOLE,
                        "test.ini:2: [pool] size: expected a whole number from 0 to 100000, got "
                        "\"1?other.ini:1: all "
                        "is well\"\n");
}

static void database_must_have_a_url(void **state)
{
    (void)state;
    config_text_refused("[database app]\nsize = 3\n",
                        "test.ini:1: [database app] url: expected a connection URI or keyword "
                        "string of libpq, none given\n");
    config_text_refused("[pool]\nsize = 3\n",
                        "test.ini: expected at least one [database NAME] with a url, or the "
                        "environment variable DATABASE_URL\n");
}

static void pool_of_nothing_is_told_where_it_was_made(void **state)
{
    (void)state;
    config_text_refused("[pool]\nsize = 0\noverflow = 0\n" WHOLE,
                        "test.ini:3: [pool] overflow: expected more than 0 where size is 0, got "
                        "\"0\"\n");
    config_text_refused(
        WHOLE "overflow = 0\n[user bob]\nsize = 0\n",
        "test.ini:3: [database app] overflow: expected more than 0 where size is 0, "
        "got \"0\"\n");
    struct config *config =
        config_text_good(WHOLE "size = 0\noverflow = 1\n[pool]\noverflow = 0\n");
    config_release(&config);
}

static void database_that_nobody_can_log_in_to_earns_a_warning(void **state)
{
    (void)state;
    char *told;
    struct config *config = config_text_load("[database app]\nurl = host=db user=bob\n", &told);
    assert_non_null(config);
    assert_string_equal(told, "test.ini:1: warning: [database app]: nobody can log in: there is no "
                              "auth_file, and the url has no user and password\n");
    free(told);
    config_release(&config);
    config = config_text_good("[pgsluice]\nauth = trust\n[database app]\nurl = host=db\n");
    config_release(&config);
}

static void no_other_file_is_read_for_a_text(void **state)
{
    (void)state;
    config_text_refused("%include /etc/passwd\n[pgsluice]\nauth_file = /etc/passwd\n" WHOLE
                        "[database b]\nurl = service=x\n",
                        "test.ini:1: %include: not allowed here\n"
                        "test.ini:7: [database b] url: service: not allowed here\n"
                        "test.ini:3: [pgsluice] auth_file: not allowed here\n");
}

static void fields_have_values_and_defaults(void **state)
{
    (void)state;
    struct config *config = config_text_good(
        "[pgsluice]\nport = 7000\nlisten = 127.0.0.1, [::1]:8, /run/x\nworkers = 3\n"
        "auth = md5\nlog_connections = on\nclient_idle_timeout = 1h\n" WHOLE);
    assert_int_equal(config->listen_count, 3);
    assert_int_equal(config->listen[0].port, 7000);
    assert_int_equal(config->listen[1].port, 8);
    assert_int_equal(config->listen[2].port, 7000);
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->auth, CONFIG_AUTH_MD5);
    assert_true(config->log_connections);
    assert_int_equal(config->client_idle_timeout, 3600 * CLOCK_SECOND);
    assert_int_equal(config->client_login_timeout, 60 * CLOCK_SECOND);
    assert_int_equal(config->max_clients, 1000);
    assert_true(config->tcp_keepalive);
    config_release(&config);

    config = config_text_good(WHOLE);
    assert_int_not_equal(config->workers, 0);
    assert_string_equal(config->listen[0].address, "127.0.0.1");
    assert_int_equal(config->listen[0].port, 6432);
    config_release(&config);
}

/* Loads a file (NULL: none) and compares what was said. */
static struct config *load(const char *file, const char *expected)
{
    char *told;
    size_t size;
    FILE *stream = open_memstream(&told, &size);
    struct config *config = config_load(file, stream);
    fclose(stream);
    assert_string_equal(told, expected);
    free(told);
    return config;
}

static void user_list_is_read_from_beside_the_file(void **state)
{
    (void)state;
    char *expected;
    char *folder = config_text_folder();
    char *file = config_text_file(folder, "a.ini",
                                  "[pgsluice]\nauth_file = users.txt\n[database app]\nurl = "
                                  "host=db\n");
    char *users =
        config_text_file(folder, "users.txt",
                         "\"bob\" \"secret\"\n\"old\" \"md50123456789abcdef0123456789abcdef\"\n");
    assert_true(
        asprintf(&expected,
                 "%s:2: warning: \"old\" cannot log in: an md5 hash is not enough for auth = "
                 "scram-sha-256\n",
                 users) > 0);
    struct config *config = load(file, expected);
    assert_string_equal(config->auth_file, users);
    assert_string_equal(config_secret(config, "app", "bob"), "secret");
    config_release(&config);
    free(expected);
    config_text_remove(users);

    assert_true(asprintf(&expected,
                         "%s:2: [pgsluice] auth_file: expected a file that can be read, got "
                         "\"%s/users.txt\": No such file or directory\n",
                         file, folder) > 0);
    assert_null(load(file, expected));
    free(expected);
    config_text_remove(file);
    config_text_remove(folder);
}

static void without_file_and_environment_it_says_what_to_do(void **state)
{
    (void)state;
    assert_null(load(NULL, "there is no configuration: name a file (pgsluice -c FILE), or set the "
                           "environment variable DATABASE_URL, such as "
                           "postgresql://user:password@host:5432/database\n"));
}

static void environment_alone_is_a_configuration(void **state)
{
    (void)state;
    setenv("DATABASE_URL", "postgresql+asyncpg://alice:secret@db/shop", 1);
    setenv("DATABASE_POOL_SIZE", "5", 1);
    setenv("DATABASE_MAX_OVERFLOW", "2", 1);
    setenv("DATABASE_POOL_TIMEOUT", "1.5", 1);
    struct config *config = load(NULL, "");
    assert_null(config->file);
    assert_int_equal(config_database_count(config), 1);
    assert_string_equal(config_database_name(config, 0), "shop");
    struct settings *settings = config_resolve(config, "shop", "alice");
    assert_true(settings->is_named);
    assert_int_equal(settings->size, 5);
    assert_int_equal(settings->overflow, 2);
    assert_int_equal(settings->timeout, 1500 * CLOCK_MILLISECOND);
    settings_release(&settings);
    config_release(&config);
}

static void bad_environment_is_told_with_the_variables_name(void **state)
{
    (void)state;
    setenv("DATABASE_URL", "postgresql://alice:secret@db/shop?sslmode=require", 1);
    setenv("DATABASE_POOL_SIZE", "many", 1);
    setenv("DATABASE_MAX_OVERFLOW", "-1", 1);
    setenv("DATABASE_POOL_TIMEOUT", "30sec", 1);
    assert_null(load(
        NULL, "DATABASE_POOL_SIZE: expected a whole number from 0 to 100000, got \"many\"\n"
              "DATABASE_MAX_OVERFLOW: expected a whole number from 0 to 100000, got \"-1\"\n"
              "DATABASE_POOL_TIMEOUT: expected a length of time from 1ms to 1d, or off (units: us, "
              "ms, s, "
              "min, h, d), got \"30sec\"\n"
              "DATABASE_URL: sslmode: TLS to servers is not there yet; expected disable, allow or "
              "prefer\n"));
    setenv("DATABASE_URL", "postgresql://db", 1);
    setenv("DATABASE_POOL_SIZE", "", 1);
    unsetenv("DATABASE_MAX_OVERFLOW");
    unsetenv("DATABASE_POOL_TIMEOUT");
    assert_null(load(NULL, "DATABASE_URL: expected a url that names a database\n"));
    setenv("DATABASE_URL", "postgresql://db/pgsluice", 1);
    assert_null(load(NULL, "DATABASE_URL: expected another database: \"pgsluice\" is the admin "
                           "console\n"));
}

static void file_goes_before_the_environment(void **state)
{
    (void)state;
    char *folder = config_text_folder();
    char *file = config_text_file(folder, "a.ini",
                                  "[pool]\nsize = 7\n[database shop]\nmode = session\n"
                                  "[database app]\nurl = postgresql://bob:x@file/app\n");
    setenv("DATABASE_URL", "postgresql://alice:secret@env/shop", 1);
    setenv("DATABASE_POOL_SIZE", "5", 1);
    setenv("DATABASE_MAX_OVERFLOW", "2", 1);
    struct config *config = load(file, "");
    assert_int_equal(config_database_count(config), 2);
    struct settings *settings = config_resolve(config, "shop", "alice");
    assert_string_equal(settings->hosts[0].host, "env");
    assert_int_equal(settings->mode, SETTINGS_SESSION);
    assert_int_equal(settings->size, 7);
    assert_int_equal(settings->overflow, 2);
    settings_release(&settings);
    config_release(&config);

    setenv("DATABASE_URL", "postgresql://alice:secret@env/app", 1);
    config_text_remove(file);
    file = config_text_file(folder, "a.ini", "[database app]\nurl = postgresql://bob:x@file/app\n");
    config = load(file, "");
    assert_int_equal(config_database_count(config), 1);
    settings = config_resolve(config, "app", "bob");
    assert_string_equal(settings->hosts[0].host, "file");
    assert_int_equal(settings->size, 5);
    settings_release(&settings);
    config_release(&config);
    config_text_remove(file);
    config_text_remove(folder);
}

static int clear_environment(void **state)
{
    (void)state;
    setenv("HOME", "/nonexistent", 1);
    return unsetenv("DATABASE_URL") | unsetenv("DATABASE_POOL_SIZE") |
           unsetenv("DATABASE_MAX_OVERFLOW") | unsetenv("DATABASE_POOL_TIMEOUT") |
           unsetenv("PGHOST") | unsetenv("PGSSLMODE") | unsetenv("PGSERVICE") |
           unsetenv("PGSLUICE_TEST_UNSET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_mistakes_are_told_in_order),
        cmocka_unit_test(unknown_key_gets_a_suggestion),
        cmocka_unit_test(unknown_section_gets_a_suggestion_and_its_keys_are_passed_over),
        cmocka_unit_test(titles_of_sections_are_checked),
        cmocka_unit_test(key_in_the_wrong_section_is_told),
        cmocka_unit_test(key_before_any_section_is_told),
        cmocka_unit_test(duplicates_are_told),
        cmocka_unit_test(bad_values_of_each_type_are_told),
        cmocka_unit_test(values_cannot_fake_a_line),
        cmocka_unit_test(database_must_have_a_url),
        cmocka_unit_test(pool_of_nothing_is_told_where_it_was_made),
        cmocka_unit_test(database_that_nobody_can_log_in_to_earns_a_warning),
        cmocka_unit_test(no_other_file_is_read_for_a_text),
        cmocka_unit_test(fields_have_values_and_defaults),
        cmocka_unit_test_setup(user_list_is_read_from_beside_the_file, clear_environment),
        cmocka_unit_test_setup(without_file_and_environment_it_says_what_to_do, clear_environment),
        cmocka_unit_test_setup(environment_alone_is_a_configuration, clear_environment),
        cmocka_unit_test_setup(bad_environment_is_told_with_the_variables_name, clear_environment),
        cmocka_unit_test_setup(file_goes_before_the_environment, clear_environment),
    };
    return cmocka_run_group_tests(tests, clear_environment, clear_environment);
}
