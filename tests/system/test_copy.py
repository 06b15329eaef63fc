"""COPY in both directions, by simple and extended messages, with errors on either side."""

import psycopg
import pytest

from wire import (
    bind,
    close,
    copy_data,
    copy_done,
    copy_fail,
    errors,
    execute,
    extended,
    flush,
    kinds,
    parse,
    query,
    rows,
    sync,
    tags,
)

INTO = "COPY copied FROM STDIN"
OUT = "COPY (SELECT generate_series(1, 3)) TO STDOUT"


@pytest.fixture(autouse=True)
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS copied", "CREATE TABLE copied (n int)",
                "GRANT ALL ON copied TO app", database="app")  # fmt: skip


def copied(target):
    return [row["n"] for row in target.cluster.sql("SELECT n FROM copied ORDER BY n", database="app")]


def assert_in_step(target, wire):
    """The connection answers the right question, and no lease is left."""
    assert kinds(wire.ask(query("SELECT 'in step'"))) == "TDCZI"
    assert wire.run("SELECT 'still'") == [("still",)]
    target.wait_for_rest()


def begin_copy(wire, sql=INTO):
    wire.send(query(sql))
    assert kinds([wire.read()]) == "G"


# -- simple ------------------------------------------------------------------------------------------


def test_copy_in(target):
    wire = target.wire()
    begin_copy(wire)
    wire.send(copy_data(b"1\n"), copy_data(b"2\n3"), copy_data(b"\n"))
    replies = wire.ask(copy_done())
    assert (kinds(replies), tags(replies)) == ("CZI", ["COPY 3"])
    assert copied(target) == [1, 2, 3]
    assert_in_step(target, wire)


def test_copy_in_in_one_write(target):
    wire = target.wire()
    replies = wire.ask(
        query(INTO), copy_data(b"1\n"), copy_done(), query("SELECT count(*) FROM copied"), ready=2
    )
    assert (kinds(replies), rows(replies)) == ("GCZITDCZI", [("1",)])
    assert_in_step(target, wire)


def test_copy_in_fails_on_the_clients_side(target):
    wire = target.wire()
    begin_copy(wire)
    replies = wire.ask(copy_data(b"1\n"), copy_fail("the client gives up"))
    assert (kinds(replies), errors(replies)) == ("EZI", ["57014"])
    assert "the client gives up" in replies[0].words
    assert copied(target) == []
    assert_in_step(target, wire)


def test_copy_in_fails_on_the_servers_side(target):
    wire = target.wire()
    begin_copy(wire)
    replies = wire.ask(copy_data(b"many\n"))
    assert (kinds(replies), errors(replies)) == ("EZI", ["22P02"])
    # The client notices late: what it goes on to send belongs to nothing and is dropped.
    wire.send(copy_data(b"1\n"), copy_data(b"2\n"))
    wire.send(copy_done())
    assert wire.is_silent()
    assert copied(target) == []
    assert_in_step(target, wire)


def test_copy_fail_that_comes_late(target):
    wire = target.wire()
    begin_copy(wire)
    assert kinds(wire.ask(copy_data(b"many\n"))) == "EZI"
    replies = wire.ask(copy_fail("late"), query("SELECT 1"))
    assert kinds(replies) == "TDCZI"
    assert_in_step(target, wire)


def test_late_copy_data_never_reaches_the_next_ones_copy(pooled):
    """The failed copy's connection serves somebody else, who copies too."""
    pooled.use(size=1)
    one, two = pooled.wire(), pooled.wire()
    begin_copy(one)
    assert kinds(one.ask(copy_data(b"many\n"))) == "EZI"
    begin_copy(two)
    one.send(copy_data(b"666\n"), copy_done())
    assert tags(two.ask(copy_data(b"7\n"), copy_done())) == ["COPY 1"]
    assert copied(pooled) == [7]
    assert_in_step(pooled, one)


def test_copy_in_where_the_statement_fails(target):
    wire = target.wire()
    replies = wire.ask(query("COPY no_such_table FROM STDIN"))
    assert (kinds(replies), errors(replies)) == ("EZI", ["42P01"])
    # A client that sends its data without waiting:
    replies = wire.ask(
        query("COPY no_such_table FROM STDIN"), copy_data(b"1\n"), copy_done(), query("SELECT 1"), ready=2
    )
    assert kinds(replies) == "EZITDCZI"
    assert_in_step(target, wire)


def test_copy_in_a_transaction(target):
    wire = target.wire()
    wire.run("BEGIN")
    begin_copy(wire)
    assert kinds(wire.ask(copy_data(b"1\n"), copy_done())) == "CZT"
    begin_copy(wire)
    assert kinds(wire.ask(copy_fail("no"))) == "EZE"
    assert tags(wire.ask(query("COMMIT"))) == ["ROLLBACK"]
    assert copied(target) == []
    assert_in_step(target, wire)


def test_copies_in_one_query(target):
    wire = target.wire()
    wire.send(query(f"{INTO}; SELECT 1; {INTO}; {OUT}"))
    wire.send(copy_data(b"1\n"), copy_done())
    assert kinds(wire.read_until("G", 2)) == "GCTDCG"
    replies = wire.ask(copy_data(b"2\n"), copy_done())
    assert kinds(replies) == "CHdddcCZI"
    assert copied(target) == [1, 2]
    assert_in_step(target, wire)


def test_sync_and_flush_within_copy_in_are_ignored(target):
    wire = target.wire()
    begin_copy(wire)
    wire.send(copy_data(b"1\n"), sync(), flush(), copy_data(b"2\n"), sync(), sync())
    assert wire.is_silent()
    replies = wire.ask(copy_done())
    assert (kinds(replies), tags(replies)) == ("CZI", ["COPY 2"])
    assert wire.is_silent()
    assert_in_step(target, wire)


def test_another_message_within_copy_in_ends_the_connection(target):
    wire = target.wire()
    begin_copy(wire)
    wire.send(copy_data(b"1\n"), query("SELECT 1"))
    replies = wire.read_to_the_end()
    assert replies[0].kind == "E"
    assert replies[0].sqlstate in ("08P01", "57014")
    assert copied(target) == []
    assert_in_step(target, target.wire())


def test_copy_out(target):
    wire = target.wire()
    replies = wire.ask(query(OUT))
    assert kinds(replies) == "HdddcCZI"
    assert [reply.body for reply in replies if reply.kind == "d"] == [b"1\n", b"2\n", b"3\n"]
    assert_in_step(target, wire)


def test_copy_out_fails_in_the_middle(target):
    wire = target.wire()
    replies = wire.ask(query("COPY (SELECT 1/(3 - n) FROM generate_series(1, 5) n) TO STDOUT"))
    assert (kinds(replies), errors(replies)) == ("HddEZI", ["22012"])
    assert_in_step(target, wire)


def test_copy_out_of_much(target):
    wire = target.wire()
    replies = wire.ask(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT"))
    assert sum(len(reply.body) for reply in replies if reply.kind == "d") == 20_000 * 1001
    assert_in_step(target, wire)


def test_copy_in_of_much(target):
    wire = target.wire()
    begin_copy(wire)
    for block in range(200):
        wire.send(copy_data(b"".join(b"%d\n" % (block * 1000 + n) for n in range(1000))))
    assert tags(wire.ask(copy_done())) == ["COPY 200000"]
    assert_in_step(target, wire)


def test_one_large_copy_data(target):
    wire = target.wire()
    begin_copy(wire)
    lines = b"".join(b"%d\n" % n for n in range(400_000))
    assert tags(wire.ask(copy_data(lines), copy_done())) == ["COPY 400000"]
    assert_in_step(target, wire)


# -- extended ----------------------------------------------------------------------------------------


def test_extended_copy_in(target):
    wire = target.wire()
    wire.send(parse("", INTO), bind(), execute(), flush())
    assert kinds(wire.read_until("G")) == "12G"
    replies = wire.ask(copy_data(b"1\n"), copy_done(), sync())
    assert (kinds(replies), tags(replies)) == ("CZI", ["COPY 1"])
    assert_in_step(target, wire)


def test_extended_copy_in_as_libpq_does(target):
    """libpq sends a Sync with the Execute, which the server ignores, and another at the end."""
    wire = target.wire()
    wire.send(extended(INTO), sync())
    assert kinds(wire.read_until("G")) == "12nG"
    replies = wire.ask(copy_data(b"1\n"), copy_data(b"2\n"), copy_done(), sync())
    assert (kinds(replies), tags(replies)) == ("CZI", ["COPY 2"])
    assert wire.is_silent()
    assert_in_step(target, wire)


def test_extended_copy_in_fails_on_the_clients_side(target):
    wire = target.wire()
    wire.send(extended(INTO), sync())
    wire.read_until("G")
    replies = wire.ask(copy_data(b"1\n"), copy_fail("no more"), sync())
    assert (kinds(replies), errors(replies)) == ("EZI", ["57014"])
    assert wire.is_silent()
    assert copied(target) == []
    assert_in_step(target, wire)


def test_extended_copy_in_fails_on_the_servers_side(target):
    wire = target.wire()
    wire.send(extended(INTO), sync())
    wire.read_until("G")
    wire.send(copy_data(b"many\n"))
    assert kinds(wire.read_until("E")) == "E"
    # The client sees it, ends its copy and synchronises.
    replies = wire.ask(copy_data(b"1\n"), copy_done(), sync())
    assert kinds(replies) == "ZI"
    assert wire.is_silent()
    assert copied(target) == []
    assert_in_step(target, wire)


def test_extended_copy_in_in_one_write(target):
    wire = target.wire()
    replies = wire.ask(
        extended(INTO), copy_data(b"1\n"), copy_done(), extended("SELECT count(*) FROM copied"), sync()
    )
    assert (kinds(replies), rows(replies)) == ("12nGC12TDCZI", [("1",)])
    assert_in_step(target, wire)


def test_extended_copy_in_of_a_pipeline_that_failed_before(target):
    wire = target.wire()
    replies = wire.ask(
        extended("SELECT 1/0"), extended(INTO), copy_data(b"1\n"), copy_done(), sync(),
        extended("SELECT 2"), sync(), ready=2,
    )  # fmt: skip
    assert (kinds(replies), rows(replies)) == ("1EZI12TDCZI", [("2",)])
    assert copied(target) == []
    assert_in_step(target, wire)


def test_extended_copy_in_with_bad_data_and_more_behind_it(target):
    wire = target.wire()
    replies = wire.ask(
        extended(INTO), copy_data(b"many\n"), copy_done(), extended("SELECT 'skipped'"), sync(),
        extended("SELECT 3"), sync(), ready=2,
    )  # fmt: skip
    assert (kinds(replies), rows(replies)) == ("12nGEZI12TDCZI", [("3",)])
    assert_in_step(target, wire)


def test_extended_copy_out(target):
    wire = target.wire()
    replies = wire.ask(extended(OUT), extended("SELECT 4"), sync())
    assert (kinds(replies), rows(replies)) == ("12nHdddcC12TDCZI", [("4",)])
    replies = wire.ask(parse("o", OUT), bind("", "o"), execute(), close("S", "o"), sync())
    assert kinds(replies) == "12HdddcC3ZI"
    assert_in_step(target, wire)


def test_copy_both_ways_by_many_clients(pooled, threads):
    pooled.use(timeout="60s")
    clients = [pooled.wire() for _ in range(12)]

    def work(number):
        wire = clients[number]
        for turn in range(6):
            mark = number * 100 + turn
            if turn % 2:
                begin_copy(wire)
                assert kinds(wire.ask(copy_data(b"bad\n"))) == "EZI"
                wire.send(copy_data(b"1\n"), copy_fail("late"))
            else:
                assert kinds(wire.ask(query(INTO), copy_data(b"%d\n" % mark), copy_done())) == "GCZI"
            replies = wire.ask(query(f"COPY (SELECT {mark}) TO STDOUT"))
            assert kinds(replies) == "HdcCZI"
            assert replies[1].body == b"%d\n" % mark
        return True

    assert all(threads.map(work, range(12)))
    assert copied(pooled) == sorted(n * 100 + turn for n in range(12) for turn in (0, 2, 4))


# -- libpq -------------------------------------------------------------------------------------------


def test_psycopg_copies_both_ways(target):
    with psycopg.connect(target.server.url(), autocommit=True) as connection:
        with connection.cursor().copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4"])
            for n in range(5000):
                copy.write_row((n,))
        with connection.cursor().copy("COPY (SELECT n FROM copied ORDER BY n) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4"])
            assert [row[0] for row in copy.rows()] == list(range(5000))
        with pytest.raises(ZeroDivisionError):
            with connection.cursor().copy(INTO) as copy:
                copy.write_row((1,))
                raise ZeroDivisionError
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            with connection.cursor().copy(INTO) as copy:
                copy.write("many\n")
        assert connection.execute("SELECT count(*) FROM copied").fetchone() == (5000,)
