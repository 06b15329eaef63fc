"""psycopg 3 with everything that it does of itself: prepared statements, binary, cursors, async."""

import asyncio
import datetime
import decimal
import uuid

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb


@pytest.fixture
def connection(target):
    with psycopg.connect(target.server.url()) as connection:
        yield connection


@pytest.fixture
def crowd(target, threads):
    """Runs work(number, connection) for many clients at the same time."""

    def run(work, clients=12):
        url = target.server.url()

        def one(number):
            with psycopg.connect(url, autocommit=True) as connection:
                return work(number, connection)

        return list(threads.map(one, range(clients)))

    return run


@pytest.mark.core
def test_statements_prepared_by_use(crowd):
    def work(number, connection):
        connection.prepare_threshold = 2
        for turn in range(15):
            row = connection.execute("SELECT %s::int + %s, %s", [number, turn, f"{number}"]).fetchone()
            assert row == (number + turn, f"{number}")
            assert connection.execute(f"SELECT {number % 3}, %s", [turn], binary=True).fetchone() == (number % 3, turn)
        return True

    assert all(crowd(work))


def test_more_statements_than_it_keeps(crowd):
    """It closes what it has too much of, which must neither fail nor hurt anybody."""

    def work(number, connection):
        connection.prepare_threshold = 0
        connection.prepared_max = 5
        for turn in range(40):
            assert connection.execute(f"SELECT {turn % 13} + %s", [number]).fetchone() == (turn % 13 + number,)
        return True

    assert all(crowd(work, 6))


@pytest.mark.parametrize("binary", [False, True])
def test_values_of_many_types(connection, binary):
    values = [
        1, -(2**40), 1.5, decimal.Decimal("12345.678900"), "text ü€😀", b"\0\1\xff", True, None,
        datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
        datetime.timedelta(days=3, seconds=5), uuid.UUID(int=5), [1, 2, None],
    ]  # fmt: skip
    cursor = connection.cursor(binary=binary)
    for value in values:
        assert cursor.execute("SELECT %s", [value]).fetchone() == (value,)
    assert cursor.execute("SELECT %s", [Jsonb({"a": [1, None]})]).fetchone() == ({"a": [1, None]},)


def test_transactions(connection, target):
    connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
    connection.execute("TRUNCATE kept")
    connection.commit()
    with connection.transaction():
        connection.execute("INSERT INTO kept VALUES (1)")
        with pytest.raises(psycopg.errors.DivisionByZero):
            with connection.transaction():
                connection.execute("INSERT INTO kept VALUES (2)")
                connection.execute("SELECT 1/0")
        connection.execute("INSERT INTO kept VALUES (3)")
    connection.execute("INSERT INTO kept VALUES (4)")
    connection.rollback()
    assert connection.execute("SELECT n FROM kept ORDER BY n").fetchall() == [(1,), (3,)]
    connection.commit()
    assert target.wire().run("SELECT count(*) FROM kept") == [("2",)]


def test_server_side_cursors(connection):
    with connection.cursor("named") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT * FROM generate_series(1, 1000)")
        assert [row[0] for row in cursor] == list(range(1, 1001))
    with connection.cursor("scrolls", scrollable=True) as cursor:
        cursor.execute("SELECT * FROM generate_series(1, 10)")
        assert cursor.fetchmany(3) == [(1,), (2,), (3,)]
        cursor.scroll(-2)
        assert cursor.fetchone() == (2,)
    connection.commit()


def test_cursor_with_hold(connection):
    with connection.cursor("held", withhold=True) as cursor:
        cursor.execute("SELECT * FROM generate_series(1, 5)")
        connection.commit()
        assert cursor.fetchall() == [(n,) for n in range(1, 6)]
    connection.commit()


def test_stream_and_executemany(connection):
    assert [row[0] for row in connection.cursor().stream("SELECT * FROM generate_series(1, %s)", [500])] == list(
        range(1, 501)
    )
    connection.execute("CREATE TABLE IF NOT EXISTS many (n int, word text)")
    connection.execute("TRUNCATE many")
    connection.cursor().executemany("INSERT INTO many VALUES (%s, %s)", [(n, str(n)) for n in range(300)])
    cursor = connection.cursor()
    cursor.executemany("SELECT word FROM many WHERE n = %s", [(n,) for n in range(20)], returning=True)
    words = [cursor.fetchone()[0]]
    while cursor.nextset():
        words.append(cursor.fetchone()[0])
    assert words == [str(n) for n in range(20)]
    connection.commit()


def test_errors_are_the_servers(connection):
    with pytest.raises(psycopg.errors.UndefinedTable) as caught:
        connection.execute("SELECT *\nFROM nowhere")
    assert caught.value.diag.statement_position == "15"
    connection.rollback()
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        connection.execute("DO $$ BEGIN RAISE 'a %', 'word' USING DETAIL = 'more', HINT = 'do'; END $$")
    diagnosis = caught.value.diag
    assert (diagnosis.message_primary, diagnosis.message_detail, diagnosis.message_hint) == ("a word", "more", "do")
    connection.rollback()


def test_notices(connection):
    heard = []
    connection.add_notice_handler(lambda diagnosis: heard.append(diagnosis.message_primary))
    connection.execute("DO $$ BEGIN RAISE NOTICE 'first'; RAISE WARNING 'second'; END $$")
    assert heard == ["first", "second"]


def test_connection_info(connection, open_target):
    with psycopg.connect(open_target("direct").server.url()) as direct:
        for name in ("server_version", "client_encoding", "DateStyle", "TimeZone", "is_superuser",
                     "session_authorization", "integer_datetimes", "IntervalStyle"):  # fmt: skip
            assert connection.info.parameter_status(name) == direct.info.parameter_status(name)
    assert connection.info.backend_pid != 0


def test_async_clients(target):
    url = target.server.url()

    async def work(number):
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row)
        async with connection:
            for turn in range(10):
                cursor = await connection.execute("SELECT %s::int AS n, pg_sleep(0.001)", [number * turn])
                assert (await cursor.fetchone())["n"] == number * turn
            async with connection.transaction():
                first = await (await connection.execute("SELECT pg_backend_pid() AS pid")).fetchone()
                second = await (await connection.execute("SELECT pg_backend_pid() AS pid")).fetchone()
                assert first == second
            async with connection.pipeline():
                cursors = [await connection.execute("SELECT %s::int AS n", [n]) for n in range(10)]
            assert [(await cursor.fetchone())["n"] for cursor in cursors] == list(range(10))

    async def all_of_them():
        await asyncio.gather(*(work(number) for number in range(15)))

    asyncio.run(all_of_them())


def test_client_encoding_is_changed_by_the_driver(connection):
    connection.execute("SET client_encoding TO latin1")
    connection.commit()
    assert connection.info.encoding == "iso8859-1"
    assert connection.execute("SELECT 'naïve'").fetchone() == ("naïve",)
