"""docs/sqlalchemy.md: keys of an engine that may go, stay or were meant for another pooler, each
against a pgsluice with fewer connections than the engine has."""

import asyncio
import uuid

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

CLIENTS = 6


@pytest.fixture
def way(open_pooled):
    return open_pooled(size=2, overflow=0, timeout="5s")


def engine_of(way, **keywords):
    url = way.url.replace("postgresql:", "postgresql+asyncpg:")
    keywords = keywords if "poolclass" in keywords else {"pool_size": CLIENTS, "max_overflow": 0, **keywords}
    return create_async_engine(url, **keywords)


async def run_statements(engine, rounds):
    """Every client runs statements of the same texts, and of its own, by turns."""

    async def client(number):
        for turn in range(rounds):
            async with engine.begin() as connection:
                query = text("SELECT CAST(:one AS int) + 1, pg_backend_pid()")
                same, pid = (await connection.execute(query, {"one": turn})).one()
                own = await connection.scalar(text(f"SELECT 'client {number}, {turn % 5}'"))
                assert (same, own) == (turn + 1, f"client {number}, {turn % 5}")
                pids.add(pid)

    pids = set()
    try:
        await asyncio.gather(*map(client, range(CLIENTS)))
    finally:
        await engine.dispose()
    return pids


@pytest.mark.parametrize("arguments", [
    {},
    {"statement_cache_size": 0},
    {"prepared_statement_cache_size": 0},
    {"prepared_statement_name_func": lambda: f"__asyncpg_{uuid.uuid4()}__"},
    {"statement_cache_size": 0, "prepared_statement_cache_size": 0,
     "prepared_statement_name_func": lambda: f"__asyncpg_{uuid.uuid4()}__"},
], ids=["defaults", "no cache of asyncpg", "no cache of SQLAlchemy", "names of UUIDs", "all three"])  # fmt: skip
@pytest.mark.parametrize("pool", [{}, {"poolclass": NullPool}], ids=["pool", "NullPool"])
def test_statements_are_prepared_whatever_the_caches(way, arguments, pool):
    rounds = 4 if pool else 15  # a login for each, where there is no pool
    pids = asyncio.run(run_statements(engine_of(way, connect_args=arguments, **pool), rounds))
    assert len(pids) <= 2


@pytest.mark.parametrize("pre_ping", [True, False])
def test_restart_of_pgsluice(way, pre_ping):
    """What the application's pre_ping is still good for, and what becomes of it without."""

    async def play():
        engine = engine_of(way, pool_pre_ping=pre_ping)
        connections = [await engine.connect() for _ in range(3)]
        for connection in connections:
            await connection.execute(text("SELECT 1"))
            await connection.close()
        way.daemon.finish()
        way.daemon.exit_status = None
        way.daemon.log_file.rename(way.daemon.log_file.with_suffix(".first"))
        way.daemon.start()
        failed = 0
        for _ in range(6):
            try:
                async with engine.connect() as connection:
                    assert await connection.scalar(text("SELECT 1")) == 1
            except DBAPIError as error:
                assert error.connection_invalidated
                failed += 1
        await engine.dispose()
        return failed

    assert asyncio.run(play()) == (0 if pre_ping else 1)


def test_pgsluices_timeout_reaches_the_application(open_pooled):
    way = open_pooled(size=1, overflow=0, timeout="300ms")

    async def play():
        engine = engine_of(way)
        async with engine.connect() as holder, engine.connect() as waiter:
            await holder.execute(text("SELECT 1"))  # in a transaction from here on
            with pytest.raises(DBAPIError, match="is at its limit: size 1, overflow 0") as raised:
                await waiter.execute(text("SELECT 1"))
            assert raised.value.orig.sqlstate == "53300"
            assert not raised.value.connection_invalidated
            await waiter.rollback()
            await holder.rollback()
            # asyncpg never forgets a BEGIN that failed: it must have been the statement that did.
            assert await waiter.scalar(text("SELECT 2")) == 2
        await engine.dispose()

    asyncio.run(play())


def test_server_settings_of_the_application_and_of_the_file(open_pooled):
    way = open_pooled(size=1, overflow=0, server_settings="jit=off, work_mem=5MB")

    async def seen(**settings):
        engine = engine_of(way, connect_args={"server_settings": settings})
        async with engine.connect() as connection:
            names = ("jit", "work_mem", "application_name")
            values = [await connection.scalar(text(f"SHOW {name}")) for name in names]
        await engine.dispose()
        return values

    async def play():
        assert await seen(application_name="one") == ["off", "5MB", "one"]
        assert await seen(application_name="two", jit="on") == ["on", "5MB", "two"]
        assert await seen() == ["off", "5MB", ""]

    asyncio.run(play())


def test_index_is_created_concurrently(way):
    """As Alembic's autocommit_block() does it."""

    async def play():
        engine = engine_of(way, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text("CREATE TABLE indexed (i int)"))
            await connection.execute(text("CREATE INDEX CONCURRENTLY indexed_i ON indexed (i)"))
        await engine.dispose()

    asyncio.run(play())
    assert way.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'indexed_i'::regclass") == [{"indisvalid": True}]
