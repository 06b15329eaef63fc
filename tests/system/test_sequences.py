"""currval and lastval: the client's own values, or an error, never another client's."""

import pytest

from cluster import wait_until
from wire import bind, errors, execute, extended, parse, query, rows, sync


@pytest.fixture(autouse=True)
def sequence(cluster):
    cluster.sql(
        "DROP TABLE IF EXISTS drawn", "DROP SEQUENCE IF EXISTS tickets",
        "CREATE SEQUENCE tickets", "CREATE TABLE drawn (i int DEFAULT nextval('tickets'))",
        "GRANT ALL ON drawn, tickets TO public",
        "CREATE OR REPLACE FUNCTION draw() RETURNS bigint LANGUAGE sql AS"
        " $$ SELECT nextval('tickets') $$",
        database="app",
    )  # fmt: skip


CURRVAL = "SELECT currval('tickets')"
LASTVAL = "SELECT lastval()"


def draw(wire):
    return wire.value("INSERT INTO drawn DEFAULT VALUES RETURNING i")


def pinned(daemon):
    rows = daemon.console("SHOW CLIENTS")
    return sorted(row["pinned"] for row in rows if row["database"] == "app")


@pytest.mark.core
@pytest.mark.parametrize("ask", [CURRVAL, LASTVAL])
def test_as_on_a_connection_of_its_own(target, ask):
    """Alone, a client finds its own from the first time on."""
    one = target.wire()
    assert errors(one.ask(query(ask))) == ["55000"]
    for _ in range(3):
        assert draw(one) == one.value(ask)
        assert one.run(f"SELECT nextval('tickets'); {ask}")[1] == (one.value(ask),)
    one.run("BEGIN")
    number = draw(one)
    assert one.value(ask) == number
    one.run("ROLLBACK")
    assert one.value(ask) == number
    one.run("DISCARD SEQUENCES")
    assert errors(one.ask(query(ask))) == ["55000"]
    number = draw(one)
    assert one.value(ask) == number
    one.run("DISCARD ALL")
    assert errors(one.ask(query(ask))) == ["55000"]


@pytest.mark.core
@pytest.mark.parametrize("ask", [CURRVAL, LASTVAL])
@pytest.mark.parametrize("way", ["query", "extended", "named"])
def test_never_another_clients_value(pooled, ask, way):
    """The first of all to ask, whose own value is gone, gets an error."""
    pooled.use(size=1)
    one, other = pooled.wire(), pooled.wire()
    draw(one)
    draw(other)
    if way == "query":
        replies = one.ask(query(ask))
    elif way == "extended":
        replies = one.ask(extended(ask), sync())
    else:
        replies = one.ask(parse("s", ask), bind("", "s"), execute(), sync())
    assert errors(replies) == ["55000"]
    assert rows(replies) == []


@pytest.mark.core
@pytest.mark.parametrize("ask", [CURRVAL, LASTVAL])
def test_right_among_others_from_the_second_time_on(pooled, ask):
    one, other, third = pooled.wire(), pooled.wire(), pooled.wire()
    draw(other)
    one.ask(query(ask))
    wait_until(lambda: "SEQUENCE" in pinned(pooled.daemon), what="who has asked is pinned")
    for _ in range(5):
        number = draw(one)
        for wire in (other, third):
            draw(wire)
        assert one.value(ask) == number
    one.run("DISCARD SEQUENCES")
    wait_until(lambda: pinned(pooled.daemon) == ["", "", ""], what="nobody is pinned")


@pytest.mark.parametrize("ask", [CURRVAL, LASTVAL])
@pytest.mark.parametrize(
    "begin",
    [
        "INSERT INTO drawn DEFAULT VALUES",
        "SELECT nextval('tickets')",
        "DO $$ BEGIN PERFORM draw(); END $$",
        "SELECT setval('tickets', 4711)",
    ],
)
def test_first_time_within_the_transaction_that_draws(pooled, begin, ask):
    if "setval" in begin and ask == LASTVAL:
        begin += "; SELECT nextval('tickets')"
    pooled.use(size=1)
    one, other = pooled.wire(), pooled.wire()
    draw(other)
    one.run("BEGIN")
    one.run(begin)
    value = one.value(ask)
    assert value == one.value("SELECT last_value FROM tickets")
    one.run("COMMIT")


def test_first_time_within_a_transaction_that_has_not_drawn(pooled):
    """Another client's value is at hand, and cannot be told from the client's own: refused."""
    pooled.use(size=1)
    one, other = pooled.wire(), pooled.wire()
    draw(other)
    one.run("BEGIN")
    one.run("SELECT 1")
    replies = one.ask(query(CURRVAL))
    assert errors(replies) == ["55000"]
    assert replies[-1].status == "E"
    one.run("ROLLBACK")
    # From now on PostgreSQL answers itself.
    draw(other)
    one.run("BEGIN")
    one.run("SELECT 1")
    (error,) = [reply for reply in one.ask(query(CURRVAL)) if reply.kind == "E"]
    assert error.words == 'currval of sequence "tickets" is not yet defined in this session'
    one.run("ROLLBACK")


def test_functions_find_no_strangers_values_once_asked(pooled):
    """What a function asks for, its text does not tell; the pool knows that somebody asks."""
    pooled.use(size=1)
    pooled.cluster.sql(
        "CREATE OR REPLACE FUNCTION last_of_mine() RETURNS bigint LANGUAGE sql AS"
        " $$ SELECT currval('tickets') $$",
        database="app",
    )  # fmt: skip
    one, other = pooled.wire(), pooled.wire()
    assert errors(one.ask(query(CURRVAL))) == ["55000"]
    one.run("DISCARD SEQUENCES")
    draw(one)
    for _ in range(2):
        assert errors(other.ask(query("SELECT last_of_mine()"))) == ["55000"]
        draw(one)


def test_both_in_one_pipeline(pooled):
    pooled.use(size=1)
    one, other = pooled.wire(), pooled.wire()
    draw(other)
    replies = one.ask(
        extended("INSERT INTO drawn DEFAULT VALUES RETURNING i"), extended(CURRVAL), sync()
    )
    assert errors(replies) == []
    assert rows(replies)[0] == rows(replies)[1]


def test_sequences_of_a_client_that_may_not_be_pinned(pooled):
    """Within a transaction, or one text, that draws there is no need to."""
    pooled.use(size=1, pin="deny")
    one, other = pooled.wire(), pooled.wire()
    for _ in range(2):
        draw(other)
        replies = one.ask(query(CURRVAL))
        assert errors(replies) == ["0A000"]
        one.run("BEGIN")
        number = draw(one)
        assert one.value(CURRVAL) == number
        one.run("COMMIT")
        draw(other)
        assert one.run(f"SELECT nextval('tickets'); {CURRVAL}")[0] == (
            one.value("SELECT last_value FROM tickets"),
        )
    assert pinned(pooled.daemon) == ["", ""]
