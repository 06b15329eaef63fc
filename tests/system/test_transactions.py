"""Where a transaction ends, and with it the lease: every way the protocol has of running one."""

import pytest

from wire import (
    bind,
    call,
    close,
    describe,
    errors,
    execute,
    extended,
    kinds,
    parse,
    query,
    rows,
    sync,
    tags,
)


def assert_leased(target, count=1):
    if not target.is_direct:
        assert target.daemon.pool()["sv_active"] == count


@pytest.mark.parametrize(
    "sql, expected",
    [
        ("SELECT 1", "TDCZI"),
        ("", "IZI"),
        (" ; ", "IZI"),
        ("SELECT 1; SELECT 2, 3", "TDCTDCZI"),
        ("SELECT 1; SELECT 1/0; SELECT 3", "TDCEZI"),
        ("SELEC 1", "EZI"),
        ("BEGIN; SELECT 1; COMMIT", "CTDCCZI"),
        ("BEGIN; SELECT 1/0; COMMIT", "CEZE"),
        ("BEGIN; SELECT 1", "CTDCZT"),
        ("SELECT 1; BEGIN; SELECT 2; COMMIT; SELECT 3", "TDCCTDCCTDCZI"),
        ("SELECT WHERE false", "TCZI"),
        ("DO $$ BEGIN RAISE NOTICE 'hello'; END $$", "NCZI"),
    ],
)
def test_simple_query(target, sql, expected):
    wire = target.wire()
    replies = wire.ask(query(sql))
    assert kinds(replies) == expected
    if replies[-1].status == "I":
        target.wait_for_rest()
    else:
        assert_leased(target)
        assert kinds(wire.ask(query("ROLLBACK"))) == "CZI"
        target.wait_for_rest()


@pytest.mark.core
def test_a_transaction_stays_on_one_connection(target):
    one, two = target.wire(), target.wire()
    assert kinds(one.ask(query("BEGIN"))) == "CZT"
    pid = one.value("SELECT pg_backend_pid()")
    for _ in range(5):
        assert two.value("SELECT pg_backend_pid()") != pid
        assert one.value("SELECT pg_backend_pid()") == pid
    assert_leased(target)
    assert kinds(one.ask(query("COMMIT"))) == "CZI"
    target.wait_for_rest()


def test_a_failed_transaction_is_leased_until_it_ends(target):
    wire = target.wire()
    wire.run("BEGIN")
    assert kinds(wire.ask(query("SELECT 1/0"))) == "EZE"
    replies = wire.ask(query("SELECT 1"))
    assert (kinds(replies), errors(replies)) == ("EZE", ["25P02"])
    assert_leased(target)
    replies = wire.ask(query("COMMIT"))
    assert (kinds(replies), tags(replies)) == ("CZI", ["ROLLBACK"])
    target.wait_for_rest()


def test_savepoints_and_chained_transactions(target):
    wire = target.wire()
    script = ["BEGIN", "SAVEPOINT a", "SELECT 1/0", "ROLLBACK TO a", "COMMIT AND CHAIN", "SELECT 1",
              "ROLLBACK AND CHAIN", "ROLLBACK"]  # fmt: skip
    assert [kinds(wire.ask(query(sql))) for sql in script] == [
        "CZT", "CZT", "EZE", "CZT", "CZT", "TDCZT", "CZT", "CZI",
    ]  # fmt: skip
    target.wait_for_rest()


def test_begin_and_commit_by_extended_messages(target):
    wire = target.wire()
    assert kinds(wire.ask(extended("BEGIN"), sync())) == "12nCZT"
    assert_leased(target)
    assert kinds(wire.ask(extended("SELECT $1::int", 7), sync())) == "12TDCZT"
    assert kinds(wire.ask(extended("COMMIT"), sync())) == "12nCZI"
    target.wait_for_rest()


def test_extended_error_in_a_transaction(target):
    wire = target.wire()
    wire.run("BEGIN")
    replies = wire.ask(extended("SELECT 1/0"), extended("SELECT 2"), sync())
    assert (kinds(replies), errors(replies)) == ("1EZE", ["22012"])
    assert kinds(wire.ask(extended("ROLLBACK"), sync())) == "12nCZI"
    target.wait_for_rest()


def test_sync_alone(target):
    wire = target.wire()
    assert kinds(wire.ask(sync())) == "ZI"
    assert kinds(wire.ask(sync(), sync(), sync(), ready=3)) == "ZIZIZI"
    wire.run("BEGIN")
    assert kinds(wire.ask(sync())) == "ZT"
    wire.ask(query("SELECT 1/0"))
    assert kinds(wire.ask(sync())) == "ZE"
    wire.run("ROLLBACK")
    assert kinds(wire.ask(sync())) == "ZI"


def test_sync_alone_takes_no_connection(pooled, threads):
    pooled.use(size=1)
    holder, wire = pooled.wire(), pooled.wire()
    holder.run("BEGIN")
    assert kinds(wire.ask(sync())) == "ZI"
    holder.run("COMMIT")


def test_portal_is_fetched_in_portions(target):
    wire = target.wire()
    wire.run("BEGIN")
    series = parse("", "SELECT * FROM generate_series(1, $1::int)")
    replies = wire.ask(series, bind("p", "", [5]), execute("p", 2), sync())
    assert (kinds(replies), rows(replies)) == ("12DDsZT", [("1",), ("2",)])
    # A portal lives until the end of the transaction, whatever goes on in between.
    assert wire.run("SELECT 'between'") == [("between",)]
    replies = wire.ask(execute("p", 2), execute("p", 2), sync())
    assert (kinds(replies), rows(replies)) == ("DDsDCZT", [("3",), ("4",), ("5",)])
    assert kinds(wire.ask(execute("p", 2), sync())) == "CZT"
    assert kinds(wire.ask(close("P", "p"), execute("p", 1), sync())) == "3EZE"
    wire.run("ROLLBACK")
    target.wait_for_rest()


def test_portal_outside_a_transaction_ends_with_sync(target):
    wire = target.wire()
    series = parse("", "SELECT * FROM generate_series(1, 5)")
    replies = wire.ask(series, bind("p"), execute("p", 3), execute("p", 3), sync())
    assert kinds(replies) == "12DDDsDDCZI"
    replies = wire.ask(series, bind("p"), execute("p", 3), sync(), execute("p", 3), sync(), ready=2)
    assert (kinds(replies), errors(replies)) == ("12DDDsZIEZI", ["34000"])
    target.wait_for_rest()


def test_portal_of_an_earlier_lease_is_gone(pooled):
    one, two = pooled.wire(), pooled.wire()
    assert kinds(one.ask(parse("", "SELECT 1"), bind("mine"), sync())) == "12ZI"
    for wire in (one, two):
        assert errors(wire.ask(describe("P", "mine"), sync())) == ["34000"]


def test_sql_cursor_lives_in_its_transaction(target):
    wire, other = target.wire(), target.wire()
    wire.run("BEGIN")
    wire.run("DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 4)")
    assert wire.run("FETCH 2 FROM c") == [("1",), ("2",)]
    assert errors(other.ask(query("FETCH 1 FROM c"))) == ["34000"]
    assert wire.run("FETCH 9 FROM c") == [("3",), ("4",)]
    wire.run("COMMIT")
    assert errors(wire.ask(query("FETCH 1 FROM c"))) == ["34000"]


def function(target, name):
    return int(target.cluster.value(f"SELECT '{name}'::regprocedure::oid::int8", "app"))


def test_function_call(target):
    wire = target.wire()
    negate = function(target, "int4um(int4)")
    replies = wire.ask(call(negate, 42))
    assert (kinds(replies), replies[0].body[4:]) == ("VZI", b"-42")
    target.wait_for_rest()
    wire.run("BEGIN")
    assert kinds(wire.ask(call(negate, 1))) == "VZT"
    assert kinds(wire.ask(call(negate, None))) == "VZT"
    assert_leased(target)
    assert kinds(wire.ask(call(negate, "many"))) == "EZE"
    wire.run("ROLLBACK")
    target.wait_for_rest()


def test_function_call_that_fails_skips_nothing(target):
    wire = target.wire()
    divide = function(target, "int4div(int4, int4)")
    replies = wire.ask(
        call(divide, 1, 0), call(divide, 8, 2), query("SELECT 5"), call(0, 1), query("SELECT 6"), ready=5
    )
    assert kinds(replies) == "EZIVZITDCZIEZITDCZI"
    assert errors(replies)[0] == "22012"
    assert rows(replies) == [("5",), ("6",)]


def test_function_call_with_a_large_argument(target):
    wire = target.wire()
    length = function(target, "length(text)")
    size = 3_000_000
    replies = wire.ask(call(length, "x" * size), query("SELECT 1"), ready=2)
    assert (kinds(replies), replies[0].body[4:]) == ("VZITDCZI", str(size).encode())


@pytest.mark.core
def test_results_are_never_another_clients(pooled, threads):
    """Many clients on two connections, each request with values of its own, in every shape."""
    pooled.use(timeout="60s")
    clients = [pooled.wire() for _ in range(24)]

    def work(number):
        wire = clients[number]
        for turn in range(12):
            mark = f"{number}-{turn}"
            shape = (number + turn) % 6
            if shape == 0:
                assert wire.run(f"SELECT '{mark}'") == [(mark,)]
            elif shape == 1:
                replies = wire.ask(extended("SELECT $1::text", mark), sync())
                assert (kinds(replies), rows(replies)) == ("12TDCZI", [(mark,)])
            elif shape == 2:
                replies = wire.ask(query(f"SELECT 1/0, '{mark}'"), query(f"SELECT '{mark}'"), ready=2)
                assert (kinds(replies), rows(replies)) == ("EZITDCZI", [(mark,)])
            elif shape == 3:
                replies = wire.ask(
                    extended("SELECT 1/0"), extended("SELECT 'skipped'"), sync(),
                    extended("SELECT $1", mark), sync(), ready=2,
                )  # fmt: skip
                assert (kinds(replies), rows(replies)) == ("1EZI12TDCZI", [(mark,)])
            elif shape == 4:
                wire.run("BEGIN")
                assert wire.run(f"SELECT '{mark}'") == [(mark,)]
                assert tags(wire.ask(query("COMMIT"))) == ["COMMIT"]
            else:
                name = f"s{turn}"
                replies = wire.ask(
                    parse(name, f"SELECT '{mark}', $1::int"), bind("", name, [turn]), execute(),
                    close("S", name), sync(),
                )  # fmt: skip
                assert (kinds(replies), rows(replies)) == ("12DC3ZI", [(mark, str(turn))])
        return number

    assert list(threads.map(work, range(24))) == list(range(24))
    assert len(pooled.cluster.backend_pids()) <= 2
