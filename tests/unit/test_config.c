/*
 * Exercises a snapshot: settings merged for a database and user, server logins, secrets of
 * clients, named databases, rows of SHOW CONFIG, and what needs a restart.
 */
#include "config_text.h"

static void narrower_sections_go_first(void **state)
{
    (void)state;
    struct config *config = config_text_good(
        "[pool]\nsize = 1\noverflow = 1\nmax_waiting = 1\nconnect_timeout = 1s\n"
        "target_session_attrs = primary\n"
        "[database app]\nurl = postgresql://alice:x@db/real?connect_timeout=5"
        "&target_session_attrs=standby\noverflow = 2\nmax_waiting = 2\n"
        "[database other]\nurl = postgresql://alice:x@db\ntarget_session_attrs = any\n"
        "[user bob]\nmax_waiting = 3\n");
    struct settings *settings = config_resolve(config, "app", "bob");
    assert_string_equal(settings->database, "app");
    assert_string_equal(settings->user, "bob");
    assert_string_equal(settings->server_database, "real");
    assert_int_equal(settings->size, 1);
    assert_int_equal(settings->overflow, 2);
    assert_int_equal(settings->max_waiting, 3);
    assert_int_equal(settings->connect_timeout, 5 * CLOCK_SECOND);
    assert_int_equal(settings->target, SETTINGS_TARGET_STANDBY);
    assert_int_equal(settings->recycle, 3600 * CLOCK_SECOND);
    settings_release(&settings);

    settings = config_resolve(config, "other", "carol");
    assert_string_equal(settings->server_database, "other");
    assert_int_equal(settings->overflow, 1);
    assert_int_equal(settings->max_waiting, 1);
    assert_int_equal(settings->connect_timeout, CLOCK_SECOND);
    assert_int_equal(settings->target, SETTINGS_TARGET_ANY);
    settings_release(&settings);
    assert_null(config_resolve(config, "third", "bob"));
    config_release(&config);
}

static void session_functions_are_replaced_by_the_narrower_section(void **state)
{
    (void)state;
    struct config *config =
        config_text_good("[pool]\nsession_functions = Dblink_Connect, mine\n" CONFIG_TEXT_DATABASE
                         "[user alice]\nsession_functions = other$1\n");
    struct settings *all = config_resolve(config, "app", "bob");
    struct settings *alice = config_resolve(config, "app", "alice");
    assert_int_equal(all->session_function_count, 2);
    assert_string_equal(all->session_functions[0], "dblink_connect");
    assert_string_equal(all->session_functions[1], "mine");
    assert_int_equal(alice->session_function_count, 1);
    assert_string_equal(alice->session_functions[0], "other$1");
    assert_int_not_equal(all->session_functions_serial, 0);
    assert_int_not_equal(all->session_functions_serial, alice->session_functions_serial);
    settings_release(&all);
    settings_release(&alice);
    config_release(&config);
}

static void server_settings_add_up_by_name(void **state)
{
    (void)state;
    struct config *config =
        config_text_good("[pool]\nserver_settings = jit=on, geqo=on, work_mem=1MB\n"
                         "[database app]\nurl = "
                         "postgresql://alice:x@db/app?options=-cgeqo%3Doff%20-cwork_mem%3D2MB\n"
                         "server_settings = work_mem=3MB\n");
    struct settings *settings = config_resolve(config, "app", "bob");
    assert_int_equal(settings->server_settings.count, 3);
    assert_string_equal(pairs_find(&settings->server_settings, "jit"), "on");
    assert_string_equal(pairs_find(&settings->server_settings, "geqo"), "off");
    assert_string_equal(pairs_find(&settings->server_settings, "work_mem"), "3MB");
    settings_release(&settings);
    config_release(&config);
}

static void star_serves_all_other_databases(void **state)
{
    (void)state;
    char *told;
    struct config *config =
        config_text_load("[database *]\nurl = host=any\n" CONFIG_TEXT_DATABASE, &told);
    free(told);
    struct settings *settings = config_resolve(config, "whatever", "bob");
    assert_false(settings->is_named);
    assert_string_equal(settings->hosts[0].host, "any");
    assert_string_equal(settings->server_database, "whatever");
    assert_string_equal(settings->server_user, "bob");
    assert_int_equal(settings->warm, 0);
    settings_release(&settings);
    settings = config_resolve(config, "app", "bob");
    assert_true(settings->is_named);
    assert_int_equal(settings->warm, 1);
    settings_release(&settings);
    assert_int_equal(config_database_count(config), 1);
    assert_string_equal(config_database_name(config, 0), "app");
    assert_null(config_database_name(config, 1));
    config_release(&config);
}

static void warm_is_at_most_the_size(void **state)
{
    (void)state;
    struct config *config =
        config_text_good("[pool]\nwarm = 5\n" CONFIG_TEXT_DATABASE "size = 3\n"
                         "[database none]\nurl = postgresql://alice:x@db\nsize = 0\n");
    struct settings *settings = config_resolve(config, "app", "bob");
    assert_int_equal(settings->warm, 3);
    settings_release(&settings);
    settings = config_resolve(config, "none", "bob");
    assert_int_equal(settings->warm, 0);
    settings_release(&settings);
    config_release(&config);
}

static void assert_login(const struct config *config, const char *database, const char *user,
                         const char *server_user, const char *password, const char *secret)
{
    struct settings *settings = config_resolve(config, database, user);
    assert_non_null(settings);
    assert_string_equal(settings->server_user, server_user);
    const char *found[] = {settings->server_password, settings->server_secret};
    const char *expected[] = {password, secret};
    for (int i = 0; i < 2; i++) {
        if (expected[i] == NULL)
            assert_null(found[i]);
        else
            assert_string_equal(found[i], expected[i]);
    }
    settings_release(&settings);
}

static void server_logins_follow_keys_then_url(void **state)
{
    (void)state;
    struct config *config = config_text_good(
        "[pgsluice]\nauth = trust\n"
        "[database own]\nurl = host=db\n"
        "[database url]\nurl = postgresql://alice:of_url@db\n"
        "[database half]\nurl = postgresql://:of_url@db\n"
        "[database key]\nurl = postgresql://alice:of_url@db\nuser = carol\npassword = of_key\n"
        "[database word]\nurl = postgresql://alice:of_url@db\npassword = of_key\n"
        "[database bare]\nurl = postgresql://alice:of_url@db\nuser = carol\n"
        "[user eve]\nuser = mallory\npassword = of_eve\n");
    assert_login(config, "own", "bob", "bob", NULL, NULL);
    assert_login(config, "url", "bob", "alice", "of_url", NULL);
    assert_login(config, "half", "bob", "bob", "of_url", NULL);
    assert_login(config, "key", "bob", "carol", "of_key", NULL);
    assert_login(config, "word", "bob", "alice", "of_key", NULL);
    assert_login(config, "bare", "bob", "carol", NULL, NULL);
    assert_login(config, "key", "eve", "mallory", "of_eve", NULL);

    static const char *const forced[] = {NULL, "alice", NULL, "carol", "alice", "carol"};
    for (size_t i = 0; i < 6; i++) {
        const char *user = config_database_user(config, i);
        assert_true((user == NULL) == (forced[i] == NULL));
        if (user != NULL)
            assert_string_equal(user, forced[i]);
    }
    assert_null(config_database_user(config, 6));
    config_release(&config);
}

static void server_logins_then_follow_user_list_and_passfile(void **state)
{
    (void)state;
    char *text;
    char *told;
    size_t size;
    char *folder = config_text_folder();
    char *users = config_text_file(folder, "users.txt",
                                   "\"plain\" \"listed\"\n\"hashed\" \"SCRAM-SHA-256$x\"\n"
                                   "\"both\" \"SCRAM-SHA-256$y\"\n");
    char *pass = config_text_file(folder, "pass",
                                  "db:5432:app:filed:of_file\ndb:5432:app:both:of_file\n"
                                  "db:5432:app:plain:of_file\n");
    assert_true(asprintf(&text,
                         "[pgsluice]\nauth_file = users.txt\n[database app]\nurl = host=db "
                         "passfile=%s\n",
                         pass) > 0);
    char *file = config_text_file(folder, "a.ini", text);
    FILE *stream = open_memstream(&told, &size);
    unsetenv("DATABASE_URL");
    struct config *config = config_load(file, stream);
    fclose(stream);
    assert_string_equal(told, "");
    assert_login(config, "app", "plain", "plain", "listed", NULL);
    assert_login(config, "app", "hashed", "hashed", NULL, "SCRAM-SHA-256$x");
    assert_login(config, "app", "both", "both", "of_file", NULL);
    assert_login(config, "app", "filed", "filed", "of_file", NULL);
    assert_login(config, "app", "nobody", "nobody", NULL, NULL);
    assert_string_equal(config_secret(config, "app", "hashed"), "SCRAM-SHA-256$x");
    assert_string_equal(config_secret(config, NULL, "plain"), "listed");
    assert_null(config_secret(config, "app", "filed"));
    config_release(&config);
    free(told);
    free(text);
    config_text_remove(file);
    config_text_remove(pass);
    config_text_remove(users);
    config_text_remove(folder);
}

static void without_a_list_the_url_has_the_secret(void **state)
{
    (void)state;
    struct config *config =
        config_text_good(CONFIG_TEXT_DATABASE "[database *]\nurl = postgresql://any:other@db\n");
    assert_string_equal(config_secret(config, "app", "alice"), "secret");
    assert_null(config_secret(config, "app", "any"));
    assert_string_equal(config_secret(config, "third", "any"), "other");
    assert_null(config_secret(config, "third", "alice"));
    assert_string_equal(config_secret(config, NULL, "alice"), "secret");
    assert_null(config_secret(config, NULL, "any"));
    config_release(&config);
}

static void find_row(const struct config *config, const char *key, struct config_row *row)
{
    for (size_t i = 0; config_row(config, i, row); i++) {
        if (strcmp(row->key, key) == 0)
            return;
    }
    fail_msg("no row for %s", key);
}

static void rows_show_what_holds_and_mask_secrets(void **state)
{
    (void)state;
    struct config_row row;
    struct config *config = config_text_good("[pgsluice]\nlisten = *, /run/x\nworkers = 3\n"
                                             "[pool]\nrecycle = 7200\npassword = secret\n"
                                             "server_settings = jit=off\n" CONFIG_TEXT_DATABASE);
    static const char *const expected[][3] = {
        {"listen", "*, /run/x", "127.0.0.1"},
        {"workers", "3", "auto"},
        {"recycle", "2h", "1h"},
        {"password", "********", ""},
        {"server_settings", "jit=off", ""},
        {"mode", "transaction", "transaction"},
        {"user", "", ""},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        find_row(config, expected[i][0], &row);
        assert_string_equal(row.value, expected[i][1]);
        assert_string_equal(row.default_value, expected[i][2]);
    }
    find_row(config, "port", &row);
    assert_false(row.changeable);
    find_row(config, "size", &row);
    assert_true(row.changeable);
    for (size_t i = 0; config_row(config, i, &row); i++) {
        assert_string_not_equal(row.key, "url");
        assert_null(strstr(row.value, "secret"));
    }
    config_release(&config);
}

static void keys_that_need_a_restart_are_named(void **state)
{
    (void)state;
    char text[100];
    struct config *old = config_text_good("[pgsluice]\nworkers = 2\n" CONFIG_TEXT_DATABASE);
    struct config *same = config_text_good(
        "[pgsluice]\nworkers = 2\nport = 6432\n[pool]\nsize = 9\n" CONFIG_TEXT_DATABASE);
    struct config *new =
        config_text_good("[pgsluice]\nworkers = 3\nlisten = *\n" CONFIG_TEXT_DATABASE);
    assert_false(config_restart_needed(old, same, text, sizeof(text)));
    assert_string_equal(text, "");
    assert_true(config_restart_needed(old, new, text, sizeof(text)));
    assert_string_equal(text, "listen, workers");
    assert_true(config_restart_needed(old, new, text, 5));
    assert_string_equal(text, "list");
    config_release(&old);
    config_release(&same);
    config_release(&new);
}

static void snapshot_lives_as_long_as_its_last_reference(void **state)
{
    (void)state;
    struct config *config = config_text_good(CONFIG_TEXT_DATABASE);
    struct config *second = config_retain(config);
    config_release(&config);
    assert_null(config);
    assert_string_equal(config_database_name(second, 0), "app");
    config_release(&second);
    config_release(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrower_sections_go_first),
        cmocka_unit_test(server_settings_add_up_by_name),
        cmocka_unit_test(session_functions_are_replaced_by_the_narrower_section),
        cmocka_unit_test(star_serves_all_other_databases),
        cmocka_unit_test(warm_is_at_most_the_size),
        cmocka_unit_test(server_logins_follow_keys_then_url),
        cmocka_unit_test(server_logins_then_follow_user_list_and_passfile),
        cmocka_unit_test(without_a_list_the_url_has_the_secret),
        cmocka_unit_test(rows_show_what_holds_and_mask_secrets),
        cmocka_unit_test(keys_that_need_a_restart_are_named),
        cmocka_unit_test(snapshot_lives_as_long_as_its_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
