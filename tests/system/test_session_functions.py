"""What outlives even DISCARD ALL: the functions that session_functions names, setseed, LOAD. Who
uses them keeps its server connection until it leaves; then that is closed."""

import pytest

from cluster import SUPERUSER, secret_of, wait_until
from wire import bind, describe, errors, execute, extended, parse, query, rows, sync

BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture(autouse=True)
def functions(cluster):
    cluster.sql(
        *(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS int LANGUAGE sql AS $$ SELECT 7 $$"
            for name in ("keeps_state", "keeps_more")
        ),
        database="app",
    )


def pinned(daemon):
    rows = daemon.console("SHOW CLIENTS")
    return sorted(row["pinned"] for row in rows if row["database"] == "app")


def closed_when_its_client_leaves(pooled, one, other, reason):
    home = one.value(BACKEND)
    assert pinned(pooled.daemon) == ["", reason]
    for _ in range(3):
        assert other.value(BACKEND) != home
        assert one.value(BACKEND) == home
    one.run("DISCARD ALL")
    assert pinned(pooled.daemon) == ["", reason]
    assert one.value(BACKEND) == home
    one.close()
    pids = pooled.cluster.backend_pids
    wait_until(lambda: int(home) not in map(int, pids()), what="the connection is closed")
    assert other.value("SELECT 1") == "1"


@pytest.mark.core
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT keeps_state()",
        "SELECT public.KEEPS_More()",
        'SELECT "keeps_state"()',
        "DO $$ BEGIN PERFORM keeps_state(); END $$",
    ],
)
def test_named_function_pins_for_life(pooled, sql):
    pooled.use(session_functions="keeps_state, Keeps_More")
    one, other = pooled.wire(), pooled.wire()
    one.run(sql)
    closed_when_its_client_leaves(pooled, one, other, "FUNCTION")


def test_named_function_of_the_extended_protocol(pooled):
    """It is the use that pins, not the Parse."""
    pooled.use(session_functions="keeps_state")
    one, other = pooled.wire(), pooled.wire()
    one.ask(parse("s", "SELECT keeps_state()"), describe("S", "s"), sync())
    assert pinned(pooled.daemon) == ["", ""]
    other.run("SELECT 1")
    assert rows(one.ask(bind("", "s"), execute(), sync())) == [("7",)]
    closed_when_its_client_leaves(pooled, one, other, "FUNCTION")


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT my_keeps_state FROM (SELECT 1) x(my_keeps_state)"])
def test_other_texts_do_not_pin(pooled, sql):
    pooled.use(session_functions="keeps_state")
    one = pooled.wire()
    one.run(sql)
    one.ask(extended(sql), sync())
    assert pinned(pooled.daemon) == [""]


def test_named_function_is_denied_ahead_of_its_running(pooled):
    pooled.use(session_functions="keeps_state", pin="deny")
    one = pooled.wire()
    for messages in ([query("SELECT keeps_state()")], [extended("SELECT keeps_state()"), sync()]):
        replies = one.ask(*messages)
        assert errors(replies) == ["0A000"]
        assert rows(replies) == []
        error = next(reply for reply in replies if reply.kind == "E")
        assert error.words.endswith("session_functions lists: keeps_state")
    one.run("BEGIN")
    assert one.ask(query("SELECT keeps_state()"))[-1].status == "E"
    assert one.ask(query("ROLLBACK"))[-1].status == "I"
    assert pinned(pooled.daemon) == [""]


def test_list_is_read_anew(pooled):
    pooled.use(session_functions="keeps_state")
    one = pooled.wire()
    named = [bind("", "s"), execute(), sync()]
    one.ask(parse("s", "SELECT keeps_more()"), sync())
    one.ask(*named)
    assert pinned(pooled.daemon) == [""]
    pooled.daemon.write_ini(session_functions="keeps_more")
    pooled.daemon.reload()
    one.ask(*named)
    wait_until(lambda: pinned(pooled.daemon) == ["FUNCTION"], what="the new list holds")


def test_text_that_is_not_read_to_its_end(pooled):
    """It may name a function: nobody else gets the connection."""
    pooled.use(session_functions="keeps_state", size=1)
    one, other = pooled.wire(), pooled.wire()
    before = one.value(BACKEND)
    one.run(f"SELECT 1 -- {'x' * 1200000}\n, keeps_state()")
    assert "SETTING" in pinned(pooled.daemon)
    one.close()
    assert other.value(BACKEND) != before


def test_long_text_is_read_to_its_end(pooled):
    pooled.use(session_functions="keeps_state", size=1)
    one = pooled.wire()
    one.run(f"SELECT 1 -- {'x' * 200000}\n, keeps_state()")
    assert pinned(pooled.daemon) == ["FUNCTION"]


@pytest.mark.core
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT setseed(0.5)",
        "SET seed = 0.5",
        "SELECT set_config('seed', '0.5', false)",
        "DO $$ BEGIN PERFORM setseed(0.5); END $$",
    ],
)
def test_seed_is_the_clients_own(pooled, sql):
    one, other = pooled.wire(), pooled.wire()
    values = []
    for _ in range(2):
        one.run(sql)
        other.run("SELECT random()")
        values.append([one.value("SELECT random()") for _ in range(3)])
        other.run("SELECT random()")
    assert values[0] == values[1]
    closed_when_its_client_leaves(pooled, one, other, "SEED")


def test_loaded_library_goes_with_its_client(pooled):
    pooled.use(users={"app": {"user": SUPERUSER, "password": secret_of(SUPERUSER)}})
    one, other = pooled.wire(), pooled.wire()
    one.run("LOAD 'auto_explain'")
    home = one.value(BACKEND)
    assert pinned(pooled.daemon) == ["", "LOAD"]
    assert other.value(BACKEND) != home
    one.run("DISCARD ALL")
    assert pinned(pooled.daemon) == ["", "LOAD"]
    one.close()
    alive = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {home}"
    wait_until(lambda: pooled.cluster.value(alive) == 0, what="the connection is closed")
    assert errors(other.ask(query("SHOW auto_explain.log_analyze"))) == ["42704"]
