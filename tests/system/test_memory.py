"""
Memory and back-pressure: what is large goes by in pieces, who does not read is not read for, and
nobody else waits for that.
"""

import os
import signal
import struct
import time
from pathlib import Path

import pytest

import daemon as daemon_module
from cluster import wait_until
from raw_client import SYNC, RawClient, execute, message, parse, query

TRUST = {"auth": "trust"}
MB = 1024 * 1024
# Sanitizers keep freed memory for a while, and their own beside it.
SANITIZED = any(
    mark in Path(daemon_module.binary()).read_bytes() for mark in (b"__asan_init", b"__tsan_init")
)
GROWTH = 100 * MB if SANITIZED else MB


def resident(daemon):
    fields = Path(f"/proc/{daemon.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


class Growth:
    """The most that the daemon grew by within a `with`, as often as it was asked."""

    def __init__(self, daemon):
        self.daemon = daemon

    def __enter__(self):
        self.before = self.most = resident(self.daemon)
        return self

    def look(self):
        self.most = max(self.most, resident(self.daemon))

    def __exit__(self, kind, *_):
        self.look()
        if kind is None:
            assert self.most - self.before <= GROWTH, f"grew by {(self.most - self.before) / MB} MB"


def swallow(client, count, growth):
    """Reads and forgets so many bytes."""
    memory = bytearray(MB)
    count -= len(client.input)
    client.input = b""
    looked = 0
    while count > 0:
        got = client.socket.recv_into(memory, min(len(memory), count))
        assert got > 0
        count -= got
        looked += got
        if looked > 8 * MB:
            growth.look()
            looked = 0


def flood(client, piece, growth, limit):
    """Sends until the other side takes no more for a while; returns how much it took."""
    client.socket.settimeout(0.7)
    sent = 0
    view = memoryview(piece)
    try:
        while sent < limit:
            sent += client.socket.send(view[sent % len(piece) :])
            growth.look()
    except TimeoutError:
        pass
    client.socket.settimeout(20)
    return sent


@pytest.fixture
def stopped():
    pids = []

    def stop(pid):
        os.kill(pid, signal.SIGSTOP)
        pids.append(pid)

    yield stop
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def warmed(daemon):
    """A client whose first lease and first large answer are behind it."""
    client = RawClient(daemon)
    client.ask("SELECT repeat('x', 200000)")
    return client


def test_row_of_256_mb(pgsluice):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = warmed(daemon)
    with Growth(daemon) as growth:
        client.send(query(f"SELECT repeat('x', {256 * MB})"))
        assert client.read()[0] == "T"
        client._fill(5)
        assert struct.unpack("!I", client.input[1:5]) == (256 * MB + 10,)
        swallow(client, 1 + 256 * MB + 10, growth)
        assert [kind for kind, _ in client.until_ready()] == ["C", "Z"]
    assert client.ask("SELECT 1") == ("TDCZ", ["1"])
    client.close()


def test_parameter_of_120_mb(pgsluice):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = warmed(daemon)
    size = 120 * MB
    value = b"x" * size
    with Growth(daemon) as growth:
        client.send(parse("SELECT length($1::text)"))
        body = b"\0\0" + struct.pack("!HHi", 0, 1, size)
        client.send(b"B" + struct.pack("!I", 4 + len(body) + size + 2), body)
        for start in range(0, size, 4 * MB):
            client.send(value[start : start + 4 * MB])
            growth.look()
        client.send(struct.pack("!H", 0), execute(), SYNC)
        answer = client.until_ready()
    assert [kind for kind, _ in answer] == ["1", "2", "D", "C", "Z"]
    assert answer[2][1].endswith(str(size).encode())
    client.close()


def test_query_text_of_40_mb(pgsluice):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = warmed(daemon)
    with Growth(daemon):
        sql = "SELECT length('" + "x" * (40 * MB) + "')"
        assert client.ask(sql) == ("TDCZ", [str(40 * MB)])
    client.close()


def test_copy_out_of_200_mb(pgsluice):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = warmed(daemon)
    rows, width = 200, MB
    with Growth(daemon) as growth:
        client.send(query(f"COPY (SELECT repeat('x', {width}) FROM generate_series(1, {rows})) TO STDOUT"))
        assert client.read()[0] == "H"
        swallow(client, rows * (5 + width + 1), growth)
        assert [kind for kind, _ in client.until_ready()] == ["c", "C", "Z"]
    client.close()


def test_copy_in_of_200_mb(pgsluice, cluster):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = warmed(daemon)
    client.ask("BEGIN")
    client.ask("CREATE TEMPORARY TABLE bulk (t text) ON COMMIT DROP")
    with Growth(daemon) as growth:
        client.send(query("COPY bulk FROM STDIN"))
        assert client.read()[0] == "G"
        row = message("d", b"x" * (MB - 1) + b"\n")
        for _ in range(200):
            client.send(row)
            growth.look()
        client.send(message("c"))
        assert client.until_ready()[0] == ("C", b"COPY 200\0")
    client.ask("ROLLBACK")
    client.close()


@pytest.mark.core
def test_slow_reader_holds_up_only_its_own_server(pgsluice, cluster):
    daemon = pgsluice(pgsluice={**TRUST, "workers": 1}, size=3, overflow=0)
    slow = warmed(daemon)
    other = daemon.connect()
    other.execute("SELECT 1")
    with Growth(daemon) as growth:
        slow.send(query("SELECT repeat('x', 1000), generate_series(1, 100000000)"))
        wait_until(
            lambda: "ClientWrite" in [row["wait_event"] for row in cluster.backends()],
            what="the server waits for the reader",
        )
        began = time.monotonic()
        for number in range(200):
            assert other.execute("SELECT %s::int", (number,)).fetchone() == (number,)
            growth.look()
        assert time.monotonic() - began < 10
    # It goes on where it was, as soon as it reads.
    memory = bytearray(MB)
    read = 0
    while read < 20 * MB:
        read += slow.socket.recv_into(memory)
    slow.vanish()


def test_sender_is_held_up_by_a_server_that_does_not_read(pgsluice, cluster, stopped):
    daemon = pgsluice(pgsluice={**TRUST, "workers": 1}, size=2, overflow=0)
    client, other = warmed(daemon), daemon.connect()
    client.ask("BEGIN")
    pid = int(client.value("SELECT pg_backend_pid()"))
    client.ask("CREATE TEMPORARY TABLE bulk (t text) ON COMMIT DROP")
    client.send(query("COPY bulk FROM STDIN"))
    assert client.read()[0] == "G"
    stopped(pid)
    with Growth(daemon) as growth:
        sent = flood(client, message("d", b"x" * 99_994 + b"\n"), growth, 300 * MB)
        assert sent < 100 * MB
        assert other.execute("SELECT 1").fetchone() == (1,)
    client.vanish()


@pytest.mark.parametrize("ahead", ["simple", "extended"])
def test_commands_sent_ahead_without_end_are_held_up(pgsluice, cluster, stopped, ahead):
    daemon = pgsluice(pgsluice={**TRUST, "workers": 1}, size=2, overflow=0)
    client, other = warmed(daemon), daemon.connect()
    client.ask("BEGIN")
    stopped(int(client.value("SELECT pg_backend_pid()")))
    one = query("SELECT 1") if ahead == "simple" else parse("SELECT 1") + SYNC
    with Growth(daemon) as growth:
        # What is owed is noted: some bytes a message.
        growth.before += 8 * MB
        sent = flood(client, one * 4000, growth, 200 * MB)
        assert sent < 60 * MB
        assert other.execute("SELECT 1").fetchone() == (1,)
    client.vanish()


def test_commands_of_one_in_line_are_held_up(pgsluice):
    daemon = pgsluice(pgsluice={**TRUST, "workers": 1}, size=1, overflow=0)
    holder, client = warmed(daemon), RawClient(daemon)
    holder.ask("BEGIN")
    with Growth(daemon) as growth:
        assert flood(client, query("SELECT 1") * 4000, growth, 100 * MB) < 60 * MB
        assert holder.ask("COMMIT")[0] == "CZ"
        wait_until(lambda: client.read()[0] == "Z", what="it gets answers")
    client.vanish()
    holder.close()


def test_wide_rows_to_many_at_once(pgsluice, cluster, threads):
    daemon = pgsluice(size=4, overflow=0)
    clients = [daemon.connect() for _ in range(8)]

    def work(client):
        return [len(client.execute("SELECT repeat('x', 3000000)").fetchone()[0]) for _ in range(3)]

    clients[0].execute("SELECT repeat('x', 3000000)")
    with Growth(daemon) as growth:
        growth.before += 4 * MB  # each may be half-way in its own piece
        assert list(threads.map(work, clients)) == [[3_000_000] * 3] * 8
