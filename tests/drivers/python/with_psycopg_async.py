"""psycopg 3 with asyncio."""

import asyncio
import hashlib
import time

import psycopg
from psycopg import errors
from psycopg.types.json import Json, Jsonb

import values
from harness import (
    BATCH, CANCELLED_SECONDS, CANCEL_AFTER, CLIENTS, COPY_ROWS, LARGE_BYTES, LARGE_CLIENTS,
    NOTIFICATIONS, STATEMENTS, STATEMENT_CLIENTS, TRANSACTIONS, UNHARMED_SECONDS, URL, Row,
    at_once_async, create, expect, expect_cancelled, one_observation, setup,
)  # fmt: skip

# A statement is prepared when it has been executed five times.
EXECUTIONS = 6


async def connect(autocommit=True):
    return await psycopg.AsyncConnection.connect(URL, autocommit=autocommit)


async def all_of(connection, sql, parameters=None):
    return await (await connection.execute(sql, parameters)).fetchall()


async def value_of(connection, sql, parameters=None):
    return (await (await connection.execute(sql, parameters)).fetchone())[0]


class Connection(Row):
    version = psycopg.__version__

    async def crud(self):
        table = self.table("crud")
        create(table, "id int, owner int, word text")

        async def work(number):
            async with await connect(autocommit=False) as connection:
                for i in range(20):
                    cursor = await connection.execute(f"INSERT INTO {table} VALUES (%s, %s, %s)", (i, number, f"w{i}"))
                    expect(cursor.rowcount, 1)
                await connection.commit()
                for i in range(20):
                    found = await all_of(connection, f"SELECT * FROM {table} WHERE id = %s AND owner = %s", (i, number))
                    expect(found, [(i, number, f"w{i}")])
                await connection.commit()
                cursor = await connection.execute(f"UPDATE {table} SET word = %s WHERE owner = %s AND id < %s",
                                                  ("new", number, 15))  # fmt: skip
                expect(cursor.rowcount, 15)
                await connection.commit()
                for i in range(20):
                    cursor = await connection.execute(f"DELETE FROM {table} WHERE id = %s AND owner = %s", (i, number))
                    expect(cursor.rowcount, 1)
                expect(await all_of(connection, f"SELECT * FROM {table} WHERE owner = %s", (number,)), [])

        await at_once_async(work)

    async def types(self):
        async def work(_number):
            async with await connect() as connection:
                for name, value in values.COMMON:
                    expect(await value_of(connection, f"SELECT %s::{name}", (value,)), value, name)
                for kind in (Json, Jsonb):
                    found = await value_of(connection, f"SELECT %s::{kind.__name__}", (kind(values.DOCUMENT),))
                    expect(found, values.DOCUMENT)

        await at_once_async(work)

    async def statements(self):
        async def work(number):
            async with await connect() as connection:
                for executions in (EXECUTIONS, 1):
                    for i in range(STATEMENTS):
                        sql, wanted = values.statement(i, "%s")
                        for x in range(number, number + executions):
                            expect(await value_of(connection, sql, (x,)), wanted(x), sql)

        await at_once_async(work, STATEMENT_CLIENTS)

    async def batch(self):
        table = self.table("batch")
        create(table, "owner int, id int, double int GENERATED ALWAYS AS (id * 2) STORED")

        async def work(number):
            async with await connect() as connection, connection.cursor() as cursor:
                await cursor.executemany(f"INSERT INTO {table} (owner, id) VALUES (%s, %s) RETURNING double",
                                         [(number, i) for i in range(BATCH)], returning=True)  # fmt: skip
                expect([(await result.fetchone())[0] async for result in cursor.results()],
                       [2 * i for i in range(BATCH)])  # fmt: skip
                async with connection.pipeline():
                    cursors = [await connection.execute(f"SELECT double FROM {table} WHERE owner = %s AND id = %s",
                                                        (number, i)) for i in range(BATCH)]  # fmt: skip
                expect([(await each.fetchone())[0] for each in cursors], [2 * i for i in range(BATCH)])

        await at_once_async(work)

    async def copy(self):
        for number in range(CLIENTS):
            create(self.table(f"copy_{number}"), values.COPY_COLUMNS)

        async def work(number):
            table = self.table(f"copy_{number}")
            rows = values.copy_rows(COPY_ROWS, number)
            async with await connect() as connection, connection.cursor() as cursor:
                async with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in rows:
                        await copy.write_row(row)
                expect(cursor.rowcount, COPY_ROWS)
                async with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT") as copy:
                    copy.set_types(["int4", "text", "numeric"])
                    expect([row async for row in copy.rows()], rows)
                await cursor.execute(f"TRUNCATE {table}")
                seen = []
                try:
                    async with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        for row in rows[: COPY_ROWS // 2]:
                            await copy.write_row(row)
                        raise KeyError("the client's own")
                except KeyError:
                    seen.append("aborted")
                try:
                    async with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        await copy.write("1\tone\t1\n2\ttwo\tmany\n")
                except psycopg.Error as error:
                    seen.append(f"{error.sqlstate} {error.diag.message_primary}")
                expect(await value_of(connection, f"SELECT count(*) FROM {table}"), 0)
                return "; ".join(seen)

        return one_observation(await at_once_async(work))

    async def transactions(self):
        table = self.table("transactions")
        create(table, "owner int, word text UNIQUE")

        async def work(number):
            insert = f"INSERT INTO {table} VALUES (%s, %s)"
            count = f"SELECT count(*) FROM {table} WHERE owner = %s"
            async with await connect(autocommit=False) as connection:
                await connection.execute(insert, (number, f"kept {number}"))
                async with connection.transaction():
                    await connection.execute(insert, (number, f"nested {number}"))
                try:
                    async with connection.transaction():
                        await connection.execute(insert, (number, f"lost {number}"))
                        await connection.execute(insert, (number, f"kept {number}"))
                except errors.UniqueViolation:
                    pass
                async with connection.transaction():
                    await connection.execute(insert, (number, f"lost {number}"))
                    raise psycopg.Rollback
                expect(await value_of(connection, count, (number,)), 2)
                await connection.commit()
                async with await connect() as other:
                    seen = await all_of(other, f"SELECT word FROM {table} WHERE owner = %s ORDER BY word", (number,))
                    expect(seen, [(f"kept {number}",), (f"nested {number}",)])
                await connection.execute(f"DELETE FROM {table} WHERE owner = %s", (number,))
                await connection.rollback()
                expect(await value_of(connection, count, (number,)), 2)
                await connection.rollback()
                await connection.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)
                await connection.set_read_only(True)
                expect(await value_of(connection, "SHOW transaction_isolation"), "serializable")
                expect(await value_of(connection, "SHOW transaction_read_only"), "on")
                async with connection.cursor(name="series") as cursor:  # a cursor on the server
                    cursor.itersize = 10
                    await cursor.execute("SELECT generate_series(1, 100)")
                    expect([row[0] async for row in cursor], list(range(1, 101)))
                await connection.rollback()
                await connection.set_isolation_level(None)
                await connection.set_read_only(None)
                expect(await value_of(connection, "SHOW transaction_isolation"), "read committed")

        await at_once_async(work)

    async def pipeline_errors(self):
        table = self.table("errors")
        create(table, "owner int, id int, UNIQUE (owner, id)")

        async def work(number):
            insert, seen = f"INSERT INTO {table} VALUES (%s, %s)", []
            count = f"SELECT count(*) FROM {table} WHERE owner = %s"
            async with await connect() as connection, connection.cursor() as cursor:
                try:
                    rows = [*((number, i) for i in range(100)), (number, 50), (number, 1000)]
                    await cursor.executemany(insert, rows)
                except errors.UniqueViolation as error:
                    seen.append(error.sqlstate)
                seen.append(f"{await value_of(connection, count, (number,))} rows")
                cursors = [connection.cursor() for _ in range(5)]
                try:
                    async with connection.pipeline() as pipeline:
                        await cursors[0].execute(insert, (number, 2000))
                        await pipeline.sync()
                        await cursors[1].execute(insert, (number, 3000))
                        for i in (2, 3, 4):  # the second one fails, the third is skipped
                            await cursors[i].execute("SELECT 10 / %s::int", (i - 3,))
                except errors.DivisionByZero as error:
                    seen.append(f"{error.sqlstate} {error.diag.message_primary}")
                seen.append(f"{await value_of(connection, count, (number,))} rows")
                return "; ".join(seen)

        return one_observation(await at_once_async(work))

    async def large_rows(self):
        async def work(number):
            value = bytes([65 + number]) * LARGE_BYTES
            async with await connect() as connection:
                cursor = connection.cursor(binary=True)
                await cursor.execute("SELECT value, md5(value) FROM (VALUES (%b::bytea)) v (value)", (value,))
                found, checksum = await cursor.fetchone()
                expect(checksum, hashlib.md5(value).hexdigest())
                expect(found == value, True)

        await at_once_async(work, LARGE_CLIENTS)

    async def cancel(self):
        async def work(number):
            async with await connect() as connection:
                for turn in range(2):
                    if (number + turn) % 2:
                        expect(await value_of(connection, "SELECT pg_sleep(%s)::text", (UNHARMED_SECONDS,)), "")
                        continue
                    started = time.monotonic()
                    sleep = asyncio.create_task(connection.execute("SELECT pg_sleep(%s)", (CANCELLED_SECONDS,)))
                    await asyncio.sleep(CANCEL_AFTER)
                    if number % 4 == 0:
                        await connection.cancel_safe()
                    else:
                        sleep.cancel()  # psycopg then asks the server to cancel
                    try:
                        await sleep
                    except errors.QueryCanceled as error:
                        expect_cancelled(started, error.sqlstate)
                    except asyncio.CancelledError:
                        expect_cancelled(started, "57014")
                    expect(time.monotonic() - started < CANCELLED_SECONDS, True)
                    expect(await value_of(connection, "SELECT %s::int", (number,)), number)

        await at_once_async(work)

    async def notify(self):
        channel = self.table("channel")
        listening = asyncio.Event()

        async def listen(connection):
            await connection.execute(f"LISTEN {channel}")
            listening.set()
            heard = [each async for each in connection.notifies(timeout=20, stop_after=NOTIFICATIONS)]
            await connection.execute("SELECT 1")
            heard += [each async for each in connection.notifies(timeout=0)]  # any that came twice
            return [(each.channel, each.payload) for each in heard]

        async def work(number):
            async with await connect() as connection:
                if number == 0:
                    return await listen(connection)
                await listening.wait()
                for i in range(NOTIFICATIONS):
                    async with connection.transaction():
                        if number == 1:
                            await connection.execute("SELECT pg_notify(%s, %s)", (channel, f"payload {i} 😀"))
                        else:
                            expect(await value_of(connection, "SELECT %s::int", (i,)), i)

        heard = (await at_once_async(work))[0]
        expect(heard, [(channel, f"payload {i} 😀") for i in range(NOTIFICATIONS)])

    async def session_set(self):
        async def work(number):
            settings = values.settings_of(number)
            wanted = [tuple(settings.values())]
            async with await connect() as connection:
                before = await all_of(connection, values.SEE_SETTINGS.replace("'my.name'", "'my.name', true"))
                for name, value in settings.items():
                    quoted = value if name == "search_path" else f"'{value}'"
                    await connection.execute(f"SET {name} = {quoted}")
                for i in range(TRANSACTIONS):
                    async with connection.transaction():
                        expect(await all_of(connection, values.SEE_SETTINGS), wanted)
                        if i % 10 == 0:
                            await connection.execute("SET LOCAL my.name = 'local'")
                            expect(await value_of(connection, "SHOW my.name"), "local")
                    expect(await all_of(connection, values.SEE_SETTINGS), wanted)
                    expect(str(connection.info.timezone), settings["TimeZone"])
                await connection.execute("RESET ALL")
                # A custom setting that once had a value is empty, not NULL, when it is reset.
                expect(await all_of(connection, values.SEE_SETTINGS), [(*before[0][:3], "")])

        await at_once_async(work)

    async def schema_change(self):
        for number in range(CLIENTS):
            create(self.table(f"change_{number}"), "id int, amount int")
            setup(f"INSERT INTO {self.table(f'change_{number}')} VALUES (1, 10)")

        async def work(number):
            table = self.table(f"change_{number}")
            seen = []

            async def look(connection, times=1):
                for _ in range(times):
                    try:
                        found = await all_of(connection, f"SELECT * FROM {table} WHERE id = %s", (1,))
                        seen.append(str(found[0]))
                    except psycopg.Error as error:
                        seen.append(f"{error.sqlstate} {error.diag.message_primary}")

            async def change(sql):
                async with await connect() as other:
                    await other.execute(sql)

            async with await connect() as connection:
                await look(connection, 8)
                await change(f"ALTER TABLE {table} ADD COLUMN word text DEFAULT 'new'")
                await look(connection, 2)
                await change(f"ALTER TABLE {table} ALTER COLUMN amount TYPE text")
                await look(connection, 8)
                await change(f"ALTER TABLE {table} ADD COLUMN more int DEFAULT 7")
                try:
                    async with connection.transaction():
                        await look(connection, 2)
                except psycopg.Error as error:
                    seen.append(str(error.sqlstate))
                await look(connection)
            return "; ".join(seen[7:])

        return one_observation(await at_once_async(work))
