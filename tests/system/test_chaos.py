"""
Everything at once for some seconds: clients that work, cancel, fail and vanish in the middle of
something, and backends that end. Who is left gets the answers to its own questions, no transaction
leaks into another, and the pool comes to rest. PGSLUICE_SEED repeats a run's dice.
"""

import os
import random
import threading
import time

import psycopg
import pytest

from cluster import wait_until
from raw_client import (
    FLUSH,
    SYNC,
    TERMINATE,
    Closed,
    RawClient,
    bind,
    execute,
    fields,
    message,
    parse,
    query,
    send_cancel,
)

SECONDS = 4
# Cancelled, an ended backend, no server for a moment, a limit in line.
FORGIVEN = {"57014", "57P01", "08006", "08001", "53300", "25P02", "57P03"}


class Guest:
    """One client after the other, each with its own questions."""

    def __init__(self, daemon, number):
        self.daemon = daemon
        self.dice = random.Random(int(os.environ.get("PGSLUICE_SEED", "1")) * 1000 + number)
        self.number = number
        self.asked = 0
        self.answered = 0
        self.client = None

    def run(self, until):
        while time.monotonic() < until:
            try:
                if self.client is None:
                    self.client = RawClient(self.daemon)
                self.dice.choice(self.WAYS)(self)
            except (Closed, OSError):
                self.leave()
        self.leave()

    def leave(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def token(self):
        self.asked += 1
        return f"{self.number}-{self.asked}"

    def check(self, answer, token):
        """The answer is the token, or an error that may be."""
        told = [fields(body)["C"] for kind, body in answer if kind == "E"]
        assert set(told) <= FORGIVEN, told
        rows = [body[6:].decode() for kind, body in answer if kind == "D"]
        assert set(rows) <= {token}, (rows, token)
        assert rows or told
        self.answered += not told
        return not told

    def ask(self, sql, token):
        self.client.send(query(sql))
        return self.check(self.client.until_ready(), token)

    def simple(self):
        token = self.token()
        self.ask(f"SELECT '{token}'", token)

    def extended(self):
        token = self.token()
        self.client.send(parse(f"SELECT '{token}'"), bind(), execute(), SYNC)
        self.check(self.client.until_ready(), token)

    def named(self):
        token = self.token()
        self.client.send(parse("SELECT current_setting('server_version_num') || $1", "same"),
                         message("C", b"Ssame\0"), parse(f"SELECT '{token}'"), bind(), execute(),
                         SYNC)  # fmt: skip
        self.check(self.client.until_ready(), token)

    def ahead(self):
        tokens = [self.token() for _ in range(5)]
        self.client.send(*[query(f"SELECT '{token}'") for token in tokens])
        for token in tokens:
            self.check(self.client.until_ready(), token)

    def transaction(self):
        token = self.token()
        self.client.send(query("BEGIN"))
        if any(kind == "E" for kind, _ in self.client.until_ready()):
            return
        self.client.ask(f"SET LOCAL pgsluice.token = '{token}'")
        self.ask("SELECT current_setting('pgsluice.token', true)", token)
        self.client.ask(self.dice.choice(["COMMIT", "ROLLBACK"]))

    def cancelled(self):
        token = self.token()
        self.client.send(query(f"SELECT '{token}' FROM pg_sleep(0.02)"))
        time.sleep(self.dice.uniform(0, 0.025))
        send_cancel(self.daemon, self.client.pid, self.client.key, wait=self.dice.random() < 0.7)
        self.check(self.client.until_ready(), token)

    def vanishes(self):
        what = self.dice.choice([
            [query("BEGIN"), query("SELECT pg_sleep(30)")],
            [query("SELECT pg_sleep(30)")],
            [parse("SELECT pg_sleep(30)"), bind(), execute(), SYNC],
            [parse("SELECT 1"), bind(), execute(), FLUSH],
            [query("CREATE TEMPORARY TABLE t (i int); COPY t FROM STDIN"), message("d", b"1\n")],
            [query("SELECT repeat('x', 100000), generate_series(1, 100000)")],
            [query("SELECT 1")[:-2]],
            [b"Q\0\1\0\0" + b"x" * 70000],
            [query("BEGIN"), b"?????"],
            [query("SELECT 1"), TERMINATE],
        ])  # fmt: skip
        self.client.send(*what)
        time.sleep(self.dice.uniform(0, 0.01))
        if self.dice.random() < 0.5:
            self.client.vanish()
            self.client = None
        else:
            self.leave()

    WAYS = [simple, extended, named, ahead, transaction, cancelled, vanishes]


@pytest.mark.core
def test_clients_get_their_own_answers_through_it_all(pgsluice, cluster, threads):
    daemon = pgsluice(pgsluice={"auth": "trust", "workers": 2, "max_clients": 100}, size=4,
                      overflow=2, timeout="5s")  # fmt: skip
    until = time.monotonic() + SECONDS
    guests = [Guest(daemon, number) for number in range(16)]
    running = [threads.submit(guest.run, until) for guest in guests]
    over = threading.Event()

    def end_backends():
        dice = random.Random(int(os.environ.get("PGSLUICE_SEED", "1")))
        with cluster.connect() as helper:
            while not over.wait(dice.uniform(0.02, 0.2)):
                helper.execute(
                    "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity"
                    " WHERE usename = 'app' ORDER BY random() LIMIT 1) one"
                )

    ender = threads.submit(end_backends)
    try:
        for one in running:
            one.result(60)
    finally:
        over.set()
        ender.result(10)
    assert all(guest.answered > 5 for guest in guests), [guest.answered for guest in guests]
    wait_until(lambda: daemon.pool()["sv_active"] == 0, what="no server connection is at work")
    assert daemon.pool()["cl_waiting"] == 0
    states = [(row["state"], row["backend_xmin"], row["query"][:60]) for row in cluster.backends()]
    assert {state[:2] for state in states} <= {("idle", None)}, states
    with psycopg.connect(daemon.dsn(), autocommit=True) as client:
        assert client.execute("SELECT to_regclass('pg_temp.t'), pg_my_temp_schema()")
