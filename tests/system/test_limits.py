"""Limits: clients, descriptors, and how long one may be idle, a command, or a transaction may run."""

import os
import resource
import time

import psycopg
import pytest
from psycopg import errors

import daemon as daemon_module
from cluster import wait_until
from raw_client import (
    FLUSH,
    Closed,
    RawClient,
    bind,
    execute,
    fields,
    parse,
    query,
    startup_packet,
)

TRUST = {"auth": "trust"}
SENTENCE = "sorry, too many clients already"


def pid_of(client):
    return client.execute("SELECT pg_backend_pid()").fetchone()[0]


def answer_to_login(daemon):
    """None where it is let in, with its connection; else the FATAL error."""
    client = RawClient(daemon, login=False)
    try:
        client.send(startup_packet(user="app", database="app"))
        answer = client.until("Z", "E")
    except (Closed, OSError):
        client.close()
        return None, "closed without a word"
    if answer[-1][0] == "Z":
        return client, None
    client.close()
    return None, fields(answer[-1][1])


# -- how many --------------------------------------------------------------------------------------


@pytest.mark.core
def test_max_clients(pgsluice):
    daemon = pgsluice(pgsluice={**TRUST, "max_clients": 5, "workers": 2}, size=2)
    clients = [RawClient(daemon) for _ in range(5)]
    for _ in range(3):
        client, told = answer_to_login(daemon)
        assert client is None
        assert (told["S"], told["C"], told["M"]) == ("FATAL", "53300", SENTENCE)
        assert "max_clients is 5" in told["D"]
    assert daemon.console("SHOW VERSION"), "the console is for those who look why"
    clients.pop().close()
    wait_until(lambda: answer_to_login(daemon)[0], what="there is room again")
    for client in clients:
        assert client.ask("SELECT 1") == ("TDCZ", ["1"])
        client.close()


def test_who_does_not_log_in_gives_the_place_back(pgsluice):
    daemon = pgsluice(pgsluice={"max_clients": 2})
    for _ in range(10):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(daemon.dsn().replace("app-secret", "wrong"))
    for _ in range(10):
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            daemon.connect(database="nowhere")
    gone = [RawClient(daemon, login=False) for _ in range(2)]
    for client in gone:
        client.send(startup_packet(user="app", database="app"))
        assert client.read()[0] == "R"
        client.vanish()
    clients = [wait_until(lambda: connected(daemon), what="it is let in") for _ in range(2)]
    assert pid_of(clients[0])


def connected(daemon):
    try:
        return daemon.connect()
    except psycopg.OperationalError:
        return None


@pytest.mark.core
def test_descriptors_run_out(pgsluice, tmp_path, monkeypatch):
    # A hard limit far below max_clients: the log says so, the excess is refused in words.
    script = tmp_path / "limited"
    script.write_text(f'#!/bin/sh\nulimit -n 80\nexec "{daemon_module.binary()}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PGSLUICE_BINARY", str(script))
    daemon = pgsluice(pgsluice={**TRUST, "max_clients": 1000, "workers": 2}, size=2)
    daemon.wait_for_log("hard limit of open files is 80")
    inside, refusals = [], []
    for _ in range(150):
        client, told = answer_to_login(daemon)
        if client is not None:
            inside.append(client)
        else:
            refusals.append(told)
    assert len(inside) > 20
    assert len(refusals) > 50
    for told in refusals:
        assert told != "closed without a word"
        assert (told["C"], told["M"]) == ("53300", SENTENCE)
    assert all(client.ask("SELECT 1") == ("TDCZ", ["1"]) for client in inside)
    for client in inside:
        client.close()
    wait_until(lambda: answer_to_login(daemon)[0], what="there is room again")


def test_no_descriptor_for_a_server_connection(pgsluice):
    # It is an error like any other of the way to the server, and passes by itself.
    daemon = pgsluice(pgsluice={**TRUST, "workers": 1}, size=2, overflow=0, warm=0)
    client = RawClient(daemon)
    client.ask("SELECT 1")
    other = RawClient(daemon)
    client.ask("BEGIN")
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    lowest = min(set(range(3, 1000)) - {int(name) for name in os.listdir(f"/proc/{daemon.pid}/fd")})
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (lowest, before[1]))
    other.send(query("SELECT 2"))
    daemon.wait_for_log("too many open files")
    assert answer_to_login(daemon)[1]["C"] == "53300"
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
    assert [kind for kind, _ in other.until_ready()] == ["T", "D", "C", "Z"]
    assert client.ask("COMMIT")[0] == "CZ"
    for one in (client, other):
        one.close()


def test_soft_limit_is_raised_to_fit(pgsluice, tmp_path, monkeypatch):
    script = tmp_path / "limited"
    script.write_text(f'#!/bin/sh\nulimit -S -n 80\nexec "{daemon_module.binary()}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PGSLUICE_BINARY", str(script))
    daemon = pgsluice(pgsluice={**TRUST, "max_clients": 300})
    clients = [RawClient(daemon) for _ in range(200)]
    assert clients[-1].value("SELECT 1") == "1"
    for client in clients:
        client.close()


# -- how long --------------------------------------------------------------------------------------


@pytest.mark.core
def test_client_idle_timeout(pgsluice, threads):
    daemon = pgsluice(pgsluice={**TRUST, "client_idle_timeout": "700ms"}, size=2, overflow=0)
    idle, in_transaction = RawClient(daemon), daemon.connect()
    in_transaction.execute("BEGIN")
    running = daemon.connect()
    answer = threads.submit(running.execute, "SELECT pg_sleep(2.2)")
    began = time.monotonic()
    told = idle.refusal()
    assert 0.5 < time.monotonic() - began < 5
    assert (told["S"], told["C"]) == ("FATAL", "57P05")
    assert answer.result(20)
    assert in_transaction.execute("SELECT 1").fetchone() == (1,)
    in_transaction.execute("COMMIT")
    idle.close()


@pytest.mark.core
@pytest.mark.parametrize("ways", ["simple", "extended"])
def test_command_timeout(pgsluice, cluster, ways):
    daemon = pgsluice(size=1, overflow=0, command_timeout="400ms")
    client = daemon.connect(prepare_threshold=0 if ways == "extended" else None)
    parameters = (60,) if ways == "extended" else None
    sql = "SELECT pg_sleep(%s)" if parameters else "SELECT pg_sleep(60)"
    pid = pid_of(client)
    began = time.monotonic()
    with pytest.raises(errors.QueryCanceled, match="command timeout") as raised:
        client.execute(sql, parameters)
    assert 0.3 < time.monotonic() - began < 3
    assert "command_timeout" in raised.value.diag.message_detail
    assert pid_of(client) == pid
    # Within a transaction: it has failed, as the server has it.
    client.execute("BEGIN")
    with pytest.raises(errors.QueryCanceled):
        client.execute(sql, parameters)
    with pytest.raises(errors.InFailedSqlTransaction):
        client.execute("SELECT 1")
    client.execute("ROLLBACK")
    assert pid_of(client) == pid


def test_command_timeout_counts_commands_not_transactions(pgsluice):
    daemon = pgsluice(size=1, overflow=0, command_timeout="500ms")
    client = daemon.connect()
    client.execute("BEGIN")
    for _ in range(4):
        client.execute("SELECT pg_sleep(0.25)")
    time.sleep(0.7)  # and silence is none of its business
    client.execute("COMMIT")


def test_command_timeout_leaves_other_errors_alone(pgsluice):
    daemon = pgsluice(size=1, overflow=0, command_timeout="300ms")
    client = daemon.connect()
    with pytest.raises(errors.RaiseException, match="in my own words"):
        client.execute("DO $$ BEGIN PERFORM pg_sleep(60);"
                       " EXCEPTION WHEN query_canceled THEN RAISE 'in my own words'; END $$")  # fmt: skip
    client.execute("SET statement_timeout = '100ms'")
    with pytest.raises(errors.QueryCanceled, match="statement timeout"):
        client.execute("SELECT pg_sleep(60)")


@pytest.mark.core
def test_transaction_timeout(pgsluice, cluster):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, transaction_timeout="700ms")
    for way in ("idle", "busy", "running"):
        client = RawClient(daemon)
        pid = int(client.value("SELECT pg_backend_pid()"))
        client.ask("BEGIN")
        began = time.monotonic()
        if way == "running":
            client.send(query("SELECT pg_sleep(60)"))
        told = None
        while way == "busy" and told is None:
            client.send(query("SELECT 1"))
            kinds = client.until("Z", "E")
            if kinds[-1][0] == "E":
                told = kinds
        assert way == "busy" or client.refusal()["C"] == "25P04"
        assert 0.4 < time.monotonic() - began < 4
        client.close()
        other = daemon.connect()
        assert pid_of(other) == pid
        assert [row["state"] for row in cluster.backends()] == ["idle"]


@pytest.mark.parametrize("mode, pin", [("transaction", "LISTEN here"), ("session", "SELECT 1")])
def test_transaction_timeout_counts_transactions_alone(pgsluice, mode, pin):
    # A client that keeps its server connection between its transactions is in none.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, transaction_timeout="400ms", mode=mode)
    client = RawClient(daemon)
    client.ask(pin)
    for _ in range(4):
        time.sleep(0.2)
        assert client.ask("SELECT 1") == ("TDCZ", ["1"])
    time.sleep(0.8)
    assert client.ask("SELECT 2") == ("TDCZ", ["2"])
    client.ask("BEGIN")
    assert client.refusal()["C"] == "25P04"
    client.close()


def test_transaction_timeout_of_a_sequence_without_its_sync(pgsluice):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, transaction_timeout="400ms")
    client = RawClient(daemon)
    client.send(parse("SELECT 1"), bind(), execute(), FLUSH)
    client.until("C")
    assert client.refusal()["C"] == "25P04"
    client.close()


@pytest.mark.core
def test_idle_transaction_timeout(pgsluice, cluster, threads):
    daemon = pgsluice(pgsluice=TRUST, size=2, overflow=0, idle_transaction_timeout="500ms")
    running = daemon.connect()
    running.execute("BEGIN")
    answer = threads.submit(running.execute, "SELECT pg_sleep(1.2)")
    client = RawClient(daemon)
    pid = int(client.value("SELECT pg_backend_pid()"))
    client.ask("BEGIN")
    for _ in range(4):
        time.sleep(0.2)
        client.ask("SELECT 1")
    began = time.monotonic()
    told = client.refusal()
    assert 0.3 < time.monotonic() - began < 4
    assert (told["S"], told["C"]) == ("FATAL", "25P03")
    assert answer.result(20)
    running.execute("COMMIT")
    client.close()
    assert pid in cluster.backend_pids()
    assert {row["state"] for row in cluster.backends()} == {"idle"}


def test_idle_outside_of_a_transaction_is_no_idle_transaction(pgsluice):
    daemon = pgsluice(size=1, overflow=0, idle_transaction_timeout="300ms")
    client = daemon.connect()
    pid_of(client)
    time.sleep(0.8)
    assert pid_of(client)
