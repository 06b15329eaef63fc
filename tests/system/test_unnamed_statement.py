"""The unnamed prepared statement: each client has its own, also over the end of a lease."""

import pytest

from wire import bind, close, describe, errors, execute, extended, kinds, parse, plain, query, rows, sync


def disturb(other):
    """Somebody else in between, on the same server connections."""
    other.ask(extended("SELECT 'other'"), sync())
    other.run("SELECT 1")


@pytest.mark.core
def test_prepared_in_one_lease_and_bound_in_the_next(target):
    if not target.is_direct:
        target.use(size=1)
    wire, other = target.wire(), target.wire()
    for n in range(4):
        assert kinds(wire.ask(parse("", f"SELECT $1::int + {n}"), describe("S"), sync())) == "1tTZI"
        for turn in range(3):
            disturb(other)
            replies = wire.ask(bind("", "", [turn]), execute(), sync())
            assert (kinds(replies), rows(replies)) == ("2DCZI", [(str(n + turn),)])


def test_one_for_each_of_many_clients(target, threads):
    clients = [target.wire() for _ in range(10)]

    def work(number):
        wire = clients[number]
        for turn in range(10):
            assert kinds(wire.ask(parse("", f"SELECT {number}, $1::int"), describe("S"), sync())) == "1tTZI"
            replies = wire.ask(bind("", "", [turn]), execute(), sync())
            assert (kinds(replies), rows(replies)) == ("2DCZI", [(str(number), str(turn))])
        return True

    assert all(threads.map(work, range(10)))


def test_another_clients_is_never_seen(target):
    if not target.is_direct:
        target.use(size=1)
    one, two = target.wire(), target.wire()
    one.ask(parse("", "SELECT 'one'"), sync())
    assert errors(two.ask(bind(), execute(), sync())) == ["26000"]
    assert errors(two.ask(describe("S"), sync())) == ["26000"]
    assert rows(one.ask(bind(), execute(), sync())) == [("one",)]


@pytest.mark.parametrize("way", ["one lease", "several leases"])
def test_life_answers_like_the_server(open_target, way):
    """Every reply, word by word, as PostgreSQL itself gives it."""
    script = [
        [bind(), sync()],
        [parse("", "SELECT 1"), bind(), execute(), sync()],
        [bind(), execute(), sync()],
        [query("SELECT 'a simple query drops it'")],
        [bind(), sync()],
        [parse("", "SELECT 2"), sync()],
        [query("")],
        [bind(), execute(), sync()],
        [parse("", "SELECT 3"), sync()],
        [parse("", "SELEC"), sync()],
        [bind(), execute(), sync()],
        [parse("", "SELECT 4"), sync()],
        [close("S"), sync()],
        [bind(), sync()],
        [parse("", "SELECT 5"), sync()],
        [bind("", "nothing"), parse("", "SELECT 'skipped'"), sync()],
        [bind(), execute(), sync()],
        [bind("", "nothing"), close("S"), sync()],
        [bind(), execute(), sync()],
        [query("DEALLOCATE ALL")],
        [bind(), execute(), sync()],
        [parse("", "SELECT 6"), sync()],
        [query("SELECT 1/0")],
        [bind(), execute(), sync()],
        [parse("", "SELECT 7"), sync()],
        [parse("named", "SELECT 8"), sync()],
        [bind("", "named"), execute(), sync()],
        [bind(), execute(), sync()],
        [parse("", "DISCARD ALL"), bind(), execute(), sync()],
        [bind(), sync()],
        [parse("", "DEALLOCATE ALL"), bind(), execute(), sync()],
        [bind(), execute(), sync()],
    ]

    def play(wire, other=None):
        replies = []
        for messages in script:
            replies.append(plain(wire.ask(*messages)))
            if other is not None:
                disturb(other)
        return list(enumerate(replies))

    direct = play(open_target("direct").wire())
    pooled = open_target("pgsluice")
    if way == "one lease":
        assert play(pooled.wire()) == direct
    else:
        pooled.use(size=1)
        assert play(pooled.wire(), pooled.wire()) == direct


def test_dropped_by_a_simple_query_of_the_client_only(target):
    if not target.is_direct:
        target.use(size=1)
    one, two = target.wire(), target.wire()
    one.ask(parse("", "SELECT 'one'"), sync())
    two.ask(parse("", "SELECT 'two'"), sync())
    two.run("SELECT 1")
    assert errors(two.ask(bind(), sync())) == ["26000"]
    assert rows(one.ask(bind(), execute(), sync())) == [("one",)]


@pytest.mark.parametrize("size", [100_000, 900_000, 2_000_000])
def test_large_text_in_one_lease(target, size):
    wire, other = target.wire(), target.wire()
    for n in range(2):
        sql = f"SELECT /* {'x' * size} */ $1::int + {n}"
        replies = wire.ask(parse("", sql), describe("S"), bind("", "", [n]), execute(), sync())
        assert (kinds(replies), rows(replies)) == ("1tT2DCZI", [(str(2 * n),)])
        disturb(other)
        assert wire.run("SELECT 1") == [("1",)]


@pytest.mark.parametrize("size", [100_000, 900_000])
def test_large_text_over_two_leases(target, size):
    if not target.is_direct:
        target.use(size=1)
    wire, other = target.wire(), target.wire()
    assert kinds(wire.ask(parse("", f"SELECT /* {'x' * size} */ 5"), describe("S"), sync())) == "1tTZI"
    disturb(other)
    replies = wire.ask(bind(), execute(), sync())
    assert (kinds(replies), rows(replies)) == ("2DCZI", [("5",)])


def test_in_a_transaction(target):
    wire, other = target.wire(), target.wire()
    wire.ask(parse("", "SELECT 'ahead'"), sync())
    assert rows(wire.ask(parse("b", "BEGIN"), bind("", "b"), execute(), sync())) == []
    disturb(other)
    assert rows(wire.ask(bind(), execute(), sync())) == [("ahead",)]
    wire.ask(parse("", "SELECT 'within'"), sync())
    assert kinds(wire.ask(parse("r", "ROLLBACK"), bind("", "r"), execute(), sync())) == "12CZI"
    disturb(other)
    assert rows(wire.ask(bind(), execute(), sync())) == [("within",)]


def test_survives_what_pgsluice_itself_asks(pooled):
    """Pre-ping, settings put in front, questions behind a SET: simple queries, which would drop it."""
    pooled.use(size=1, pre_ping="always")
    wire, other = pooled.wire(), pooled.wire(TimeZone="Asia/Tokyo")
    assert kinds(wire.ask(parse("", "SELECT 'kept'"), describe("S"), sync())) == "1tTZI"
    for sql in ("SELECT 1", "SET TimeZone = 'Europe/Paris'"):
        for _ in range(2):
            assert rows(wire.ask(bind(), execute(), sync())) == [("kept",)]
        other.ask(extended(sql), sync())
    replies = wire.ask(parse("s", "SET DateStyle = 'German'"), bind("", "s"), execute(), sync())
    assert kinds(replies).endswith("ZI")
    assert rows(wire.ask(bind(), execute(), sync())) == [("kept",)]


@pytest.mark.parametrize("ahead", ["Parse", "Query", "Close", "long Parse", "long and executed"])
def test_another_clients_is_not_seen_where_a_message_was_skipped(pooled, ahead):
    """What should have replaced it on the server connection was not carried out."""
    # What is too long to be read pins its client, or costs the server connection.
    pooled.use(size=1, pin="deny" if ahead == "long and executed" else "allow")
    one, two = pooled.wire(), pooled.wire()
    wrong = bind("", "nothing")
    long = parse("", f"SELECT /* {'x' * 1_100_000} */ 'long'")
    messages = {
        "Parse": wrong + parse("", "SELECT 'two'"),
        "Query": wrong + query("SELECT 'two'"),
        "Close": wrong + close("S"),
        "long Parse": wrong + long,
        "long and executed": long + bind() + execute(),
    }[ahead]
    for turn in range(3):
        one.ask(parse("", f"SELECT 'one {turn}'"), sync())
        if turn == 1:
            replies = two.ask(messages, sync(), bind(), execute(), sync(), ready=2)
        else:
            replies = two.ask(messages, sync()) + two.ask(bind(), execute(), sync())
        assert ("one" in str(rows(replies)), errors(replies)[-1]) == (False, "26000")
        assert rows(one.ask(bind(), execute(), sync())) == [(f"one {turn}",)]
        one.ask(long, sync())
        assert errors(two.ask(bind(), execute(), sync())) == ["26000"]


def test_prepared_in_front_of_a_pipeline_that_fails(pooled):
    """The server skips the Parse that was put in front; the next part of the pipeline needs it."""
    pooled.use(size=1)
    one, two = pooled.wire(), pooled.wire()
    one.ask(parse("named", "SELECT 'named'"), sync())
    one.ask(parse("", "SELECT 'unnamed'"), sync())
    for name in ("", "named"):
        two.run("SELECT 1")
        two.ask(query("DEALLOCATE ALL"))
        replies = one.ask(
            bind("", "nothing"), bind("", name), execute(), sync(), bind("", name), execute(), sync(), ready=2
        )
        assert (kinds(replies), rows(replies)) == ("EZI2DCZI", [(name or "unnamed",)])
