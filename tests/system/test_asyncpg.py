"""asyncpg with its statement cache, its pool, cursors, COPY and introspection of types."""

import asyncio
import datetime
import decimal
import io

import asyncpg
import pytest


def run(target, work, count=1, **keywords):
    """Runs work(connection, number) on that many connections at the same time."""
    url = target.server.url()

    async def one(number):
        connection = await asyncpg.connect(url, ssl=False, timeout=20, command_timeout=30, **keywords)
        try:
            return await work(connection, number)
        finally:
            await connection.close()

    async def all_of_them():
        return await asyncio.gather(*(one(number) for number in range(count)))

    return asyncio.run(all_of_them())


@pytest.mark.core
def test_statement_cache(target):
    async def work(connection, number):
        for turn in range(20):
            assert await connection.fetchval("SELECT $1::int + $2::int", number, turn) == number + turn
            assert await connection.fetchval(f"SELECT {turn % 7} + $1::int", number) == turn % 7 + number
        return True

    assert all(run(target, work, 12))


def test_small_and_no_statement_cache(target):
    async def work(connection, number):
        for turn in range(25):
            assert await connection.fetchval(f"SELECT {turn % 11} + $1::int", number) == turn % 11 + number
        return True

    assert all(run(target, work, 6, statement_cache_size=3))
    assert all(run(target, work, 6, statement_cache_size=0))


def test_prepare_then_use(target):
    async def work(connection, number):
        statement = await connection.prepare("SELECT $1::int AS n, $2::text AS word")
        assert [attribute.name for attribute in statement.get_attributes()] == ["n", "word"]
        for turn in range(10):
            assert tuple(await statement.fetchrow(turn, f"{number}")) == (turn, f"{number}")
        return True

    assert all(run(target, work, 8))


def test_transactions_and_savepoints(target):
    async def work(connection, number):
        async with connection.transaction():
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with connection.transaction():
                    await connection.execute("SELECT 1/0")
            assert await connection.fetchval("SELECT pg_backend_pid()") == pid
        async with connection.transaction(isolation="serializable", readonly=True):
            assert await connection.fetchval("SHOW transaction_isolation") == "serializable"
            assert await connection.fetchval("SHOW transaction_read_only") == "on"
        assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
        return True

    assert all(run(target, work, 6))


def test_cursors(target):
    async def work(connection, number):
        async with connection.transaction():
            found = [row[0] async for row in connection.cursor("SELECT generate_series(1, $1::int)", 130, prefetch=20)]
            assert found == list(range(1, 131))
            cursor = await connection.cursor("SELECT generate_series(1, 10)")
            assert len(await cursor.fetch(4)) == 4
            await cursor.forward(2)
            assert (await cursor.fetchrow())[0] == 7
        return True

    assert all(run(target, work, 6))


def test_errors(target):
    async def work(connection, number):
        for _ in range(3):
            with pytest.raises(asyncpg.UndefinedTableError):
                await connection.fetch("SELECT * FROM nowhere WHERE n = $1", 1)
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.fetch("SELECT 1/$1::int", 0)
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await connection.execute("SELEC 1; SELECT 2")
            assert await connection.fetchval("SELECT $1::text", f"{number}") == f"{number}"
        return True

    assert all(run(target, work, 6))


def test_types_are_introspected(target):
    async def work(connection, number):
        value = await connection.fetchval("SELECT ROW(1, 'a'::text, 1.5::numeric)")
        assert tuple(value) == (1, "a", decimal.Decimal("1.5"))
        await connection.execute(
            "DROP TYPE IF EXISTS mood, pair CASCADE; CREATE TYPE mood AS ENUM ('calm', 'wild');"
            " CREATE TYPE pair AS (a int, m mood)"
        )
        assert await connection.fetchval("SELECT 'wild'::mood") == "wild"
        assert tuple(await connection.fetchval("SELECT ROW(1, 'calm')::pair")) == (1, "calm")
        assert await connection.fetchval("SELECT $1::mood[]", ["calm", "wild"]) == ["calm", "wild"]
        day = datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)
        assert await connection.fetchval("SELECT $1::timestamptz", day) == day
        return True

    assert run(target, work) == [True]


def test_changed_schema_is_noticed(target):
    async def work(connection, number):
        await connection.execute("DROP TABLE IF EXISTS moving; CREATE TABLE moving (a int)")
        await connection.execute("INSERT INTO moving VALUES (1)")
        assert len(await connection.fetchrow("SELECT * FROM moving")) == 1
        await connection.execute("ALTER TABLE moving ADD b int")
        assert len(await connection.fetchrow("SELECT * FROM moving")) == 2
        return True

    assert run(target, work) == [True]


def test_copy(target):
    async def work(connection, number):
        await connection.execute("DROP TABLE IF EXISTS copied_over; CREATE TABLE copied_over (n int, word text)")
        records = [(n, f"word {n}") for n in range(3000)]
        assert await connection.copy_records_to_table("copied_over", records=records) == "COPY 3000"
        out = io.BytesIO()
        await connection.copy_from_query("SELECT n FROM copied_over ORDER BY n LIMIT $1", 3, output=out)
        assert out.getvalue() == b"0\n1\n2\n"
        with pytest.raises(asyncpg.PostgresError):
            await connection.copy_to_table("copied_over", source=io.BytesIO(b"many\twords\n"))

        async def broken():
            yield b"1\tone\n"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await connection.copy_to_table("copied_over", source=broken())
        assert await connection.fetchval("SELECT count(*) FROM copied_over") == 3000
        return True

    assert run(target, work) == [True]


def test_executemany(target):
    async def work(connection, number):
        await connection.execute(f"DROP TABLE IF EXISTS batch{number}; CREATE TABLE batch{number} (n int)")
        await connection.executemany(f"INSERT INTO batch{number} VALUES ($1)", [(n,) for n in range(2500)])
        with pytest.raises(asyncpg.NumericValueOutOfRangeError):
            await connection.executemany(f"INSERT INTO batch{number} VALUES ($1::bigint)", [(1,), (2**40,), (2,)])
        assert await connection.fetchval(f"SELECT count(*) FROM batch{number}") == 2500
        return True

    assert all(run(target, work, 3))


def test_its_pool_over_ours(pooled):
    """Each release sends its reset query, with DISCARD-like effect on that client only."""
    url = pooled.server.url()

    async def work():
        async with asyncpg.create_pool(url, ssl=False, min_size=6, max_size=6) as pool:

            async def one(number):
                for turn in range(8):
                    async with pool.acquire() as connection:
                        assert await connection.fetchval("SHOW application_name") == ""
                        await connection.execute(f"SET application_name = '{number}.{turn}'")
                        assert await connection.fetchval("SHOW application_name") == f"{number}.{turn}"
                        assert await connection.fetchval("SELECT $1::int", turn) == turn
                return True

            return await asyncio.gather(*(one(number) for number in range(12)))

    assert all(asyncio.run(work()))


def test_server_settings(pooled):
    async def work(connection, number):
        for _ in range(5):
            assert await connection.fetchval("SHOW application_name") == "from asyncpg"
            assert await connection.fetchval("SHOW work_mem") == "3MB"
        return True

    assert all(run(pooled, work, 3, server_settings={"application_name": "from asyncpg", "work_mem": "3MB"}))
    assert run(pooled, lambda connection, _: connection.fetchval("SHOW work_mem")) == ["4MB"]


def test_cancelled_while_a_query_runs(target):
    async def work(connection, number):
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await connection.fetchval("SELECT pg_sleep(20)", timeout=0.05)
            assert await connection.fetchval("SELECT $1::int", number) == number
        return True

    assert all(run(target, work, 2))
