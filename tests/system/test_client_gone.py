"""
A client that disappears in the middle of something: what it began is ended for it, and its server
connection is cleaned and kept where that is cheap.
"""

import os
import signal
import struct

import psycopg
import pytest

from cluster import wait_until
from raw_client import FLUSH, SYNC, TERMINATE, RawClient, bind, execute, message, parse, query

TRUST = {"auth": "trust"}


@pytest.fixture
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS gone", "CREATE TABLE gone (id bigint)",
                "ALTER TABLE gone OWNER TO app", database="app")  # fmt: skip
    yield "gone"
    cluster.sql("DROP TABLE gone", database="app")


@pytest.fixture(params=["vanish", "close", "terminate"])
def leave(request):
    """How the client goes: by a reset, with its socket's end, or with a goodbye."""

    def go(client):
        if request.param == "vanish":
            client.vanish()
            return
        if request.param == "terminate":
            client.send(TERMINATE)
        client.close()

    return go


def rest_on(daemon, pid):
    """The pool comes back to rest, with the same backend as its only one."""
    wait_until(lambda: daemon.pool()["sv_active"] == 0, what="no server connection is at work")
    wait_until(lambda: daemon.pool()["sv_idle"] == 1, what="the server connection is idle")
    with psycopg.connect(daemon.dsn(), autocommit=True) as client:
        found, status, locks = client.execute(
            "SELECT pg_backend_pid(), txid_current_if_assigned(),"
            " (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'"
            " AND relation = to_regclass('gone'))"
        ).fetchone()
    assert (found, status, locks) == (pid, None, 0)


def states(cluster):
    return [row["state"] for row in cluster.backends()]


def start(daemon):
    client = RawClient(daemon)
    return client, int(client.value("SELECT pg_backend_pid()"))


def open_transaction(client):
    client.ask("BEGIN")
    client.ask("INSERT INTO gone VALUES (1)")


def count(cluster):
    return cluster.value("SELECT count(*) FROM gone", database="app")


@pytest.mark.core
def test_in_a_transaction(pgsluice, cluster, table, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    open_transaction(client)
    leave(client)
    rest_on(daemon, pid)
    assert count(cluster) == 0


def test_in_a_failed_transaction(pgsluice, cluster, table, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    open_transaction(client)
    assert client.ask("SELECT 1 / 0")[0] == "EZ"
    leave(client)
    rest_on(daemon, pid)
    assert count(cluster) == 0


@pytest.mark.core
@pytest.mark.parametrize("begin", ["", "BEGIN"])
def test_in_a_running_command(pgsluice, cluster, table, leave, begin):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    if begin:
        open_transaction(client)
    client.send(query("SELECT pg_sleep(300)"))
    wait_until(lambda: states(cluster) == ["active"], what="the command runs")
    leave(client)
    rest_on(daemon, pid)
    assert count(cluster) == 0


def test_in_an_extended_command(pgsluice, cluster, leave, table):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(parse("SELECT pg_sleep(300)"), bind(), execute(), SYNC, parse("INSERT INTO gone"
                " VALUES (1)"), bind(), execute(), SYNC)  # fmt: skip
    wait_until(lambda: states(cluster) == ["active"], what="the command runs")
    leave(client)
    rest_on(daemon, pid)


@pytest.mark.parametrize("flush", [b"", FLUSH])
def test_in_a_sequence_without_its_sync(pgsluice, cluster, table, leave, flush):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(parse("INSERT INTO gone VALUES (1)"), bind(), execute(), flush)
    if flush:
        client.until("C")
    leave(client)
    rest_on(daemon, pid)
    assert count(cluster) == 0


def test_in_a_sequence_that_failed(pgsluice, cluster, table, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(parse("SELECT 1 / 0"), bind(), execute(), FLUSH)
    client.until("E")
    leave(client)
    rest_on(daemon, pid)


@pytest.mark.core
def test_in_copy_in(pgsluice, cluster, table, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(query("COPY gone FROM STDIN"))
    client.until("G")
    client.send(*[message("d", b"%d\n" % number) for number in range(1000)])
    leave(client)
    rest_on(daemon, pid)
    assert count(cluster) == 0


def test_in_copy_in_of_a_sequence(pgsluice, cluster, table, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(parse("COPY gone FROM STDIN"), bind(), execute(), SYNC)
    client.until("G")
    client.send(message("d", b"1\n"))
    leave(client)
    rest_on(daemon, pid)
    assert count(cluster) == 0


@pytest.mark.core
def test_in_copy_out(pgsluice, cluster, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(query("COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) TO STDOUT"))
    client.until("d")
    leave(client)
    rest_on(daemon, pid)


def test_in_rows_that_it_does_not_read(pgsluice, cluster, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(query("SELECT repeat('x', 1000), generate_series(1, 100000000)"))
    wait_until(
        lambda: [row["wait_event"] for row in cluster.backends()] == ["ClientWrite"],
        what="the server waits for the reader",
    )
    leave(client)
    rest_on(daemon, pid)


def test_in_half_a_short_message(pgsluice, cluster, table, leave):
    # Whole messages alone reach the server: the connection is not harmed.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    open_transaction(client)
    client.send(execute()[:4])
    leave(client)
    rest_on(daemon, pid)
    assert count(cluster) == 0


@pytest.mark.parametrize("kind", ["Q", "B", "d", "P"])
def test_in_half_a_long_message(pgsluice, cluster, table, kind):
    # What has begun to pass to the server cannot be ended: such a connection is closed.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    open_transaction(client)
    if kind == "d":
        client.send(query("COPY gone FROM STDIN"))
        client.until("G")
    client.send(kind.encode() + struct.pack("!I", 10_000_000) + b"\0" * 200_000)
    client.vanish()
    wait_until(lambda: daemon.pool()["sv_active"] == 0, what="no server connection is at work")
    wait_until(lambda: "idle in transaction" not in states(cluster), what="it was rolled back")
    assert count(cluster) == 0
    with psycopg.connect(daemon.dsn(), autocommit=True) as other:
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_with_messages_behind_each_other(pgsluice, cluster, table, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(query("BEGIN"), *[query("INSERT INTO gone VALUES (1)")] * 50)
    leave(client)
    rest_on(daemon, pid)
    assert count(cluster) == 0


def test_goodbye_right_behind_a_command(pgsluice, cluster, table):
    # One packet: the server would carry the command out and then go; nobody awaits the answer.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.send(query("INSERT INTO gone VALUES (1)"), TERMINATE)
    assert client.until_closed() is not None
    client.close()
    rest_on(daemon, pid)


def test_while_it_waits_in_line(pgsluice, cluster, table, leave):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    holder, pid = start(daemon)
    holder.ask("BEGIN")
    waiter = RawClient(daemon)
    waiter.send(query("INSERT INTO gone VALUES (1)"))
    wait_until(lambda: daemon.pool()["cl_waiting"] == 1, what="it waits")
    leave(waiter)
    wait_until(lambda: daemon.pool()["cl_waiting"] == 0, what="it is forgotten")
    holder.ask("COMMIT")
    holder.close()
    rest_on(daemon, pid)
    assert count(cluster) == 0


@pytest.mark.core
def test_many_at_once(pgsluice, cluster, table):
    # Half of them in a command, half of them between two, others in line.
    daemon = pgsluice(pgsluice={**TRUST, "workers": 2}, size=4, overflow=2)
    clients = [RawClient(daemon) for _ in range(40)]
    for number, client in enumerate(clients):
        client.send(query("BEGIN"), query("INSERT INTO gone VALUES (1)"))
        if number % 2:
            client.send(query("SELECT pg_sleep(300)"))
    wait_until(lambda: daemon.pool()["cl_waiting"] == 34, what="the others wait")
    for client in clients:
        client.vanish()
    wait_until(lambda: daemon.pool()["sv_active"] == 0, what="no server connection is at work")
    assert daemon.pool()["cl_waiting"] == 0
    assert count(cluster) == 0
    assert set(states(cluster)) == {"idle"}
    assert len(states(cluster)) <= 4


def test_settings_of_the_gone_do_not_stay(pgsluice, cluster, table):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    client.ask("BEGIN")
    client.ask("SET work_mem = '7MB'")
    client.ask("SELECT pg_advisory_lock(4711)")
    client.vanish()
    rest_on(daemon, pid)
    other = RawClient(daemon)
    assert other.value("SHOW work_mem") != "7MB"
    assert other.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
    other.close()


def test_before_the_server_has_read_its_command(pgsluice, cluster, table, leave):
    # A cancel that comes first finds nothing to cancel: another one has to follow.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, pid = start(daemon)
    open_transaction(client)

    def received():
        return cluster.log_file.read_text().count("connection received")

    os.kill(pid, signal.SIGSTOP)
    try:
        before = received()
        client.send(query("SELECT pg_sleep(300)"))
        leave(client)
        wait_until(lambda: received() > before, what="the first cancel has been sent")
    finally:
        os.kill(pid, signal.SIGCONT)
    rest_on(daemon, pid)
    assert count(cluster) == 0
