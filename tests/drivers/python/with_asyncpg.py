"""asyncpg, by connections and by its pool, with its statement cache and its codecs as they are."""

import asyncio
import csv
import hashlib
import io
import json
import time
from contextlib import asynccontextmanager

import asyncpg

import values
from harness import (
    BATCH, CANCELLED_SECONDS, CANCEL_AFTER, CLIENTS, COPY_ROWS, LARGE_BYTES, LARGE_CLIENTS,
    NOTIFICATIONS, STATEMENTS, STATEMENT_CLIENTS, TRANSACTIONS, UNHARMED_SECONDS, URL, Row, asked,
    at_once_async, create, expect, expect_cancelled, one_observation, setup,
)  # fmt: skip


class Connection(Row):
    version = asyncpg.__version__

    @asynccontextmanager
    async def client(self):
        connection = await asyncpg.connect(URL)
        try:
            yield connection
        finally:
            await connection.close()

    async def independently(self, work):
        """For what one client does to its statements, and others must not."""
        return await at_once_async(work)

    async def crud(self):
        table = self.table("crud")
        create(table, "id int, owner int, word text")

        async def work(number):
            async with self.client() as connection:
                for i in range(20):
                    tag = await connection.execute(f"INSERT INTO {table} VALUES ($1, $2, $3)", i, number, f"w{i}")
                    expect(tag, "INSERT 0 1")
                for i in range(20):
                    row = await connection.fetchrow(f"SELECT * FROM {table} WHERE id = $1 AND owner = $2", i, number)
                    expect(dict(row), {"id": i, "owner": number, "word": f"w{i}"})
                tag = await connection.execute(f"UPDATE {table} SET word = $1 WHERE owner = $2 AND id < $3",
                                               "new", number, 15)  # fmt: skip
                expect(tag, "UPDATE 15")
                for i in range(20):
                    tag = await connection.execute(f"DELETE FROM {table} WHERE id = $1 AND owner = $2", i, number)
                    expect(tag, "DELETE 1")
                expect(await connection.fetch(f"SELECT * FROM {table} WHERE owner = $1", number), [])

        await at_once_async(work)

    async def types(self):
        document = json.dumps(values.DOCUMENT)

        async def work(_number):
            async with self.client() as connection:
                for name, value in values.COMMON:
                    expect(await connection.fetchval(f"SELECT $1::{name}", value), value, name)
                for name in ("json", "jsonb"):  # texts unless the application sets a codec
                    expect(json.loads(await connection.fetchval(f"SELECT $1::{name}", document)), values.DOCUMENT)
                    await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
                    expect(await connection.fetchval(f"SELECT $1::{name}", values.DOCUMENT), values.DOCUMENT)
                # Types that asyncpg asks the catalogue about.
                expect(await connection.fetchval("SELECT $1::mood[]", ["sad", None]), ["sad", None])
                expect((await connection.fetchval("SELECT $1::int4range", asyncpg.Range(1, 5))).upper, 5)

        await at_once_async(work)

    async def statements(self):
        async def work(number):
            async with self.client() as connection:
                for turn in range(2):
                    for i in range(STATEMENTS):
                        sql, wanted = values.statement(i, "$1")
                        for x in (number, turn):
                            expect(await connection.fetchval(sql, x), wanted(x), sql)
                named = await connection.prepare("SELECT $1::int4 AS a, $2::text AS b")
                for i in range(10):
                    expect(tuple(await named.fetchrow(i, "x")), (i, "x"))

        await at_once_async(work, STATEMENT_CLIENTS)

    async def batch(self):
        table = self.table("batch")
        create(table, "owner int, id int, double int GENERATED ALWAYS AS (id * 2) STORED")

        async def work(number):
            async with self.client() as connection:
                await connection.executemany(f"INSERT INTO {table} (owner, id) VALUES ($1, $2)",
                                             [(number, i) for i in range(BATCH)])  # fmt: skip
                rows = await connection.fetchmany(f"SELECT id, double FROM {table} WHERE owner = $1 AND id = $2",
                                                  [(number, i) for i in reversed(range(BATCH))])  # fmt: skip
                expect([tuple(row) for row in rows], [(i, 2 * i) for i in reversed(range(BATCH))])

        await at_once_async(work)

    async def copy(self):
        for number in range(CLIENTS):
            create(self.table(f"copy_{number}"), values.COPY_COLUMNS)

        async def work(number):
            table = self.table(f"copy_{number}")
            rows = values.copy_rows(COPY_ROWS, number)
            async with self.client() as connection:
                expect(await connection.copy_records_to_table(table, records=rows), f"COPY {COPY_ROWS}")
                out = io.BytesIO()
                await connection.copy_from_query(f"SELECT * FROM {table} ORDER BY id", output=out, format="csv")
                found = list(csv.reader(io.StringIO(out.getvalue().decode())))
                expect([(int(i), word or None) for i, word, _ in found], [row[:2] for row in rows])
                await connection.execute(f"TRUNCATE {table}")

                async def halfway():
                    for row in rows[: COPY_ROWS // 2]:
                        yield row
                    raise KeyError("the client's own")

                try:
                    await connection.copy_records_to_table(table, records=halfway())
                except KeyError:
                    aborted = "aborted"
                try:
                    await connection.copy_to_table(table, source=io.BytesIO(b"1\tone\t1\n2\ttwo\tmany\n"))
                except asyncpg.InvalidTextRepresentationError as error:
                    bad_row = f"{error.sqlstate} {error.args[0]}"
                expect(await connection.fetchval(f"SELECT count(*) FROM {table}"), 0)
                expect(await connection.copy_records_to_table(table, records=rows[:10]), "COPY 10")
                return f"{aborted}; {bad_row}"

        return one_observation(await at_once_async(work))

    async def transactions(self):
        table = self.table("transactions")
        create(table, "owner int, word text UNIQUE")

        async def work(number):
            insert = f"INSERT INTO {table} VALUES ($1, $2)"
            async with self.client() as connection:
                async with connection.transaction():
                    await connection.execute(insert, number, f"kept {number}")
                    async with connection.transaction():
                        await connection.execute(insert, number, f"nested {number}")
                    try:
                        async with connection.transaction():
                            await connection.execute(insert, number, f"lost {number}")
                            await connection.execute(insert, number, f"kept {number}")
                    except asyncpg.UniqueViolationError:
                        pass
                    expect(await connection.fetchval(f"SELECT count(*) FROM {table} WHERE owner = $1", number), 2)
                async with self.client() as other:
                    seen = await other.fetch(f"SELECT word FROM {table} WHERE owner = $1 ORDER BY word", number)
                    expect([row[0] for row in seen], [f"kept {number}", f"nested {number}"])
                rollback = connection.transaction()
                await rollback.start()
                await connection.execute(f"DELETE FROM {table} WHERE owner = $1", number)
                await rollback.rollback()
                expect(await connection.fetchval(f"SELECT count(*) FROM {table} WHERE owner = $1", number), 2)
                async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
                    expect(await connection.fetchval("SHOW transaction_isolation"), "serializable")
                    expect(await connection.fetchval("SHOW transaction_read_only"), "on")
                    rows = [row[0] async for row in connection.cursor("SELECT generate_series(1, 100)")]
                    expect(rows, list(range(1, 101)))
                expect(await connection.fetchval("SHOW transaction_isolation"), "read committed")

        await at_once_async(work)

    async def pipeline_errors(self):
        table = self.table("errors")
        create(table, "owner int, id int, UNIQUE (owner, id)")

        async def work(number):
            rows = [(number, i) for i in range(100)]
            async with self.client() as connection:
                try:
                    await connection.executemany(f"INSERT INTO {table} VALUES ($1, $2)",
                                                 [*rows, (number, 50), (number, 1000)])  # fmt: skip
                except asyncpg.PostgresError as error:
                    seen = error.sqlstate
                left = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE owner = $1", number)
                try:
                    await connection.fetchmany("SELECT 10 / $1::int", [(1,), (2,), (0,), (5,)])
                except asyncpg.PostgresError as error:
                    seen += f", {error.sqlstate} {error}"
                await connection.executemany(f"INSERT INTO {table} VALUES ($1, $2)", rows)
                expect(await connection.fetchval(f"SELECT count(*) FROM {table} WHERE owner = $1", number), left + 100)
                return f"{seen}; {left} rows left"

        return one_observation(await at_once_async(work))

    async def large_rows(self):
        async def work(number):
            value = bytes([65 + number]) * LARGE_BYTES
            async with self.client() as connection:
                found = await connection.fetchrow("SELECT $1::bytea AS value, md5($1::bytea) AS sum", value)
                expect(found["sum"], hashlib.md5(value).hexdigest())
                expect(found["value"] == value, True)

        await at_once_async(work, LARGE_CLIENTS)

    async def cancel(self):
        async def work(number):
            async with self.client() as connection:
                for turn in range(2):
                    if (number + turn) % 2:
                        expect(await connection.fetchval(f"SELECT pg_sleep({UNHARMED_SECONDS})::text"), "")
                        continue
                    started = time.monotonic()
                    if number % 4 == 0:  # by the timeout of the call
                        try:
                            await connection.execute(f"SELECT pg_sleep({CANCELLED_SECONDS})", timeout=CANCEL_AFTER)
                        except TimeoutError:
                            expect_cancelled(started, "57014")
                    else:  # by cancelling the task
                        sleep = asyncio.create_task(connection.fetch("SELECT pg_sleep($1)", CANCELLED_SECONDS))
                        await asyncio.sleep(CANCEL_AFTER)
                        sleep.cancel()
                        try:
                            await sleep
                        except asyncio.CancelledError:
                            expect_cancelled(started, "57014")
                    # asyncpg waits with this until its request has done its work.
                    expect(await connection.fetchval("SELECT $1::int", number), number)
                    expect(time.monotonic() - started < CANCELLED_SECONDS, True)

        await at_once_async(work)

    async def notify(self):
        channel = self.table("channel")
        heard, done = [], asyncio.Event()

        def hear(_connection, _pid, name, payload):
            heard.append((name, payload))
            if len(heard) == NOTIFICATIONS:
                done.set()

        async def work(number):
            async with self.client() as connection:
                if number == 0:
                    await connection.add_listener(channel, hear)
                    listening.set()
                    await asyncio.wait_for(done.wait(), 20)
                    await connection.fetchval("SELECT 1")  # any that came twice would be here now
                    await connection.remove_listener(channel, hear)
                    return
                await listening.wait()
                for i in range(NOTIFICATIONS):
                    async with connection.transaction():
                        if number == 1:
                            await connection.execute("SELECT pg_notify($1, $2)", channel, f"payload {i} 😀")
                        else:
                            await connection.fetchval("SELECT $1::int", i)

        listening = asyncio.Event()
        await at_once_async(work)
        expect(heard, [(channel, f"payload {i} 😀") for i in range(NOTIFICATIONS)])

    async def session_set(self):
        async def work(number):
            settings = values.settings_of(number)
            wanted = tuple(settings.values())
            async with self.client() as connection:
                before = tuple(await connection.fetchrow(values.SEE_SETTINGS.replace("'my.name'", "'my.name', true")))
                for name, value in settings.items():
                    if name == "search_path":
                        await connection.execute(f"SET search_path = {value}")
                    elif name == "my.name":
                        await connection.fetchval(f"SELECT set_config('{name}', $1, false)", value)
                    else:
                        await connection.execute(f"SET {name} = '{value}'")
                for i in range(TRANSACTIONS):
                    async with connection.transaction():
                        expect(tuple(await connection.fetchrow(values.SEE_SETTINGS)), wanted)
                        if i % 10 == 0:
                            await connection.execute("SET LOCAL my.name = 'local'")
                            expect(await connection.fetchval("SHOW my.name"), "local")
                    expect(tuple(await connection.fetchrow(values.SEE_SETTINGS)), wanted)
                await connection.execute("RESET ALL")
                after = tuple(await connection.fetchrow(values.SEE_SETTINGS))
                # A custom setting that once had a value is empty, not NULL, when it is reset.
                expect(after, (*before[:3], ""))

        await at_once_async(work)

    async def schema_change(self):
        for number in range(CLIENTS):
            create(self.table(f"change_{number}"), "id int, amount int")
            setup(f"INSERT INTO {self.table(f'change_{number}')} VALUES (1, 10)")

        async def work(number):
            table = self.table(f"change_{number}")
            select = f"SELECT * FROM {table} WHERE id = $1"
            seen = []

            async def look(connection):
                try:
                    seen.append(str(tuple(await connection.fetchrow(select, 1))))
                except asyncpg.PostgresError as error:
                    seen.append(f"{type(error).__name__} {error.sqlstate}")

            async def change(sql):
                async with self.client() as other:
                    await other.execute(sql)

            async with self.client() as connection:
                for _ in range(8):
                    await look(connection)
                await change(f"ALTER TABLE {table} ADD COLUMN word text DEFAULT 'new'")
                await look(connection)
                await change(f"ALTER TABLE {table} ALTER COLUMN amount TYPE text")
                await look(connection)
                await change(f"ALTER TABLE {table} ADD COLUMN more int DEFAULT 7")
                try:
                    async with connection.transaction():
                        await look(connection)
                        await look(connection)
                except asyncpg.PostgresError as error:
                    seen.append(error.sqlstate)
                await look(connection)
            return "; ".join(dict.fromkeys(seen[:8])) + "; then " + "; ".join(seen[8:])

        observed = one_observation(await self.independently(work))
        expect(len(asked(f"SELECT * FROM {self.table('change_0')}")[0]), 4)
        return observed


class Pool(Connection):
    """Clients take their connections out of asyncpg's pool, which resets what they bring back."""

    async def open(self):
        self.pool = await asyncpg.create_pool(URL, min_size=1, max_size=2 * CLIENTS)

    async def close(self):
        await self.pool.close()

    def client(self):
        return self.pool.acquire()

    async def independently(self, work):
        # A statement that has become invalid makes asyncpg forget those of the whole pool.
        return [await work(number) for number in range(CLIENTS)]
