"""SQLAlchemy 2 with asyncio, over asyncpg and psycopg: engine with its pool, Core and ORM, as they are."""

import asyncio
import hashlib
import io
import time

import asyncpg
import psycopg
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import models
import values
from harness import (
    BATCH, CANCELLED_SECONDS, CANCEL_AFTER, CLIENTS, COPY_ROWS, LARGE_BYTES, LARGE_CLIENTS,
    NOTIFICATIONS, STATEMENTS, STATEMENT_CLIENTS, TRANSACTIONS, UNHARMED_SECONDS, URL, Row,
    at_once_async, create, expect, expect_cancelled, one_observation, setup,
)  # fmt: skip


class Engine(Row):
    """What both drivers have in common."""

    dialect = ""
    # Of equal statements, so that the driver prepares them.
    executions = 6

    async def open(self):
        self.engine = create_async_engine(sa.make_url(URL).set(drivername=f"postgresql+{self.dialect}"))

    async def close(self):
        await self.engine.dispose()

    async def create(self, table):
        async with self.engine.begin() as connection:
            await connection.run_sync(table.metadata.drop_all)
            await connection.run_sync(table.metadata.create_all)

    async def crud(self):
        word = models.word_model(self.table("crud"))
        await self.create(word)

        async def work(number):
            async with AsyncSession(self.engine) as session:
                session.add_all(word(id=i, owner=number, word=f"w{i}") for i in range(20))
                await session.commit()
                for i in range(20):
                    found = await session.get(word, (i, number), populate_existing=True)
                    expect((found.word, found.created_at is not None), (f"w{i}", True))
                    found.word = f"changed {i}"
                await session.commit()
                update = sa.update(word).where(word.owner == number, word.id < 15).values(word="new")
                expect((await session.execute(update)).rowcount, 15)
                await session.commit()
                words = await session.scalars(sa.select(word.word).where(word.owner == number).order_by(word.id))
                expect(list(words), ["new"] * 15 + [f"changed {i}" for i in range(15, 20)])
                for each in await session.scalars(sa.select(word).where(word.owner == number)):
                    await session.delete(each)
                await session.commit()
                expect(await session.scalar(sa.select(sa.func.count()).where(word.owner == number)), 0)

        await at_once_async(work)

    async def types(self):
        table = models.types_table(self.table("types"))
        await self.create(table)

        async def work(number):
            async with self.engine.connect() as connection:
                for i, record in enumerate(models.RECORDS):
                    await connection.execute(table.insert().values(id=number * 100 + i, **record))
                    row = (await connection.execute(table.select().where(table.c.id == number * 100 + i))).one()
                    expect({name: row._mapping[name] for name in record}, record)
                await connection.commit()

        await at_once_async(work)

    async def statements(self):
        async def work(number):
            async with self.engine.connect() as connection:
                for executions in (self.executions, 1):
                    for i in range(STATEMENTS):
                        sql, wanted = values.statement(i, "CAST(:x AS int4)")
                        for x in range(number, number + executions):
                            expect(await connection.scalar(sa.text(sql), {"x": x}), wanted(x), sql)
                    await connection.commit()

        await at_once_async(work, STATEMENT_CLIENTS)

    async def batch(self):
        word = models.word_model(self.table("batch"))
        await self.create(word)

        async def work(number):
            async with AsyncSession(self.engine) as session:
                session.add_all(word(id=i, owner=number, word=f"w{i}") for i in range(BATCH))
                await session.flush()  # many rows in one INSERT with RETURNING
                rows = [{"id": BATCH + i, "owner": number, "word": f"w{BATCH + i}"} for i in range(BATCH)]
                await (await session.connection()).execute(sa.insert(word.__table__), rows)
                returned = await session.scalars(
                    sa.insert(word).returning(word.id, sort_by_parameter_order=True),
                    [{"id": 2 * BATCH + i, "owner": number, "word": "w"} for i in range(BATCH)])  # fmt: skip
                expect(list(returned), [2 * BATCH + i for i in range(BATCH)])
                await session.commit()
                ids = await session.scalars(sa.select(word.id).where(word.owner == number).order_by(word.id))
                expect(list(ids), list(range(3 * BATCH)))

        await at_once_async(work)

    async def copy(self):
        """By the driver's own connection, as SQLAlchemy has no COPY."""
        for number in range(CLIENTS):
            create(self.table(f"copy_{number}"), values.COPY_COLUMNS)

        async def work(number):
            table = self.table(f"copy_{number}")
            text = "".join(f"{i}\trow {i} of {number} żółć\t{i}.25\n" for i in range(COPY_ROWS))
            async with self.engine.connect() as connection:
                await connection.execute(sa.text("SELECT 1"))  # begins a transaction
                driver = (await connection.get_raw_connection()).driver_connection
                await self.copy_in(driver, table, text)
                await connection.commit()
                await connection.execute(sa.text("SELECT 1"))
                expect(await self.copy_out(driver, f"SELECT * FROM {table} ORDER BY id") == text, True)
                await connection.commit()
                await connection.execute(sa.text("SELECT 1"))
                try:
                    await self.copy_in(driver, table, f"{COPY_ROWS}\tone\t1\n2\ttwo\tmany\n")
                except Exception as error:  # the drivers have no class in common
                    seen = error.sqlstate
                await connection.rollback()
                expect(await connection.scalar(sa.text(f"SELECT count(*) FROM {table}")), COPY_ROWS)
                return seen

        return one_observation(await at_once_async(work))

    async def transactions(self):
        word = models.word_model(self.table("transactions"))
        await self.create(word)

        async def work(number):
            count = sa.select(sa.func.count()).where(word.owner == number)
            async with AsyncSession(self.engine) as session, session.begin():
                session.add(word(id=1, owner=number, word="kept"))
                async with session.begin_nested():
                    session.add(word(id=2, owner=number, word="nested"))
                try:
                    async with session.begin_nested():
                        session.add(word(id=3, owner=number, word="lost"))
                        await session.flush()
                        await session.execute(sa.insert(word).values(id=1, owner=number, word="twice"))
                except exc.IntegrityError:
                    pass
                expect(await session.scalar(count), 2)
            async with AsyncSession(self.engine) as session:
                await session.execute(sa.delete(word).where(word.owner == number, word.id == 1))
                await session.rollback()
            async with AsyncSession(self.engine) as other:
                words = await other.scalars(sa.select(word.word).where(word.owner == number).order_by(word.id))
                expect(list(words), ["kept", "nested"])
            serializable = self.engine.execution_options(isolation_level="SERIALIZABLE")
            async with serializable.connect() as connection:
                expect(await connection.scalar(sa.text("SHOW transaction_isolation")), "serializable")
            autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            async with autocommit.connect() as connection:
                await connection.execute(sa.delete(word).where(word.owner == number, word.id == 2))
            async with self.engine.connect() as connection:
                expect(await connection.scalar(sa.text("SHOW transaction_isolation")), "read committed")
                expect(await connection.scalar(count), 1)
                series = sa.text("SELECT generate_series(1, 100)")
                async with connection.stream_scalars(series) as stream:
                    expect([value async for value in stream], list(range(1, 101)))

        await at_once_async(work)

    async def pipeline_errors(self):
        word = models.word_model(self.table("errors"))
        await self.create(word)

        async def work(number):
            seen = []
            rows = [{"id": i, "owner": number, "word": f"w{i}"} for i in [*range(100), 50, 1000]]
            async with self.engine.connect() as connection:
                for statement, parameters in ((sa.insert(word.__table__), rows), (sa.text("SELECT 1"), None)):
                    try:
                        await connection.execute(statement, parameters)
                    except exc.DBAPIError as error:
                        seen.append(f"{type(error).__name__} {error.orig.sqlstate}")
                await connection.rollback()
                seen.append(str(await connection.scalar(sa.select(sa.func.count()).where(word.owner == number))))
                await connection.execute(sa.insert(word.__table__), rows[:100])
                await connection.commit()
                seen.append(str(await connection.scalar(sa.select(sa.func.count()).where(word.owner == number))))
            return "; ".join(seen)

        return one_observation(await at_once_async(work))

    async def large_rows(self):
        async def work(number):
            value = bytes([65 + number]) * LARGE_BYTES
            async with self.engine.connect() as connection:
                given = sa.bindparam("value", value, sa.LargeBinary)
                inner = sa.select(sa.cast(given, sa.LargeBinary).label("value")).subquery()
                found = (await connection.execute(sa.select(inner.c.value, sa.func.md5(inner.c.value)))).one()
                expect(found[1], hashlib.md5(value).hexdigest())
                expect(bytes(found[0]) == value, True)

        await at_once_async(work, LARGE_CLIENTS)

    async def cancel(self):
        async def work(number):
            for turn in range(2):
                if (number + turn) % 2:
                    async with self.engine.connect() as connection:
                        expect(await connection.scalar(sa.text(f"SELECT pg_sleep({UNHARMED_SECONDS})::text")), "")
                    continue
                started = time.monotonic()
                try:
                    async with asyncio.timeout(CANCEL_AFTER), self.engine.connect() as connection:
                        await connection.execute(sa.select(sa.func.pg_sleep(CANCELLED_SECONDS)))
                except TimeoutError:
                    expect_cancelled(started, "57014")
                expect(time.monotonic() - started < CANCELLED_SECONDS, True)
                async with self.engine.connect() as connection:
                    expect(await connection.scalar(sa.select(sa.literal(number))), number)

        await at_once_async(work)

    async def notify(self):
        channel = self.table("channel")
        listening = asyncio.Event()

        async def work(number):
            if number == 0:
                async with self.engine.connect() as connection:
                    autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
                    driver = (await autocommit.get_raw_connection()).driver_connection
                    return await self.heard_by(autocommit, driver, channel, listening)
            await listening.wait()
            for i in range(NOTIFICATIONS):
                async with self.engine.begin() as connection:
                    if number == 1:
                        await connection.execute(sa.select(sa.func.pg_notify(channel, f"payload {i} 😀")))
                    else:
                        expect(await connection.scalar(sa.select(sa.literal(i))), i)
            return None

        heard = (await at_once_async(work))[0]
        expect(heard, [(channel, f"payload {i} 😀") for i in range(NOTIFICATIONS)])

    async def session_set(self):
        async def work(number):
            settings = values.settings_of(number)
            wanted = tuple(settings.values())
            async with self.engine.connect() as connection:
                async def run(sql):
                    return await connection.execute(sa.text(sql))

                async def see(sql=values.SEE_SETTINGS):
                    return tuple((await run(sql)).one())

                before = await see(values.SEE_SETTINGS.replace("'my.name'", "'my.name', true"))
                for name, value in settings.items():
                    await run(f"SET {name} = {value if name == 'search_path' else repr(value)}")
                await connection.commit()
                for i in range(TRANSACTIONS):
                    expect(await see(), wanted)
                    if i % 10 == 0:
                        await run("SET LOCAL my.name = 'local'")
                        expect(await see("SHOW my.name"), ("local",))
                    await connection.commit()
                await run("SET my.name = 'rolled back'")
                await connection.rollback()
                expect(await see(), wanted)
                for name in settings:
                    await run(f"RESET {name}")
                await connection.commit()
                # A custom setting that once had a value is empty, not NULL, when it is reset.
                expect(await see(), (*before[:3], ""))

        await at_once_async(work)

    async def schema_change(self):
        for number in range(CLIENTS):
            create(self.table(f"change_{number}"), "id int, amount int")
            setup(f"INSERT INTO {self.table(f'change_{number}')} VALUES (1, 10)")

        async def work(number):
            table = self.table(f"change_{number}")
            seen = []

            async def look(connection, times=1, end=True):
                for _ in range(times):
                    try:
                        found = await connection.execute(sa.text(f"SELECT * FROM {table} WHERE id = :id"), {"id": 1})
                        seen.append(str(tuple(found.one())))
                    except exc.DBAPIError as error:
                        seen.append(f"{type(error).__name__} {error.orig.sqlstate}")
                    if end:
                        await connection.rollback()

            async def change(sql):
                async with self.engine.begin() as other:
                    await other.execute(sa.text(sql))

            async with self.engine.connect() as connection:
                await look(connection, 8)
                await change(f"ALTER TABLE {table} ADD COLUMN word text DEFAULT 'new'")
                await look(connection, 3)
                await change(f"ALTER TABLE {table} ALTER COLUMN amount TYPE text")
                await look(connection, 8)
                await change(f"ALTER TABLE {table} ADD COLUMN more int DEFAULT 7")
                await look(connection, 2, end=False)
                await connection.rollback()
                await look(connection, 2)
            return "; ".join(seen[7:])

        # One after the other: where one statement has become invalid, SQLAlchemy forgets all of the engine's.
        return one_observation([await work(number) for number in range(CLIENTS)])


class Asyncpg(Engine):
    dialect = "asyncpg"
    executions = 2
    version = f"{sa.__version__}, {asyncpg.__version__}"

    async def copy_in(self, driver, table, text):
        await driver.copy_to_table(table, source=io.BytesIO(text.encode()))

    async def copy_out(self, driver, query):
        out = io.BytesIO()
        await driver.copy_from_query(query, output=out)
        return out.getvalue().decode()

    async def heard_by(self, connection, driver, channel, listening):
        heard = []
        await driver.add_listener(channel, lambda _driver, _pid, name, payload: heard.append((name, payload)))
        listening.set()
        until = time.monotonic() + 20
        while len(heard) < NOTIFICATIONS and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await connection.scalar(sa.text("SELECT 1"))  # any that came twice would be here now
        await driver.reset()
        return heard


class Psycopg(Engine):
    dialect = "psycopg"
    version = f"{sa.__version__}, {psycopg.__version__}"

    async def copy_in(self, driver, table, text):
        async with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            await copy.write(text)

    async def copy_out(self, driver, query):
        async with driver.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT") as copy:
            return b"".join([bytes(part) async for part in copy]).decode()

    async def heard_by(self, connection, driver, channel, listening):
        await connection.execute(sa.text(f"LISTEN {channel}"))
        listening.set()
        heard = [each async for each in driver.notifies(timeout=20, stop_after=NOTIFICATIONS)]
        await connection.execute(sa.text("SELECT 1"))
        heard += [each async for each in driver.notifies(timeout=0)]  # any that came twice
        await connection.execute(sa.text("UNLISTEN *"))
        return [(each.channel, each.payload) for each in heard]
