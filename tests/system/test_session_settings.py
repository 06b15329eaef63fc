"""SET, RESET, set_config() and their kin: the client sees what it did, nobody else does."""

import pytest

from wire import errors, extended, kinds, query, rows, sync

ZONE = "SHOW TimeZone"


@pytest.mark.core
@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize(
    "sql",
    [
        "SET TimeZone = 'Asia/Tokyo'",
        "set timezone to 'Asia/Tokyo'",
        "SET SESSION TIME ZONE 'Asia/Tokyo'",
        "/* a comment */ SET -- another\n TimeZone='Asia/Tokyo';",
        "SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
        "SELECT pg_catalog.set_config('time' || 'zone', 'Asia/Tokyo', true)"
        ", pg_catalog.set_config('timezone', 'Asia/Tokyo', false)",
        "DO $$ BEGIN SET TimeZone = 'Asia/Tokyo'; END $$",
        "DO $$ BEGIN EXECUTE 'SE' || 'T TimeZone = ''Asia/Tokyo'''; END $$",
    ],
)
def test_set_is_the_clients_own(pair, sql, protocol):
    one, two = pair
    if protocol == "simple":
        assert errors(one.ask(query(sql))) == []
    else:
        assert errors(one.ask(extended(sql), sync())) == []
    for _ in range(2):
        assert (one.value(ZONE), two.value(ZONE)) == ("Asia/Tokyo", "UTC")
    two.run("SET TimeZone = 'Europe/Paris'")
    for _ in range(2):
        assert (one.value(ZONE), two.value(ZONE)) == ("Asia/Tokyo", "Europe/Paris")


def test_parameter_status_of_set(pair):
    one, two = pair
    replies = one.ask(query("SET application_name = 'mine'"))
    assert kinds(replies) == one.in_order("CSZI")
    assert kinds(two.ask(query("SELECT 1"))) == "TDCZI"
    replies = one.ask(query("SET TimeZone = 'Asia/Tokyo'; SELECT 1; SET DateStyle = 'German'"))
    assert sorted(r.strings[0] for r in replies if r.kind == "S") == ["DateStyle", "TimeZone"]
    assert kinds(one.ask(query("SELECT 1"))) == "TDCZI"


def test_in_a_transaction(pair):
    one, two = pair
    one.run("BEGIN")
    one.run("SET TimeZone = 'Asia/Tokyo'")
    assert one.value(ZONE) == "Asia/Tokyo"
    one.run("COMMIT")
    assert (two.value(ZONE), one.value(ZONE)) == ("UTC", "Asia/Tokyo")


@pytest.mark.parametrize("end", ["ROLLBACK", "ROLLBACK TO a; COMMIT", "SELECT 1/0; COMMIT"])
def test_rolled_back(pair, end):
    one, two = pair
    one.run("SET TimeZone = 'Europe/Paris'")
    one.run("BEGIN; SAVEPOINT a")
    one.run("SET TimeZone = 'Asia/Tokyo'")
    one.ask(query(end))
    one.ask(query("ROLLBACK"))
    assert (two.value(ZONE), one.value(ZONE)) == ("UTC", "Europe/Paris")


def test_set_local(pair):
    one, two = pair
    one.run("BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'")
    assert one.value(ZONE) == "Asia/Tokyo"
    one.run("COMMIT")
    assert (two.value(ZONE), one.value(ZONE)) == ("UTC", "UTC")
    one.run("BEGIN; SET TimeZone = 'Europe/Paris'; SELECT set_config('TimeZone', 'Asia/Tokyo', true)")
    one.run("COMMIT")
    assert (two.value(ZONE), one.value(ZONE)) == ("UTC", "Europe/Paris")


@pytest.mark.parametrize("sql", ["RESET TimeZone", "RESET ALL", "DISCARD ALL", "SET TimeZone TO DEFAULT"])
def test_reset_leads_back_to_the_startup_value(target, sql):
    if not target.is_direct:
        target.use(size=1)
    one, two = target.wire(TimeZone="America/Lima"), target.wire()
    one.run("SET TimeZone = 'Asia/Tokyo'")
    two.run("SET TimeZone = 'Europe/Paris'")
    assert (one.value(ZONE), two.value(ZONE)) == ("Asia/Tokyo", "Europe/Paris")
    one.run(sql)
    for _ in range(2):
        assert (one.value(ZONE), two.value(ZONE)) == ("America/Lima", "Europe/Paris")
    two.run(sql)
    for _ in range(2):
        assert (one.value(ZONE), two.value(ZONE)) == ("America/Lima", "UTC")


def test_reset_all_of_one_leaves_the_other(pair):
    one, two = pair
    for wire, word in ((one, "one"), (two, "two")):
        wire.run(f"SET application_name = '{word}'")
        wire.run(f"SET my.word = '{word}'")
        wire.run("SET work_mem = '3MB'")
    one.run("RESET ALL")
    state = ("SELECT current_setting('application_name'), coalesce(current_setting('my.word', true), ''),"
             " current_setting('work_mem')")  # fmt: skip
    assert two.run(state) == [("two", "two", "3MB")]
    assert one.run(state) == [("", "", "4MB")]


def test_custom_names(pair):
    one, two = pair
    show = "SELECT coalesce(current_setting('app.tenant', true), '')"
    one.run("SET app.tenant = 'alice'")
    two.run("SELECT set_config('app.tenant', 'bob', false)")
    for _ in range(2):
        assert (one.value(show), two.value(show)) == ("alice", "bob")
    one.run("BEGIN; SELECT set_config('app.tenant', 'carol', true)")
    assert one.value(show) == "carol"
    one.run("COMMIT")
    assert (two.value(show), one.value(show)) == ("bob", "alice")
    one.run("RESET app.tenant")
    assert (two.value(show), one.value(show)) == ("bob", "")


def test_a_value_of_any_kind(pair):
    one, two = pair
    for value in ("it's", 'a "b"', "back\\slash", "line\nbreak", "ü€😀", "x" * 5000, "$1 $$ %s", "--", " "):
        literal = value.replace("'", "''")
        one.run(f"SET app.value = '{literal}'")
        assert two.value("SELECT coalesce(current_setting('app.value', true), '')") == ""
        assert one.value("SHOW app.value") == value


def test_values_that_are_lists(pair):
    one, two = pair
    one.run("CREATE SCHEMA IF NOT EXISTS \"Odd, name\"; SET search_path = \"Odd, name\", public, pg_temp")
    shown = one.value("SHOW search_path")
    assert two.value("SHOW search_path") == '"$user", public'
    assert one.value("SHOW search_path") == shown == '"Odd, name", public, pg_temp'
    assert one.value("SELECT current_schema()") == "Odd, name"
    one.run("SET DateStyle = 'SQL'; SET DateStyle = 'DMY'")
    assert two.value("SHOW DateStyle") == "ISO, MDY"
    assert one.value("SHOW DateStyle") == "SQL, DMY"


def test_values_that_other_settings_complete(pair):
    one, two = pair
    one.run("SET DateStyle = 'SQL'")
    one.run("SET DateStyle = 'DMY'")
    assert two.value("SHOW DateStyle") == "ISO, MDY"
    assert one.value("SHOW DateStyle") == "SQL, DMY"
    one.run("CREATE SCHEMA words; CREATE TEXT SEARCH CONFIGURATION words.plain (COPY = simple);"
            " SET search_path = words")  # fmt: skip
    one.run("SET default_text_search_config = 'plain'")
    one.run("SET search_path = public")
    assert two.value("SHOW default_text_search_config") != "words.plain"
    assert one.value("SHOW default_text_search_config") == "words.plain"
    one.run("DROP SCHEMA words CASCADE")


def test_role_and_session_characteristics(target):
    target.cluster.sql("DO $$ BEGIN IF to_regrole('actor') IS NULL THEN CREATE ROLE actor; GRANT actor TO app;"
                       " END IF; END $$")  # fmt: skip
    if not target.is_direct:
        target.use(size=1)
    one, two = target.wire(), target.wire()
    one.run("SET ROLE actor")
    one.run("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE")
    state = "SELECT current_user, current_setting('transaction_read_only'), current_setting('transaction_isolation')"
    for _ in range(2):
        assert one.run(state) == [("actor", "on", "serializable")]
        assert two.run(state) == [("app", "off", "read committed")]
    one.run("RESET ROLE")
    assert two.value("SELECT current_user") == "app"
    assert one.value("SELECT current_user") == "app"


def test_set_that_fails_changes_nothing(pair):
    one, two = pair
    one.run("SET TimeZone = 'Asia/Tokyo'")
    assert errors(one.ask(query("SET TimeZone = 'Nowhere'"))) == ["22023"]
    assert errors(one.ask(query("SET no_such_setting = 1"))) == ["42704"]
    assert (two.value(ZONE), one.value(ZONE)) == ("UTC", "Asia/Tokyo")


def test_set_within_a_pipeline(pair):
    one, two = pair
    replies = one.ask(
        query("SET TimeZone = 'Asia/Tokyo'"), query(ZONE), extended("SET TimeZone = 'Europe/Paris'"),
        extended(ZONE), sync(), extended(ZONE), sync(), ready=4,
    )  # fmt: skip
    assert rows(replies) == [("Asia/Tokyo",), ("Europe/Paris",), ("Europe/Paris",)]
    assert (two.value(ZONE), one.value(ZONE)) == ("UTC", "Europe/Paris")


def test_set_in_a_function(pair):
    one, two = pair
    one.run("CREATE OR REPLACE FUNCTION move_zone(z text) RETURNS void LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM set_config('TimeZone', z, false); END $$")  # fmt: skip
    for zone in ("Asia/Tokyo", "Europe/Paris"):
        one.run(f"SELECT move_zone('{zone}')")
        for _ in range(2):
            assert (two.value(ZONE), one.value(ZONE)) == ("UTC", zone)


def test_many_clients_that_set_all_the_time(pooled, threads):
    pooled.use(timeout="60s")
    clients = [pooled.wire() for _ in range(12)]

    def work(n):
        wire = clients[n]
        for turn in range(10):
            mark = f"{n}.{turn}"
            way = (n + turn) % 4
            if way == 0:
                wire.run(f"SET application_name = '{mark}'")
            elif way == 1:
                wire.run(f"SELECT set_config('application_name', '{mark}', false)")
            elif way == 2:
                wire.run(f"BEGIN; SET application_name = '{mark}'; COMMIT")
            else:
                wire.run(f"SET application_name = '{mark}'")
                wire.run("BEGIN; SET application_name = 'wrong'")
                wire.run("ROLLBACK")
            for _ in range(3):
                assert wire.value("SHOW application_name") == mark
        return True

    assert all(threads.map(work, range(12)))
    assert pooled.wire().value("SHOW application_name") == ""
