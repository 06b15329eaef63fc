"""SQLAlchemy 2 over psycopg and psycopg2: engine with its pool, Core and ORM, all as they are."""

import hashlib
import io
import select
import threading
import time

import psycopg2.extensions
import sqlalchemy as sa
from sqlalchemy import exc, orm

import models
import values
from harness import (
    BATCH, CANCELLED_SECONDS, CANCEL_AFTER, CLIENTS, COPY_ROWS, LARGE_BYTES, LARGE_CLIENTS,
    NOTIFICATIONS, STATEMENTS, STATEMENT_CLIENTS, TRANSACTIONS, UNHARMED_SECONDS, URL, Row, asked,
    at_once, create, expect, expect_cancelled, one_observation, setup,
)  # fmt: skip


class Engine(Row):
    """What both drivers have in common."""

    dialect = ""
    # Of equal statements, so that the driver prepares them.
    executions = 6

    def __init__(self):
        self.engine = sa.create_engine(sa.make_url(URL).set(drivername=f"postgresql+{self.dialect}"))
        self.version = f"{sa.__version__}, {self.engine.dialect.dbapi.__version__.split()[0]}"

    def crud(self):
        word = models.word_model(self.table("crud"))
        word.metadata.drop_all(self.engine)
        word.metadata.create_all(self.engine)

        def work(number):
            with orm.Session(self.engine) as session:
                session.add_all(word(id=i, owner=number, word=f"w{i}") for i in range(20))
                session.commit()
                for i in range(20):
                    found = session.get(word, (i, number))
                    expect((found.word, found.created_at is not None), (f"w{i}", True))
                    found.word = f"changed {i}"
                session.commit()
                update = sa.update(word).where(word.owner == number, word.id < 15).values(word="new")
                expect(session.execute(update).rowcount, 15)
                session.commit()
                words = session.scalars(sa.select(word.word).where(word.owner == number).order_by(word.id)).all()
                expect(words, ["new"] * 15 + [f"changed {i}" for i in range(15, 20)])
                for each in session.scalars(sa.select(word).where(word.owner == number)):
                    session.delete(each)
                session.commit()
                expect(session.scalar(sa.select(sa.func.count()).where(word.owner == number)), 0)

        at_once(work)

    def types(self):
        table = models.types_table(self.table("types"))
        table.metadata.drop_all(self.engine)
        table.metadata.create_all(self.engine)

        def work(number):
            with self.engine.connect() as connection:
                for i, record in enumerate(models.RECORDS):
                    connection.execute(table.insert().values(id=number * 100 + i, **record))
                    row = connection.execute(table.select().where(table.c.id == number * 100 + i)).one()
                    expect({name: row._mapping[name] for name in record}, record)
                connection.commit()

        at_once(work)

    def statements(self):
        def work(number):
            with self.engine.connect() as connection:
                for executions in (self.executions, 1):
                    for i in range(STATEMENTS):
                        sql, wanted = values.statement(i, "CAST(:x AS int4)")
                        for x in range(number, number + executions):
                            expect(connection.scalar(sa.text(sql), {"x": x}), wanted(x), sql)
                    connection.commit()

        at_once(work, STATEMENT_CLIENTS)

    def batch(self):
        word = models.word_model(self.table("batch"))
        word.metadata.drop_all(self.engine)
        word.metadata.create_all(self.engine)

        def work(number):
            with orm.Session(self.engine) as session:
                session.add_all(word(id=i, owner=number, word=f"w{i}") for i in range(BATCH))
                session.flush()  # many rows in one INSERT with RETURNING
                rows = [{"id": BATCH + i, "owner": number, "word": f"w{BATCH + i}"} for i in range(BATCH)]
                session.connection().execute(sa.insert(word.__table__), rows)
                returned = session.scalars(
                    sa.insert(word).returning(word.id, sort_by_parameter_order=True),
                    [{"id": 2 * BATCH + i, "owner": number, "word": "w"} for i in range(BATCH)])  # fmt: skip
                expect(list(returned), [2 * BATCH + i for i in range(BATCH)])
                session.commit()
                ids = session.scalars(sa.select(word.id).where(word.owner == number).order_by(word.id)).all()
                expect(ids, list(range(3 * BATCH)))

        at_once(work)

    def copy(self):
        """By the driver's own connection, as SQLAlchemy has no COPY."""
        for number in range(CLIENTS):
            create(self.table(f"copy_{number}"), values.COPY_COLUMNS)

        def work(number):
            table = self.table(f"copy_{number}")
            text = "".join(f"{i}\trow {i} of {number} żółć\t{i}.25\n" for i in range(COPY_ROWS))
            with self.engine.connect() as connection:
                raw = connection.connection
                cursor = raw.cursor()
                self.copy_in(cursor, table, text)
                raw.commit()
                expect(self.copy_out(cursor, f"(SELECT * FROM {table} ORDER BY id)") == text, True)
                raw.commit()
                try:
                    self.copy_in(cursor, table, f"{COPY_ROWS}\tone\t1\n2\ttwo\tmany\n")
                except self.engine.dialect.dbapi.Error as error:
                    seen = type(error).__name__
                raw.rollback()
                expect(connection.scalar(sa.text(f"SELECT count(*) FROM {table}")), COPY_ROWS)
                return seen

        return one_observation(at_once(work))

    def transactions(self):
        word = models.word_model(self.table("transactions"))
        word.metadata.drop_all(self.engine)
        word.metadata.create_all(self.engine)

        def work(number):
            count = sa.select(sa.func.count()).where(word.owner == number)
            with orm.Session(self.engine) as session, session.begin():
                session.add(word(id=1, owner=number, word="kept"))
                with session.begin_nested():
                    session.add(word(id=2, owner=number, word="nested"))
                try:
                    with session.begin_nested():
                        session.add(word(id=3, owner=number, word="lost"))
                        session.flush()
                        session.execute(sa.insert(word).values(id=1, owner=number, word="twice"))
                except exc.IntegrityError:
                    pass
                expect(session.scalar(count), 2)
            expect(asked(f"SELECT word FROM {word.__tablename__} WHERE owner = {number} ORDER BY id"),
                   [("kept",), ("nested",)])  # fmt: skip
            with orm.Session(self.engine) as session:
                session.execute(sa.delete(word).where(word.owner == number))
                session.rollback()
                expect(session.scalar(count), 2)
            serializable = self.engine.execution_options(isolation_level="SERIALIZABLE")
            with serializable.connect() as connection:
                expect(connection.scalar(sa.text("SHOW transaction_isolation")), "serializable")
            autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            with autocommit.connect() as connection:
                connection.execute(sa.delete(word).where(word.owner == number, word.id == 2))
            with self.engine.connect() as connection:
                expect(connection.scalar(sa.text("SHOW transaction_isolation")), "read committed")
                expect(connection.scalar(count), 1)
                stream = connection.execution_options(stream_results=True, yield_per=10)
                found = stream.execute(sa.text("SELECT generate_series(1, 100)")).scalars().all()
                expect(found, list(range(1, 101)))

        at_once(work)

    def pipeline_errors(self):
        word = models.word_model(self.table("errors"))
        word.metadata.drop_all(self.engine)
        word.metadata.create_all(self.engine)

        def work(number):
            seen = []
            rows = [{"id": i, "owner": number, "word": f"w{i}"} for i in [*range(100), 50, 1000]]
            with self.engine.connect() as connection:
                try:
                    connection.execute(sa.insert(word.__table__), rows)
                except exc.IntegrityError as error:
                    seen.append(sqlstate_of(error))
                try:
                    connection.execute(sa.text("SELECT 1"))
                except exc.DBAPIError as error:
                    seen.append(sqlstate_of(error))
                connection.rollback()
                seen.append(str(connection.scalar(sa.select(sa.func.count()).where(word.owner == number))))
                connection.execute(sa.insert(word.__table__), rows[:100])
                connection.commit()
                seen.append(str(connection.scalar(sa.select(sa.func.count()).where(word.owner == number))))
            return "; ".join(seen)

        return one_observation(at_once(work))

    def large_rows(self):
        def work(number):
            value = bytes([65 + number]) * LARGE_BYTES
            with self.engine.connect() as connection:
                given = sa.bindparam("value", value, sa.LargeBinary)
                inner = sa.select(sa.cast(given, sa.LargeBinary).label("value")).subquery()
                found = connection.execute(sa.select(inner.c.value, sa.func.md5(inner.c.value))).one()
                expect(found[1], hashlib.md5(value).hexdigest())
                expect(bytes(found[0]) == value, True)

        at_once(work, LARGE_CLIENTS)

    def cancel(self):
        def work(number):
            for turn in range(2):
                with self.engine.connect() as connection:
                    if (number + turn) % 2:
                        expect(connection.scalar(sa.text(f"SELECT pg_sleep({UNHARMED_SECONDS})::text")), "")
                        continue
                    connection.execute(sa.text("SELECT 1"))  # begins, so that a cancel does not come behind BEGIN
                    timer = threading.Timer(CANCEL_AFTER, connection.connection.driver_connection.cancel)
                    timer.start()
                    started = time.monotonic()
                    try:
                        connection.execute(sa.select(sa.func.pg_sleep(CANCELLED_SECONDS)))
                    except exc.OperationalError as error:
                        expect_cancelled(started, sqlstate_of(error))
                    timer.join()
                    expect(time.monotonic() - started < CANCELLED_SECONDS, True)
                    connection.rollback()
                    expect(connection.scalar(sa.select(sa.literal(number))), number)

        at_once(work)

    def notify(self):
        channel = self.table("channel")
        listening = threading.Event()

        def work(number):
            if number == 0:
                autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
                with autocommit.connect() as connection:
                    connection.execute(sa.text(f"LISTEN {channel}"))
                    listening.set()
                    heard = self.heard_by(connection.connection.driver_connection)
                    connection.execute(sa.text("UNLISTEN *"))
                    return heard
            listening.wait()
            for i in range(NOTIFICATIONS):
                with self.engine.begin() as connection:
                    if number == 1:
                        connection.execute(sa.select(sa.func.pg_notify(channel, f"payload {i} 😀")))
                    else:
                        expect(connection.scalar(sa.select(sa.literal(i))), i)
            return None

        expect(at_once(work)[0], [(channel, f"payload {i} 😀") for i in range(NOTIFICATIONS)])

    def session_set(self):
        def work(number):
            settings = values.settings_of(number)
            wanted = tuple(settings.values())
            with self.engine.connect() as connection:
                def see(sql=values.SEE_SETTINGS):
                    return tuple(connection.execute(sa.text(sql)).one())

                before = see(values.SEE_SETTINGS.replace("'my.name'", "'my.name', true"))
                for name, value in settings.items():
                    quoted = value if name == "search_path" else f"'{value}'"
                    connection.execute(sa.text(f"SET {name} = {quoted}"))
                connection.commit()
                for i in range(TRANSACTIONS):
                    expect(see(), wanted)
                    if i % 10 == 0:
                        connection.execute(sa.text("SET LOCAL my.name = 'local'"))
                        expect(see("SHOW my.name"), ("local",))
                    connection.commit()
                connection.execute(sa.text("SET my.name = 'rolled back'"))
                connection.rollback()
                expect(see(), wanted)
                for name in settings:
                    connection.execute(sa.text(f"RESET {name}"))
                connection.commit()
                # A custom setting that once had a value is empty, not NULL, when it is reset.
                expect(see(), (*before[:3], ""))

        at_once(work)

    def schema_change(self):
        for number in range(CLIENTS):
            create(self.table(f"change_{number}"), "id int, amount int")
            setup(f"INSERT INTO {self.table(f'change_{number}')} VALUES (1, 10)")

        def work(number):
            table = self.table(f"change_{number}")
            seen = []

            def look(connection, times=1, end=True):
                for _ in range(times):
                    try:
                        found = connection.execute(sa.text(f"SELECT * FROM {table} WHERE id = :id"), {"id": 1})
                        seen.append(str(tuple(found.one())))
                    except exc.DBAPIError as error:
                        seen.append(f"{type(error).__name__} {sqlstate_of(error)}")
                    if end:
                        connection.rollback()

            with self.engine.connect() as connection:
                look(connection, 8)
                setup(f"ALTER TABLE {table} ADD COLUMN word text DEFAULT 'new'")
                look(connection, 3)
                setup(f"ALTER TABLE {table} ALTER COLUMN amount TYPE text")
                look(connection, 8)
                setup(f"ALTER TABLE {table} ADD COLUMN more int DEFAULT 7")
                look(connection, 2, end=False)
                connection.rollback()
                look(connection, 2)
            return "; ".join(seen[7:])

        return one_observation(at_once(work))


def sqlstate_of(error):
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)


class Psycopg(Engine):
    dialect = "psycopg"

    def copy_in(self, cursor, table, text):
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            copy.write(text)

    def copy_out(self, cursor, query):
        with cursor.copy(f"COPY {query} TO STDOUT") as copy:
            return b"".join(bytes(part) for part in copy).decode()

    def heard_by(self, connection):
        heard = list(connection.notifies(timeout=20, stop_after=NOTIFICATIONS))
        connection.execute("SELECT 1")
        heard += connection.notifies(timeout=0)  # any that came twice
        return [(each.channel, each.payload) for each in heard]


class Psycopg2(Engine):
    dialect = "psycopg2"
    executions = 2

    def copy_in(self, cursor, table, text):
        cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(text))

    def copy_out(self, cursor, query):
        out = io.StringIO()
        cursor.copy_expert(f"COPY {query} TO STDOUT", out)
        return out.getvalue()

    def heard_by(self, connection):
        until = time.monotonic() + 20
        while len(connection.notifies) < NOTIFICATIONS and time.monotonic() < until:
            select.select([connection], [], [], 1)
            expect(connection.poll(), psycopg2.extensions.POLL_OK)
        connection.cursor().execute("SELECT 1")  # any that came twice would be here now
        return [(each.channel, each.payload) for each in connection.notifies]
