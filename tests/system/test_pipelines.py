"""Pipelines: many messages in one write, errors in the middle of them, Flush, and their leases."""

import psycopg
import pytest

from cluster import wait_until
from wire import (
    bind,
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


# -- one write -------------------------------------------------------------------------------------


def test_many_queries_in_one_write(target):
    wire = target.wire()
    replies = wire.ask(*[query(f"SELECT {n}") for n in range(300)], ready=300)
    assert kinds(replies) == "TDCZI" * 300
    assert rows(replies) == [(str(n),) for n in range(300)]
    target.wait_for_rest()


def test_many_syncs_in_one_write(target):
    wire = target.wire()
    messages = []
    for n in range(200):
        messages += [extended("SELECT $1::int", n), sync()]
    replies = wire.ask(*messages, ready=200)
    assert kinds(replies) == "12TDCZI" * 200
    assert rows(replies) == [(str(n),) for n in range(200)]


def test_transactions_in_one_write(target):
    """Where one transaction ends the next may run on another connection; the client cannot tell."""
    wire = target.wire()
    script = ["BEGIN", "SELECT 1", "COMMIT", "SELECT 2", "BEGIN", "SELECT 1/0", "ROLLBACK", "SELECT 3"]
    replies = wire.ask(*map(query, script), ready=len(script))
    assert kinds(replies) == "CZTTDCZTCZITDCZICZTEZECZITDCZI"
    assert rows(replies) == [("1",), ("2",), ("3",)]
    target.wait_for_rest()


def test_failed_queries_among_others(target):
    wire = target.wire()
    texts = [f"SELECT {n}/({n} % 3)" for n in range(30)]
    replies = wire.ask(*map(query, texts), ready=30)
    assert kinds(replies) == "EZITDCZITDCZI" * 10


def test_simple_and_extended_mixed(target):
    wire = target.wire()
    replies = wire.ask(
        query("SELECT 1"), extended("SELECT 2"), sync(), query("SELECT 3"), extended("SELECT 4"),
        query("SELECT 5"), extended("SELECT 6"), sync(), sync(), ready=6,
    )  # fmt: skip
    assert kinds(replies) == "TDCZI12TDCZITDCZI12TDCTDCZI12TDCZIZI"
    assert rows(replies) == [(str(n),) for n in range(1, 7)]


def test_everything_up_to_sync_is_skipped_after_an_error(target):
    wire = target.wire()
    replies = wire.ask(
        extended("SELECT 1"), extended("SELECT 1/0"), extended("SELECT 2"), flush(),
        query("SELECT 'skipped too'"), describe("S"), bind("", "nothing"), sync(),
        extended("SELECT 3"), sync(), ready=2,
    )  # fmt: skip
    assert kinds(replies) == "12TDC1EZI12TDCZI"
    assert rows(replies) == [("1",), ("3",)]
    target.wait_for_rest()


def test_one_pipeline_is_one_transaction(target):
    wire = target.wire()
    wire.run("CREATE TABLE IF NOT EXISTS pipelined (n int); TRUNCATE pipelined")
    insert = "INSERT INTO pipelined VALUES ($1::int)"
    wire.ask(extended(insert, 1), extended(insert, 2), extended("SELECT 1/0"), sync())
    wire.ask(extended(insert, 3), extended(insert, 4), sync())
    assert wire.run("SELECT n FROM pipelined ORDER BY n") == [("3",), ("4",)]


def test_bytes_that_trickle(target):
    """A message may come in any pieces."""
    wire = target.wire()
    messages = b"".join([
        parse("named", "SELECT $1::text"), bind("", "named", ["slow"]), describe("P"), execute(), sync(),
        query("SELECT 'too'"),
    ])  # fmt: skip
    for n in range(len(messages)):
        wire.send(messages[n : n + 1])
    replies = wire.read_until("Z", 2)
    assert kinds(replies) == "12TDCZITDCZI"
    assert rows(replies) == [("slow",), ("too",)]


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 6, 17, 40])
def test_pipeline_cut_anywhere(target, cut):
    wire = target.wire()
    messages = b"".join(
        parse(f"s{n}", f"SELECT {n}") + bind("", f"s{n}") + execute() + sync() for n in range(8)
    )
    for at in range(0, len(messages), cut):
        wire.send(messages[at : at + cut])
    replies = wire.read_until("Z", 8)
    assert kinds(replies) == "12DCZI" * 8
    assert rows(replies) == [(str(n),) for n in range(8)]


def test_large_rows_and_large_parameters_in_a_pipeline(target):
    wire = target.wire()
    words = "x" * 700_000
    messages = [extended("SELECT length($1::text)", words), extended("SELECT repeat('y', 900000)"), sync()]
    replies = wire.ask(*messages, *messages, query(f"SELECT length('{words}')"), ready=3)
    assert kinds(replies) == "12TDC12TDCZI" * 2 + "TDCZI"
    assert [len(row[0]) for row in rows(replies)] == [6, 900_000] * 2 + [6]


# -- Flush -----------------------------------------------------------------------------------------


@pytest.mark.core
def test_flush_keeps_the_lease_until_sync(target):
    """So does asyncpg's prepare: Parse, Describe, Flush; then Bind, Execute, Sync."""
    if not target.is_direct:
        target.use(size=1)
    wire = target.wire()
    wire.send(parse("a", "SELECT $1::int"), describe("S", "a"), flush())
    assert kinds(wire.read_until("T")) == "1tT"
    if not target.is_direct:
        assert target.daemon.pool()["sv_active"] == 1
        other = target.wire()
        other.send(query("SELECT 'waited'"))
        wait_until(lambda: target.daemon.pool()["cl_waiting"] == 1, what="the other one waits")
    assert kinds(wire.ask(bind("", "a", [3]), execute(), sync())) == "2DCZI"
    if not target.is_direct:
        assert kinds(other.read_until("Z")) == "TDCZI"


def test_flush_after_an_error(target):
    wire = target.wire()
    wire.send(parse("", "SELEC"), describe("S"), flush())
    assert kinds(wire.read_until("E")) == "E"
    assert wire.is_silent()
    assert kinds(wire.ask(extended("SELECT 1"), sync())) == "ZI"
    assert kinds(wire.ask(extended("SELECT 1"), sync())) == "12TDCZI"
    target.wait_for_rest()


def test_flush_alone(target):
    wire = target.wire()
    wire.send(flush())
    assert wire.is_silent()
    assert wire.run("SELECT 1") == [("1",)]
    target.wait_for_rest()


def test_flush_then_simple_query(target):
    wire = target.wire()
    wire.send(extended("SELECT 1"), flush())
    assert kinds(wire.read_until("C")) == "12TDC"
    assert kinds(wire.ask(query("SELECT 2"))) == "TDCZI"
    target.wait_for_rest()


# -- libpq's pipeline mode ---------------------------------------------------------------------------



@pytest.fixture
def connection(target):
    with psycopg.connect(target.server.url(), autocommit=True) as connection:
        yield connection


def test_libpq_pipeline(connection):
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", [n]) for n in range(100)]
    assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(100)]


def test_libpq_pipeline_with_prepared_statements(connection):
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int + 1", [n], prepare=True) for n in range(50)]
    assert [cursor.fetchone() for cursor in cursors] == [(n + 1,) for n in range(50)]


def test_libpq_pipeline_with_transactions(connection):
    with connection.pipeline():
        for n in range(20):
            with connection.transaction():
                first = connection.execute("SELECT pg_backend_pid()")
                second = connection.execute("SELECT pg_backend_pid(), %s", [n])
            assert first.fetchone()[0] == second.fetchone()[0]


def test_libpq_pipeline_aborted_by_an_error(connection):
    with pytest.raises(psycopg.errors.DivisionByZero):
        with connection.pipeline():
            connection.execute("SELECT 1")
            connection.execute("SELECT 1/0")
            connection.execute("SELECT 2")
    assert connection.execute("SELECT 3").fetchone() == (3,)


def test_libpq_pipeline_goes_on_after_sync(connection):
    with connection.pipeline() as pipeline:
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
            pipeline.sync()
        cursor = connection.execute("SELECT 4")
        pipeline.sync()
        assert cursor.fetchone() == (4,)


def test_pipelines_of_many_clients(pooled, threads):
    """Errors in some of them shift nobody's results."""
    pooled.use(timeout="60s")
    daemon = pooled.daemon

    def work(number):
        connection = daemon.connect()
        for turn in range(5):
            mark = f"{number}/{turn}"
            try:
                with connection.pipeline():
                    good = connection.execute("SELECT %s", [mark])
                    if (number + turn) % 2:
                        connection.execute("SELECT 1/0")
                    connection.execute("SELECT 'more'")
                assert good.fetchone() == (mark,)
            except psycopg.errors.DivisionByZero:
                assert (number + turn) % 2
            assert connection.execute("SELECT %s", [mark]).fetchone() == (mark,)
        return True

    assert all(threads.map(work, range(16)))


def test_error_of_one_client_is_not_anothers(pooled):
    """A pipeline that ends without a Sync holds its lease; the next client is not skipped."""
    one, two = pooled.wire(), pooled.wire()
    one.send(extended("SELECT 1/0"), flush())
    assert errors(one.read_until("E")) == ["22012"]
    for n in range(4):
        assert two.run(f"SELECT {n}") == [(str(n),)]
    assert kinds(one.ask(sync())) == "ZI"
    for n in range(4):
        assert two.run(f"SELECT {n}") == [(str(n),)]
