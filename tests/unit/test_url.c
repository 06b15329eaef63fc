/*
 * Exercises a database's url: what libpq reads, SQLAlchemy's schemes, several hosts, services,
 * environment and passfile, what is not honoured, and that no message shows a password.
 */
#include "config/url.h"

#include "config_text.h"

static struct url *parse(const char *text, bool may_read, char **told)
{
    size_t size;
    struct place place = {.file = "a.ini", .line = 3};
    struct problems problems = {.out = open_memstream(told, &size)};
    struct url *url = url_parse(text, may_read, &place, "[database app] url", &problems);
    fclose(problems.out);
    return url;
}

static struct url *good(const char *text)
{
    char *told;
    struct url *url = parse(text, false, &told);
    assert_string_equal(told, "");
    assert_non_null(url);
    free(told);
    return url;
}

/* Refused for exactly this reason. */
static void refused(const char *text, const char *reason)
{
    char *told;
    char *expected;
    assert_null(parse(text, false, &told));
    assert_true(asprintf(&expected, "a.ini:3: [database app] url: %s\n", reason) > 0);
    assert_string_equal(told, expected);
    free(expected);
    free(told);
}

static void uri_is_read(void **state)
{
    (void)state;
    struct url *url = good("postgresql://alice:p%40ss@db.example.org:5433/app?connect_timeout=3");
    assert_int_equal(url->host_count, 1);
    assert_string_equal(url->hosts[0].host, "db.example.org");
    assert_null(url->hosts[0].hostaddr);
    assert_int_equal(url->hosts[0].port, 5433);
    assert_string_equal(url->user, "alice");
    assert_string_equal(url->password, "p@ss");
    assert_string_equal(url->database, "app");
    assert_int_equal(url->connect_timeout, 3 * CLOCK_SECOND);
    assert_false(url->has_target);
    url_free(&url);
    assert_null(url);
}

static void keyword_string_is_read(void **state)
{
    (void)state;
    struct url *url = good("host=db hostaddr=10.0.0.1 dbname=app user=alice "
                           "password='it is \\'it\\'' target_session_attrs=read-write");
    assert_string_equal(url->hosts[0].host, "db");
    assert_string_equal(url->hosts[0].hostaddr, "10.0.0.1");
    assert_int_equal(url->hosts[0].port, 5432);
    assert_string_equal(url->password, "it is 'it'");
    assert_true(url->has_target);
    assert_int_equal(url->target, SETTINGS_TARGET_READ_WRITE);
    url_free(&url);
}

static void schemes_of_sqlalchemy_are_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "postgres://db/app", "postgresql+asyncpg://db/app", "postgresql+psycopg://db/app",
        "postgresql+psycopg2://db/app", "postgres+asyncpg://db/app"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct url *url = good(texts[i]);
        assert_string_equal(url->hosts[0].host, "db");
        assert_string_equal(url->database, "app");
        url_free(&url);
    }
    refused("mysql://db/app",
            "expected postgresql://, postgres:// or postgresql+DRIVER://, got \"mysql://\"");
    refused("postgresqlx+asyncpg://db/app", "expected postgresql://, postgres:// or "
                                            "postgresql+DRIVER://, got \"postgresqlx+asyncpg://\"");
}

static void several_hosts_are_read(void **state)
{
    (void)state;
    struct url *url = good("postgresql://one:1,[::1]:2,three/app");
    assert_int_equal(url->host_count, 3);
    assert_string_equal(url->hosts[0].host, "one");
    assert_int_equal(url->hosts[0].port, 1);
    assert_string_equal(url->hosts[1].host, "::1");
    assert_int_equal(url->hosts[1].port, 2);
    assert_string_equal(url->hosts[2].host, "three");
    assert_int_equal(url->hosts[2].port, 5432);
    url_free(&url);

    url = good("host=one,two port=7");
    assert_int_equal(url->hosts[0].port, 7);
    assert_int_equal(url->hosts[1].port, 7);
    url_free(&url);

    url = good("hostaddr=10.0.0.1,::1");
    assert_int_equal(url->host_count, 2);
    assert_string_equal(url->hosts[1].host, "::1");
    assert_string_equal(url->hosts[1].hostaddr, "::1");
    url_free(&url);
}

static void sockets_are_folders(void **state)
{
    (void)state;
    struct url *url = good("postgresql:///app?host=/run/postgresql");
    assert_string_equal(url->hosts[0].host, "/run/postgresql");
    url_free(&url);
    url = good("dbname=app");
    assert_int_equal(url->hosts[0].host[0], '/');
    assert_int_equal(url->hosts[0].port, 5432);
    url_free(&url);
}

static void run_time_parameters_are_kept(void **state)
{
    (void)state;
    struct url *url = good("postgresql://db/app?application_name=web&client_encoding=LATIN1"
                           "&options=-c%20jit%3Doff");
    assert_int_equal(url->server_settings.count, 3);
    assert_string_equal(pairs_find(&url->server_settings, "application_name"), "web");
    assert_string_equal(pairs_find(&url->server_settings, "client_encoding"), "LATIN1");
    assert_string_equal(pairs_find(&url->server_settings, "jit"), "off");
    url_free(&url);
    refused("postgresql://db/app?options=-d5",
            "expected \"-c name=value\" or \"--name=value\" in options, got \"-d5\"");
}

static void mistakes_in_hosts_are_told(void **state)
{
    (void)state;
    refused("postgresql://db:0/app", "expected ports from 1 to 65535, got \"0\"");
    refused("host=db port=http", "expected ports from 1 to 65535, got \"http\"");
    refused("host=a,b port=1,2,3", "expected one port or as many ports as hosts: 2, got 3");
    refused("host=a,b hostaddr=::1",
            "expected as many addresses in \"hostaddr\" as hosts: 2, got 1");
    refused("hostaddr=db", "hostaddr: expected a numeric address, got \"db\"");
    refused("postgresql:///app?host=db:5433", "host: expected a name, an address or a folder, got "
                                              "\"db:5433\" (a port stands in \"port\")");
    refused("postgresql:///app?host=a&host=b",
            "the parameter \"host\" stands twice; several hosts are written "
            "postgresql://one:5432,other:5432/database");
}

static void values_out_of_range_are_told(void **state)
{
    (void)state;
    refused("host=db connect_timeout=0",
            "connect_timeout: expected 1 to 3600 (seconds), got \"0\"");
    refused("host=db target_session_attrs=master",
            "target_session_attrs: expected any, read-write, read-only, primary, standby or "
            "prefer-standby, got \"master\"");
}

static void what_needs_tls_is_refused(void **state)
{
    (void)state;
    static const char *const fine[] = {"disable", "allow", "prefer"};
    static const char *const not_yet[] = {"require", "verify-ca", "verify-full", "nonsense"};
    char text[100];
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "postgresql://db/app?sslmode=%s", fine[i]);
        struct url *url = good(text);
        url_free(&url);
    }
    for (size_t i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "postgresql://db/app?sslmode=%s", not_yet[i]);
        refused(text,
                "sslmode: TLS to servers is not there yet; expected disable, allow or prefer");
    }
    refused("postgresql://db/app?ssl=true",
            "sslmode: TLS to servers is not there yet; expected disable, allow or prefer");
    refused("host=db channel_binding=require",
            "channel_binding: TLS to servers is not there yet; expected disable or prefer");
    refused("host=db requirepeer=postgres",
            "requirepeer: pgsluice cannot check the server's user yet");
    refused("host=db replication=database",
            "replication: replication connections cannot be pooled");
}

static void harmless_parameters_earn_a_warning(void **state)
{
    (void)state;
    char *told;
    struct url *url = parse("host=db sslrootcert=/x keepalives_idle=5", false, &told);
    assert_non_null(url);
    assert_string_equal(
        told, "a.ini:3: warning: [database app] url: keepalives_idle: has no effect in a url; the "
              "tcp_… keys of [pgsluice] are for all connections\n"
              "a.ini:3: warning: [database app] url: sslrootcert: TLS to servers is not there yet; "
              "this has no effect\n");
    url_free(&url);
    free(told);
}

static void unknown_parameters_are_told(void **state)
{
    (void)state;
    refused("postgresql://db/app?prepared_statement_cache_size=0",
            "\"prepared_statement_cache_size\" is no connection parameter of libpq (a driver's or "
            "SQLAlchemy's own arguments stay in the application)");
    refused("postgresql://db/app?sslmod=disable",
            "\"sslmod\" is no connection parameter of libpq; did you mean \"sslmode\"?");
    refused("hots=db", "\"hots\" is no connection parameter of libpq; did you mean \"host\"?");
}

/* libpq's own messages repeat the text. */
static void no_message_shows_a_password(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "postgresql://alice:hunter2@[::1/app",
        "postgresql://alice:hunter2@[::1]x/app",
        "postgresql://alice:hunter2@[]/app",
        "postgresql://alice:hunter2%zz@db/app",
        "postgresql://alice:hunter2%00@db/app",
        "postgresql://alice:hunter2@db/app?x",
        "postgresql://alice:hunter2@db/app?sslmode=a=b",
        "postgresql://alice:hunter2@db:x/app",
        "password=one hunter2",
        "password='hunter2",
        "hunter2",
        "password=hunter2 hostaddr=x port=y sslmode=require requirepeer=me nonsense=1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        char *told;
        assert_null(parse(texts[i], false, &told));
        assert_int_not_equal(strlen(told), 0);
        assert_null(strstr(told, "hunter2"));
        free(told);
    }
}

static void files_are_refused_where_they_must_not_be_read(void **state)
{
    (void)state;
    refused("service=main", "service: not allowed here");
    refused("host=db passfile=/etc/passwd", "passfile: not allowed here");
}

static void open_ends_come_from_service_then_environment(void **state)
{
    (void)state;
    char *told;
    char *folder = config_text_folder();
    char *service =
        config_text_file(folder, "service", "[main]\nhost=db\nuser=carol\nport=1\npassword=x\n");
    setenv("PGSERVICEFILE", service, 1);
    setenv("PGPORT", "2", 1);
    setenv("PGAPPNAME", "web", 1);
    setenv("PGUSER", "nobody", 1);
    setenv("PGPASSWORD", "nothing", 1);
    setenv("PGDATABASE", "nowhere", 1);

    struct url *url = parse("service=main port=3", true, &told);
    assert_string_equal(told, "");
    assert_string_equal(url->hosts[0].host, "db");
    assert_int_equal(url->hosts[0].port, 3);
    assert_string_equal(url->user, "carol");
    assert_string_equal(url->password, "x");
    url_free(&url);
    free(told);

    url = parse("host=db", true, &told);
    assert_string_equal(told, "");
    assert_int_equal(url->hosts[0].port, 2);
    assert_string_equal(pairs_find(&url->server_settings, "application_name"), "web");
    assert_null(url->user);
    assert_null(url->password);
    assert_null(url->database);
    url_free(&url);
    free(told);

    setenv("PGSSLMODE", "require", 1);
    assert_null(parse("host=db", true, &told));
    assert_string_equal(told,
                        "a.ini:3: [database app] url: of the environment (PGSSLMODE): sslmode: "
                        "TLS to servers is not there yet; expected disable, allow or prefer\n");
    free(told);

    static const char *const variables[] = {"PGSERVICEFILE", "PGPORT",     "PGAPPNAME", "PGUSER",
                                            "PGPASSWORD",    "PGDATABASE", "PGSSLMODE"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
        unsetenv(variables[i]);
    config_text_remove(service);
    config_text_remove(folder);
}

static void passfile_is_asked_host_by_host(void **state)
{
    (void)state;
    char *told;
    char text[200];
    char *folder = config_text_folder();
    char *file = config_text_file(folder, "pass",
                                  "two:5432:app:alice:second\nlocalhost:*:app:alice:local\n");
    snprintf(text, sizeof(text), "host=one,two passfile=%s", file);
    struct url *url = parse(text, true, &told);
    assert_string_equal(told, "");
    assert_string_equal(url_passfile_password(url, "app", "alice"), "second");
    assert_null(url_passfile_password(url, "app", "bob"));
    url_free(&url);
    free(told);

    snprintf(text, sizeof(text), "host=/run/postgresql passfile=%s", file);
    url = parse(text, true, &told);
    assert_string_equal(url_passfile_password(url, "app", "alice"), "local");
    url_free(&url);
    free(told);

    assert_int_equal(chmod(file, 0644), 0);
    url = parse(text, true, &told);
    assert_non_null(url);
    assert_non_null(strstr(told, "a.ini:3: warning: [database app] url: the password file"));
    assert_null(url_passfile_password(url, "app", "alice"));
    url_free(&url);
    free(told);
    config_text_remove(file);
    config_text_remove(folder);
}

/* No variable and no file of whoever runs the tests. */
static int clear_environment(void **state)
{
    (void)state;
    setenv("HOME", "/nonexistent", 1);
    static const char *const variables[] = {"PGHOST",    "PGHOSTADDR", "PGPORT",     "PGSSLMODE",
                                            "PGAPPNAME", "PGOPTIONS",  "PGPASSFILE", "PGSERVICE"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
        unsetenv(variables[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uri_is_read),
        cmocka_unit_test(keyword_string_is_read),
        cmocka_unit_test(schemes_of_sqlalchemy_are_read),
        cmocka_unit_test(several_hosts_are_read),
        cmocka_unit_test(sockets_are_folders),
        cmocka_unit_test(run_time_parameters_are_kept),
        cmocka_unit_test(mistakes_in_hosts_are_told),
        cmocka_unit_test(values_out_of_range_are_told),
        cmocka_unit_test(what_needs_tls_is_refused),
        cmocka_unit_test(harmless_parameters_earn_a_warning),
        cmocka_unit_test(unknown_parameters_are_told),
        cmocka_unit_test(no_message_shows_a_password),
        cmocka_unit_test(files_are_refused_where_they_must_not_be_read),
        cmocka_unit_test(open_ends_come_from_service_then_environment),
        cmocka_unit_test(passfile_is_asked_host_by_host),
    };
    return cmocka_run_group_tests(tests, clear_environment, NULL);
}
