"""Stopping: what may end first, who is told what, how long it takes, and the exit status."""

import os
import re
import signal
import socket
import time

import psycopg
import pytest
from psycopg import errors

from cluster import wait_until
from raw_client import TERMINATE, RawClient, query

TRUST = {"auth": "trust"}
AT_ONCE = 2.0
# What the server says of clients that leave without Terminate.
IMPOLITE = re.compile(r"unexpected EOF|connection to client lost|could not (receive|send)")


def begin_stop(daemon, number=signal.SIGTERM):
    daemon.send(number)
    daemon.wait_for_log("stopping")


def told_of_stop(client):
    told = client.refusal()
    client.close()
    return (told["S"], told["C"]) == ("FATAL", "57P01")


def cannot_connect(daemon):
    with socket.socket() as probe:
        return probe.connect_ex((daemon.host, daemon.port)) != 0


@pytest.fixture
def polite(cluster):
    """The server logs even a silent end of a connection that is idle; there must be none."""
    cluster.sql("ALTER ROLE app SET log_min_messages = debug1")
    before = len(cluster.log_file.read_text(errors="replace"))
    yield
    cluster.sql("ALTER ROLE app RESET log_min_messages")
    said = cluster.log_file.read_text(errors="replace")[before:]
    assert not IMPOLITE.search(said), IMPOLITE.findall(said)


@pytest.mark.core
def test_sigterm_lets_transactions_end(pgsluice, cluster, polite):
    daemon = pgsluice(pgsluice={**TRUST, "shutdown_timeout": "20s"}, size=4, overflow=0)
    idle = [RawClient(daemon) for _ in range(3)]
    client = RawClient(daemon)
    client.ask("BEGIN")
    begin_stop(daemon)
    assert all([told_of_stop(one) for one in idle])
    wait_until(lambda: cannot_connect(daemon), what="nobody is let in")
    # The transaction has all the time that it needs.
    for _ in range(5):
        assert client.ask("SELECT 1") == ("TDCZ", ["1"])
        time.sleep(0.1)
    assert daemon.is_running()
    client.send(query("COMMIT"))
    answer = client.until_closed()
    client.close()
    assert [kind for kind, _ in answer] == ["C", "Z", "E"]
    assert daemon.wait(5) == 0
    assert "stopped" in daemon.log()
    wait_until(lambda: cluster.backend_pids() == [], what="the server connections are closed")


def test_sigterm_lets_a_command_end(pgsluice, cluster, polite):
    daemon = pgsluice(pgsluice={**TRUST, "shutdown_timeout": "20s"}, size=4, overflow=0)
    client = RawClient(daemon)
    client.send(query("SELECT 'whole' FROM pg_sleep(0.7)"))
    wait_until(lambda: [row["state"] for row in cluster.backends()] == ["active"], what="it runs")
    begin_stop(daemon)
    answer = client.until_closed()
    client.close()
    assert [kind for kind, _ in answer] == ["T", "D", "C", "Z", "E"]
    assert daemon.wait(5) == 0


def test_sigterm_ends_those_in_line(pgsluice, polite):
    daemon = pgsluice(pgsluice={**TRUST, "shutdown_timeout": "20s"}, size=1, overflow=0)
    holder, waiter = RawClient(daemon), RawClient(daemon)
    holder.ask("BEGIN")
    waiter.send(query("SELECT 1"))
    wait_until(lambda: daemon.pool()["cl_waiting"] == 1, what="it waits")
    begin_stop(daemon)
    assert told_of_stop(waiter)
    assert holder.ask("ROLLBACK")[0] == "CZ"
    holder.close()
    assert daemon.wait(5) == 0


@pytest.mark.parametrize("mode, ahead", [("session", "SELECT 1"), ("transaction", "LISTEN here")])
def test_sigterm_ends_who_keeps_a_connection_without_a_transaction(pgsluice, polite, mode, ahead):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, mode=mode)
    client = RawClient(daemon)
    client.ask(ahead)
    began = time.monotonic()
    begin_stop(daemon)
    assert told_of_stop(client)
    assert daemon.wait(5) == 0
    assert time.monotonic() - began < AT_ONCE


def test_sigterm_ends_strangers(pgsluice):
    daemon = pgsluice(pgsluice=TRUST)
    stranger = RawClient(daemon, login=False)
    silent = RawClient(daemon, login=False)
    stranger.send(b"\0\0")
    wait_until(lambda: daemon.console("SHOW VERSION"), what="it answers")
    begin_stop(daemon)
    assert told_of_stop(stranger)
    assert told_of_stop(silent)
    assert daemon.wait(5) == 0


def test_who_does_not_hang_up_holds_up_nothing(pgsluice):
    # Told and left alone, a client that keeps its socket open is not waited for beyond 2 s.
    daemon = pgsluice(pgsluice=TRUST)
    clients = [RawClient(daemon) for _ in range(3)]
    began = time.monotonic()
    begin_stop(daemon)
    assert daemon.wait(6) == 0
    assert time.monotonic() - began < 4
    assert all(told_of_stop(client) for client in clients)


@pytest.mark.core
@pytest.mark.parametrize("way", ["idle", "running"])
def test_shutdown_timeout_ends_what_is_left(pgsluice, cluster, way):
    cluster.sql("DROP TABLE IF EXISTS left_over", "CREATE TABLE left_over (id int)",
                "ALTER TABLE left_over OWNER TO app", database="app")  # fmt: skip
    daemon = pgsluice(pgsluice={**TRUST, "shutdown_timeout": "700ms"}, size=1, overflow=0)
    client = RawClient(daemon)
    client.ask("BEGIN")
    client.ask("INSERT INTO left_over VALUES (1)")
    if way == "running":
        client.send(query("SELECT pg_sleep(60)"))
    began = time.monotonic()
    begin_stop(daemon)
    assert told_of_stop(client)
    assert 0.5 < time.monotonic() - began < 4
    assert daemon.wait(5) == 0
    wait_until(lambda: cluster.backend_pids() == [], what="the server connection is closed")
    assert cluster.value("SELECT count(*) FROM left_over", database="app") == 0
    cluster.sql("DROP TABLE left_over", database="app")


@pytest.mark.core
@pytest.mark.parametrize("way", ["idle", "running"])
def test_sigint_ends_at_once(pgsluice, cluster, way):
    daemon = pgsluice(pgsluice={**TRUST, "shutdown_timeout": "20s"}, size=2, overflow=0)
    client, idle = RawClient(daemon), RawClient(daemon)
    client.ask("BEGIN")
    if way == "running":
        client.send(query("SELECT pg_sleep(60)"))
        wait_until(
            lambda: "active" in [row["state"] for row in cluster.backends()], what="it runs"
        )
    began = time.monotonic()
    begin_stop(daemon, signal.SIGINT)
    assert told_of_stop(client)
    assert told_of_stop(idle)
    assert daemon.wait(5) == 0
    assert time.monotonic() - began < AT_ONCE
    wait_until(lambda: cluster.backend_pids() == [], what="nothing runs on")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_does_not_wait_for_transactions(pgsluice, cluster, second):
    daemon = pgsluice(pgsluice={**TRUST, "shutdown_timeout": "20s"}, size=1, overflow=0)
    client = RawClient(daemon)
    client.ask("BEGIN")
    begin_stop(daemon)
    assert client.ask("SELECT 1") == ("TDCZ", ["1"])
    began = time.monotonic()
    daemon.send(second)
    assert told_of_stop(client)
    assert daemon.wait(5) == 0
    assert time.monotonic() - began < AT_ONCE


def test_third_signal_ends_without_order(pgsluice, cluster):
    # A server that takes no cancel request holds up an end at once for a second at most.
    daemon = pgsluice(pgsluice={**TRUST, "shutdown_timeout": "20s"}, size=1, overflow=0)
    client = RawClient(daemon)
    client.send(query("SELECT pg_sleep(60)"))
    wait_until(lambda: [row["state"] for row in cluster.backends()] == ["active"], what="it runs")
    backend = cluster.backend_pids()[0]
    os.kill(cluster.process.pid, signal.SIGSTOP)
    try:
        begin_stop(daemon, signal.SIGINT)
        assert told_of_stop(client)
        daemon.send(signal.SIGINT)
        status = daemon.process.wait(5)
        assert (status, "without order" in daemon.log()) == (1, True)
    finally:
        os.kill(cluster.process.pid, signal.SIGCONT)
        cluster.sql(f"SELECT pg_terminate_backend({backend})")
    daemon.exit_status = 0  # it has been looked at


def test_end_at_once_does_not_wait_for_a_server_that_is_silent(pgsluice, cluster):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    client.send(query("SELECT pg_sleep(60)"))
    wait_until(lambda: [row["state"] for row in cluster.backends()] == ["active"], what="it runs")
    backend = cluster.backend_pids()[0]
    os.kill(cluster.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert daemon.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 4
    finally:
        os.kill(cluster.process.pid, signal.SIGCONT)
        cluster.sql(f"SELECT pg_terminate_backend({backend})")


def test_servers_are_told_goodbye(pgsluice, cluster, polite):
    # At the end, and whenever the pool closes one: overflow, recycle, idle_timeout.
    daemon = pgsluice(size=2, overflow=3, recycle="1s", warm=0)
    clients = [daemon.connect() for _ in range(5)]
    for client in clients:
        client.execute("BEGIN")
    for client in clients:
        client.execute("COMMIT")
    wait_until(lambda: len(cluster.backend_pids()) == 2, what="overflow is closed")
    wait_until(lambda: len(cluster.backend_pids()) == 0, what="all have become too old")
    clients[0].execute("SELECT 1")
    assert daemon.stop() == 0


def test_idle_psycopg_clients_read_why(pgsluice):
    daemon = pgsluice()
    client = daemon.connect()
    client.execute("SELECT 1")
    begin_stop(daemon)
    with pytest.raises(errors.AdminShutdown, match="administrator command"):
        client.execute("SELECT 2")
    assert client.closed
    with pytest.raises(psycopg.OperationalError, match="refused"):
        daemon.connect()
    assert daemon.wait(5) == 0


def test_console_shutdown_is_a_graceful_stop(pgsluice, cluster, polite):
    daemon = pgsluice(pgsluice={**TRUST, "shutdown_timeout": "20s"}, size=2, overflow=0)
    client = RawClient(daemon)
    client.ask("BEGIN")
    try:
        daemon.console("SHUTDOWN")
    except psycopg.OperationalError:
        pass  # its own connection is one of those that end
    daemon.wait_for_log("stopping")
    assert client.ask("SELECT 1") == ("TDCZ", ["1"])
    client.send(query("COMMIT"), TERMINATE)
    assert daemon.wait(5) == 0
    client.close()
