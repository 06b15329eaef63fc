"""
Prepared statements whose result changes, by DDL or by search_path: "cached plan must not change
result type" from pgsluice as from PostgreSQL, on whichever server connection the client comes out.
"""

import asyncio
import itertools

import asyncpg
import psycopg
import pytest

from wire import bind, close, describe, errors, execute, kinds, parse, plain, query, rows, sync

CHANGED = "cached plan must not change result type"


class Mover:
    """Makes a client's next transactions run on the other server connection of a pool of two."""

    def __init__(self, target):
        self.target = target
        self.holders = [] if target.is_direct else [target.wire(), target.wire()]
        self.held = None

    def move(self, wire):
        if self.target.is_direct:
            return
        pid = wire.value("SELECT pg_backend_pid()")
        if self.held is not None:
            self.held.run("COMMIT")
        one, other = self.holders
        one.run("BEGIN")
        self.held = one
        if one.value("SELECT pg_backend_pid()") != pid:
            other.run("BEGIN")
            assert other.value("SELECT pg_backend_pid()") == pid
            one.run("COMMIT")
            self.held = other
        assert wire.value("SELECT pg_backend_pid()") != pid


@pytest.fixture
def mover(target):
    return Mover(target)


@pytest.fixture
def table(cluster):
    """A table with one row, and DDL on it by somebody who is not pooled."""
    with psycopg.connect(cluster.url(), autocommit=True) as owner:

        def run(sql):
            owner.execute(sql)

        run("DROP TABLE IF EXISTS plan; CREATE TABLE plan (a int); INSERT INTO plan VALUES (1)")
        run("GRANT ALL ON plan TO PUBLIC")
        yield run
        run("DROP TABLE IF EXISTS plan")


def use(wire, name="s"):
    return wire.ask(bind("", name), execute(), sync())


def assert_changed(replies, status="I", ahead=""):
    assert (kinds(replies), errors(replies)) == (f"{ahead}EZ{status}", ["0A000"])
    fields = replies[-2].fields
    assert (fields["S"], fields["V"], fields["M"]) == ("ERROR", "ERROR", CHANGED)
    # By these asyncpg and pgjdbc know that preparing it anew helps.
    assert (fields["F"], fields["R"]) == ("plancache.c", "RevalidateCachedQuery")


@pytest.mark.core
@pytest.mark.parametrize("described", [True, False])
def test_changed_before_its_first_use_elsewhere(target, table, mover, described):
    wire = target.wire()
    wire.ask(parse("s", "SELECT * FROM plan"), *([describe("S", "s")] if described else []), sync())
    assert rows(use(wire)) == [("1",)]
    table("ALTER TABLE plan ADD b int")
    mover.move(wire)
    for _ in range(2):
        assert_changed(use(wire))
        assert_changed(wire.ask(describe("S", "s"), sync()), ahead="t")
        mover.move(wire)
    # The way out that drivers take: under the same name or under another one.
    assert kinds(wire.ask(close("S", "s"), sync())) == "3ZI"
    wire.ask(parse("s", "SELECT * FROM plan"), describe("S", "s"), sync())
    for _ in range(3):
        assert rows(use(wire)) == [("1", None)]
        mover.move(wire)


def test_changed_and_prepared_anew_by_another_client(target, table, mover):
    """The server connection has the statement as it is now; the client knows it as it was."""
    old, new = target.wire(), target.wire()
    old.ask(parse("s", "SELECT * FROM plan"), sync())
    table("ALTER TABLE plan ADD b int")
    for _ in range(2):
        new.ask(close("S", "t"), parse("t", "SELECT * FROM plan"), sync())
        assert rows(use(new, "t")) == [("1", None)]
        assert_changed(use(old))
        mover.move(new)
    assert rows(use(new, "t")) == [("1", None)]
    old.ask(parse("again", "SELECT * FROM plan"), sync())
    for _ in range(3):
        assert rows(use(old, "again")) == [("1", None)]
        assert_changed(use(old))
        assert rows(use(new, "t")) == [("1", None)]
        mover.move(old)


def test_change_that_is_taken_back(target, table, mover):
    wire = target.wire()
    wire.ask(parse("s", "SELECT * FROM plan"), sync())
    table("ALTER TABLE plan ADD b int")
    mover.move(wire)
    assert_changed(use(wire))
    table("ALTER TABLE plan DROP b")
    assert rows(use(wire)) == [("1",)]
    mover.move(wire)
    assert rows(use(wire)) == [("1",)]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE plan RENAME a TO z",
        "ALTER TABLE plan ALTER a TYPE bigint",
        "ALTER TABLE plan ALTER a TYPE numeric(9, 2)",
        "DROP TABLE plan; CREATE TABLE plan (a text); GRANT ALL ON plan TO PUBLIC",
    ],
)
def test_kinds_of_changes(target, table, mover, change):
    wire = target.wire()
    wire.ask(parse("s", "SELECT * FROM plan"), sync())
    table(change)
    mover.move(wire)
    assert_changed(use(wire))


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE plan; CREATE TABLE plan (a int); GRANT ALL ON plan TO PUBLIC; INSERT INTO plan VALUES (1)",
        "ALTER TABLE plan ADD b int; ALTER TABLE plan DROP b",
        "ALTER TABLE plan ALTER a SET NOT NULL, ADD CHECK (a > 0)",
    ],
)
def test_changes_that_leave_the_result_as_it_is(target, table, mover, change):
    wire = target.wire()
    wire.ask(parse("s", "SELECT * FROM plan"), sync())
    table(change)
    mover.move(wire)
    for _ in range(2):
        assert rows(use(wire)) == [("1",)]
        mover.move(wire)


def test_within_a_transaction_block(target, table, mover):
    """The block fails as by any error; nothing of it stays."""
    wire = target.wire()
    wire.ask(parse("s", "SELECT * FROM plan"), parse("i", "INSERT INTO plan (a) VALUES (7)"), sync())
    table("ALTER TABLE plan ADD b int")
    mover.move(wire)
    wire.run("BEGIN")
    assert kinds(wire.ask(bind("", "i"), execute(), sync())) == "2CZT"
    assert_changed(use(wire), "E")
    assert errors(wire.ask(query("SELECT 1"))) == ["25P02"]
    assert errors(use(wire)) == ["25P02"]
    assert errors(wire.ask(describe("S", "s"), sync())) == ["25P02"]
    wire.run("ROLLBACK")
    assert wire.value("SELECT count(*) FROM plan") == "1"


def test_back_to_a_savepoint(target, table, mover):
    wire = target.wire()
    wire.ask(parse("s", "SELECT * FROM plan"), sync())
    table("ALTER TABLE plan ADD b int")
    mover.move(wire)
    wire.run("BEGIN; SAVEPOINT here")
    assert_changed(use(wire), "E")
    wire.run("ROLLBACK TO here")
    wire.ask(close("S", "s"), parse("s", "SELECT * FROM plan"), sync())
    assert rows(use(wire)) == [("1", None)]
    wire.run("COMMIT")


def test_within_a_pipeline(target, table, mover):
    """What stands ahead of it up to the Sync is rolled back, what stands behind it is skipped."""
    wire = target.wire()
    wire.ask(parse("s", "SELECT * FROM plan"), parse("i", "INSERT INTO plan (a) VALUES (7)"), sync())
    table("ALTER TABLE plan ADD b int")
    mover.move(wire)
    do_i, do_s = bind("", "i") + execute(), bind("", "s") + execute()
    replies = wire.ask(do_i, do_s, do_i, sync(), do_i, sync(), do_s, sync(), query("SELECT 1"), ready=4)
    assert kinds(replies) == "2CEZI2CZIEZITDCZI"
    assert errors(replies) == ["0A000", "0A000"]
    assert wire.value("SELECT count(*) FROM plan") == "2"


def test_own_change_in_a_transaction_that_is_rolled_back(target, table, mover):
    wire = target.wire()
    wire.run("CREATE TABLE IF NOT EXISTS own_plan (a int); DELETE FROM own_plan; INSERT INTO own_plan VALUES (1)")
    try:
        wire.ask(parse("s", "SELECT * FROM own_plan"), sync())
        mover.move(wire)
        wire.run("BEGIN; ALTER TABLE own_plan ADD b int")
        assert_changed(use(wire), "E")
        wire.run("ROLLBACK")
        assert rows(use(wire)) == [("1",)]
        mover.move(wire)
        wire.run("BEGIN; ALTER TABLE own_plan ADD b int")
        wire.ask(parse("t", "SELECT * FROM own_plan"), sync())
        assert rows(use(wire, "t")) == [("1", None)]
        wire.run("ROLLBACK")
        assert_changed(use(wire, "t"))
        assert rows(use(wire)) == [("1",)]
        mover.move(wire)
        assert_changed(use(wire, "t"))
        assert rows(use(wire)) == [("1",)]
    finally:
        wire.run("DROP TABLE own_plan")


def test_statement_without_a_result(target, table, mover):
    wire = target.wire()
    wire.ask(parse("i", "INSERT INTO plan (a) VALUES (5)"), sync())
    table("ALTER TABLE plan ADD b int DEFAULT 6")
    mover.move(wire)
    assert kinds(wire.ask(bind("", "i"), execute(), sync())) == "2CZI"
    assert kinds(wire.ask(describe("S", "i"), sync())) == "tnZI"
    assert wire.run("SELECT a, b FROM plan WHERE a = 5") == [("5", "6")]


def test_table_that_is_gone(open_target, table):
    """The error of its analysis, with the place in the text, as PostgreSQL gives it."""
    texts = []
    for way in ("direct", "pgsluice"):
        target = open_target(way)
        wire, mover = target.wire(), Mover(target)
        table("CREATE TABLE IF NOT EXISTS plan (a int); GRANT ALL ON plan TO PUBLIC")
        wire.ask(parse("s", "SELECT * FROM plan"), sync())
        table("DROP TABLE plan")
        mover.move(wire)
        texts.append(plain(use(wire)))
        assert errors(use(wire)) == ["42P01"]
    assert texts[0] == texts[1]


def test_wide_result(target, mover):
    """A description of more than 64 KB, which is not kept whole."""
    columns = ", ".join(f"1 AS {'c' * 50}{n}" for n in range(1600))
    wire = target.wire()
    assert kinds(wire.ask(parse("s", f"SELECT {columns}"), describe("S", "s"), sync())) == "1tTZI"
    for _ in range(3):
        assert rows(use(wire)) == [("1",) * 1600]
        mover.move(wire)


# -- search_path ---------------------------------------------------------------------------------------


@pytest.fixture
def schemas(cluster):
    with psycopg.connect(cluster.url(), autocommit=True) as owner:
        for name, columns in (("one", "a int"), ("two", "a int, b int"), ("like_one", "a int")):
            owner.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
            owner.execute(f"CREATE TABLE {name}.t ({columns}); INSERT INTO {name}.t (a) VALUES ({len(name)})")
            owner.execute(f"GRANT USAGE ON SCHEMA {name} TO PUBLIC; GRANT ALL ON {name}.t TO PUBLIC")
        yield
        owner.execute("DROP SCHEMA one, two, like_one CASCADE")


def test_one_text_in_different_schemas(target, schemas):
    """Each client keeps to its own, whoever had the server connection before."""
    expected = {"one": [("3",)], "two": [("3", None)], "like_one": [("8",)]}
    clients = [(name, target.wire()) for name in [*expected, *expected]]
    for name, wire in clients:
        wire.run(f"SET search_path = {name}")
        wire.ask(parse("s", "SELECT * FROM t"), sync())
    for _ in range(3):
        for name, wire in clients:
            assert rows(use(wire)) == expected[name]


def test_search_path_set_after_the_parse(target, schemas, mover):
    wire = target.wire()
    wire.run("SET search_path = one")
    wire.ask(parse("s", "SELECT * FROM t"), sync())
    for path, expected in (("like_one", [("8",)]), ("two", None), ("one", [("3",)]), ("two", None)):
        wire.run(f"SET search_path = {path}")
        for _ in range(2):
            mover.move(wire)
            if expected is None:
                assert_changed(use(wire))
            else:
                assert rows(use(wire)) == expected


# -- drivers -------------------------------------------------------------------------------------------


def test_asyncpg_prepares_anew_by_itself(target, table):
    async def work():
        url = target.server.url()
        clients = [await asyncpg.connect(url, ssl=False, timeout=20, command_timeout=30) for _ in range(4)]
        try:
            for client in clients:
                assert tuple(await client.fetchrow("SELECT * FROM plan")) == (1,)
            for number, client in zip(range(8), itertools.cycle(clients), strict=False):
                if number in (0, 5):
                    table(f"ALTER TABLE plan ADD b{number} int DEFAULT {number}")
                assert len(await client.fetchrow("SELECT * FROM plan")) == (2 if number < 5 else 3)
            statement = await clients[0].prepare("SELECT * FROM plan")
            assert len(await statement.fetchrow()) == 3
            table("ALTER TABLE plan DROP b0")
            for client in clients:
                assert len(await client.fetchrow("SELECT * FROM plan")) == 2
            with pytest.raises(asyncpg.exceptions.InvalidCachedStatementError):
                async with clients[0].transaction():
                    await statement.fetchrow()
        finally:
            for client in clients:
                await client.close()

    asyncio.run(work())


def test_psycopg_reads_the_error(target, table):
    url = target.server.url()
    clients = [psycopg.connect(url, autocommit=True, prepare_threshold=0) for _ in range(4)]
    try:
        for client in clients:
            assert client.execute("SELECT * FROM plan").fetchone() == (1,)
        table("ALTER TABLE plan ADD b int")
        for client in clients:
            with pytest.raises(psycopg.errors.FeatureNotSupported, match=CHANGED):
                client.execute("SELECT * FROM plan")
            assert client.execute("SELECT * FROM plan", prepare=False).fetchone() == (1, None)
            assert client.execute("SELECT *, 1 FROM plan").fetchone() == (1, None, 1)
    finally:
        for client in clients:
            client.close()
