"""Server connections that end, stop or fall silent, idle or at work: who notices, and who does not."""

import os
import signal
import time

import psycopg
import pytest
from psycopg import errors

from cluster import is_running, wait_until
from raw_client import Closed, RawClient, query
from raw_proxy import Proxy

TRUST = {"auth": "trust"}


@pytest.fixture
def stopped():
    """Stops processes, and lets them go on at the end."""
    pids = []

    def stop(pid):
        os.kill(pid, signal.SIGSTOP)
        pids.append(pid)

    yield stop
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def pid_of(client):
    return client.execute("SELECT pg_backend_pid()").fetchone()[0]


# -- ended by the server ---------------------------------------------------------------------------


@pytest.mark.core
def test_end_of_idle_connections_is_not_noticed(pgsluice, cluster):
    daemon = pgsluice(pgsluice={"workers": 2}, size=4, overflow=0)
    clients = [daemon.connect() for _ in range(8)]
    for _ in range(5):
        before = {pid_of(client) for client in clients}
        cluster.terminate()
        assert before.isdisjoint({pid_of(client) for client in clients})


def test_end_between_ask_and_answer_of_nobody(pgsluice, cluster):
    # The end comes just when the client asks: it is seen before anything is sent.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, pre_ping="off")
    client = RawClient(daemon)
    with cluster.connect() as helper:
        for _ in range(6):
            pid = int(client.value("SELECT pg_backend_pid()"))
            helper.execute("SELECT pg_terminate_backend(%s)", (pid,))
            wait_until(lambda: not is_running(pid), interval=0.001, what="the backend is gone")
            assert int(client.value("SELECT pg_backend_pid()")) != pid
    client.close()


@pytest.mark.core
@pytest.mark.parametrize("begin", ["", "BEGIN"])
def test_end_of_one_at_work_is_told_in_the_servers_words(pgsluice, cluster, threads, begin):
    daemon = pgsluice(size=1, overflow=0)
    client, other = daemon.connect(), daemon.connect()
    pid = pid_of(client)
    if begin:
        client.execute(begin)
    answer = threads.submit(client.execute, "SELECT pg_sleep(60)")
    wait_until(lambda: [row["state"] for row in cluster.backends()] == ["active"], what="it runs")
    assert cluster.terminate() == 1
    with pytest.raises(errors.AdminShutdown) as raised:
        answer.result(20)
    assert raised.value.diag.severity_nonlocalized == "FATAL"
    assert raised.value.diag.message_primary.startswith("terminating connection due to admin")
    assert pid_of(other) != pid


def test_end_of_one_in_an_idle_transaction_is_told(pgsluice, cluster):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client, other = RawClient(daemon), daemon.connect()
    client.ask("BEGIN")
    assert cluster.terminate() == 1
    assert client.refusal()["C"] == "57P01"
    client.close()
    assert other.execute("SELECT 1").fetchone() == (1,)


def test_crash_of_one_is_told_with_its_address(pgsluice, cluster):
    # A killed backend says nothing, and the server restarts all the others.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    pid = int(client.value("SELECT pg_backend_pid()"))
    client.send(query("SELECT pg_sleep(60)"))
    wait_until(lambda: [row["state"] for row in cluster.backends()] == ["active"], what="it runs")
    os.kill(pid, signal.SIGKILL)
    told = client.refusal()
    assert told["C"] == "08006"
    assert f"{cluster.host}:{cluster.port}" in told["D"]
    assert str(pid) in told["D"]
    client.close()
    wait_until(cluster.answers, what="the server is back")
    wait_until(lambda: recovered(daemon), timeout=10, what="the pool is back")


def recovered(daemon):
    try:
        return daemon.connect().execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


# -- stopped ---------------------------------------------------------------------------------------


@pytest.mark.core
def test_stopped_idle_backend_is_replaced(pgsluice, cluster, stopped):
    daemon = pgsluice(size=1, overflow=0, pre_ping="always", pre_ping_timeout="300ms")
    client = daemon.connect()
    pid = pid_of(client)
    stopped(pid)
    began = time.monotonic()
    assert pid_of(client) != pid
    assert time.monotonic() - began < 3
    assert daemon.pool()["sv_active"] == 0


def test_stopped_busy_backend_holds_up_its_own_client_only(pgsluice, cluster, threads):
    daemon = pgsluice(size=2, overflow=0)
    client, other = daemon.connect(), daemon.connect()
    client.execute("BEGIN")
    pid = pid_of(client)
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = threads.submit(client.execute, "SELECT 'late'")
        for _ in range(50):
            assert pid_of(other) != pid
        assert not answer.done()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert answer.result(20).fetchone() == ("late",)
    client.execute("COMMIT")


# -- black holes -----------------------------------------------------------------------------------


@pytest.mark.core
def test_silent_idle_connections_are_replaced(pgsluice, cluster):
    with Proxy(cluster.port) as proxy:
        daemon = pgsluice(
            databases={"app": {"url": proxy.url(cluster)}}, size=3, overflow=0,
            pre_ping="always", pre_ping_timeout="300ms",
        )  # fmt: skip
        clients = [daemon.connect() for _ in range(3)]
        for client in clients:
            client.execute("BEGIN")
        before = {pid_of(client) for client in clients}
        for client in clients:
            client.execute("COMMIT")
        proxy.go_silent()
        began = time.monotonic()
        # Three are silent: whoever comes first finds the first, and suspects the others.
        assert before.isdisjoint({pid_of(client) for client in clients})
        assert time.monotonic() - began < 4
        wait_until(lambda: daemon.pool()["sv_active"] == 0, what="at rest")


def test_one_dead_connection_makes_the_older_suspect(pgsluice, cluster):
    # pre_ping_after has not passed yet; still no client may meet the other silent ones.
    with Proxy(cluster.port) as proxy:
        daemon = pgsluice(
            pgsluice={"workers": 1}, databases={"app": {"url": proxy.url(cluster)}}, size=3,
            overflow=0, pre_ping="on", pre_ping_after="30s", pre_ping_timeout="300ms",
        )  # fmt: skip
        clients = [daemon.connect() for _ in range(3)]
        for client in clients:
            client.execute("BEGIN")
        before = [pid_of(client) for client in clients]
        for client in clients:
            client.execute("COMMIT")
        proxy.go_silent()
        cluster.terminate(f"pid = {before[0]}")
        proxy.cut_one_that_is_silent()
        wait_until(lambda: daemon.pool()["sv_idle"] <= 2, what="one has been found dead")
        for client in clients:
            assert pid_of(client) not in before


def test_all_silent_is_told_after_the_timeouts(pgsluice, cluster):
    with Proxy(cluster.port) as proxy:
        daemon = pgsluice(
            databases={"app": {"url": proxy.url(cluster)}}, size=1, overflow=0,
            pre_ping="always", pre_ping_timeout="300ms", connect_timeout="400ms",
        )  # fmt: skip
        client = daemon.connect()
        pid = pid_of(client)
        proxy.go_silent(new_ones_too=True)
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="connect_timeout") as raised:
            client.execute("SELECT 1")
        assert raised.value.sqlstate == "08001"
        assert time.monotonic() - began < 4
        proxy.heal()

        def heals():
            try:
                return pid_of(client) != pid
            except psycopg.OperationalError:
                return False

        wait_until(heals, timeout=10, what="it has recovered")


# -- in the middle of a message --------------------------------------------------------------------


def test_error_never_gets_into_the_middle_of_a_row(pgsluice, cluster):
    # The row is cut short: words put behind its first half would be read as its second.
    with Proxy(cluster.port) as proxy:
        daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": proxy.url(cluster)}}, size=1)
        client = RawClient(daemon)
        client.value("SELECT 1")
        proxy.stop_after(300_000)
        client.send(query("SELECT repeat('x', 1000000)"))
        assert client.read()[0] == "T"
        while len(client.input) < 290_000:
            client.input += client.socket.recv(65536)
        proxy.cut()
        with pytest.raises(Closed):
            client.read()
        assert set(client.input[20:]) == {ord("x")}
        client.close()


def test_timeout_in_the_middle_of_a_row_adds_nothing(pgsluice, cluster):
    with Proxy(cluster.port) as proxy:
        daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": proxy.url(cluster)}}, size=1,
                          transaction_timeout="500ms")  # fmt: skip
        client = RawClient(daemon)
        client.value("SELECT 1")
        proxy.stop_after(300_000)
        client.send(query("SELECT repeat('x', 1000000)"))
        assert client.read()[0] == "T"
        with pytest.raises(Closed):
            client.read()
        assert set(client.input[20:]) == {ord("x")}
        client.close()
