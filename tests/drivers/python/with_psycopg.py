"""psycopg 3, sync: as it is, with every statement prepared, by its pool, and in pipeline mode."""

import hashlib
import threading
import time
from contextlib import contextmanager

import psycopg
import psycopg_pool
from psycopg import errors
from psycopg.types.json import Json, Jsonb

import values
from harness import (
    BATCH, CANCELLED_SECONDS, CANCEL_AFTER, CLIENTS, COPY_ROWS, LARGE_BYTES, LARGE_CLIENTS,
    NOTIFICATIONS, STATEMENTS, STATEMENT_CLIENTS, TRANSACTIONS, UNHARMED_SECONDS, URL, Absent, Row,
    asked, at_once, create, expect, expect_cancelled, one_observation, setup,
)  # fmt: skip


class Connection(Row):
    version = psycopg.__version__
    keywords = {}
    # A statement is prepared when it is executed once more than this (psycopg's default is 5).
    executions = 6

    @contextmanager
    def client(self, autocommit=True):
        with psycopg.connect(URL, autocommit=autocommit, **self.keywords) as connection:
            yield connection

    def settle(self, connection):
        """Until all that was sent has been carried out: always so, outside of a pipeline."""

    def affected(self, cursor):
        self.settle(cursor.connection)
        return cursor.rowcount

    def crud(self):
        table = self.table("crud")
        create(table, "id int, owner int, word text")

        def work(number):
            with self.client(autocommit=False) as connection:
                for i in range(20):
                    cursor = connection.execute(f"INSERT INTO {table} VALUES (%s, %s, %s)", (i, number, f"w{i}"))
                    expect(self.affected(cursor), 1)
                connection.commit()
                for i in range(20):
                    cursor = connection.execute(f"SELECT * FROM {table} WHERE id = %s AND owner = %s", (i, number))
                    expect(cursor.fetchall(), [(i, number, f"w{i}")])
                connection.commit()
                cursor = connection.execute(f"UPDATE {table} SET word = %s WHERE owner = %s AND id < %s",
                                            ("new", number, 15))  # fmt: skip
                expect(self.affected(cursor), 15)
                connection.commit()
                for i in range(20):
                    cursor = connection.execute(f"DELETE FROM {table} WHERE id = %s AND owner = %s", (i, number))
                    expect(self.affected(cursor), 1)
                cursor = connection.execute(f"SELECT * FROM {table} WHERE owner = %s", (number,))
                expect(cursor.fetchall(), [])

        at_once(work)

    def types(self):
        def work(_number):
            with self.client() as connection:
                for binary in (False, True):
                    cursor = connection.cursor(binary=binary)
                    for name, value in values.COMMON:
                        if binary and name == "mood":
                            continue  # bytes, unless the application registers the enum
                        cursor.execute(f"SELECT %s::{name}", (value,))
                        expect(cursor.fetchone()[0], value, name)
                    for kind in (Json, Jsonb):
                        cursor.execute(f"SELECT %s::{kind.__name__}", (kind(values.DOCUMENT),))
                        expect(cursor.fetchone()[0], values.DOCUMENT)

        at_once(work)

    def statements(self):
        def work(number):
            with self.client() as connection:
                for executions in (self.executions, 1):
                    for i in range(STATEMENTS):
                        sql, wanted = values.statement(i, "%s")
                        for x in range(number, number + executions):
                            expect(connection.execute(sql, (x,)).fetchone()[0], wanted(x), sql)

        at_once(work, STATEMENT_CLIENTS)

    def batch(self):
        table = self.table("batch")
        create(table, "owner int, id int, double int GENERATED ALWAYS AS (id * 2) STORED")

        def work(number):
            with self.client() as connection, connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {table} (owner, id) VALUES (%s, %s) RETURNING double",
                                   [(number, i) for i in range(BATCH)], returning=True)  # fmt: skip
                expect([result.fetchone()[0] for result in cursor.results()], [2 * i for i in range(BATCH)])
                with connection.pipeline():
                    cursors = [connection.execute(f"SELECT double FROM {table} WHERE owner = %s AND id = %s",
                                                  (number, i)) for i in range(BATCH)]  # fmt: skip
                expect([each.fetchone()[0] for each in cursors], [2 * i for i in range(BATCH)])

        at_once(work)

    def copy(self):
        for number in range(CLIENTS):
            create(self.table(f"copy_{number}"), values.COPY_COLUMNS)

        def work(number):
            table = self.table(f"copy_{number}")
            rows = values.copy_rows(COPY_ROWS, number)
            with self.client() as connection, connection.cursor() as cursor:
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                expect(cursor.rowcount, COPY_ROWS)
                with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
                    copy.set_types(["int4", "text", "numeric"])
                    expect(list(copy.rows()), rows)
                cursor.execute(f"TRUNCATE {table}")
                seen = []
                try:
                    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        for row in rows[: COPY_ROWS // 2]:
                            copy.write_row(row)
                        raise KeyError("the client's own")
                except KeyError:
                    seen.append("aborted")
                try:
                    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        copy.write("1\tone\t1\n2\ttwo\tmany\n")
                except psycopg.Error as error:
                    seen.append(f"{error.sqlstate} {error.diag.message_primary}")
                cursor.execute(f"SELECT count(*) FROM {table}")
                expect(cursor.fetchone()[0], 0)
                try:  # reading that stops half-way makes psycopg cancel the command
                    with cursor.copy("COPY (SELECT generate_series(1, 1000000)) TO STDOUT") as copy:
                        expect(copy.read_row(), ("1",))
                        raise KeyError("enough")
                except KeyError:
                    seen.append("enough")
                expect(connection.execute("SELECT 1").fetchone()[0], 1)
                return "; ".join(seen)

        return one_observation(at_once(work))

    def transactions(self):
        table = self.table("transactions")
        create(table, "owner int, word text UNIQUE")

        def work(number):
            insert = f"INSERT INTO {table} VALUES (%s, %s)"
            count = f"SELECT count(*) FROM {table} WHERE owner = %s"
            with self.client(autocommit=False) as connection:
                connection.execute(insert, (number, f"kept {number}"))
                with connection.transaction():
                    connection.execute(insert, (number, f"nested {number}"))
                try:
                    with connection.transaction():
                        connection.execute(insert, (number, f"lost {number}"))
                        connection.execute(insert, (number, f"kept {number}"))
                except errors.UniqueViolation:
                    pass
                with connection.transaction():
                    connection.execute(insert, (number, f"lost {number}"))
                    raise psycopg.Rollback
                expect(connection.execute(count, (number,)).fetchone()[0], 2)
                connection.commit()
                seen = asked(f"SELECT word FROM {table} WHERE owner = {number} ORDER BY word")
                expect(seen, [(f"kept {number}",), (f"nested {number}",)])
                connection.execute(f"DELETE FROM {table} WHERE owner = %s", (number,))
                connection.rollback()
                expect(connection.execute(count, (number,)).fetchone()[0], 2)
                connection.rollback()
                connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
                connection.read_only = True
                expect(connection.execute("SHOW transaction_isolation").fetchone()[0], "serializable")
                expect(connection.execute("SHOW transaction_read_only").fetchone()[0], "on")
                self.series(connection)
                connection.rollback()
                connection.isolation_level = connection.read_only = None
                expect(connection.execute("SHOW transaction_isolation").fetchone()[0], "read committed")

        at_once(work)

    def series(self, connection):
        """A cursor on the server."""
        with connection.cursor(name="series") as cursor:
            cursor.itersize = 10
            cursor.execute("SELECT generate_series(1, 100)")
            expect([row[0] for row in cursor], list(range(1, 101)))

    def settle_after_error(self, connection):
        """What was skipped may be told late, when the error itself has been raised already."""
        try:
            self.settle(connection)
        except errors.PipelineAborted:
            self.settle(connection)

    def pipeline_errors(self):
        table = self.table("errors")
        create(table, "owner int, id int, UNIQUE (owner, id)")

        def work(number):
            insert, seen = f"INSERT INTO {table} VALUES (%s, %s)", []
            with self.client() as connection, connection.cursor() as cursor:
                try:
                    cursor.executemany(insert, [*((number, i) for i in range(100)), (number, 50), (number, 1000)])
                    self.settle(connection)
                except errors.UniqueViolation as error:
                    seen.append(error.sqlstate)
                self.settle_after_error(connection)
                seen.append(f"{count_of(cursor, table, number)} rows")
                cursors = [connection.cursor() for _ in range(5)]
                try:
                    with connection.pipeline() as pipeline:
                        cursors[0].execute(insert, (number, 2000))
                        pipeline.sync()
                        cursors[1].execute(insert, (number, 3000))
                        for i in (2, 3, 4):  # the second one fails, the third is skipped
                            cursors[i].execute("SELECT 10 / %s::int", (i - 3,))
                except errors.DivisionByZero as error:
                    seen.append(f"{error.sqlstate} {error.diag.message_primary}")
                except errors.PipelineAborted:
                    seen.append("aborted")
                self.settle_after_error(connection)
                seen.append(f"{count_of(cursor, table, number)} rows")
                return "; ".join(seen)

        return one_observation(at_once(work))

    def large_rows(self):
        def work(number):
            value = bytes([65 + number]) * LARGE_BYTES
            with self.client() as connection:
                cursor = connection.cursor(binary=True)
                cursor.execute("SELECT %b::bytea, md5(%b::bytea)", (value, value[:100]))
                found, checksum = cursor.fetchone()
                expect(checksum, hashlib.md5(value[:100]).hexdigest())
                expect(found == value, True)

        at_once(work, LARGE_CLIENTS)

    def cancel(self):
        def work(number):
            with self.client() as connection:
                # Prepared by now where it ever is: a cancel between two messages of one call finds nothing.
                connection.execute("SELECT pg_sleep(%s)", (0,)).fetchone()
                for turn in range(2):
                    if (number + turn) % 2:
                        expect(connection.execute("SELECT pg_sleep(%s)::text", (UNHARMED_SECONDS,)).fetchone()[0], "")
                        continue
                    cancel = connection.cancel_safe if number % 4 == 0 else connection.cancel
                    timer = threading.Timer(CANCEL_AFTER, cancel)
                    timer.start()
                    started = time.monotonic()
                    try:
                        sleep(connection)
                    except errors.QueryCanceled as error:
                        expect_cancelled(started, error.sqlstate)
                        self.settle(connection)
                    timer.join()
                    expect(time.monotonic() - started < CANCELLED_SECONDS, True)
                    expect(connection.execute("SELECT %s::int", (number,)).fetchone()[0], number)

        at_once(work)

    def notify(self):
        channel = self.table("channel")
        listening = threading.Event()

        def work(number):
            if number == 0:
                return listen(channel, listening)
            with self.client() as connection:
                listening.wait()
                for i in range(NOTIFICATIONS):
                    with connection.transaction():
                        if number == 1:
                            connection.execute("SELECT pg_notify(%s, %s)", (channel, f"payload {i} 😀"))
                        else:
                            expect(connection.execute("SELECT %s::int", (i,)).fetchone()[0], i)
                return None

        expect(at_once(work)[0], [(channel, f"payload {i} 😀") for i in range(NOTIFICATIONS)])

    def session_set(self):
        def work(number):
            settings = values.settings_of(number)
            wanted = tuple(settings.values())
            with self.client() as connection:
                before = connection.execute(values.SEE_SETTINGS.replace("'my.name'", "'my.name', true")).fetchone()
                for name, value in settings.items():
                    quoted = value if name == "search_path" else f"'{value}'"
                    connection.execute(f"SET {name} = {quoted}")
                for i in range(TRANSACTIONS):
                    with connection.transaction():
                        expect(connection.execute(values.SEE_SETTINGS).fetchone(), wanted)
                        if i % 10 == 0:
                            connection.execute("SET LOCAL my.name = 'local'")
                            expect(connection.execute("SHOW my.name").fetchone()[0], "local")
                    expect(connection.execute(values.SEE_SETTINGS).fetchone(), wanted)
                    expect(str(connection.info.timezone), settings["TimeZone"])
                for name in settings:
                    connection.execute(f"RESET {name}")
                # A custom setting that once had a value is empty, not NULL, when it is reset.
                expect(connection.execute(values.SEE_SETTINGS).fetchone(), (*before[:3], ""))

        at_once(work)

    def schema_change(self):
        for number in range(CLIENTS):
            create(self.table(f"change_{number}"), "id int, amount int")
            setup(f"INSERT INTO {self.table(f'change_{number}')} VALUES (1, 10)")

        def work(number):
            table = self.table(f"change_{number}")
            seen = []

            def look(connection):
                try:
                    found = connection.execute(f"SELECT * FROM {table} WHERE id = %s", (1,)).fetchone()
                    seen.append(str(found))
                except psycopg.Error as error:
                    seen.append(f"{error.sqlstate} {error.diag.message_primary}")
                    self.settle(connection)

            with self.client() as connection:
                for _ in range(8):
                    look(connection)
                self.settle(connection)
                setup(f"ALTER TABLE {table} ADD COLUMN word text DEFAULT 'new'")
                look(connection)
                look(connection)
                self.settle(connection)
                setup(f"ALTER TABLE {table} ALTER COLUMN amount TYPE text")
                look(connection)
                for _ in range(8):
                    look(connection)
                self.settle(connection)
                setup(f"ALTER TABLE {table} ADD COLUMN more int DEFAULT 7")
                try:
                    with connection.transaction():
                        look(connection)
                        look(connection)
                except psycopg.Error as error:
                    seen.append(str(error.sqlstate))
                look(connection)
            return "; ".join(seen[7:])

        return one_observation(at_once(work))


def count_of(cursor, table, number):
    return cursor.execute(f"SELECT count(*) FROM {table} WHERE owner = %s", (number,)).fetchone()[0]


def sleep(connection):
    connection.execute("SELECT pg_sleep(%s)", (CANCELLED_SECONDS,)).fetchone()


def listen(channel, listening):
    """The notifications that come, and any that come twice right behind them."""
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(f"LISTEN {channel}")
        listening.set()
        heard = [(each.channel, each.payload) for each in connection.notifies(timeout=20, stop_after=NOTIFICATIONS)]
        connection.execute("SELECT 1")
        return heard + [(each.channel, each.payload) for each in connection.notifies(timeout=0)]


class AlwaysPrepared(Connection):
    """Every statement is prepared at its first execution."""

    keywords = {"prepare_threshold": 0}
    executions = 2


class Pool(Connection):
    """Clients take their connections out of psycopg_pool, which rolls back what they bring back."""

    version = f"{psycopg.__version__}, pool {psycopg_pool.__version__}"

    def __init__(self):
        self.pool = psycopg_pool.ConnectionPool(URL, min_size=2, max_size=2 * CLIENTS, open=True)

    @contextmanager
    def client(self, autocommit=True):
        with self.pool.connection() as connection:
            connection.autocommit = autocommit
            yield connection
            connection.rollback()
            connection.autocommit = False


class Pipeline(Connection):
    """Everything that a client does is in a pipeline, which asks for results only where one is read."""

    @contextmanager
    def client(self, autocommit=True):
        with psycopg.connect(URL, autocommit=autocommit) as connection, connection.pipeline():
            yield connection

    def settle(self, connection):
        with connection.pipeline():  # the end of an inner block is a Sync
            pass

    def copy(self):
        raise Absent("psycopg refuses COPY in pipeline mode")

    def series(self, connection):
        """psycopg has no cursors on the server in pipeline mode."""
