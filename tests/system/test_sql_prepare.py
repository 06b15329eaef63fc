"""
Statements prepared by SQL (PREPARE, EXECUTE, DEALLOCATE) follow their client to whatever server
connection it gets, under names that others use too, and fail where they would fail on a connection
of their own, in the same words.
"""

import pytest

from cluster import wait_until
from wire import bind, describe, errors, execute, parse, plain, query, sync

LIST = "SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements ORDER BY name"
BACKEND = "SELECT pg_backend_pid()"
SHOP = ["DROP SCHEMA IF EXISTS shop CASCADE", "DROP SCHEMA IF EXISTS shed CASCADE"]


@pytest.fixture
def shop(cluster):
    """Runs SQL as the superuser, in a database with two empty schemas, shop and shed."""

    def run(*statements):
        cluster.sql(*statements, database="app")

    run(*SHOP, "CREATE SCHEMA shop AUTHORIZATION app", "CREATE SCHEMA shed AUTHORIZATION app")
    yield run
    run(*SHOP)


def pins(daemon):
    clients = daemon.console("SHOW CLIENTS")
    return [row["pinned"] for row in clients if row["database"] == "app"]


def expect_pins(target, *reasons):
    """Of all clients; the server is asked behind the client's answer: that takes a moment."""
    if not target.is_direct:
        wait_until(
            lambda: sorted(filter(None, pins(target.daemon))) == list(reasons),
            what=f"clients are pinned by {reasons}",
        )


class Mover:
    """A client on a pool of one, which finds nothing of its own there where another client has used
    the server connection meanwhile."""

    def __init__(self, target, **keywords):
        target.use(size=1)
        self.target = target
        self.wire = target.wire(**keywords)
        self.other = None if target.is_direct else target.wire()

    def move(self):
        if self.other is not None:
            assert self.other.run("SELECT FROM pg_prepared_statements WHERE from_sql") == []


@pytest.fixture
def mover(target):
    return Mover(target)


MOVE = object()


def without_oids(replies):
    """The tables are made anew for each run: where a result's column comes from has another OID."""
    said = []
    for kind, body in plain(replies):
        if kind == "T":
            columns, at = [], 2
            while at < len(body):
                end = body.index(b"\0", at) + 1
                columns.append(body[at:end] + body[end + 4 : end + 18])
                at = end + 18
            body = columns
        said.append((kind, body))
    return said


@pytest.fixture
def both(open_target, shop):
    """
    Plays a script direct and through pgsluice, and expects the same answers: SQL of the client,
    messages of its own, functions to be called in between, and MOVE: away from what it has made of
    its server connection.
    Returns the SQLSTATEs of the errors.
    """

    def play(way, script, setup, keywords):
        shop(*SHOP, "CREATE SCHEMA shop AUTHORIZATION app", "CREATE SCHEMA shed AUTHORIZATION app")
        if setup:
            shop(*setup)
        target = open_target(way)
        mover = Mover(target, **keywords)
        transcript = []
        for step in script:
            if step is MOVE:
                mover.move()
            elif callable(step):
                step()
            elif isinstance(step, bytes):
                transcript.append((step, without_oids(mover.wire.ask(step))))
            else:
                transcript.append((step, without_oids(mover.wire.ask(query(step)))))
        expect_pins(target, *play.pins)
        target.close()
        return transcript

    def run(script, *setup, pinned=(), **keywords):
        play.pins = pinned
        direct = play("direct", script, setup, keywords)
        pooled = play("pgsluice", script, setup, keywords)
        for one, other in zip(direct, pooled, strict=True):
            assert other == one
        return [
            fields["C"] for _, replies in direct for kind, fields in replies if kind == "E"
        ]

    return run


# -- they follow -----------------------------------------------------------------------------------


@pytest.mark.core
def test_statement_follows_its_client(mover):
    wire = mover.wire
    wire.run("PREPARE plus (int, int) AS SELECT $1 + $2 AS sum")
    for _ in range(3):
        mover.move()
        assert wire.run("EXECUTE plus (1, 2)") == [("3",)]
        assert wire.run(LIST) == [
            ("plus", "PREPARE plus (int, int) AS SELECT $1 + $2 AS sum", "{integer,integer}", "t")
        ]
    expect_pins(mover.target)


@pytest.mark.core
@pytest.mark.parametrize("size", [1, 2])
def test_names_of_many_clients_collide(target, size):
    target.use(size=size)
    wires = [target.wire() for _ in range(12)]
    for number, wire in enumerate(wires):
        wire.run(f"PREPARE mine AS SELECT {number} AS i")
        wire.run(f'PREPARE "Mine" AS SELECT -{number} AS i')
    for _ in range(3):
        for number, wire in enumerate(wires):
            assert wire.run("EXECUTE mine") == [(str(number),)]
            assert wire.run('EXECUTE "Mine"') == [(str(-number),)]
    for wire in wires[::2]:
        wire.run("DEALLOCATE mine")
    for number, wire in enumerate(wires):
        expected = ["26000"] if number % 2 == 0 else []
        assert errors(wire.ask(query("EXECUTE mine"))) == expected
        assert wire.run('EXECUTE "Mine"') == [(str(-number),)]
    expect_pins(target)


def test_equal_statements_are_shared(pooled):
    """Clients that prepare the same, as a framework does, find it prepared."""
    wires = [pooled.wire() for _ in range(6)]
    for wire in wires:
        wire.run("PREPARE mine (text) AS SELECT upper($1)")
    for wire in wires:
        wire.run("EXECUTE mine ('a')")
    times = set()
    for _ in range(3):
        for wire in wires:
            times.add(wire.value("SELECT prepare_time FROM pg_prepared_statements"))
    assert len(times) <= 2  # one for each server connection


def test_others_do_not_see_it(pooled):
    one, other = pooled.wire(), pooled.wire()
    one.run("PREPARE mine AS SELECT 1")
    for _ in range(4):
        assert errors(other.ask(query("EXECUTE mine"))) == ["26000"]
        assert other.run(LIST) == []
        assert errors(other.ask(query("DEALLOCATE mine"))) == ["26000"]
        assert one.run("EXECUTE mine") == [("1",)]
    one.close()
    pooled.wait_for_rest()
    for _ in range(2):
        other.run("BEGIN")
        assert other.run(LIST) == []
        other.run("COMMIT")


SCRIPTS = {
    "names": [
        'PREPARE "a""b" AS SELECT 1',
        'PREPARE "A b; c" AS SELECT 2',
        "PREPARE a AS SELECT 3",
        'PREPARE "A" AS SELECT 4',
        "PREPARE x.y AS SELECT 5",
        'PREPARE "x.y" AS SELECT 6',
        'PREPARE "x:Y" AS SELECT 7',
        'PREPARE "x:y" AS SELECT 8',
        MOVE,
        'EXECUTE "a""b"',
        'EXECUTE "A b; c"',
        "EXECUTE a",
        'EXECUTE "A"',
        'EXECUTE "x.y"',
        'EXECUTE "x:Y"',
        'EXECUTE "x:y"',
        LIST,
        MOVE,
        'DEALLOCATE "x:Y"',
        "DEALLOCATE PREPARE a",
        MOVE,
        LIST,
    ],
    "texts": [
        "  prepare /* a ; comment */ q (int) AS SELECT $1 -- and ; another\n ;  ; ",
        MOVE,
        LIST,
        "EXECUTE q(1)",
        "PREPARE dollar AS SELECT $a$ ; $$ $a$, 'it''s; ', E'\\'; ', \";\" FROM (SELECT 1) t(\";\")",
        "PREPARE tabs AS SELECT\t1;",
        MOVE,
        LIST,
        "EXECUTE dollar",
    ],
    "rolled back": [
        "BEGIN",
        "PREPARE q AS SELECT 1",
        "ROLLBACK",
        MOVE,
        "EXECUTE q",
        "BEGIN",
        "DEALLOCATE q",
        "ROLLBACK",
        MOVE,
        "EXECUTE q",
        "BEGIN",
        "SAVEPOINT s",
        "PREPARE q AS SELECT 2",
        "ROLLBACK TO s",
        "EXECUTE q",
        "COMMIT",
        MOVE,
        "EXECUTE q",
    ],
    "failed": [
        "PREPARE q AS SELEC 1",
        "PREPARE q AS SELECT * FROM shop.nothing",
        "PREPARE q AS SELECT 1",
        MOVE,
        "PREPARE q AS SELECT 2",
        "EXECUTE q",
        "EXECUTE q (1)",
        "DEALLOCATE nothing",
        MOVE,
        "EXECUTE q",
        "PREPARE p (int) AS SELECT $1 / 0",
        MOVE,
        "EXECUTE p (1)",
        "EXECUTE p",
        "EXECUTE p (1, 2)",
        "EXECUTE p ('x')",
    ],
    "deallocate all": [
        "PREPARE q AS SELECT 1",
        "PREPARE p AS SELECT 1",
        MOVE,
        "DEALLOCATE ALL",
        MOVE,
        LIST,
        "EXECUTE q",
        "PREPARE q AS SELECT 2",
        MOVE,
        "EXECUTE q",
        LIST,
    ],
    "discard": [
        "PREPARE q AS SELECT 1",
        "DISCARD PLANS",
        MOVE,
        "EXECUTE q",
        "DISCARD ALL",
        MOVE,
        "EXECUTE q",
        LIST,
    ],
    "anew": [
        "PREPARE q AS SELECT 1",
        MOVE,
        "BEGIN",
        "DEALLOCATE q",
        "PREPARE q AS SELECT 'other' AS shape",
        "COMMIT",
        MOVE,
        "EXECUTE q",
        LIST,
    ],
    "hidden": [
        "DO $$ BEGIN EXECUTE 'PREPARE q AS SELECT 1'; END $$",
        MOVE,
        "EXECUTE q",
        LIST,
        "DO $$ BEGIN EXECUTE 'DEALLOCATE q'; EXECUTE 'PREPARE q AS SELECT 2, 3'; END $$",
        MOVE,
        "EXECUTE q",
        LIST,
    ],
    "used by other commands": [
        "CREATE TABLE shop.t (i int, t text)",
        "PREPARE put (int, text) AS INSERT INTO shop.t VALUES ($1, $2) RETURNING i",
        "PREPARE put_silently AS INSERT INTO shop.t VALUES (0, 'zero')",
        "PREPARE all_of_it AS SELECT * FROM shop.t ORDER BY i",
        MOVE,
        "EXECUTE put (1, 'one')",
        MOVE,
        "EXECUTE put_silently",
        "EXECUTE all_of_it",
        MOVE,
        "EXPLAIN (COSTS OFF) EXECUTE all_of_it",
        "CREATE TABLE shop.copy AS EXECUTE all_of_it",
        "TABLE shop.copy",
        "BEGIN",
        "DECLARE c CURSOR FOR TABLE shop.t",
        "EXECUTE put (2, 'two')",
        "ROLLBACK",
        MOVE,
        "EXECUTE all_of_it",
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_answers_are_those_of_an_own_connection(both, name):
    both(SCRIPTS[name])


def test_extended_protocol_shares_the_names(both):
    used = bind("", "q", ["5"]) + describe("P") + execute() + sync()
    both([
        "PREPARE q (int) AS SELECT $1 AS i",
        MOVE,
        used,
        describe("S", "q") + sync(),
        MOVE,
        used,
        parse("", "EXECUTE q (6)") + bind() + describe("P") + execute() + sync(),
        parse("x", "PREPARE p AS SELECT 7") + bind("", "x") + execute() + sync(),
        MOVE,
        "EXECUTE p",
    ])  # fmt: skip


def test_long_pipeline_goes_on_elsewhere(mover):
    wire = mover.wire
    wire.run("PREPARE q AS SELECT 1")
    mover.move()
    replies = wire.ask(*[query("EXECUTE q")] * 50, ready=50)
    assert errors(replies) == []
    assert wire.run("EXECUTE q") == [("1",)]


# -- what has changed meanwhile --------------------------------------------------------------------


def test_dropped_table(both, shop):
    """Only what executes the statement fails, and in the words of its own connection."""
    assert both(
        [
            "PREPARE q (int) AS SELECT * FROM shop.t WHERE i = $1",
            "PREPARE other AS SELECT 1",
            MOVE,
            lambda: shop("DROP TABLE shop.t"),
            MOVE,
            "SELECT 2",
            "EXECUTE other",
            "EXECUTE q (1)",
            "EXECUTE q",
            "EXPLAIN EXECUTE q (1)",
            "BEGIN",
            "EXECUTE q (1)",
            "EXECUTE other",
            "ROLLBACK",
            "PREPARE q AS SELECT 3",
            MOVE,
            "EXECUTE q (1)",
            lambda: shop("CREATE TABLE shop.t (i int)", "INSERT INTO shop.t VALUES (1)",
                         "GRANT ALL ON shop.t TO app"),
            "EXECUTE q (1)",
            MOVE,
            "EXECUTE q (1)",
        ],
        "CREATE TABLE shop.t (i int)",
        "GRANT ALL ON shop.t TO app",
    ) == ["42P01", "42601", "42P01", "42P01", "25P02", "42P05", "42P01"]  # fmt: skip


def test_broken_statement_can_be_deallocated(both, shop):
    assert both(
        [
            "PREPARE q AS SELECT * FROM shop.t",
            lambda: shop("DROP TABLE shop.t"),
            MOVE,
            "SELECT 1",
            "DEALLOCATE q",
            "EXECUTE q",
            "PREPARE q AS SELECT 1",
            MOVE,
            "EXECUTE q",
            LIST,
        ],
        "CREATE TABLE shop.t (i int)",
    ) == ["26000"]


def test_broken_statement_leaves_with_discard_all(both, shop):
    assert both(
        [
            "PREPARE q AS SELECT * FROM shop.t",
            lambda: shop("DROP TABLE shop.t"),
            MOVE,
            "DISCARD ALL",
            LIST,
            MOVE,
            LIST,
            "EXECUTE q",
        ],
        "CREATE TABLE shop.t (i int)",
    ) == ["26000"]


@pytest.mark.parametrize(
    "change, back",
    [
        ("ALTER TABLE shop.t ADD COLUMN j int", "ALTER TABLE shop.t DROP COLUMN j"),
        ("ALTER TABLE shop.t ALTER i TYPE text", "ALTER TABLE shop.t ALTER i TYPE int USING i::int"),
        ("ALTER TABLE shop.t RENAME i TO j", "ALTER TABLE shop.t RENAME j TO i"),
        ("ALTER TABLE shop.t ALTER t TYPE varchar(3)", "ALTER TABLE shop.t ALTER t TYPE varchar(5)"),
    ],
)
def test_changed_result_type(both, shop, change, back):
    assert both(
        [
            "PREPARE q AS SELECT * FROM shop.t",
            MOVE,
            "EXECUTE q",
            lambda: shop(change),
            "EXECUTE q",
            MOVE,
            "EXECUTE q",
            MOVE,
            "EXECUTE q",
            lambda: shop(back),
            "EXECUTE q",
            MOVE,
            "EXECUTE q",
        ],
        "CREATE TABLE shop.t (i int, t varchar(5))",
        "INSERT INTO shop.t VALUES (1, 'one')",
        "GRANT ALL ON shop.t TO app",
    ) == ["0A000"] * 3


def test_change_that_leaves_the_result_alone(both, shop):
    assert both(
        [
            "PREPARE q AS SELECT i FROM shop.t",
            lambda: shop("ALTER TABLE shop.t ADD COLUMN j int", "CREATE INDEX ON shop.t (i)"),
            MOVE,
            "EXECUTE q",
            lambda: shop("DROP TABLE shop.t", "CREATE TABLE shop.t (i int)",
                         "GRANT ALL ON shop.t TO app"),
            MOVE,
            "EXECUTE q",
            MOVE,
            "EXECUTE q",
        ],
        "CREATE TABLE shop.t (i int)",
        "GRANT ALL ON shop.t TO app",
    ) == []  # fmt: skip


def test_changed_in_the_transaction_that_prepares(both):
    """Its result cannot be learned: it stays where it is."""
    assert both(
        [
            "BEGIN",
            "CREATE TABLE shop.t (i int)",
            "PREPARE q AS SELECT * FROM shop.t",
            "ALTER TABLE shop.t ADD COLUMN j int",
            "COMMIT",
            "EXECUTE q",
            "ALTER TABLE shop.t DROP COLUMN j",
            "EXECUTE q",
            MOVE,
            "EXECUTE q",
        ],
    ) == ["0A000"]


@pytest.mark.parametrize(
    "other, expected", [("i int", []), ("i text", ["0A000"] * 2), (None, ["42P01"] * 2)]
)
def test_search_path_decides_which_table(both, other, expected):
    setup = ["CREATE TABLE shop.t (i int)", "INSERT INTO shop.t VALUES (1)"]
    if other is not None:
        setup += [f"CREATE TABLE shed.t ({other})", "INSERT INTO shed.t VALUES (2)"]
    grants = [f"GRANT ALL ON ALL TABLES IN SCHEMA {name} TO app" for name in ("shop", "shed")]
    assert both(
        [
            "SET search_path = shop",
            "PREPARE q AS SELECT * FROM t",
            MOVE,
            "EXECUTE q",
            "SET search_path = shed",
            "EXECUTE q",
            MOVE,
            "EXECUTE q",
            "SET search_path = shop",
            "EXECUTE q",
            MOVE,
            "EXECUTE q",
        ],
        *setup,
        *grants,
    ) == expected


def test_role_of_its_client(both, cluster):
    """The statement is executed with the rights that the client has then."""
    assert both(
        [
            "PREPARE who AS SELECT current_user, i FROM shop.t",
            "SET ROLE other",
            MOVE,
            "SELECT current_user",
            "EXECUTE who",
            "RESET ROLE",
            MOVE,
            "EXECUTE who",
        ],
        "GRANT other TO app",
        "GRANT USAGE ON SCHEMA shop TO other",
        "CREATE TABLE shop.t (i int)",
        "GRANT ALL ON shop.t TO app",
    ) == ["42501"]
    cluster.sql("REVOKE other FROM app", database="app")


# -- what stays where it is ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script, used",
    [
        (["SELECT 1; PREPARE q AS SELECT 7"], "EXECUTE q"),
        (["PREPARE q AS SELECT 7; SELECT 1"], "EXECUTE q"),
        (["PREPARE q AS SELECT 'now'::timestamp > '2000-01-01'"], "EXECUTE q"),
        (["PREPARE q AS SELECT timestamptz ' Today 12:00' > 'epoch'"], "EXECUTE q"),
        (["PREPARE q AS SELECT set_config('work_mem', '1MB', false)"], "EXECUTE q"),
        (["CREATE SEQUENCE shop.s", "PREPARE q AS SELECT nextval('shop.s') > 0"], "EXECUTE q"),
        (["SET standard_conforming_strings = off", r"PREPARE q AS SELECT 'a\'b; c'"], "EXECUTE q"),
        (['PREPARE "köln" AS SELECT 7'], 'EXECUTE "köln"'),
        (["PREPARE q AS SELECT length('" + "x" * 30_000 + "')"], "EXECUTE q"),
        (
            ["PREPARE q AS SELECT '2020-01-01 00:00'::timestamptz = timestamptz 'epoch'",
             "SET TimeZone = 'Asia/Tokyo'"],
            "EXECUTE q",
        ),
        (["PREPARE q AS SELECT '01/02/2020'::date", "SET DateStyle = 'SQL, DMY'"], "EXECUTE q"),
        (["PREPARE q AS SELECT 'ö'", "SET client_encoding = latin1"], "EXECUTE q"),
    ],
)  # fmt: skip
def test_what_cannot_be_prepared_elsewhere_in_the_same_way_pins(target, shop, script, used):
    one, other = target.wire(client_encoding="UTF8"), target.wire()
    for sql in script:
        one.run(sql)
    expect_pins(target, "PREPARE")
    home = one.value(BACKEND)
    for _ in range(2):
        assert other.value(BACKEND) != home
        assert errors(other.ask(query(used))) == ["26000"]
        assert errors(one.ask(query(used))) == []
        assert one.value(BACKEND) == home
    one.run("DEALLOCATE ALL")
    expect_pins(target)


@pytest.mark.parametrize(
    "script",
    [
        ["SET TimeZone = 'Asia/Tokyo'", "PREPARE q AS SELECT '2020-01-01 00:00'::timestamptz"],
        ["PREPARE q AS SELECT 7, 'blue'", "SET TimeZone = 'Asia/Tokyo'"],
        ["PREPARE q AS SELECT 'unknown', 'nowhere', 'todays', 'x now'"],
        [r"PREPARE q AS SELECT 'a\', E'b\'; c'"],
        ["PREPARE q AS SELECT 'köln €'"],
        ["PREPARE q AS SELECT length('" + "x" * 29_000 + "')"],
        ["SET client_encoding = latin1", "PREPARE q AS SELECT 'ascii'"],
        [f"PREPARE q{i} AS SELECT {i}" for i in range(20)] + ["PREPARE q AS SELECT q FROM (SELECT 1) q"],
        ["SET statement_timeout = 5000", "SET default_transaction_read_only = on",
         "PREPARE q AS SELECT 7"],
    ],
)  # fmt: skip
def test_what_follows(both, script):
    both([*script, MOVE, "EXECUTE q", LIST, MOVE, "EXECUTE q", LIST])


def test_pin_ends_with_the_setting_that_made_it(pooled):
    wire = pooled.wire()
    wire.run("PREPARE q AS SELECT '2020-01-01 00:00'::timestamptz")
    expect_pins(pooled)
    wire.run("SET TimeZone = 'Asia/Tokyo'")
    expect_pins(pooled, "PREPARE")
    wire.run("RESET TimeZone")
    expect_pins(pooled)


def test_too_many_statements_pin(pooled):
    wire = pooled.wire()
    wire.ask(*[query(f"PREPARE q{i} AS SELECT {i}") for i in range(200)], ready=200)
    expect_pins(pooled)
    assert wire.run("EXECUTE q199") == [("199",)]
    wire.run("PREPARE q200 AS SELECT 200")
    expect_pins(pooled, "PREPARE")
    assert wire.run("EXECUTE q200") == [("200",)]
    wire.run("DEALLOCATE q0")
    expect_pins(pooled)


def test_executing_asks_nothing(pooled, shop):
    """The last thing that the server connection was asked is the EXECUTE itself."""
    wire = pooled.wire()
    wire.run("PREPARE q AS SELECT 1")
    for _ in range(3):
        wire.run("EXECUTE q")
        pooled.wait_for_rest()
        last = pooled.cluster.value(
            "SELECT query FROM pg_stat_activity WHERE usename = 'app' AND backend_type ="
            " 'client backend' ORDER BY state_change DESC LIMIT 1"
        )
        assert last == "EXECUTE q"


# -- clients that leave ----------------------------------------------------------------------------


def test_client_leaves_while_its_statement_is_prepared(pooled, shop):
    """A PREPARE that waits for a lock: its client gives up, the next one finds nothing of it."""
    shop("CREATE TABLE shop.t (i int)", "GRANT ALL ON shop.t TO app")
    mover = Mover(pooled)
    mover.wire.run("PREPARE q AS SELECT * FROM shop.t")
    mover.move()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with pooled.cluster.connect(database="app") as admin:
        admin.execute("BEGIN")
        admin.execute("LOCK TABLE shop.t")
        mover.wire.send(query("EXECUTE q"))
        wait_until(lambda: pooled.cluster.value(waiting) == 1, what="the PREPARE waits")
        mover.wire.close()
        wait_until(lambda: pins(pooled.daemon) == [""], what="the client has gone")
        admin.execute("COMMIT")
    assert mover.other.run(LIST) == []
    assert mover.other.run("SELECT 1") == [("1",)]
