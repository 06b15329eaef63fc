"""
Statements prepared by Parse and by PREPARE under one set of names: EXECUTE, EXPLAIN EXECUTE, PREPARE
and DEALLOCATE of what the client has prepared by Parse; Parse, Bind, Describe and Close of what it
has prepared by SQL. Every answer is PostgreSQL's, with another client in between.
"""

import asyncio

import asyncpg
import psycopg
import pytest

from wire import bind, close, describe, errors, execute, extended, kinds, parse, plain, query, rows, sync

FOO = [parse("foo", "SELECT $1::int AS n, 'foo' AS word"), sync()]
BIND_FOO = [bind("", "foo", [5]), execute(), sync()]
DESCRIBE_FOO = [describe("S", "foo"), sync()]

# Each step is what is sent ahead of one ReadyForQuery; between steps another client has its turn.
SCRIPTS = {
    "EXECUTE": [FOO, [query("EXECUTE foo(1)")], BIND_FOO, [query("EXECUTE foo(2)")], DESCRIBE_FOO],
    "EXECUTE, extended": [FOO, [extended("EXECUTE foo(1)"), sync()], BIND_FOO, [extended("EXECUTE foo(2)"), sync()]],
    "EXECUTE of what returns nothing": [
        [parse("nothing", "SET LOCAL work_mem = '1MB'"), sync()],
        [query("EXECUTE nothing")],
        [bind("", "nothing"), execute(), sync()],
    ],
    "EXECUTE, prepared and bound later": [
        FOO,
        [parse("e", "EXECUTE foo(3)"), describe("S", "e"), sync()],
        [bind("", "e"), describe("P"), execute(), sync()],
        [parse("", "EXECUTE foo(4)"), sync()],
        [bind("", ""), describe("P"), execute(), sync()],
        [bind("", "e"), execute(), sync()],
        BIND_FOO,
    ],
    "EXECUTE in one query with others": [
        FOO,
        [query("SELECT 'a'; EXECUTE foo(1); SELECT 'b'")],
        [query("; ; EXECUTE foo(2); EXECUTE foo(3)")],
        [query("BEGIN; EXECUTE foo(4); COMMIT")],
        BIND_FOO,
    ],
    "EXECUTE with comments, cases and quotes": [
        [parse("Two Words", "SELECT 2"), parse("lower", "SELECT 3"), sync()],
        [query('/* a */ eXeCuTe -- b\n "Two Words" -- c')],
        [query("EXECUTE LOWER")],
        [query('EXECUTE "LOWER"')],
        [query('EXECUTE "Two Words"; EXECUTE lower')],
        [bind("", "Two Words"), execute(), sync()],
    ],
    "EXECUTE with too few values": [FOO, [query("EXECUTE foo")], [query("EXECUTE foo('x')")], BIND_FOO],
    "EXECUTE of what is not there": [FOO, [query("EXECUTE bar")], [extended("EXECUTE bar"), sync()], BIND_FOO],
    "EXPLAIN EXECUTE": [FOO, [query("EXPLAIN (COSTS OFF) EXECUTE foo(1)")], BIND_FOO],
    "CREATE TABLE AS EXECUTE": [
        FOO,
        [query("BEGIN")],
        [query("CREATE TEMP TABLE made ON COMMIT DROP AS EXECUTE foo(1)")],
        [query("SELECT n + 0 AS n, word || '!' AS word FROM made")],
        [query("COMMIT")],
        BIND_FOO,
    ],
    "EXECUTE that fails": [
        [parse("bad", "SELECT 1 / $1::int"), sync()],
        [query("EXECUTE bad(0)")],
        [query("EXECUTE bad(1)")],
        [bind("", "bad", [0]), execute(), sync()],
        [bind("", "bad", [1]), execute(), sync()],
    ],
    "within a transaction block": [
        FOO,
        [query("BEGIN")],
        [query("EXECUTE foo(1)")],
        BIND_FOO,
        DESCRIBE_FOO,
        [query("EXECUTE foo(2)")],
        [parse("foo", "SELECT 'taken'"), sync()],
        [query("EXECUTE foo(3)")],
        BIND_FOO,
        [query("ROLLBACK")],
        BIND_FOO,
        [query("EXECUTE foo(4)")],
    ],
    "in a failed transaction": [
        FOO,
        [query("BEGIN")],
        [query("SELECT 1/0")],
        [query("EXECUTE foo(1)")],
        [query("PREPARE foo AS SELECT 1")],
        [query("DEALLOCATE foo")],
        [extended("EXECUTE foo(1)"), sync()],
        [query("ROLLBACK")],
        BIND_FOO,
    ],
    "PREPARE of a taken name": [
        FOO,
        [query("PREPARE foo AS SELECT 'sql'")],
        [extended("PREPARE foo AS SELECT 'sql'"), sync()],
        BIND_FOO,
        [query("EXECUTE foo(1)")],
    ],
    "PREPARE of a taken name with others": [
        FOO,
        [query("PREPARE one AS SELECT 'one'; PREPARE foo AS SELECT 'sql'; SELECT 'never'")],
        BIND_FOO,
        [query("DEALLOCATE one")],
        BIND_FOO,
    ],
    "PREPARE of an EXECUTE's name within itself": [FOO, [query("PREPARE bar AS EXECUTE foo")], BIND_FOO],
    "DEALLOCATE": [FOO, [query("DEALLOCATE foo")], BIND_FOO, [query("DEALLOCATE foo")], FOO, BIND_FOO],
    "DEALLOCATE, extended": [
        FOO,
        [extended("DEALLOCATE foo"), sync()],
        BIND_FOO,
        [extended("DEALLOCATE PREPARE foo"), sync()],
        FOO,
        BIND_FOO,
    ],
    "DEALLOCATE with others": [
        FOO,
        [parse("bar", "SELECT 'bar'"), sync()],
        [query("SELECT 'a'; DEALLOCATE foo; SELECT 'b'")],
        BIND_FOO,
        [bind("", "bar"), execute(), sync()],
        [query("DEALLOCATE PREPARE bar; EXECUTE bar")],
        [bind("", "bar"), execute(), sync()],
        FOO,
        BIND_FOO,
    ],
    "DEALLOCATE that is rolled back": [
        FOO,
        [query("BEGIN; DEALLOCATE foo")],
        BIND_FOO,
        [query("ROLLBACK")],
        BIND_FOO,
        FOO,
        BIND_FOO,
    ],
    "DEALLOCATE, then PREPARE under the name": [
        FOO,
        [query("DEALLOCATE foo; PREPARE foo AS SELECT 'sql'")],
        [query("EXECUTE foo")],
        [bind("", "foo"), execute(), sync()],
        DESCRIBE_FOO,
        [parse("foo", "SELECT 'taken'"), sync()],
        [query("DEALLOCATE foo")],
        BIND_FOO,
        FOO,
        BIND_FOO,
    ],
    "DEALLOCATE ALL and DISCARD ALL": [
        FOO,
        [query("EXECUTE foo(1)")],
        [query("DEALLOCATE ALL")],
        BIND_FOO,
        [query("EXECUTE foo(1)")],
        FOO,
        [query("SELECT 1; DEALLOCATE ALL")],
        BIND_FOO,
        FOO,
        [query("BEGIN; EXECUTE foo(1); DEALLOCATE ALL; COMMIT")],
        BIND_FOO,
        FOO,
        [extended("DEALLOCATE ALL"), sync()],
        BIND_FOO,
        FOO,
        [query("DISCARD ALL")],
        BIND_FOO,
        [query("EXECUTE foo(1)")],
        FOO,
        BIND_FOO,
    ],
    "prepared by SQL, used by messages": [
        [query("PREPARE foo(int) AS SELECT $1 AS n, 'sql' AS word")],
        BIND_FOO,
        DESCRIBE_FOO,
        [query("EXECUTE foo(6)")],
        [parse("foo", "SELECT 'taken'"), sync()],
        [parse("foo", "SELECT 'taken'"), describe("S", "foo"), bind("", "foo"), execute(), sync()],
        BIND_FOO,
        [close("S", "foo"), sync()],
        BIND_FOO,
        [query("EXECUTE foo(6)")],
        FOO,
        BIND_FOO,
        [query("EXECUTE foo(6)")],
    ],
    "prepared by SQL, others by Parse": [
        [query("PREPARE foo AS SELECT 'sql'")],
        [parse("bar", "SELECT 'bar'"), describe("S", "bar"), bind("", "bar"), execute(), sync()],
        [bind("", "bar"), execute(), sync()],
        [query("EXECUTE bar")],
        [query("EXECUTE foo; EXECUTE bar")],
        [parse("bar", "SELECT 'taken'"), sync()],
        [parse("bad", "SELECT FROM WHERE"), sync()],
        [parse("bad", "SELECT 'good'"), sync()],
        [bind("", "bad"), execute(), sync()],
        [query("DEALLOCATE foo")],
        [query("DEALLOCATE bar")],
        [query("DEALLOCATE bad")],
    ],
    "Parse behind PREPARE in one transaction": [
        [query("BEGIN")],
        [query("PREPARE foo AS SELECT 'sql'")],
        [parse("foo", "SELECT 'taken'"), sync()],
        [query("ROLLBACK")],
        [bind("", "foo"), execute(), sync()],
        [query("DEALLOCATE foo")],
        FOO,
        BIND_FOO,
    ],
    "Close of what EXECUTE has used": [
        FOO,
        [query("BEGIN")],
        [query("EXECUTE foo(1)")],
        [close("S", "foo"), sync()],
        BIND_FOO,
        [query("ROLLBACK")],
        BIND_FOO,
        FOO,
        BIND_FOO,
        [query("BEGIN; EXECUTE foo(1)")],
        [close("S", "foo"), parse("foo", "SELECT 'other'"), bind("", "foo"), execute(), sync()],
        [query("EXECUTE foo")],
        [query("COMMIT")],
        [bind("", "foo"), execute(), sync()],
        [query("EXECUTE foo")],
    ],
    "words that are none": [
        [parse("execute", "SELECT 'named execute'"), parse("a", "SELECT 'a'"), sync()],
        [query("SELECT 1 AS execute; SELECT 2 AS a")],
        [query("EXECUTE execute")],
        [query("SELECT 'EXECUTE a'; SELECT $$ DEALLOCATE a $$ /* DEALLOCATE a */")],
        [bind("", "execute"), execute(), sync()],
        [bind("", "a"), execute(), sync()],
    ],
}  # fmt: skip


def play(target, script):
    wire, other = target.wire(), target.wire()
    other.ask(parse("foo", "SELECT 'of another'"), sync())
    replies = []
    for messages in script:
        replies += wire.ask(*messages)
        assert rows(other.ask(bind("", "foo"), execute(), sync())) == [("of another",)]
    return plain(replies)


@pytest.mark.parametrize("name", SCRIPTS)
def test_answers_like_the_server(open_target, name):
    expected = play(open_target("direct"), SCRIPTS[name])
    assert play(open_target("pgsluice"), SCRIPTS[name]) == expected


@pytest.mark.parametrize("name", SCRIPTS)
def test_answers_like_the_server_in_session_mode(open_target, name):
    expected = play(open_target("direct"), SCRIPTS[name])
    target = open_target("pgsluice")
    target.use(mode="session")
    assert play(target, SCRIPTS[name]) == expected


def test_execute_of_what_has_changed(target):
    """EXECUTE tells it too, on whichever server connection; the transaction fails by it."""
    wire, other = target.wire(), target.wire()
    wire.run("DROP TABLE IF EXISTS mixed; CREATE TABLE mixed (a int); INSERT INTO mixed VALUES (1)")
    wire.ask(parse("s", "SELECT * FROM mixed"), sync())
    assert wire.run("EXECUTE s") == [("1",)]
    other.run("ALTER TABLE mixed ADD b int")
    for _ in range(2):
        replies = wire.ask(query("EXECUTE s"))
        assert (kinds(replies), errors(replies)) == ("EZI", ["0A000"])
        assert replies[0].words == "cached plan must not change result type"
        replies = wire.ask(extended("EXECUTE s"), sync())
        assert (kinds(replies)[-3:], errors(replies)) == ("EZI", ["0A000"])
        other.value("SELECT 1")
    wire.run("BEGIN")
    replies = wire.ask(query("EXECUTE s"))
    assert (kinds(replies), errors(replies)) == ("EZE", ["0A000"])
    wire.run("ROLLBACK; ALTER TABLE mixed DROP b")
    assert wire.run("EXECUTE s") == [("1",)]
    other.run("DROP TABLE mixed")
    replies = wire.ask(query("EXECUTE s"))
    assert (kinds(replies), errors(replies)) == ("EZI", ["42P01"])
    assert wire.value("SELECT 'goes on'") == "goes on"
    other.run("CREATE TABLE mixed (a int)")
    assert wire.run("EXECUTE s") == []
    other.run("DROP TABLE mixed")


def test_pipelined_with_others(open_target):
    """Queries and messages in one write, with statements that both name."""
    script = [
        parse("a", "SELECT 'a'"), sync(), query("EXECUTE a"), bind("", "a"), execute(), sync(),
        query("EXECUTE a"), query("EXECUTE no"), query("DEALLOCATE a; SELECT 1"), bind("", "a"), sync(),
        parse("a", "SELECT 1/0"), sync(), query("EXECUTE a"), extended("EXECUTE a"), sync(), query("SELECT 'end'"),
    ]  # fmt: skip
    ready = script.count(sync()) + sum(1 for message in script if message[:1] == b"Q")
    answers = [plain(open_target(way).wire().ask(*script, ready=ready)) for way in ("direct", "pgsluice")]
    assert answers[0] == answers[1]


def test_client_that_leaves_in_between(pooled):
    """Nothing of its names stays on the server connection."""
    pooled.use(size=1)
    wire = pooled.wire()
    wire.ask(parse("mine", "SELECT 1"), sync())
    wire.run("BEGIN; EXECUTE mine")
    wire.close()
    other = pooled.wire()
    assert errors(other.ask(query("EXECUTE mine"))) == ["26000"]
    names = other.run("SELECT name FROM pg_prepared_statements")
    assert [name for (name,) in names if not name.startswith("pgsluice_")] == []


def test_names_are_taken_back_when_the_lease_ends(pooled):
    pooled.use(size=1)
    wire, other = pooled.wire(), pooled.wire()
    wire.ask(parse("mine", "SELECT 'mine'"), sync())
    for _ in range(3):
        assert wire.run("EXECUTE mine") == [("mine",)]
        assert kinds(other.ask(parse("mine", "SELECT 'other'"), sync())) == "1ZI"
        assert other.run("EXECUTE mine") == [("other",)]
        assert kinds(other.ask(query("DEALLOCATE mine"))) == "CZI"
        assert errors(other.ask(query("EXECUTE mine"))) == ["26000"]


def test_asyncpg(target):
    async def work():
        connection = await asyncpg.connect(target.server.url(), ssl=False, timeout=20, command_timeout=30)
        try:
            statement = await connection.prepare("SELECT $1::int + 1", name="mine")
            for number in range(3):
                assert await connection.fetchval(f"EXECUTE mine({number})") == number + 1
                assert await statement.fetchval(number) == number + 1
            await connection.execute("DEALLOCATE mine")
            with pytest.raises(asyncpg.exceptions.InvalidSQLStatementNameError):
                await statement.fetchval(1)
        finally:
            await connection.close()

    asyncio.run(work())


def test_psycopg(target):
    with psycopg.connect(target.server.url(), autocommit=True, prepare_threshold=0) as connection:
        for turn in range(3):
            assert connection.execute("SELECT %s::int", [turn]).fetchone() == (turn,)
        assert connection.execute("EXECUTE _pg3_0(7)", prepare=False).fetchone() == (7,)
        with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
            connection.execute("PREPARE _pg3_0 AS SELECT 1", prepare=False)
        assert connection.execute("SELECT %s::int", [8]).fetchone() == (8,)
        with connection.pipeline():
            connection.execute("SELECT 1", prepare=False)
            connection.execute("DEALLOCATE _pg3_0", prepare=False)
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            connection.execute("SELECT %s::int", [9])
