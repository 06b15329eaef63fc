"""psycopg2: every statement is a simple query with its parameters in the text."""

import hashlib
import io
import ipaddress
import select
import threading
import time
from contextlib import contextmanager

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import errors

import values
from harness import (
    BATCH, CANCELLED_SECONDS, CANCEL_AFTER, CLIENTS, COPY_ROWS, LARGE_BYTES, LARGE_CLIENTS,
    NOTIFICATIONS, STATEMENTS, STATEMENT_CLIENTS, TRANSACTIONS, UNHARMED_SECONDS, URL, Row, asked,
    at_once, create, expect, expect_cancelled, one_observation, setup,
)  # fmt: skip

# As documented, for types that psycopg2 leaves to the application.
psycopg2.extras.register_uuid()
psycopg2.extras.register_ipaddress()


class Connection(Row):
    version = psycopg2.__version__.split()[0]

    @contextmanager
    def client(self, autocommit=True):
        connection = psycopg2.connect(URL)
        connection.autocommit = autocommit
        try:
            yield connection, connection.cursor()
        finally:
            connection.close()

    def crud(self):
        table = self.table("crud")
        create(table, "id int, owner int, word text")

        def work(number):
            with self.client(autocommit=False) as (connection, cursor):
                for i in range(20):
                    cursor.execute(f"INSERT INTO {table} VALUES (%s, %s, %s)", (i, number, f"w{i}"))
                    expect(cursor.rowcount, 1)
                connection.commit()
                for i in range(20):
                    cursor.execute(f"SELECT * FROM {table} WHERE id = %s AND owner = %s", (i, number))
                    expect(cursor.fetchall(), [(i, number, f"w{i}")])
                connection.commit()
                cursor.execute(f"UPDATE {table} SET word = %s WHERE owner = %s AND id < %s", ("new", number, 15))
                expect(cursor.rowcount, 15)
                connection.commit()
                for i in range(20):
                    cursor.execute(f"DELETE FROM {table} WHERE id = %s AND owner = %s", (i, number))
                    expect(cursor.rowcount, 1)
                cursor.execute(f"SELECT * FROM {table} WHERE owner = %s", (number,))
                expect(cursor.fetchall(), [])

        at_once(work)

    def types(self):
        def work(_number):
            with self.client() as (_, cursor):
                for name, value in values.COMMON:
                    if name == "inet":  # what register_ipaddress() takes is with its network
                        value = ipaddress.ip_interface(value)
                    cursor.execute(f"SELECT CAST(%s AS {name})", (value,))
                    found = cursor.fetchone()[0]
                    expect(bytes(found) if isinstance(found, memoryview) else found, value, name)
                for name in ("json", "jsonb"):
                    cursor.execute(f"SELECT %s::{name}", (psycopg2.extras.Json(values.DOCUMENT),))
                    expect(cursor.fetchone()[0], values.DOCUMENT)

        at_once(work)

    def statements(self):
        def work(number):
            with self.client() as (_, cursor):
                for turn in range(2):
                    for i in range(STATEMENTS):
                        sql, wanted = values.statement(i, "%s")
                        cursor.execute(sql, (number + turn,))
                        expect(cursor.fetchone()[0], wanted(number + turn), sql)

        at_once(work, STATEMENT_CLIENTS)

    def batch(self):
        table = self.table("batch")
        create(table, "owner int, id int, double int GENERATED ALWAYS AS (id * 2) STORED, place serial")

        def work(number):
            insert = f"INSERT INTO {table} (owner, id) VALUES "
            with self.client() as (_, cursor):
                cursor.executemany(insert + "(%s, %s)", [(number, i) for i in range(BATCH)])
                # Many statements, then many rows, in one message.
                psycopg2.extras.execute_batch(cursor, insert + "(%s, %s)", [(number, BATCH + i) for i in range(BATCH)])
                doubles = psycopg2.extras.execute_values(
                    cursor, insert + "%s RETURNING double", [(number, 2 * BATCH + i) for i in range(BATCH)],
                    page_size=BATCH, fetch=True)  # fmt: skip
                expect([row[0] for row in doubles], [4 * BATCH + 2 * i for i in range(BATCH)])
                cursor.execute(f"SELECT id FROM {table} WHERE owner = %s ORDER BY place", (number,))
                expect([row[0] for row in cursor.fetchall()], list(range(3 * BATCH)))

        at_once(work)

    def copy(self):
        for number in range(CLIENTS):
            create(self.table(f"copy_{number}"), values.COPY_COLUMNS)

        def work(number):
            table = self.table(f"copy_{number}")
            words = ["\\N", *(f"row {i} of {number} żółć" for i in range(1, 7))]
            text = "".join(f"{i}\t{words[i % 7]}\t{i}.25\n" for i in range(COPY_ROWS))
            with self.client() as (_, cursor):
                cursor.copy_from(io.StringIO(text), table)
                expect(cursor.rowcount, COPY_ROWS)
                out = io.StringIO()
                cursor.copy_expert(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT", out)
                expect(out.getvalue() == text, True)
                cursor.execute(f"TRUNCATE {table}")
                seen = []
                try:
                    cursor.copy_from(Broken(text), table)
                except psycopg2.Error as error:
                    seen.append(str(error.pgcode))
                try:
                    cursor.copy_from(io.StringIO("1\tone\t1\n2\ttwo\tmany\n"), table)
                except psycopg2.Error as error:
                    seen.append(f"{error.pgcode} {error.diag.message_primary}")
                cursor.execute(f"SELECT count(*) FROM {table}")
                expect(cursor.fetchone()[0], 0)
                return "; ".join(seen)

        return one_observation(at_once(work))

    def transactions(self):
        table = self.table("transactions")
        create(table, "owner int, word text UNIQUE")

        def work(number):
            insert = f"INSERT INTO {table} VALUES (%s, %s)"
            count = f"SELECT count(*) FROM {table} WHERE owner = %s"
            with self.client(autocommit=False) as (connection, cursor):
                with connection:
                    cursor.execute(insert, (number, f"kept {number}"))
                    cursor.execute("SAVEPOINT one")
                    cursor.execute(insert, (number, f"nested {number}"))
                    cursor.execute("RELEASE one")
                    cursor.execute("SAVEPOINT two")
                    try:
                        cursor.execute(insert, (number, f"kept {number}"))
                    except errors.UniqueViolation:
                        cursor.execute("ROLLBACK TO two")
                    cursor.execute(count, (number,))
                    expect(cursor.fetchone()[0], 2)
                seen = asked(f"SELECT word FROM {table} WHERE owner = {number} ORDER BY word")
                expect(seen, [(f"kept {number}",), (f"nested {number}",)])
                cursor.execute(f"DELETE FROM {table} WHERE owner = %s", (number,))
                connection.rollback()
                cursor.execute(count, (number,))
                expect(cursor.fetchone()[0], 2)
                connection.rollback()
                connection.set_session(isolation_level="SERIALIZABLE", readonly=True)
                cursor.execute("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
                expect(cursor.fetchone(), ("serializable", "on"))
                with connection.cursor("series") as series:  # a cursor on the server
                    series.itersize = 10
                    series.execute("SELECT generate_series(1, 100)")
                    expect([row[0] for row in series], list(range(1, 101)))
                connection.rollback()
                connection.set_session(isolation_level="DEFAULT", readonly="DEFAULT")
                cursor.execute("SHOW transaction_isolation")
                expect(cursor.fetchone()[0], "read committed")

        at_once(work)

    def pipeline_errors(self):
        """There is no pipeline: several statements in one message, and execute_batch, which sends such."""
        table = self.table("errors")
        create(table, "owner int, id int, UNIQUE (owner, id)")

        def work(number):
            seen = []
            with self.client() as (_, cursor):
                def failing(call, *arguments):
                    try:
                        call(*arguments)
                    except psycopg2.Error as error:
                        seen.append(error.pgcode)
                    cursor.execute(f"SELECT count(*) FROM {table} WHERE owner = %s", (number,))
                    seen.append(f"{cursor.fetchone()[0]} rows")

                insert = f"INSERT INTO {table} VALUES (%s, %s)"
                rows = [*((number, i) for i in range(150)), (number, 120), (number, 1000)]
                failing(psycopg2.extras.execute_batch, cursor, insert, rows)  # pages of 100
                failing(cursor.execute, f"INSERT INTO {table} VALUES ({number}, 2000); SELECT 1 / 0; SELECT 1")
                failing(cursor.execute, f"INSERT INTO {table} VALUES ({number}, 3000); COMMIT; SELECT 1 / 0")
                failing(cursor.executemany, insert, [(number, 4000), (number, 4000), (number, 4001)])
                return "; ".join(seen)

        return one_observation(at_once(work))

    def large_rows(self):
        def work(number):
            value = bytes([65 + number]) * LARGE_BYTES
            with self.client() as (_, cursor):
                cursor.execute("SELECT value, md5(value) FROM (VALUES (%s::bytea)) v (value)", (value,))
                found, checksum = cursor.fetchone()
                expect(checksum, hashlib.md5(value).hexdigest())
                expect(bytes(found) == value, True)

        at_once(work, LARGE_CLIENTS)

    def cancel(self):
        def work(number):
            with self.client() as (connection, cursor):
                for turn in range(2):
                    if (number + turn) % 2:
                        cursor.execute("SELECT pg_sleep(%s)::text", (UNHARMED_SECONDS,))
                        expect(cursor.fetchone()[0], "")
                        continue
                    timer = threading.Timer(CANCEL_AFTER, connection.cancel)
                    timer.start()
                    started = time.monotonic()
                    try:
                        cursor.execute("SELECT pg_sleep(%s)", (CANCELLED_SECONDS,))
                    except errors.QueryCanceled as error:
                        expect_cancelled(started, error.pgcode)
                    timer.join()
                    expect(time.monotonic() - started < CANCELLED_SECONDS, True)
                    cursor.execute("SELECT %s::int", (number,))
                    expect(cursor.fetchone()[0], number)

        at_once(work)

    def notify(self):
        channel = self.table("channel")
        listening = threading.Event()

        def listen(connection, cursor):
            cursor.execute(f"LISTEN {channel}")
            listening.set()
            until = time.monotonic() + 20
            while len(connection.notifies) < NOTIFICATIONS and time.monotonic() < until:
                select.select([connection], [], [], 1)
                connection.poll()
            cursor.execute("SELECT 1")  # any that came twice would be here now
            return [(each.channel, each.payload) for each in connection.notifies]

        def work(number):
            with self.client() as (connection, cursor):
                if number == 0:
                    return listen(connection, cursor)
                listening.wait()
                connection.autocommit = False
                for i in range(NOTIFICATIONS):
                    if number == 1:
                        cursor.execute("SELECT pg_notify(%s, %s)", (channel, f"payload {i} 😀"))
                    else:
                        cursor.execute("SELECT %s::int", (i,))
                        expect(cursor.fetchone()[0], i)
                    connection.commit()
                return None

        expect(at_once(work)[0], [(channel, f"payload {i} 😀") for i in range(NOTIFICATIONS)])

    def session_set(self):
        def work(number):
            settings = values.settings_of(number)
            wanted = tuple(settings.values())
            with self.client(autocommit=False) as (connection, cursor):
                def see(sql=values.SEE_SETTINGS):
                    cursor.execute(sql)
                    return cursor.fetchone()

                before = see(values.SEE_SETTINGS.replace("'my.name'", "'my.name', true"))
                for name, value in settings.items():
                    cursor.execute(f"SET {name} = {value if name == 'search_path' else repr(value)}")
                connection.commit()
                for i in range(TRANSACTIONS):
                    expect(see(), wanted)
                    if i % 10 == 0:
                        cursor.execute("SET LOCAL my.name = 'local'")
                        expect(see("SHOW my.name"), ("local",))
                    connection.commit()
                    expect(connection.get_parameter_status("TimeZone"), settings["TimeZone"])
                cursor.execute("SET my.name = 'rolled back'")
                connection.rollback()
                expect(see(), wanted)
                for name in settings:
                    cursor.execute(f"RESET {name}")
                connection.commit()
                # A custom setting that once had a value is empty, not NULL, when it is reset.
                expect(see(), (*before[:3], ""))

        at_once(work)

    def schema_change(self):
        """psycopg2 prepares nothing by itself: an application does by SQL's PREPARE."""
        for number in range(CLIENTS):
            create(self.table(f"change_{number}"), "id int, amount int")
            setup(f"INSERT INTO {self.table(f'change_{number}')} VALUES (1, 10)")

        def work(number):
            table = self.table(f"change_{number}")
            seen = []

            def look(cursor, *statements):
                for sql in statements or (f"SELECT * FROM {table} WHERE id = 1", "EXECUTE look (1)"):
                    try:
                        cursor.execute(sql)
                        seen.append(str(cursor.fetchone()))
                    except psycopg2.Error as error:
                        seen.append(f"{error.pgcode} {error.diag.message_primary}")

            with self.client() as (connection, cursor):
                cursor.execute(f"PREPARE look (int) AS SELECT * FROM {table} WHERE id = $1")
                for _ in range(4):
                    look(cursor)
                setup(f"ALTER TABLE {table} ADD COLUMN word text DEFAULT 'new'")
                look(cursor)
                setup(f"ALTER TABLE {table} ALTER COLUMN amount TYPE text")
                look(cursor)
                connection.autocommit = False
                look(cursor)
                connection.rollback()
                cursor.execute("DEALLOCATE look")
                look(cursor)
                connection.rollback()
                connection.autocommit = True
                cursor.execute(f"PREPARE look (int) AS SELECT * FROM {table} WHERE id = $1")
                look(cursor)
            return "; ".join(seen[6:])

        return one_observation(at_once(work))


class Broken(io.StringIO):
    """A file whose second half cannot be read."""

    def read(self, *size):
        if self.tell() > 0:
            raise OSError("the disk is gone")
        return super().read(*size)
