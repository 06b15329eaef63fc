"""A server that cannot be reached or does not let in: who is told what, when, and the recovery."""

import re
import time

import psycopg
import pytest
from psycopg import errors

from cluster import PORTS, secret_of, wait_until
from raw_client import Closed, RawClient, query, startup_packet
from raw_server import FakeServer, error_response

AT_ONCE = 3.0  # seconds; the timeout in line is 30
TRUST = {"auth": "trust"}


def refusal_of_login(daemon):
    """What a client that logs in is told, by its fields."""
    client = RawClient(daemon, login=False)
    client.send(startup_packet(user="app", database="app"))
    answer = client.refusal()
    client.close()
    return answer


def logs_in(daemon):
    client = RawClient(daemon, login=False)
    try:
        client.login()
        return True
    except Closed:
        return False
    finally:
        client.close()


def works(client):
    try:
        return client.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


@pytest.mark.core
def test_refused_connection_is_told_at_once(pgsluice, cluster):
    port = PORTS.take()
    url = f"postgresql://app:x@127.0.0.1:{port}/app"
    daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": url}}, startup_check="off")
    began = time.monotonic()
    for _ in range(5):
        answer = refusal_of_login(daemon)
        assert answer["C"] == "08001"
        assert "127.0.0.1" in answer["M"]
        assert f"port {port} " in answer["M"]
        assert "Connection refused" in answer["M"]
    assert time.monotonic() - began < AT_ONCE


@pytest.mark.core
def test_clients_live_through_it(pgsluice, cluster):
    daemon = pgsluice(size=2, overflow=0)
    clients = [daemon.connect() for _ in range(4)]
    assert all(works(client) for client in clients)
    cluster.stop("fast")
    for client in clients:
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError) as raised:
            client.execute("SELECT 1")
        assert time.monotonic() - began < AT_ONCE
        assert raised.value.sqlstate in ("08001", "08006", "57P01", "57P03")
    alive = [client for client in clients if not client.closed]
    assert alive, "an error is no reason to close the client's connection"
    cluster.start()
    for client in alive:
        wait_until(lambda client=client: works(client), timeout=10, what="it has recovered")


def test_those_in_line_are_told_too(pgsluice, cluster, threads):
    daemon = pgsluice(size=1, overflow=0)
    holder = daemon.connect()
    waiters = [daemon.connect() for _ in range(3)]
    holder.execute("BEGIN")
    answers = [threads.submit(waiter.execute, "SELECT 1") for waiter in waiters]
    wait_until(lambda: daemon.pool()["cl_waiting"] == 3, what="they wait")
    cluster.stop("immediate")
    for answer in answers:
        with pytest.raises(psycopg.OperationalError) as raised:
            answer.result(AT_ONCE)
        # Whichever of its last moments the new attempt has met.
        assert raised.value.sqlstate in ("08001", "57P03")
        assert re.search("refused|reset|closed|shut", raised.value.diag.message_primary)
    cluster.start()
    for waiter in waiters:
        wait_until(lambda waiter=waiter: works(waiter), timeout=10, what="it has recovered")


def test_starting_up_is_told_in_the_servers_words(pgsluice, cluster):
    words = "the database system is starting up"
    with FakeServer(error_response("57P03", words)) as server:
        daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": server.url(cluster)}})
        answer = refusal_of_login(daemon)
        assert (answer["C"], answer["M"], answer["S"]) == ("57P03", words, "FATAL")


def test_attempts_back_off_and_recover(pgsluice, cluster):
    port = PORTS.take()
    server = FakeServer(error_response("57P03", "the database system is starting up"), port)
    url = server.url(cluster)
    daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": url}}, startup_check="off")
    until = time.monotonic() + 2
    asked = 0
    while time.monotonic() < until:
        assert refusal_of_login(daemon)["C"] == "57P03"
        asked += 1
    tried = server.accepted
    # 0.1, 0.2, 0.4, 0.8 s, each with jitter down to half of it.
    assert 3 <= tried <= 8 < asked
    server.stop()
    with FakeServer(error_response("28000", "another error"), port) as server:
        wait_until(lambda: refusal_of_login(daemon)["C"] == "28000", timeout=6,
                   what="the last error is told")  # fmt: skip


def test_too_many_connections_is_told_in_the_servers_words(pgsluice, cluster):
    others = [cluster.connect("trusted") for _ in range(57)]
    try:
        daemon = pgsluice(pgsluice=TRUST, startup_check="off", warm=0)
        answer = refusal_of_login(daemon)
        assert answer["C"] == "53300"
        # The words differ between versions, but they are the server's.
        assert "pool of database" not in answer["M"]
        assert "connection" in answer["M"] or "clients" in answer["M"]
    finally:
        for other in others:
            other.close()
    wait_until(lambda: logs_in(daemon), timeout=10, what="it has recovered")


def test_with_a_live_connection_the_others_wait(pgsluice, cluster, threads):
    cluster.sql("ALTER ROLE app CONNECTION LIMIT 1")
    try:
        daemon = pgsluice(size=4, overflow=0, startup_check="off")
        wait_until(lambda: daemon.pool().get("sv_idle") == 1, what="one connection is live")
        holder, waiter = daemon.connect(), daemon.connect()
        holder.execute("BEGIN")
        answer = threads.submit(waiter.execute, "SELECT pg_backend_pid()")
        with cluster.connect() as helper:
            wait_until(
                lambda: "too many connections for role" in cluster.log_file.read_text(),
                what="the server has refused another",
            )
            assert not answer.done()
            pid = holder.execute("SELECT pg_backend_pid()").fetchone()
            holder.execute("COMMIT")
            assert answer.result(5).fetchone() == pid
            assert helper.execute("SELECT 1")
    finally:
        cluster.sql("ALTER ROLE app CONNECTION LIMIT -1")


def test_the_timeout_tells_why_no_more_could_be_opened(pgsluice, cluster, threads):
    cluster.sql("ALTER ROLE app CONNECTION LIMIT 1")
    try:
        daemon = pgsluice(size=4, overflow=0, startup_check="off", timeout="700ms")
        wait_until(lambda: daemon.pool().get("sv_idle") == 1, what="one connection is live")
        holder, waiter = daemon.connect(), daemon.connect()
        holder.execute("BEGIN")
        with pytest.raises(errors.TooManyConnections) as raised:
            waiter.execute("SELECT 1")
        assert "waited 0." in raised.value.diag.message_primary
        assert "too many connections for role" in raised.value.diag.message_detail
        holder.execute("COMMIT")
        assert works(waiter)
    finally:
        cluster.sql("ALTER ROLE app CONNECTION LIMIT -1")


def test_wrong_password_is_told_in_the_servers_words(pgsluice, cluster):
    url = cluster.url().replace(secret_of("app"), "not-it")
    daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": url}}, startup_check="off")
    answer = refusal_of_login(daemon)
    assert (answer["C"], answer["M"]) == ("28P01",
                                          'password authentication failed for user "app"')  # fmt: skip
    assert "not-it" not in daemon.log()


def test_database_dropped_and_created_again(pgsluice, cluster):
    cluster.sql("CREATE DATABASE fleeting OWNER app")
    try:
        url = cluster.url(database="fleeting")
        daemon = pgsluice(databases={"fleeting": {"url": url}}, startup_check="off")
        client = daemon.connect(database="fleeting")
        assert works(client)
        cluster.sql("DROP DATABASE fleeting WITH (FORCE)")
        for _ in range(2):
            with pytest.raises(errors.InvalidCatalogName, match='database "fleeting" does not exist'):
                client.execute("SELECT 1")
        cluster.sql("CREATE DATABASE fleeting OWNER app")
        wait_until(lambda: works(client), timeout=10, what="it has recovered")
    finally:
        cluster.sql("DROP DATABASE IF EXISTS fleeting WITH (FORCE)")


def test_silent_server_is_given_up_after_connect_timeout(pgsluice, cluster):
    with FakeServer() as server:
        daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": server.url(cluster)}},
                          connect_timeout="400ms", startup_check="off", warm=0)  # fmt: skip
        began = time.monotonic()
        answer = refusal_of_login(daemon)
        assert 0.3 < time.monotonic() - began < AT_ONCE
        assert answer["C"] == "08001"
        assert "connect_timeout (0.4 s) expired" in answer["M"]
        assert f"port {server.port} " in answer["M"]


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n", b"R\0\0\0\x08\0\0\0\x63", b"Z\0\0\0\x05I", b"",
    b"R\x7f\xff\xff\xff", b"R\0\0\0\x08\0\0\0\0" + b"S\0\0\0\x08x\0y", b"E\0\0\0\x05\0",
    b"R\0\0\0\x0c\0\0\0\x05abcd" * 3,
])  # fmt: skip
def test_what_is_no_postgresql_is_refused(pgsluice, cluster, answer):
    with FakeServer(answer) as server:
        daemon = pgsluice(pgsluice=TRUST, databases={"app": {"url": server.url(cluster)}},
                          connect_timeout="1s", startup_check="off")  # fmt: skip
        told = refusal_of_login(daemon)
        assert told["C"] in ("08001", "08P01"), told


def test_query_in_flight_when_nothing_lives_gets_its_error_in_place(pgsluice, cluster):
    # Several commands sent ahead: each is answered, and the client stays.
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    cluster.stop("fast")
    client.send(query("SELECT 1"), query("SELECT 2"))
    answer = client.until_ready() + client.until_ready()
    assert [kind for kind, _ in answer] == ["E", "Z", "E", "Z"]
    cluster.start()
    wait_until(lambda: client.ask("SELECT 3") == ("TDCZ", ["3"]), timeout=10, what="recovery")
    client.close()
