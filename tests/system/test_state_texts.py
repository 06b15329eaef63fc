"""Texts that change the session's state in ways that are easily taken for something else: whatever
a client's text has done follows that client, and reaches nobody else."""

import pytest

from wire import call, errors, extended, parse, query, sync

FILLER = "x" * 200000


@pytest.fixture
def roomy_pair(target):
    """The same for a client that is pinned: the pool has one more."""
    one, two = target.wire(), target.wire()
    yield one, two
    one.close()
    target.wait_for_rest()
    three = target.wire()
    two.run("BEGIN")
    three.run("BEGIN")
    for name in ("app.long", "app.called", "app.hidden"):
        assert (two.value(custom(name)), three.value(custom(name))) == ("", "")


def custom(name):
    return f"SELECT coalesce(current_setting('{name}', true), '')"


def expect_own(pair, ask, expected, others=""):
    """What the first client has set, it has, and the second one has not."""
    one, two = pair
    for _ in range(2):
        assert two.value(ask) == others
        assert one.value(ask) == expected


@pytest.mark.parametrize("name", ["local.x", "transaction.x", "session.x", "names.x", "time.x"])
@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_key_words_as_the_class_of_a_custom_setting(pair, protocol, name):
    one, _ = pair
    if protocol == "simple":
        one.run(f"SET {name} = 'mine'")
    else:
        assert errors(one.ask(extended(f"SET {name} = 'mine'"), sync())) == []
    expect_own(pair, custom(name), "mine")


@pytest.mark.parametrize(
    "sql, ask, expected, others",
    [
        ('SET "Search_Path" = "Mixed"', "SHOW search_path", '"Mixed"', '"$user", public'),
        ("SET search_path = 'tenant_1'", "SHOW search_path", "tenant_1", '"$user", public'),
        ('SET "DateStyle" = SQL', "SHOW DateStyle", "SQL, DMY", "ISO, MDY"),
        ('SET "TimeZone" = "Asia/Tokyo"', "SHOW TimeZone", "Asia/Tokyo", "UTC"),
        ('SET "WORK_MEM" = "5MB"', "SHOW work_mem", "5MB", "4MB"),
        ("SET sort_mem = 5000", "SHOW work_mem", "5000kB", "4MB"),
    ],
)
def test_names_in_quotes_or_of_old(pair, sql, ask, expected, others):
    one, _ = pair
    one.run("SET DateStyle = 'ISO, DMY'")
    one.run("SET work_mem = '7MB'")
    one.run(sql)
    expect_own(pair, ask, expected, others)


def test_transaction_setting_in_quotes(pair):
    one, two = pair
    one.run('SET "Transaction_Read_Only" = on')
    assert two.value("SHOW transaction_read_only") == "off"
    one.run("CREATE TABLE IF NOT EXISTS texts (x int)")
    one.run("DROP TABLE texts")


def test_local_in_another_letter_case(pair):
    one, _ = pair
    one.run("SET app.login = 'mine'")
    one.run("BEGIN")
    one.run("SET LOCAL \"App.Login\" = 'local'")
    one.run("SELECT set_config('APP.LOGIN', 'local', true)")
    one.run("COMMIT")
    expect_own(pair, custom("app.login"), "mine")


@pytest.mark.parametrize("pin", ["allow", "deny"])
def test_setting_in_a_text_too_long_to_be_read(target, pin):
    if not target.is_direct:
        target.use(pin=pin)
    one, two, three = target.wire(), target.wire(), target.wire()
    one.run(f"SELECT length('{FILLER * 6}'); SET app.long = 'mine'")
    if pin == "allow":
        assert one.value(custom("app.long")) == "mine"
        one.close()
    target.wait_for_rest()
    two.run("BEGIN")
    three.run("BEGIN")
    assert (two.value(custom("app.long")), three.value(custom("app.long"))) == ("", "")


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize(
    "sql", ["SET app.long = 'mine'", "SELECT set_config('app.long', 'mine', false)"]
)
def test_setting_in_a_text_too_long_to_be_kept(pair, sql, ahead):
    one, _ = pair
    filler = f"SELECT length('{FILLER}')"
    one.run(f"{filler}; {sql}" if ahead else f"{sql}; {filler}")
    expect_own(pair, custom("app.long"), "mine")


def test_setting_in_an_unnamed_statement_too_long_to_be_kept(roomy_pair):
    one, _ = roomy_pair
    sql = f"SELECT set_config('app.long', 'mine', false) /* {FILLER * 6} */"
    assert errors(one.ask(extended(sql), sync())) == []
    expect_own(roomy_pair, custom("app.long"), "mine")


def test_update_of_pg_settings(pair):
    one, _ = pair
    one.run("UPDATE pg_settings SET setting = '7MB' WHERE name = 'work_mem'")
    expect_own(pair, "SHOW work_mem", "7MB", "4MB")


def test_set_config_by_a_function_call(roomy_pair):
    one, _ = roomy_pair
    assert errors(one.ask(call(2078, "app.called", "mine", "f"))) == []
    expect_own(roomy_pair, custom("app.called"), "mine")


def test_prepared_set_config_is_executed_by_sql(pair):
    one, two = pair
    one.run("PREPARE p AS SELECT set_config('app.p', $1, false)")
    one.run("SELECT 1")
    one.run("EXECUTE p('mine')")
    one.run("DEALLOCATE p")
    expect_own(pair, custom("app.p"), "mine")


def test_statement_of_the_protocol_with_set_config_is_executed_by_sql(pair):
    one, two = pair
    one.ask(parse("s", "SELECT set_config('app.s', $1, false)"), sync())
    one.run("SELECT 1")
    one.run("EXECUTE s('mine')")
    expect_own(pair, custom("app.s"), "mine")


def test_statement_of_the_protocol_that_hides_a_name_is_executed_by_sql(roomy_pair):
    one, _ = roomy_pair
    one.ask(parse("s", "SELECT set_config($1, $2, false)"), sync())
    one.run("SELECT 1")
    one.run("EXECUTE s('app.hidden', 'mine')")
    expect_own(roomy_pair, custom("app.hidden"), "mine")


@pytest.mark.parametrize(
    "text", ["SELECT 'a;', 1; EXECUTE s", "SELECT $$;--$$; EXECUTE s", "SELECT 1 AS \";\"; EXECUTE s"]
)
def test_execute_behind_a_semicolon_in_a_constant(pair, text):
    one, two = pair
    one.ask(parse("s", "SELECT 'found'"), sync())
    two.run("SELECT 1")
    assert one.run(text)[-1][0] == "found"


def test_name_that_the_encoding_does_not_have(roomy_pair):
    one, _ = roomy_pair
    assert errors(one.ask(query(b"SET \"app.\xff\" = 'x'"))) == ["22021"]
    one.run("SET app.x = 'mine'")
    one.run("RESET work_mem")
    expect_own(roomy_pair, custom("app.x"), "mine")


def test_name_of_another_encoding(roomy_pair):
    one, _ = roomy_pair
    one.run("SET client_encoding = 'latin1'")
    one.run(b"SET app.\xe4 = 'mine'")
    one.run("SET client_encoding = 'UTF8'")
    expect_own(roomy_pair, custom("app.ä"), "mine")
    expect_own(roomy_pair, custom("app.ä"), "mine")


def test_backslash_within_a_character_of_a_name(roomy_pair):
    one, _ = roomy_pair
    one.run("SET client_encoding = 'GBK'")
    one.ask(query(b"SET \"app.\x81\x5c'),(E'x'); SET work_mem = '9MB' --\" = 'x'"))
    one.run("SET client_encoding = 'UTF8'")
    one.run("RESET ALL")
    expect_own(roomy_pair, "SHOW work_mem", "4MB", "4MB")


@pytest.fixture
def superuser_role(cluster):
    """A role of superusers that app is a member of."""
    cluster.sql("CREATE ROLE texts_super SUPERUSER NOLOGIN", "GRANT texts_super TO app")
    yield "texts_super"
    cluster.sql("DROP ROLE texts_super")


@pytest.mark.parametrize("resets", [True, False])
def test_setting_that_only_another_role_may_reset(pair, superuser_role, resets):
    one, two = pair
    one.run(f"SET ROLE {superuser_role}")
    one.run("SET session_replication_role = replica")
    if resets:
        one.run("RESET ROLE")
    for _ in range(2):
        assert two.value("SHOW session_replication_role") == "origin"


def test_as_many_local_names_as_fit_into_a_text(pair):
    one, two = pair
    calls = ", ".join(f"set_config('many.n{i}', '', true)" for i in range(500))
    assert errors(one.ask(extended(f"SELECT {calls}"), sync())) == []
    one.run("SET many.n7 = 'mine'")
    expect_own(pair, custom("many.n7"), "mine")
