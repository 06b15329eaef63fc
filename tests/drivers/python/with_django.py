"""Django's ORM over psycopg 3: parameters in the text, as is its default, and bound by the server."""

import hashlib
import threading
import time
from contextlib import contextmanager

import django
import psycopg
from django.conf import settings
from django.db import DatabaseError, IntegrityError, OperationalError, connection, connections, models, transaction
from psycopg import errors

import values
from harness import (
    BATCH, CANCELLED_SECONDS, CANCEL_AFTER, CLIENTS, COPY_ROWS, LARGE_BYTES, LARGE_CLIENTS,
    NOTIFICATIONS, STATEMENTS, STATEMENT_CLIENTS, TRANSACTIONS, UNHARMED_SECONDS, URL, Row, asked,
    at_once, create, expect, expect_cancelled, one_observation, setup,
)  # fmt: skip


def configure(options):
    """A project in short: settings of a database as `startproject` and the documentation have them."""
    given = psycopg.conninfo.conninfo_to_dict(URL)
    settings.configure(
        INSTALLED_APPS=["django.contrib.postgres"], USE_TZ=True, TIME_ZONE="Europe/Rome",
        DATABASES={"default": {
            "ENGINE": "django.db.backends.postgresql", "NAME": given["dbname"], "USER": given["user"],
            "PASSWORD": given["password"], "HOST": given["host"], "PORT": given["port"],
            "CONN_MAX_AGE": None, "OPTIONS": options}},
    )  # fmt: skip
    django.setup()


def model(name, table, **fields):
    """A model that belongs to no application; its table is made anew."""
    meta = type("Meta", (), {"app_label": "drivers", "db_table": table})
    made = type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})
    setup(f"DROP TABLE IF EXISTS {table}")
    with connection.schema_editor() as editor:
        editor.create_model(made)
    connection.close()
    return made


@contextmanager
def client():
    """What a thread that serves a request does with its connection; here it closes it in the end."""
    try:
        yield connection
    finally:
        connections.close_all()


class Connection(Row):
    options = {}

    def __init__(self):
        configure(self.options)
        self.version = f"{django.__version__}, {psycopg.__version__}"

    def word(self, of):
        return model(
            f"Word{of}", self.table(of), number=models.IntegerField(), owner=models.IntegerField(),
            word=models.TextField(unique=of in ("transactions", "errors")),
            created_at=models.DateTimeField(auto_now_add=True))  # fmt: skip

    def crud(self):
        word = self.word("crud")

        def work(number):
            with client():
                for i in range(20):
                    word.objects.create(number=i, owner=number, word=f"w{i}")
                mine = word.objects.filter(owner=number)
                for i in range(20):
                    expect(mine.get(number=i).word, f"w{i}")
                expect(mine.filter(number__lt=15).update(word="new"), 15)
                changed = mine.get(number=19)
                changed.word = "saved"
                changed.save()
                expect(list(mine.order_by("number").values_list("word", flat=True))[14:],
                       ["new", "w15", "w16", "w17", "w18", "saved"])  # fmt: skip
                expect(mine.delete()[0], 20)
                expect(mine.exists(), False)

        at_once(work)

    def types(self):
        from django.contrib.postgres.fields import ArrayField  # needs the settings

        fields = {
            "int2": models.SmallIntegerField(null=True), "int4": models.IntegerField(null=True),
            "int8": models.BigIntegerField(null=True), "float8": models.FloatField(null=True),
            "numeric": models.DecimalField(null=True, max_digits=40, decimal_places=10),
            "bool": models.BooleanField(null=True), "text": models.TextField(null=True),
            "bytea": models.BinaryField(null=True), "date": models.DateField(null=True),
            "timestamptz": models.DateTimeField(null=True), "time": models.TimeField(null=True),
            "interval": models.DurationField(null=True), "uuid": models.UUIDField(null=True),
            "inet": models.GenericIPAddressField(null=True), "jsonb": models.JSONField(null=True),
            "int4[]": ArrayField(models.IntegerField(null=True), null=True),
            "text[]": ArrayField(models.TextField(null=True), null=True),
        }  # fmt: skip
        names = {name: name.replace("[]", "_array") for name in fields}
        every = model("Types", self.table("types"), **{names[name]: field for name, field in fields.items()})

        def work(_number):
            with client():
                for name, value in [*values.COMMON, ("jsonb", values.DOCUMENT)]:
                    if name not in fields:
                        continue
                    given = str(value) if name == "inet" else value
                    made = every.objects.create(**{names[name]: given})
                    found = getattr(every.objects.get(pk=made.pk), names[name])
                    expect(bytes(found) if isinstance(found, memoryview) else found, given, name)
                    by_value = every.objects.filter(pk=made.pk, **{f"{names[name]}": given} if value is not None
                                                    else {f"{names[name]}__isnull": True})  # fmt: skip
                    expect(by_value.count(), 1)

        at_once(work)

    def statements(self):
        def work(number):
            with client(), connection.cursor() as cursor:
                for turn in range(2):
                    for i in range(STATEMENTS):
                        sql, wanted = values.statement(i, "%s")
                        for x in range(number + turn, number + turn + 2):
                            cursor.execute(sql, [x])
                            expect(cursor.fetchone()[0], wanted(x), sql)

        at_once(work, STATEMENT_CLIENTS)

    def batch(self):
        word = self.word("batch")

        def work(number):
            with client():
                made = word.objects.bulk_create(word(number=i, owner=number, word=f"w{i}") for i in range(BATCH))
                expect([each.number for each in made], list(range(BATCH)))
                for each in made:
                    each.word = f"changed {each.number}"
                expect(word.objects.bulk_update(made, ["word"]), BATCH)
                with connection.cursor() as cursor:
                    cursor.executemany(f"UPDATE {word._meta.db_table} SET number = number + 1000 WHERE id = %s",
                                       [(each.pk,) for each in made])  # fmt: skip
                found = word.objects.filter(owner=number).order_by("number").values_list("number", "word")
                expect(list(found), [(1000 + i, f"changed {i}") for i in range(BATCH)])

        at_once(work)

    def copy(self):
        """By psycopg's cursor, as Django has no COPY."""
        for number in range(CLIENTS):
            create(self.table(f"copy_{number}"), values.COPY_COLUMNS)

        def work(number):
            table = self.table(f"copy_{number}")
            rows = values.copy_rows(COPY_ROWS, number)
            with client(), connection.cursor() as cursor:
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT") as copy:
                    copy.set_types(["int4", "text", "numeric"])
                    expect(list(copy.rows()), rows)
                seen = []
                try:
                    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        copy.write("1000001\tone\t1\n1000002\ttwo\tmany\n")
                except psycopg.Error as error:
                    seen.append(f"{error.sqlstate} {error.diag.message_primary}")
                try:
                    with transaction.atomic(), cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        copy.write("1000001\tone\t1\n")
                        raise KeyError("the client's own")
                except KeyError:
                    seen.append("aborted")
                cursor.execute(f"SELECT count(*) FROM {table}")
                expect(cursor.fetchone()[0], COPY_ROWS)
                return "; ".join(seen)

        return one_observation(at_once(work))

    def transactions(self):
        word = self.word("transactions")

        def work(number):
            def add(text):
                return word.objects.create(number=1, owner=number, word=f"{text} {number}")

            with client():
                mine = word.objects.filter(owner=number)
                with transaction.atomic():
                    add("kept")
                    with transaction.atomic():
                        add("nested")
                    try:
                        with transaction.atomic():
                            add("lost")
                            add("kept")
                    except IntegrityError:
                        pass
                    expect(mine.select_for_update().get(word=f"kept {number}").number, 1)
                seen = asked(f"SELECT word FROM {word._meta.db_table} WHERE owner = {number} ORDER BY id")
                expect(seen, [(f"kept {number}",), (f"nested {number}",)])
                with transaction.atomic():
                    mine.delete()
                    transaction.set_rollback(True)
                expect(mine.count(), 2)
                word.objects.bulk_create(word(number=i, owner=number, word=f"{i} of {number}") for i in range(50))
                with transaction.atomic():  # by a cursor on the server
                    expect(len({each.pk for each in mine.iterator(chunk_size=10)}), 52)
                with one_at_a_time:  # outside of a transaction, so the cursor is WITH HOLD
                    expect(len({each.pk for each in mine.iterator(chunk_size=10)}), 52)

        one_at_a_time = threading.Lock()
        at_once(work)

    def pipeline_errors(self):
        """There is no pipeline: many rows in one statement, and psycopg's executemany()."""
        word = self.word("errors")

        def work(number):
            table, seen = word._meta.db_table, []
            words = [f"{i} of {number}" for i in [*range(100), 50, 1000]]
            with client():
                def failing(call, *arguments):
                    try:
                        call(*arguments)
                    except DatabaseError as error:
                        seen.append(f"{type(error).__name__} {error.__cause__.sqlstate}")
                    seen.append(f"{word.objects.filter(owner=number).count()} rows")

                failing(word.objects.bulk_create, [word(number=1, owner=number, word=text) for text in words])
                insert = f"INSERT INTO {table} (number, owner, word, created_at) VALUES (1, %s, %s, now())"
                with connection.cursor() as cursor:
                    failing(cursor.executemany, insert, [(number, text) for text in words])
                try:
                    with transaction.atomic():
                        failing(word.objects.create)
                except DatabaseError as error:
                    seen.append(type(error).__name__)
                failing(word.objects.bulk_create, [word(number=1, owner=number, word=text) for text in words[:100]])
            return "; ".join(seen)

        return one_observation(at_once(work))

    def large_rows(self):
        def work(number):
            value = bytes([65 + number]) * LARGE_BYTES
            with client(), connection.cursor() as cursor:
                cursor.execute("SELECT value, md5(value) FROM (VALUES (%s::bytea)) v (value)", [value])
                found, checksum = cursor.fetchone()
                expect(checksum, hashlib.md5(value).hexdigest())
                expect(bytes(found) == value, True)

        at_once(work, LARGE_CLIENTS)

    def cancel(self):
        def work(number):
            with client(), connection.cursor() as cursor:
                for turn in range(2):
                    if (number + turn) % 2:
                        cursor.execute("SELECT pg_sleep(%s)::text", [UNHARMED_SECONDS])
                        expect(cursor.fetchone()[0], "")
                        continue
                    timer = threading.Timer(CANCEL_AFTER, connection.connection.cancel_safe)
                    timer.start()
                    started = time.monotonic()
                    try:
                        cursor.execute("SELECT pg_sleep(%s)", [CANCELLED_SECONDS])
                    except OperationalError as error:
                        expect(type(error.__cause__), errors.QueryCanceled)
                        expect_cancelled(started, error.__cause__.sqlstate)
                    timer.join()
                    expect(time.monotonic() - started < CANCELLED_SECONDS, True)
                    cursor.execute("SELECT %s::int", [number])
                    expect(cursor.fetchone()[0], number)

        at_once(work)

    def notify(self):
        channel = self.table("channel")
        listening = threading.Event()

        def listen():
            with client(), connection.cursor() as cursor:
                cursor.execute(f"LISTEN {channel}")
                listening.set()
                heard = list(connection.connection.notifies(timeout=20, stop_after=NOTIFICATIONS))
                cursor.execute("SELECT 1")
                heard += connection.connection.notifies(timeout=0)  # any that came twice
                return [(each.channel, each.payload) for each in heard]

        def work(number):
            if number == 0:
                return listen()
            listening.wait()
            with client(), connection.cursor() as cursor:
                for i in range(NOTIFICATIONS):
                    with transaction.atomic():
                        if number == 1:
                            cursor.execute("SELECT pg_notify(%s, %s)", [channel, f"payload {i} 😀"])
                        else:
                            cursor.execute("SELECT %s::int", [i])
                            expect(cursor.fetchone()[0], i)
            return None

        expect(at_once(work)[0], [(channel, f"payload {i} 😀") for i in range(NOTIFICATIONS)])

    def session_set(self):
        def work(number):
            given = values.settings_of(number)
            wanted = tuple(given.values())
            with client(), connection.cursor() as cursor:
                def see(sql=values.SEE_SETTINGS):
                    cursor.execute(sql)
                    return cursor.fetchone()

                before = see(values.SEE_SETTINGS.replace("'my.name'", "'my.name', true"))
                expect(before[1], "UTC")  # set by Django when it connects
                for name, value in given.items():
                    cursor.execute(f"SET {name} = {value if name == 'search_path' else repr(value)}")
                for i in range(TRANSACTIONS):
                    with transaction.atomic():
                        expect(see(), wanted)
                        if i % 10 == 0:
                            cursor.execute("SET LOCAL my.name = 'local'")
                            expect(see("SHOW my.name"), ("local",))
                    expect(see(), wanted)
                for name in given:
                    cursor.execute(f"RESET {name}")
                after = see()
                expect((after[0], after[2]), (before[0], before[2]))

        at_once(work)

    def schema_change(self):
        for number in range(CLIENTS):
            create(self.table(f"change_{number}"), "id int, amount int")
            setup(f"INSERT INTO {self.table(f'change_{number}')} VALUES (1, 10)")

        def work(number):
            table = self.table(f"change_{number}")
            seen = []

            def look(cursor, times=1):
                for _ in range(times):
                    try:
                        cursor.execute(f"SELECT * FROM {table} WHERE id = %s", [1])
                        seen.append(str(cursor.fetchone()))
                    except DatabaseError as error:
                        seen.append(f"{type(error).__name__} {error.__cause__.sqlstate}")

            with client(), connection.cursor() as cursor:
                look(cursor, 8)
                setup(f"ALTER TABLE {table} ADD COLUMN word text DEFAULT 'new'")
                look(cursor, 2)
                setup(f"ALTER TABLE {table} ALTER COLUMN amount TYPE text")
                look(cursor, 2)
                setup(f"ALTER TABLE {table} ADD COLUMN more int DEFAULT 7")
                with transaction.atomic():
                    look(cursor, 2)
            return "; ".join(seen[7:])

        return one_observation(at_once(work))


class ServerSideBinding(Connection):
    options = {"server_side_binding": True}
