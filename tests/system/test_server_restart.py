"""
The server restarts under load: what was acknowledged is there exactly once, nothing is there twice,
only what was running fails, and clients that were idle notice nothing.
"""

import threading
import time
from collections import Counter

import psycopg
import pytest

from cluster import wait_until

CLIENTS = 12
# What a request gets that was not running: the server could not be reached at that moment.
NOT_RUN = ("08001", "57P03", "53300")


class Ledger:
    """One client's inserts: the ids that it sent, those that were acknowledged, and its errors."""

    def __init__(self, daemon, number):
        self.daemon = daemon
        self.number = number
        self.sent = 0
        self.acknowledged = []
        self.not_run = []
        self.lost = []
        self.client = daemon.connect()

    def insert(self, identifier):
        """Single statements, transactions, and extended ones, in turn."""
        way = identifier % 3
        if way == 0:
            self.client.execute(f"INSERT INTO ledger VALUES ({identifier})")
        elif way == 1:
            self.client.execute("INSERT INTO ledger VALUES (%s)", (identifier,), prepare=True)
        else:
            with self.client.transaction():
                self.client.execute("INSERT INTO ledger VALUES (%s)", (identifier,))

    def step(self):
        identifier = self.number * 1_000_000 + self.sent
        self.sent += 1
        try:
            if self.client.closed:
                self.client = self.daemon.connect()
            self.insert(identifier)
        except psycopg.Error as problem:
            if problem.sqlstate in NOT_RUN or "connection failed" in str(problem):
                self.not_run.append(identifier)
            else:
                self.lost.append((identifier, str(problem)))
            time.sleep(0.01)
        else:
            self.acknowledged.append(identifier)

    def run(self, over):
        while not over.is_set():
            self.step()


@pytest.fixture
def ledger(cluster):
    cluster.sql("DROP TABLE IF EXISTS ledger", "CREATE TABLE ledger (id bigint)",
                "ALTER TABLE ledger OWNER TO app", database="app")  # fmt: skip
    yield
    cluster.sql("DROP TABLE ledger", database="app")


def check(cluster, books):
    rows = cluster.sql("SELECT id, count(*) AS times FROM ledger GROUP BY id", database="app")
    there = {row["id"]: row["times"] for row in rows}
    twice = {identifier: times for identifier, times in there.items() if times != 1}
    assert not twice
    acknowledged = {identifier for book in books for identifier in book.acknowledged}
    assert not acknowledged - set(there), "acknowledged, but not there"
    not_run = {identifier for book in books for identifier in book.not_run}
    assert not not_run & set(there), "said not to have been run, but there"


@pytest.mark.core
@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_ledger_is_right_after_a_restart_under_load(pgsluice, cluster, ledger, threads, mode):
    daemon = pgsluice(pgsluice={"workers": 2}, size=4, overflow=2)
    idle = [daemon.connect() for _ in range(5)]
    in_transaction = daemon.connect()
    in_transaction.execute("BEGIN")
    in_transaction.execute("INSERT INTO ledger VALUES (-1)")
    books = [Ledger(daemon, number) for number in range(1, CLIENTS + 1)]
    over = threading.Event()
    running = [threads.submit(book.run, over) for book in books]
    try:
        wait_until(lambda: all(len(book.acknowledged) > 20 for book in books), what="all work")
        cluster.restart(mode)
        restarted = time.monotonic()
        marks = [len(book.acknowledged) for book in books]
        wait_until(
            lambda: all(len(b.acknowledged) > mark for b, mark in zip(books, marks, strict=True)),
            timeout=10, what="all have recovered",
        )  # fmt: skip
        took = time.monotonic() - restarted
    finally:
        over.set()
    for one in running:
        one.result(30)
    check(cluster, books)
    assert took < 7
    # At most one request a client was running, and no more than there were server connections.
    losses = Counter(book.number for book in books for _ in book.lost)
    assert all(times == 1 for times in losses.values()), [book.lost for book in books]
    assert sum(losses.values()) <= 6, [book.lost for book in books]
    assert [client.execute("SELECT 1").fetchone() for client in idle] == [(1,)] * 5
    with pytest.raises(psycopg.OperationalError):
        in_transaction.execute("COMMIT")
    assert cluster.value("SELECT count(*) FROM ledger WHERE id = -1", database="app") == 0
    wait_until(lambda: daemon.pool()["sv_active"] == 0, what="at rest")


def test_ledger_is_right_while_backends_are_ended(pgsluice, cluster, ledger, threads):
    # Backends end one after the other, at work and idle, for a while.
    daemon = pgsluice(pgsluice={"workers": 2}, size=4, overflow=0)
    books = [Ledger(daemon, number) for number in range(1, CLIENTS + 1)]
    over = threading.Event()
    running = [threads.submit(book.run, over) for book in books]
    ended = 0
    with cluster.connect() as helper:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            ended += helper.execute(
                "SELECT count(pg_terminate_backend(pid)) AS n FROM (SELECT pid FROM pg_stat_activity"
                " WHERE usename = 'app' ORDER BY random() LIMIT 1) one"
            ).fetchone()["n"]
            time.sleep(0.01)
    over.set()
    for one in running:
        one.result(30)
    assert ended > 10
    check(cluster, books)
    assert sum(len(book.lost) for book in books) <= ended
    assert sum(len(book.acknowledged) for book in books) > 50
