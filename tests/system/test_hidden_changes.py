"""Session state that a function changes, seen by neither a command's tag nor its text: pgsluice knows
from PostgreSQL's catalogue which functions do, and what a client did by one follows or pins it."""

import pytest

from cluster import wait_until
from wire import bind, errors, execute, extended, parse, query, rows, sync

BACKEND = "SELECT pg_backend_pid()"
USER = "SELECT current_setting('app.who', true)"
FUNCTION = "CREATE FUNCTION hidden.{}(name text) RETURNS void LANGUAGE {} AS $$ {} $$"

FUNCTIONS = [
    FUNCTION.format("login", "sql", "SELECT set_config('app.who', name, false)"),
    FUNCTION.format("nested", "plpgsql", "BEGIN PERFORM hidden.login(name); END"),
    FUNCTION.format("twice_nested", "plpgsql", "BEGIN PERFORM nested(name); END"),
    FUNCTION.format("by_text", "plpgsql",
                    "BEGIN EXECUTE 'SET app.who = ' || quote_literal(name); END"),
    FUNCTION.format("by_query", "plpgsql",
                    "BEGIN EXECUTE 'SELECT set_config(''app.who'', $1, false)' USING name; END"),
    FUNCTION.format("\"Odd name\"", "sql", "SELECT set_config('app.who', name, false)"),
    FUNCTION.format("zone", "plpgsql", "BEGIN SET work_mem = '7MB'; END"),
    FUNCTION.format("local", "sql", "SELECT set_config('app.who', name, true)"),
    FUNCTION.format("any_setting", "sql", "SELECT set_config(name, 'hers', false)"),
    FUNCTION.format("locks", "sql", "SELECT pg_advisory_lock(hashtext(name))"),
    FUNCTION.format("unlocks", "sql", "SELECT pg_advisory_unlock(hashtext(name))"),
    FUNCTION.format("makes", "plpgsql", "BEGIN CREATE TEMP TABLE mine (i int); END"),
    FUNCTION.format("seeds", "sql", "SELECT setseed(0.5)"),
    FUNCTION.format("innocent", "sql", "SELECT 1"),
    "CREATE PROCEDURE hidden.enter(name text) LANGUAGE plpgsql"
    " AS $$ BEGIN PERFORM set_config('app.who', name, false); END $$",
    "CREATE TABLE hidden.visits (name text)",
    "CREATE FUNCTION hidden.visit() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN PERFORM set_config('app.who', NEW.name, false); RETURN NEW; END $$",
    "CREATE TRIGGER visited BEFORE INSERT ON hidden.visits"
    " FOR EACH ROW EXECUTE FUNCTION hidden.visit()",
]  # fmt: skip


@pytest.fixture(autouse=True)
def hidden(cluster):
    def drop():
        cluster.sql("DROP SCHEMA IF EXISTS hidden CASCADE", database="app")

    drop()
    cluster.sql("CREATE SCHEMA hidden", "SET search_path = hidden, public",
                *FUNCTIONS, "GRANT USAGE, CREATE ON SCHEMA hidden TO app",
                "GRANT ALL ON hidden.visits TO app", database="app")  # fmt: skip
    yield
    drop()


@pytest.fixture
def two(pooled):
    """Two clients that share one server connection."""
    pooled.use(size=1)
    clients = pooled.wire(), pooled.wire()
    for client in clients:
        client.run("SET search_path = hidden, public")
    return clients


def pinned(daemon):
    console = daemon.console("SHOW CLIENTS")
    return sorted(row["pinned"] for row in console if row["database"] == "app")


def follows_and_does_not_leak(one, other):
    for _ in range(2):
        assert one.value(USER) == "alice"
        assert other.value(USER) in (None, "")


@pytest.mark.core
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT hidden.login('alice')",
        "SELECT HIDDEN.Login('alice')",
        "SELECT nested('alice')",
        "SELECT twice_nested('alice')",
        "SELECT by_text('alice')",
        "SELECT by_query('alice')",
        "SELECT \"Odd name\"('alice')",
        "CALL enter('alice')",
        "DO $$ BEGIN PERFORM nested('alice'); END $$",
        "INSERT INTO visits VALUES ('alice')",
        "WITH new AS (INSERT INTO visits VALUES ('alice') RETURNING name) TABLE new",
        "BEGIN; SELECT login('alice'); COMMIT",
    ],
)
@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_setting_of_a_function_follows(two, sql, protocol):
    one, other = two
    if protocol == "extended" and sql.startswith("BEGIN"):
        pytest.skip("several statements in one text")
    messages = [query(sql)] if protocol == "simple" else [extended(sql), sync()]
    assert errors(one.ask(*messages)) == []
    follows_and_does_not_leak(one, other)


def test_setting_that_the_server_lists(two):
    one, other = two
    one.run("SELECT zone('')")
    assert (one.value("SHOW work_mem"), other.value("SHOW work_mem")) == ("7MB", "4MB")


def test_statement_prepared_before(two):
    """The text of what runs is known from its Parse, or from its PREPARE."""
    one, other = two
    one.ask(parse("s", "SELECT login($1)"), sync())
    other.run("SELECT 1")
    assert errors(one.ask(bind("", "s", [b"alice"]), execute(), sync())) == []
    follows_and_does_not_leak(one, other)
    other.run("PREPARE p AS SELECT login('bob')")
    one.run("SELECT 1")
    other.run("EXECUTE p")
    assert (one.value(USER), other.value(USER)) == ("alice", "bob")


def test_rolled_back_function_leaves_nothing(two):
    one, other = two
    one.run("SELECT login('alice')")
    one.run("BEGIN")
    one.run("SELECT login('bob')")
    one.run("ROLLBACK")
    follows_and_does_not_leak(one, other)


@pytest.mark.parametrize(
    "sql, reason, end",
    [
        ("SELECT locks('x')", "ADVISORY", "SELECT unlocks('x')"),
        ("SELECT makes('x')", "TEMPORARY", "DROP TABLE mine"),
        ("SELECT any_setting('app.other')", "SETTING", None),
        ("SELECT seeds('x')", "SEED", None),
    ],
)
def test_what_cannot_move_pins(pooled, sql, reason, end):
    one, other = pooled.wire(), pooled.wire()
    one.run("SET search_path = hidden, public")
    one.run(sql)
    home = one.value(BACKEND)
    wait_until(lambda: pinned(pooled.daemon) == ["", reason], what="it is pinned")
    for _ in range(3):
        assert other.value(BACKEND) != home
        assert one.value(BACKEND) == home
    assert other.value("SELECT current_setting('app.other', true)") in (None, "")
    if end is not None:
        one.run(end)
        wait_until(lambda: pinned(pooled.daemon) == ["", ""], what="it is not pinned")


@pytest.mark.parametrize("sql", ["SELECT hidden.locks('x')", "SELECT hidden.any_setting('a.b')"])
def test_what_would_pin_is_denied(pooled, sql):
    pooled.use(pin="deny")
    one = pooled.wire()
    assert errors(one.ask(query(sql))) != []
    assert pinned(pooled.daemon) == [""]
    assert pooled.cluster.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert one.value("SELECT 1") == "1"


def test_function_of_a_client_is_known_at_once(two):
    """Also to itself, within the transaction that creates it."""
    one, other = two
    new = FUNCTION.format("later", "sql", "SELECT set_config('app.later', name, false)")
    one.run("BEGIN")
    one.run(new)
    one.run("SELECT later('alice')")
    one.run("COMMIT")
    assert other.value("SELECT current_setting('app.later', true)") in (None, "")
    other.run("SELECT later('bob')")
    assert one.value("SELECT current_setting('app.later', true)") == "alice"
    assert other.value("SELECT current_setting('app.later', true)") == "bob"


def test_function_of_another_users_pool_is_known_at_once(pooled):
    pooled.use(size=1)
    one, other, owner = pooled.wire(), pooled.wire(), pooled.wire(user="other")
    for client in (one, other, owner):
        client.run("SELECT 1")
    pooled.cluster.sql("GRANT ALL ON SCHEMA hidden TO other", database="app")
    owner.run(FUNCTION.format("later", "sql", "SELECT set_config('app.who', name, false)"))
    pooled.wait_for_rest()
    one.run("SELECT hidden.later('alice')")
    follows_and_does_not_leak(one, other)


def test_function_of_a_direct_connection_is_known_after_a_reload(two, pooled):
    """Or after a minute, which a test does not wait for."""
    one, other = two
    assert one.value("SELECT 1") == "1"
    new = FUNCTION.format("later", "sql", "SELECT set_config('app.who', name, false)")
    pooled.cluster.sql(new, database="app")
    pooled.daemon.reload()
    one.run("SELECT later('alice')")
    follows_and_does_not_leak(one, other)


def test_replaced_function_is_forgotten(two, pooled):
    one, other = two
    pooled.cluster.sql("CREATE OR REPLACE FUNCTION hidden.any_setting(name text) RETURNS void"
                       " LANGUAGE sql AS $$ SELECT 1 $$", database="app")  # fmt: skip
    pooled.daemon.reload()
    one.run("SELECT any_setting('app.x')")
    pooled.wait_for_rest()
    assert pinned(pooled.daemon) == ["", ""]
    assert other.value("SELECT 1") == "1"


@pytest.mark.parametrize("sql", ["SELECT 7", "SELECT innocent('x')", "SELECT local('x')",
                                 "SELECT login_count FROM (SELECT 1) x(login_count)"])  # fmt: skip
def test_other_texts_are_not_asked_about(two, pooled, sql):
    one, _ = two
    assert errors(one.ask(query(sql))) == []
    pooled.wait_for_rest()
    last = "SELECT string_agg(query, '\n') FROM pg_stat_activity WHERE usename = 'app'"
    assert pooled.cluster.value(last) == sql


def test_functions_that_cannot_be_asked_for_hurt_nobody(pooled, cluster):
    """Who must not read the catalogue gets all else."""
    cluster.sql("REVOKE SELECT ON pg_proc FROM PUBLIC", database="app")
    try:
        pooled.use(size=1)
        one, other = pooled.wire(), pooled.wire()
        assert one.value("SELECT 1") == "1"
        one.run("SET app.who = 'alice'")
        follows_and_does_not_leak(one, other)
        pooled.daemon.wait_for_log("does not tell what functions")
    finally:
        cluster.sql("GRANT SELECT ON pg_proc TO PUBLIC", database="app")


def test_hostile_session_is_asked_all_the_same(pooled):
    """Settings of who had the connection before; everything in the question is qualified."""
    pooled.use(size=1)
    one, other = pooled.wire(), pooled.wire()
    one.run("CREATE FUNCTION hidden.concat(VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$")
    for sql in ("SET search_path = hidden", "SET client_encoding = 'LATIN1'",
                "SET default_transaction_read_only = on", "SET default_transaction_deferrable = on",
                "SET default_transaction_isolation = 'serializable'"):  # fmt: skip
        one.run(sql)
    pooled.daemon.reload()
    one.run("SELECT login('alice')")
    follows_and_does_not_leak(one, other)


def test_too_many_functions_to_look_through(two, pooled):
    """Then the server is asked after every transaction."""
    one, other = two
    pooled.cluster.sql(FUNCTION.format("long", "sql", "SELECT 1 /*" + "long " * 500_000 + "*/"),
                       database="app")  # fmt: skip
    pooled.daemon.reload()
    one.run("SELECT zone('')")
    pooled.daemon.wait_for_log("too many functions")
    assert (one.value("SHOW work_mem"), other.value("SHOW work_mem")) == ("7MB", "4MB")


def test_body_in_sqls_own_words(two, pooled):
    if int(pooled.cluster.value("SHOW server_version_num")) < 140000:
        pytest.skip("PostgreSQL 14 has them")
    one, other = two
    one.run("CREATE FUNCTION hidden.atomic(name text) RETURNS text LANGUAGE sql"
            " BEGIN ATOMIC SELECT set_config('app.who', name, false); END")  # fmt: skip
    one.run("SELECT atomic('alice')")
    follows_and_does_not_leak(one, other)


def test_names_beyond_ascii(two):
    one, other = two
    one.run(FUNCTION.format("größe", "sql", "SELECT set_config('app.who', name, false)"))
    one.run(FUNCTION.format("calls", "sql", "SELECT hidden.größe(name)"))
    one.run("SELECT größe('alice')")
    follows_and_does_not_leak(one, other)
    one.run("SELECT calls('bob')")
    assert (one.value(USER), other.value(USER)) == ("bob", "")
