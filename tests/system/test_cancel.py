"""Cancel requests: they reach the right server connection, and never another client's command."""

import os
import random
import signal
import threading
import time

import pytest
from psycopg import errors

from cluster import wait_until
from raw_client import RawClient, cancel_packet, query, send_cancel
from raw_proxy import Proxy

TRUST = {"auth": "trust"}


def sleeping(cluster):
    """Backends of app that sleep within a command."""
    return [row["pid"] for row in cluster.backends() if row["wait_event"] == "PgSleep"]


def wait_for_sleep(cluster, count=1):
    wait_until(lambda: len(sleeping(cluster)) == count, what=f"{count} commands sleep")


def pid_of(client):
    return client.execute("SELECT pg_backend_pid()").fetchone()[0]


@pytest.mark.core
def test_reaches_the_command_from_whichever_worker(pgsluice, cluster, threads):
    # Clients go to workers in turn, and so do the connections that bring the requests.
    daemon = pgsluice(pgsluice={"workers": 2}, size=6, overflow=0)
    clients = [daemon.connect() for _ in range(6)]
    answers = [threads.submit(client.execute, "SELECT pg_sleep(60)") for client in clients]
    wait_for_sleep(cluster, 6)
    for number, (client, answer) in enumerate(zip(clients, answers, strict=True), start=1):
        client.cancel()
        with pytest.raises(errors.QueryCanceled, match="user request"):
            answer.result(20)
        assert len(sleeping(cluster)) == 6 - number
    pids = {pid_of(client) for client in clients}
    assert pids <= set(cluster.backend_pids())
    assert len(cluster.backend_pids()) == 6


def test_a_clients_pid_is_no_process_of_the_server(pgsluice):
    # Knex cancels by pg_cancel_backend() of the pid that came with the cancel key.
    client = pgsluice().connect()
    notices = []
    client.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    for function in ("pg_cancel_backend", "pg_terminate_backend"):
        pid = client.info.backend_pid
        assert client.execute(f"SELECT {function}({pid})").fetchone() == (False,)
        assert notices.pop().startswith(f"PID {pid} is not a PostgreSQL")
    assert pid >= 2**22


def test_cancelled_transaction_fails_as_the_servers(pgsluice, cluster, threads):
    daemon = pgsluice(size=1, overflow=0)
    client = daemon.connect()
    client.execute("BEGIN")
    pid = pid_of(client)
    answer = threads.submit(client.execute, "SELECT pg_sleep(60)")
    wait_for_sleep(cluster)
    client.cancel()
    with pytest.raises(errors.QueryCanceled):
        answer.result(20)
    with pytest.raises(errors.InFailedSqlTransaction):
        client.execute("SELECT 1")
    client.execute("ROLLBACK")
    assert pid_of(client) == pid


def test_cancels_in_line_and_the_client_stays(pgsluice, threads):
    daemon = pgsluice(size=1, overflow=0)
    holder, waiter = daemon.connect(), daemon.connect()
    holder.execute("BEGIN")
    for parameters in (None, (1,)):  # a simple query, then an extended one
        answer = threads.submit(waiter.execute, "SELECT 1 + %s" if parameters else "SELECT 1",
                                parameters)  # fmt: skip
        wait_until(lambda: daemon.pool()["cl_waiting"] == 1, what="it waits")
        waiter.cancel()
        with pytest.raises(errors.QueryCanceled, match="user request"):
            answer.result(20)
        assert daemon.pool()["cl_waiting"] == 0
    holder.execute("COMMIT")
    assert waiter.execute("SELECT 5").fetchone() == (5,)


@pytest.mark.core
def test_late_cancels_hit_nobody_else(pgsluice, threads):
    # One server connection for all: a request that comes after its command's end would find
    # another client's. Each client cancels what it has just finished, over and over.
    daemon = pgsluice(pgsluice={"workers": 2}, size=1, overflow=0)
    over = threading.Event()
    working = [daemon.connect() for _ in range(3)]
    cancelling = [daemon.connect() for _ in range(3)]

    def work(client):
        done = 0
        while not over.is_set():
            client.execute("SELECT count(*) FROM generate_series(1, 3000)")
            done += 1
        return done

    def storm(client):
        cancelled = 0
        for _ in range(60):
            pause = random.uniform(0, 0.004)
            canceller = threading.Timer(pause, client.cancel)
            canceller.start()
            try:
                client.execute("SELECT count(*) FROM generate_series(1, 3000)")
            except errors.QueryCanceled:
                cancelled += 1
            canceller.join()
        return cancelled

    workers = [threads.submit(work, client) for client in working]
    storms = [threads.submit(storm, client) for client in cancelling]
    try:
        assert sum(one.result(60) for one in storms) > 0
    finally:
        over.set()
    # QueryCanceled would come out here.
    assert all(one.result(20) > 0 for one in workers)


def test_after_its_command_a_key_cancels_nothing(pgsluice, cluster, threads):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    first, second = RawClient(daemon), daemon.connect()
    assert first.value("SELECT 1") == "1"
    answer = threads.submit(second.execute, "SELECT pg_sleep(0.7), 7")
    wait_for_sleep(cluster)
    for _ in range(10):
        send_cancel(daemon, first.pid, first.key)
    assert answer.result(20).fetchone()[1] == 7
    first.close()


def test_a_wrong_key_does_nothing(pgsluice, cluster):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    client.send(query("SELECT 'whole' FROM pg_sleep(0.7)"))
    wait_for_sleep(cluster)
    wrong = bytes([client.key[0] ^ 1]) + client.key[1:]
    for pid, key in [(client.pid, wrong), (client.pid + 1, client.key), (0, client.key),
                     (2**32 - 1, client.key), (client.pid, bytes(4)), (client.pid, bytes(200)),
                     (client.pid ^ (1 << 31), client.key)]:  # fmt: skip
        send_cancel(daemon, pid, key)
    assert [kind for kind, _ in client.until_ready()] == ["T", "D", "C", "Z"]
    client.close()


def test_keys_are_not_the_servers(pgsluice, cluster):
    # The server's pid with the client's key, and the other way round, lead nowhere.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    pid = int(client.value("SELECT pg_backend_pid()"))
    assert client.pid != pid
    client.send(query("SELECT 'whole' FROM pg_sleep(0.5)"))
    wait_for_sleep(cluster)
    send_cancel(daemon, pid, client.key)
    assert "E" not in [kind for kind, _ in client.until_ready()]
    client.close()


def test_connection_is_closed_once_the_signal_is_sent(pgsluice, cluster):
    # libpq waits for that, so that a cancel can never hit the next command.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    for _ in range(20):
        client.send(query("SELECT pg_sleep(60)"))
        wait_for_sleep(cluster)
        send_cancel(daemon, client.pid, client.key)
        # The signal is there: what runs now is ended, and what comes next is not.
        assert client.error()["C"] == "57014"
        client.until_ready()
        assert client.ask("SELECT 1") == ("TDCZ", ["1"])
    client.close()


@pytest.mark.core
def test_a_flood_takes_no_clients_place(pgsluice, cluster):
    daemon = pgsluice(pgsluice={**TRUST, "max_clients": 3}, size=1, overflow=0)
    client = RawClient(daemon)
    flood = [send_cancel(daemon, client.pid, b"nope", wait=False) for _ in range(100)]
    late = [RawClient(daemon, login=False) for _ in range(100)]
    others = [daemon.connect(), daemon.connect()]
    assert [other.execute("SELECT 1").fetchone() for other in others] == [(1,), (1,)]
    for one in late:
        one.send(cancel_packet(client.pid, b"nope"))
    client.send(query("SELECT pg_sleep(60)"))
    wait_for_sleep(cluster)
    send_cancel(daemon, client.pid, client.key)
    assert client.error()["C"] == "57014"
    for one in flood + late:
        assert one.is_closed()
        one.close()
    client.close()


def test_requests_together_cancel_once(pgsluice, cluster):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    client.send(query("SELECT pg_sleep(60)"))
    wait_for_sleep(cluster)
    several = [send_cancel(daemon, client.pid, client.key, wait=False) for _ in range(10)]
    assert client.error()["C"] == "57014"
    client.until_ready()
    for one in several:
        assert one.is_closed()
        one.close()
    assert client.ask("SELECT 2 FROM pg_sleep(0.2)") == ("TDCZ", ["2"])
    client.close()


def test_who_brings_it_may_leave_at_once(pgsluice, cluster):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    client.send(query("SELECT pg_sleep(60)"))
    wait_for_sleep(cluster)
    send_cancel(daemon, client.pid, client.key, wait=False).vanish()
    assert client.error()["C"] == "57014"
    client.until_ready()
    client.close()


def test_second_cancel_counts_while_the_first_is_not_closed_yet(pgsluice, cluster):
    # The server has sent the first signal, but its cancel connection's end is still on the way.
    with Proxy(cluster.port) as proxy:
        daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": proxy.url(cluster)}}, size=1,
                          overflow=0)  # fmt: skip
        client = RawClient(daemon)
        client.ask("BEGIN")
        client.ask("SAVEPOINT here")
        proxy.hold_ends = True
        client.send(query("SELECT pg_sleep(60)"))
        wait_for_sleep(cluster)
        first = send_cancel(daemon, client.pid, client.key, wait=False)
        assert client.error()["C"] == "57014"
        client.until_ready()
        assert client.ask("ROLLBACK TO here")[0] == "CZ"
        client.send(query("SELECT pg_sleep(60)"))
        wait_for_sleep(cluster)
        second = send_cancel(daemon, client.pid, client.key, wait=False)
        wait_until(lambda: len(proxy.held) == 1, what="the first one's end is held")
        proxy.release_ends()
        assert client.error()["C"] == "57014"
        client.until_ready()
        assert first.is_closed() and second.is_closed()
        for one in (client, first, second):
            one.close()


@pytest.mark.parametrize("has_state", [False, True])
def test_cancel_that_overtakes_its_command(pgsluice, cluster, has_state):
    # Sent once, as drivers do, and at the server before the command is: a client that has waited in
    # line for seconds may ask just when it gets its turn. With a state of its own to replay it is
    # not even the command that the server connection is at.
    with Proxy(cluster.port) as proxy:
        daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": proxy.url(cluster)}}, size=1,
                          overflow=0)  # fmt: skip
        client, other = RawClient(daemon), RawClient(daemon)
        if has_state:
            client.ask("SET work_mem = '77MB'")
        other.ask("SELECT 1")
        proxy.go_silent()
        client.send(query("SELECT pg_sleep(60)"))
        wait_until(lambda: daemon.pool()["sv_active"] == 1, what="it has its turn")
        bringer = send_cancel(daemon, client.pid, client.key, wait=False)
        wait_until(bringer.is_closed, what="the cancel is through")
        proxy.speak_again()
        assert client.error()["C"] == "57014"
        client.until_ready()
        # What it runs next is not what was to be cancelled.
        assert client.ask("SELECT pg_sleep(0.5)")[0] == "TDCZ"
        for one in (client, other, bringer):
            one.close()


def test_lease_goes_on_only_when_the_cancel_is_through(pgsluice, cluster, threads):
    # While the cancel connection is open its signal may still come: nobody else may be hit by it.
    with Proxy(cluster.port) as proxy:
        daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": proxy.url(cluster)}}, size=1,
                          overflow=0)  # fmt: skip
        client, other = RawClient(daemon), daemon.connect()
        proxy.hold_ends = True
        client.send(query("SELECT pg_sleep(60)"))
        wait_for_sleep(cluster)
        bringer = send_cancel(daemon, client.pid, client.key, wait=False)
        assert client.error()["C"] == "57014"
        client.until_ready()
        answer = threads.submit(other.execute, "SELECT 1")
        wait_until(lambda: daemon.pool()["cl_waiting"] == 1, what="the other one waits")
        wait_until(lambda: len(proxy.held) == 1, what="the cancel connection's end is held")
        proxy.release_ends()
        assert answer.result(20).fetchone() == (1,)
        for one in (client, bringer):
            one.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_a_cancel_is_under_way(pgsluice, cluster, number):
    # The client that left has cancelled its command: the stop neither forgets it nor hangs.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    client.send(query("SELECT pg_sleep(60)"))
    wait_for_sleep(cluster)
    if number == signal.SIGTERM:
        client.send(b"Q\0\0\x40\0 half")
        client.vanish()
    assert daemon.stop(number) == 0
    wait_until(lambda: not sleeping(cluster), what="the command has ended on the server")
    client.close()


def test_cancels_while_a_dead_connection_is_tried(pgsluice, cluster):
    # The ping is not answered; the client need not wait for the ping's timeout.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, pre_ping="always", pre_ping_timeout="20s")
    client = RawClient(daemon)
    pid = int(client.value("SELECT pg_backend_pid()"))
    os.kill(pid, signal.SIGSTOP)
    try:
        client.send(query("SELECT 1"))
        wait_until(lambda: daemon.pool()["sv_active"] == 1, what="the ping is under way")
        began = time.monotonic()
        send_cancel(daemon, client.pid, client.key)
        assert client.error()["C"] == "57014"
        client.until_ready()
        assert time.monotonic() - began < 5
    finally:
        os.kill(pid, signal.SIGCONT)
    assert client.ask("SELECT 2") == ("TDCZ", ["2"])
    client.close()
