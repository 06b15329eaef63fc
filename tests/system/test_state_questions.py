"""How pgsluice learns what a session's state is: a plain SET is believed from its text, for anything
else the server is asked, under whatever settings the client has chosen; nobody notices."""

import pytest
from psycopg.rows import tuple_row

from cluster import wait_until
from wire import bind, errors, execute, extended, kinds, parse, query, sync

ZONE = "SHOW TimeZone"


@pytest.fixture
def last_query(pooled, cluster):
    """What the pool's only server connection was asked last."""
    pooled.use(size=1)

    def ask():
        return cluster.value(
            "SELECT string_agg(query, '\n') FROM pg_stat_activity WHERE usename = 'app'"
        )

    return ask


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize(
    "sql",
    [
        "SET app.user_id = '17'",
        "SET SESSION statement_timeout TO 5000;",
        "SET application_name = 'mine'",
        "SET LOCAL app.user_id = '17'",
        "SET TRANSACTION READ ONLY",
        "SELECT set_config('app.user_id', '17', true), set_config('role', 'none', true)",
    ],
)
def test_plain_set_is_not_asked_about(pooled, last_query, sql, protocol):
    wire = pooled.wire()
    wire.run("BEGIN")
    messages = [query(sql)] if protocol == "simple" else [extended(sql), sync()]
    assert errors(wire.ask(*messages)) == []
    wire.run("COMMIT")
    pooled.wait_for_rest()
    assert last_query() == "COMMIT"
    if "TRANSACTION" not in sql and "true" not in sql and "LOCAL" not in sql:
        assert errors(wire.ask(*messages)) == []
        pooled.wait_for_rest()
        assert last_query() == sql


def expect_question(last_query, *parts):
    wait_until(
        lambda: [part for part in ("pg_settings", "pg_locks") if part in last_query()]
        == list(parts),
        what=f"the last query asks for {parts}",
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",  # asyncpg's pool
        "DISCARD ALL",  # Npgsql's
        "RESET ALL",
    ],
)
def test_what_a_drivers_pool_gives_back_is_not_asked_about(pooled, last_query, sql):
    wire = pooled.wire(application_name="came")
    for mine in ("SET TimeZone = 'Asia/Tokyo'", "SET application_name = 'mine'", "SELECT 1"):
        wire.run(mine)
        wire.run(sql)
        pooled.wait_for_rest()
        assert last_query() == sql
        assert wire.value(ZONE) == "UTC"
        assert wire.value("SHOW application_name") == "came"


def test_pool_reset_is_asked_about_where_there_is_more(pooled, last_query):
    sql = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL"
    wire = pooled.wire()
    for mine in ("SET app.x = 'mine'", "SELECT pg_advisory_lock(1)"):
        wire.run(mine)
        wire.run(sql)
        wait_until(lambda: "pg_settings" in last_query(), what="the server is asked")
        wire.run("DISCARD ALL")


def test_anything_else_is_asked_about(pooled, last_query):
    wire = pooled.wire()
    for sql in ("SET TIME ZONE 'Asia/Tokyo'", "RESET TimeZone", 'SET search_path = "Mixed", public'):
        wire.run(sql)
        expect_question(last_query, "pg_settings")
    wire.run("DECLARE c CURSOR WITH HOLD FOR SELECT 1")
    expect_question(last_query, "pg_locks")
    wire.run("DO $$ BEGIN END $$")
    expect_question(last_query, "pg_settings")  # and more, which the view cuts off
    wire.run("CLOSE c")
    expect_question(last_query, "pg_locks")


@pytest.mark.parametrize(
    "transaction, expected",
    [
        (["SET app.x = 'b'"], "b"),
        (["BEGIN", "SET app.x = 'b'", "COMMIT"], "b"),
        (["BEGIN", "SET app.x = 'b'", "ROLLBACK"], "a"),
        (["BEGIN", "SET app.x = 'b'", "SELECT 1/0", "COMMIT"], "a"),
        (["BEGIN", "SET app.x = 'b'", "SET app.x = 'c'", "COMMIT"], "c"),
        (["BEGIN", "SET app.x = 'b'", "SET LOCAL app.x = 'c'", "COMMIT"], "b"),
        (["BEGIN", "SET LOCAL app.x = 'c'", "SET app.x = 'b'", "COMMIT"], "b"),
        (["BEGIN", "SET LOCAL app.x = 'c'", "COMMIT"], "a"),
        (["BEGIN", "SAVEPOINT s", "SET app.x = 'b'", "ROLLBACK TO s", "COMMIT"], "a"),
        (["BEGIN", "SET app.x = 'b'", "SAVEPOINT s", "ROLLBACK TO s", "COMMIT"], "b"),
        (["BEGIN", "SAVEPOINT s", "SET app.x = 'b'", "RELEASE s", "COMMIT"], "b"),
        (["BEGIN", "SET app.x = 'b'", "COMMIT AND CHAIN", "SET app.x = 'c'", "ROLLBACK"], "b"),
        (["BEGIN", "SET app.x = 'b'", "ROLLBACK AND CHAIN", "SET app.x = 'c'", "COMMIT"], "c"),
        (["BEGIN", "SET app.x = 'b'", "COMMIT; BEGIN", "SET app.x = 'c'", "ROLLBACK"], "b"),
        (["BEGIN; SET app.x = 'b'", "COMMIT"], "b"),
        (["SET app.x = 'b'; ROLLBACK"], "a"),
        (["SET app.x = 'b'; SELECT 1/0"], "a"),
        (["BEGIN", "SET app.x = 'b'", "RESET app.x", "COMMIT"], ""),
        (["BEGIN", "SET app.x = 'b'", "SELECT set_config('app.x', 'd', false)", "COMMIT"], "d"),
        (["BEGIN", "SET app.x = 'b'", "DISCARD PLANS", "COMMIT"], "b"),
        (["BEGIN READ ONLY", "SET app.x = 'b'", "COMMIT"], "b"),
        (["BEGIN", "SET app.x = 'b", "COMMIT"], "a"),
        (["SET app.x = 'it''s'"], "it's"),
        (["SET app.x = DEFAULT"], ""),
    ],
)
@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_what_is_believed_is_what_is(pair, transaction, expected, protocol):
    one, two = pair
    one.run("SET app.x = 'a'")
    for sql in transaction:
        if protocol == "simple" or ";" in sql:
            one.ask(query(sql))
        else:
            one.ask(extended(sql), sync())
    for _ in range(2):
        two.run("SET app.x = 'other'")
        assert one.value("SHOW app.x") == expected
        assert two.value("SHOW app.x") == "other"


def test_set_in_a_pipeline_that_fails_behind_it(pair):
    one, two = pair
    one.run("SET app.x = 'a'")
    one.ask(extended("SET app.x = 'b'"), extended("SELECT 1/0"), sync())
    two.run("SET app.x = 'other'")
    assert one.value("SHOW app.x") == "a"
    one.ask(extended("SET app.x = 'b'"), sync(), extended("SELECT 1/0"), sync(), ready=2)
    two.run("SET app.x = 'other'")
    assert one.value("SHOW app.x") == "b"


def test_named_statement_and_named_portal(pair):
    one, two = pair
    one.ask(parse("s", "SET app.x = 'a'"), bind("", "s"), execute(), sync())
    two.run("SET app.x = 'other'")
    assert one.value("SHOW app.x") == "a"
    one.run("SET app.x = 'b'")
    one.ask(bind("p", "s"), bind("", "s"), execute("p"), execute(), sync())
    two.run("SET app.x = 'other'")
    assert one.value("SHOW app.x") == "a"


def test_client_that_leaves_within_its_transaction(pooled):
    pooled.use(size=1)
    one, two = pooled.wire(), pooled.wire()
    one.run("BEGIN")
    one.run("SET app.x = 'left'")
    one.run("SET TimeZone = 'Asia/Tokyo'")
    one.close()
    state = "SELECT coalesce(current_setting('app.x', true), ''), current_setting('TimeZone')"
    assert two.run(state) == [("", "UTC")]


def test_local_set_leaves_an_empty_custom_setting(target):
    one, two, three = target.wire(), target.wire(), target.wire()
    for transaction in (["BEGIN", "SET LOCAL app.local = 'x'", "COMMIT"],
                        ["BEGIN", "SELECT set_config('app.third', 'x', true)", "COMMIT"],
                        ["BEGIN", "SET LOCAL app.other = 'x'", "ROLLBACK"]):  # fmt: skip
        for sql in transaction:
            one.run(sql)
    two.run("BEGIN")
    three.run("BEGIN")
    three.run("COMMIT")
    assert one.run("SELECT current_setting('app.local'), current_setting('app.other')"
                   ", current_setting('app.third')") == [("", "", "")]  # fmt: skip
    two.run("COMMIT")


def test_parameter_status_of_believed_settings(pair):
    one, two = pair
    assert kinds(one.ask(query("SET TimeZone = 'Asia/Tokyo'"))) == one.in_order("CSZI")
    assert kinds(two.ask(query("SELECT 1"))) == "TDCZI"
    one.run("BEGIN")
    assert kinds(one.ask(query("SET LOCAL TimeZone = 'Europe/Paris'"))) == one.in_order("CSZT")
    assert kinds(one.ask(query("COMMIT"))) == one.in_order("CSZI")
    assert (two.value(ZONE), one.value(ZONE)) == ("UTC", "Asia/Tokyo")
    one.run("BEGIN")
    assert kinds(one.ask(query("SET TimeZone = 'Europe/Paris'"))) == one.in_order("CSZT")
    assert kinds(one.ask(query("ROLLBACK"))) == one.in_order("CSZI")
    assert (two.value(ZONE), one.value(ZONE)) == ("UTC", "Asia/Tokyo")


@pytest.mark.parametrize("timeout", ["1ms", "2ms"])
def test_under_the_sessions_own_timeout(pair, timeout):
    one, two = pair
    one.run(f"SET statement_timeout = '{timeout}'")
    for step in range(20):
        one.ask(query(f"SELECT set_config('app.step', '{step}', false)"))
        two.run("SELECT pg_sleep(0.003)")
    errors(one.ask(query("SET statement_timeout = 0")))
    assert one.value("SHOW statement_timeout") == "0"
    assert two.value("SHOW statement_timeout") == "0"


def test_timeout_as_set_is_kept(pair):
    one, two = pair
    one.run("SELECT set_config('statement_timeout', '1ms', false)")
    one.run("SELECT set_config('app.a', 'b', false)")
    assert two.value("SHOW statement_timeout") == "0"
    assert one.value("SHOW statement_timeout") == "1ms"


def test_value_that_the_clients_encoding_has_not(pair):
    one, two = pair
    one.run("SET app.word = '日本 €'")
    one.run("SET client_encoding = 'LATIN1'")
    assert two.value("SELECT coalesce(current_setting('app.word', true), '')") == ""
    one.run("SELECT set_config('app.other', 'x', false)")
    two.run("SELECT 1")
    one.run("SET client_encoding = 'UTF8'")
    assert one.value("SHOW app.word") == "日本 €"


def test_hostile_search_path(pair, cluster):
    one, two = pair
    cluster.sql(
        "DROP SCHEMA IF EXISTS trap CASCADE",
        "CREATE SCHEMA trap",
        "GRANT USAGE ON SCHEMA trap TO public",
        "CREATE FUNCTION trap.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT 1/0 || $1'",
        "CREATE FUNCTION trap.set_config(text, text, boolean) RETURNS text LANGUAGE sql"
        " AS 'SELECT $1'",
        "CREATE VIEW trap.pg_settings AS SELECT 1/0 AS name",
        "CREATE FUNCTION trap.differs(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
        "CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.differs)",
        database="app",
    )
    for path in ("trap, pg_catalog", "''", "trap"):
        one.run(f"SET search_path = {path}")
        one.run("SELECT pg_catalog.set_config('app.x', 'mine', false)")
        assert two.value("SELECT coalesce(current_setting('app.x', true), '')") == ""
        assert one.value("SHOW app.x") == "mine"
    cluster.sql("DROP SCHEMA trap CASCADE", database="app")


def test_role_without_privileges(target, cluster):
    if not target.is_direct:
        target.use(size=1)
    cluster.sql("DROP ROLE IF EXISTS nobody", "CREATE ROLE nobody", "GRANT nobody TO app")
    one, two = target.wire(), target.wire()
    one.run("SET ROLE nobody")
    one.run("SELECT set_config('app.x', 'mine', false)")
    one.run("SET default_transaction_read_only = on")
    one.run("DO $$ BEGIN SET TimeZone = 'Asia/Tokyo'; END $$")
    for _ in range(2):
        assert two.run("SELECT current_user, current_setting('TimeZone')") == [("app", "UTC")]
        assert one.run("SELECT current_user, current_setting('app.x'), current_setting('TimeZone')"
                       ", current_setting('transaction_read_only')") == [
            ("nobody", "mine", "Asia/Tokyo", "on")
        ]  # fmt: skip
    one.run("RESET ROLE")
    one.close()
    two.close()
    target.wait_for_rest()
    cluster.sql("DROP ROLE nobody")


def test_question_that_cannot_be_answered_has_an_end(pooled, cluster):
    """The server connection is lost while it is asked: the client reads why, nobody else is hurt."""
    pooled.use(size=1)
    one, two = pooled.wire(), pooled.wire()
    backend = one.value("SELECT pg_backend_pid()")
    with cluster.connect(database="app", row_factory=tuple_row) as connection:
        connection.execute("BEGIN; LOCK TABLE pg_catalog.pg_settings")
        one.run("SELECT set_config('app.x', 'mine', false)")
        wait_until(
            lambda: connection.execute(
                "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", (backend,)
            ).fetchone()
            == (True,),
            what="the question waits for a lock",
        )
        connection.execute("SELECT pg_terminate_backend(%s)", (backend,))
    reply = one.read()
    assert reply.kind == "E" and reply.sqlstate in ("57P01", "08006")
    assert two.value("SELECT coalesce(current_setting('app.x', true), '')") == ""


def test_value_that_has_become_invalid(pooled, cluster):
    """What a setting names is dropped: the client reads so, and its command has not run."""
    cluster.sql(
        "CREATE TEXT SEARCH CONFIGURATION public.gone (COPY = simple)",
        "CREATE TABLE IF NOT EXISTS public.written (i int)",
        "TRUNCATE public.written",
        "GRANT ALL ON public.written TO public",
        database="app",
    )
    pooled.use(size=1)
    one, two = pooled.wire(), pooled.wire()
    one.run("SET default_text_search_config = 'public.gone'")
    assert two.value("SHOW default_text_search_config") != "public.gone"
    cluster.sql("DROP TEXT SEARCH CONFIGURATION public.gone", database="app")
    one.send(query("INSERT INTO public.written VALUES (1)"))
    reply = one.read()
    assert (reply.kind, reply.sqlstate) == ("E", "22023")
    assert "default_text_search_config" in reply.fields["M"]
    assert two.value("SELECT count(*) FROM public.written") == "0"
