"""mode = session and mode = statement: what differs from transactions."""

import pytest

from cluster import wait_until
from wire import (
    bind,
    copy_data,
    copy_done,
    describe,
    errors,
    execute,
    extended,
    flush,
    kinds,
    parse,
    query,
    rows,
    sync,
)

PID = "SELECT pg_backend_pid()"


@pytest.fixture
def session(pooled):
    pooled.use(mode="session", size=1, timeout="20s")
    return pooled


@pytest.fixture
def statement(pooled):
    pooled.use(mode="statement", size=2)
    return pooled


# -- session -----------------------------------------------------------------------------------------


@pytest.mark.core
def test_session_keeps_its_connection_and_everything_on_it(session):
    wire = session.wire()
    pid = wire.value(PID)
    wire.run("CREATE TEMP TABLE t (n int); INSERT INTO t VALUES (1)")
    wire.run("PREPARE p AS SELECT 'prepared'; SET work_mem = '7MB'; LISTEN channel")
    wire.run("SELECT pg_advisory_lock(1)")
    wire.run("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT")
    wire.ask(parse("s", "SELECT 'statement'"), sync())
    assert wire.value(PID) == pid
    assert wire.run("SELECT n FROM t; EXECUTE p; SHOW work_mem; FETCH c") == [
        ("1",), ("prepared",), ("7MB",), ("1",),
    ]  # fmt: skip
    assert rows(wire.ask(bind("", "s"), execute(), sync())) == [("statement",)]
    session.cluster.sql("SELECT pg_sleep(0)", database="app")
    replies = wire.ask(query("NOTIFY channel, 'word'"))
    assert "A" in kinds(replies)


def test_session_leaves_nothing_behind(session):
    one = session.wire()
    pid = one.value(PID)
    one.run("CREATE TEMP TABLE t (n int); SET TimeZone = 'Asia/Tokyo'; SET my.word = 'x'; LISTEN channel")
    one.run("SELECT pg_advisory_lock(1)")
    one.ask(parse("s", "SELECT 1"), sync())
    one.send(b"X\0\0\0\4")
    one.close()
    two = session.wire()
    assert two.value(PID) == pid
    assert errors(two.ask(query("SELECT * FROM t"))) == ["42P01"]
    assert errors(two.ask(bind("", "s"), sync())) == ["26000"]
    assert two.run("SHOW TimeZone") == [("UTC",)]
    assert two.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [("0",)]
    assert two.run("SELECT count(*) FROM pg_listening_channels()") == [("0",)]
    assert two.run("SELECT count(*) FROM pg_prepared_statements") == [("0",)]
    assert two.value("SELECT coalesce(current_setting('my.word', true), '')") == ""


def test_session_that_ends_in_a_transaction_is_rolled_back(session):
    session.cluster.sql("DROP TABLE IF EXISTS ended", "CREATE TABLE ended (n int)",
                        "GRANT ALL ON ended TO app", database="app")  # fmt: skip
    one = session.wire()
    one.run("BEGIN; INSERT INTO ended VALUES (1)")
    one.close()
    assert session.wire().run("SELECT count(*) FROM ended") == [("0",)]


def test_session_waits_for_a_session(session):
    one, two = session.wire(), None
    one.run("SELECT 1")
    # The second one logs in by what is known of the server, and waits with its first query.
    two = session.wire()
    two.send(query("SELECT 2"))
    wait_until(lambda: session.daemon.pool()["cl_waiting"] == 1, what="the second session waits")
    one.close()
    assert kinds(two.read_until("Z")) == "TDCZI"


def test_session_settings_of_the_startup_packet(session):
    one = session.wire(TimeZone="Asia/Tokyo", options="-c work_mem=5MB")
    assert one.run("SHOW TimeZone; SHOW work_mem") == [("Asia/Tokyo",), ("5MB",)]
    one.run("SET TimeZone = 'UTC'; RESET ALL")
    assert one.run("SHOW TimeZone; SHOW work_mem") == [("Asia/Tokyo",), ("5MB",)]
    one.run("DISCARD ALL")
    assert one.run("SHOW TimeZone; SHOW work_mem") == [("Asia/Tokyo",), ("5MB",)]
    one.close()
    two = session.wire()
    assert two.run("SHOW TimeZone; SHOW work_mem") == [("UTC",), ("4MB",)]


def test_session_protocol(session):
    wire = session.wire()
    assert kinds(wire.ask(extended("SELECT 1"), sync(), query("SELECT 2"), ready=2)) == "12TDCZITDCZI"
    assert kinds(wire.ask(parse("", "SELECT $1::int"), describe("S"), sync())) == "1tTZI"
    assert kinds(wire.ask(bind("", "", [1]), execute(), sync())) == "2DCZI"
    wire.send(parse("a", "SELECT 1"), describe("S", "a"), flush())
    assert kinds(wire.read_until("T")) == "1tT"
    assert kinds(wire.ask(bind("", "a"), execute(), sync())) == "2DCZI"
    assert kinds(wire.ask(sync())) == "ZI"
    assert errors(wire.ask(parse("a", "SELECT 2"), sync())) == ["42P05"]


# -- statement ---------------------------------------------------------------------------------------


def test_statement_runs_single_statements(statement):
    wire = statement.wire()
    assert kinds(wire.ask(query("SELECT 1; SELECT 2"))) == "TDCTDCZI"
    assert kinds(wire.ask(extended("SELECT 1"), sync())) == "12TDCZI"
    assert kinds(wire.ask(query("BEGIN; SELECT 1; COMMIT"))) == "CTDCCZI"
    assert errors(wire.ask(query("SELECT 1/0"))) == ["22012"]
    assert wire.run("SELECT 1") == [("1",)]
    wire.ask(parse("s", "SELECT 's'"), sync())
    assert rows(wire.ask(bind("", "s"), execute(), sync())) == [("s",)]


def test_statement_copies(statement):
    statement.cluster.sql("DROP TABLE IF EXISTS copied", "CREATE TABLE copied (n int)",
                          "GRANT ALL ON copied TO app", database="app")  # fmt: skip
    wire = statement.wire()
    assert kinds(wire.ask(query("COPY copied FROM STDIN"), copy_data(b"1\n"), copy_done())) == "GCZI"
    assert kinds(wire.ask(query("COPY copied TO STDOUT"))) == "HdcCZI"


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_statement_refuses_a_transaction_block(statement, protocol):
    statement.cluster.sql("DROP TABLE IF EXISTS block", "CREATE TABLE block (n int)",
                          "GRANT ALL ON block TO app", database="app")  # fmt: skip
    wire, other = statement.wire(), statement.wire()
    wire.send(query("BEGIN") if protocol == "simple" else extended("BEGIN") + sync())
    replies = wire.read_to_the_end()
    assert errors(replies) == ["0A000"]
    assert replies[-1].fields["S"] == "FATAL"
    assert "transaction" in replies[-1].words
    wait_until(lambda: statement.daemon.pool()["sv_active"] == 0, what="the connection is back")
    for _ in range(3):
        assert other.value("SELECT now() = statement_timestamp()") == "t"
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert statement.cluster.value(idle) == 0


def test_modes_of_databases_and_users(open_target):
    target = open_target("pgsluice")
    target.use(
        databases={"app": {}, "one": {"mode": "session"}, "each": {"mode": "statement"}},
    )
    assert kinds(target.wire(database="app").ask(query("BEGIN"))) == "CZT"
    held = target.wire(database="one")
    held.run("CREATE TEMP TABLE t (n int)")
    assert kinds(held.ask(query("SELECT * FROM t"))) == "TCZI"
    each = target.wire(database="each")
    each.send(query("BEGIN"))
    assert errors(each.read_to_the_end()) == ["0A000"]
    modes = {name: row["pool_mode"] for (name, _), row in target.daemon.pools().items()}
    assert modes == {"app": "transaction", "one": "session", "each": "statement"}
