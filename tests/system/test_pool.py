"""The pool: how many server connections there are, who gets which, and how long one waits."""

import re
import threading
import time

import psycopg
import pytest
from psycopg import errors

from cluster import wait_until


def pid_of(client):
    return client.execute("SELECT pg_backend_pid()").fetchone()[0]


def begin(client):
    """Opens a transaction; returns the server connection's pid."""
    client.execute("BEGIN")
    return pid_of(client)


def hold(daemon, count, **keywords):
    """Clients in a transaction each, and their server connections' pids."""
    clients = [daemon.connect(**keywords) for _ in range(count)]
    return clients, [begin(client) for client in clients]


def wait_for_waiting(daemon, count):
    wait_until(lambda: daemon.pool().get("cl_waiting") == count, what=f"{count} clients wait")


# -- size and overflow -------------------------------------------------------------------------------


@pytest.mark.core
def test_size_and_overflow_are_never_exceeded(pgsluice, cluster, threads):
    daemon = pgsluice(size=2, overflow=1)
    over = threading.Event()
    most = 0

    def sample():
        nonlocal most
        with cluster.connect() as connection:
            while not over.wait(0.01):
                count = connection.execute(
                    "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'app'"
                ).fetchone()["n"]
                most = max(most, count)

    def work(client):
        return [
            client.execute("SELECT pg_backend_pid() FROM pg_sleep(0.002)").fetchone()[0]
            for _ in range(40)
        ]

    sampler = threads.submit(sample)
    clients = [daemon.connect() for _ in range(12)]
    pids = list(threads.map(work, clients))
    over.set()
    sampler.result()
    assert [len(done) for done in pids] == [40] * 12
    assert 2 <= most <= 3


def test_overflow_is_closed_on_return(pgsluice, cluster):
    daemon = pgsluice(size=1, overflow=2, warm=0)
    clients, pids = hold(daemon, 3)
    assert len(set(pids)) == 3
    assert sorted(cluster.backend_pids()) == sorted(pids)
    for client in clients:
        client.execute("COMMIT")
    wait_until(lambda: len(cluster.backend_pids()) == 1, what="one connection is left")


def test_overflow_is_handed_on_while_somebody_waits(pgsluice, threads):
    daemon = pgsluice(pgsluice={"workers": 1}, size=1, overflow=1, warm=0)
    clients, pids = hold(daemon, 2)
    waiting = [daemon.connect() for _ in range(2)]
    answers = [threads.submit(begin, client) for client in waiting]
    wait_for_waiting(daemon, 2)
    for client in clients:
        client.execute("COMMIT")
    assert sorted(answer.result(20) for answer in answers) == sorted(pids)


def test_size_zero_keeps_nothing(pgsluice, cluster):
    daemon = pgsluice(size=0, overflow=2, warm=0)
    client = daemon.connect()
    seen = []
    for _ in range(3):
        seen.append(begin(client))
        assert pid_of(client) == seen[-1]
        client.execute("COMMIT")
        wait_until(lambda: cluster.backend_pids() == [], what="no server connection is kept")
    assert len(set(seen)) == 3


def test_most_recently_used_goes_first(pgsluice):
    daemon = pgsluice(pgsluice={"workers": 1}, size=3, overflow=0)
    clients, pids = hold(daemon, 3)
    for client in clients:
        client.execute("COMMIT")
    # pids[2] came back last.
    assert [pid_of(client) for client in clients] == [pids[2]] * 3
    assert [begin(clients[0]), begin(clients[1]), begin(clients[2])] == [pids[2], pids[1], pids[0]]


@pytest.mark.core
def test_connection_returns_at_the_end_of_the_transaction(pgsluice):
    daemon = pgsluice(size=1, overflow=0)
    clients = [daemon.connect() for _ in range(5)]
    seen = set()
    for client in clients * 2:
        pid = begin(client)
        assert pid_of(client) == pid
        client.execute("ROLLBACK" if len(seen) % 2 else "COMMIT")
        seen.add(pid)
    assert len(seen) == 1


def test_failed_transaction_keeps_its_connection_until_it_ends(pgsluice):
    daemon = pgsluice(size=1, overflow=0, timeout="300ms")
    client, other = daemon.connect(), daemon.connect()
    begin(client)
    with pytest.raises(errors.DivisionByZero):
        client.execute("SELECT 1 / 0")
    with pytest.raises(errors.TooManyConnections):
        other.execute("SELECT 1")
    with pytest.raises(errors.InFailedSqlTransaction):
        client.execute("SELECT 1")
    client.execute("ROLLBACK")
    assert other.execute("SELECT 1").fetchone() == (1,)


def test_session_mode_leases_for_a_session(pgsluice, cluster):
    daemon = pgsluice(size=1, overflow=0, mode="session", timeout="300ms", warm=0)
    client, other = daemon.connect(), None
    pid = pid_of(client)
    assert [pid_of(client) for _ in range(3)] == [pid] * 3
    try:
        other = daemon.connect()
        with pytest.raises(errors.TooManyConnections):
            other.execute("SELECT 1")
    except psycopg.OperationalError as problem:  # refused at login already
        assert "at its limit" in str(problem)
    client.close()
    if other is not None:
        assert other.execute("SELECT 1").fetchone() == (1,)


# -- pools ---------------------------------------------------------------------------------------


def without_user(cluster, database="app"):
    """A url that leaves the user to the client."""
    return f"postgresql://{cluster.host}:{cluster.port}/{database}"


def test_each_user_has_a_pool(pgsluice, cluster):
    daemon = pgsluice(databases={"app": {"url": without_user(cluster)}}, size=1, overflow=0)
    app, other = daemon.connect("app"), daemon.connect("other")
    assert begin(app) != begin(other)
    assert app.execute("SELECT current_user").fetchone() == ("app",)
    assert other.execute("SELECT current_user").fetchone() == ("other",)
    assert set(daemon.pools()) == {("app", "app"), ("app", "other")}


def test_user_section_overrides_the_pool(pgsluice, cluster):
    daemon = pgsluice(
        databases={"app": {"url": without_user(cluster)}}, users={"other": {"size": 2}},
        size=1, overflow=0, timeout="300ms",
    )  # fmt: skip
    hold(daemon, 2, user="other")
    hold(daemon, 1, user="app")
    with pytest.raises(errors.TooManyConnections):
        begin(daemon.connect("app"))


def test_wildcard_serves_every_database(pgsluice, cluster):
    url = f"postgresql://{cluster.host}:{cluster.port}"
    daemon = pgsluice(databases={"*": {"url": url}}, size=1, overflow=0)
    for database in ("app", "other"):
        client = daemon.connect(database=database)
        assert client.execute("SELECT current_database()").fetchone() == (database,)


def test_unknown_database_is_refused_by_name(pgsluice):
    daemon = pgsluice()
    with pytest.raises(psycopg.OperationalError, match='database "nowhere"'):
        daemon.connect(database="nowhere")


# -- the line ------------------------------------------------------------------------------------


@pytest.mark.core
def test_timeout_answers_53300_and_the_client_stays(pgsluice):
    daemon = pgsluice(size=1, overflow=0, timeout="500ms")
    client, other = daemon.connect(), daemon.connect()
    begin(client)
    began = time.monotonic()
    with pytest.raises(errors.TooManyConnections) as raised:
        other.execute("SELECT 1")
    assert 0.4 < time.monotonic() - began < 3
    assert raised.value.diag.severity == "ERROR"
    assert re.fullmatch(
        r'pool of database "app", user "app" is at its limit: size 1, overflow 0;'
        r" waited 0\.\d s for a connection",
        raised.value.diag.message_primary,
    )
    client.execute("COMMIT")
    assert other.execute("SELECT 2").fetchone() == (2,)


def test_timeout_in_an_extended_sequence_answers_once(pgsluice):
    daemon = pgsluice(size=1, overflow=0, timeout="300ms")
    client, other = daemon.connect(), daemon.connect()
    begin(client)
    for _ in range(2):
        with pytest.raises(errors.TooManyConnections):
            other.execute("SELECT %s::int", (5,))
    client.execute("COMMIT")
    assert other.execute("SELECT %s::int", (6,)).fetchone() == (6,)
    assert other.execute("SELECT %s::int", (7,), prepare=True).fetchone() == (7,)


def test_waiters_are_served_in_order_of_arrival(pgsluice, threads):
    daemon = pgsluice(pgsluice={"workers": 1}, size=1, overflow=0)
    client = daemon.connect()
    waiters = [daemon.connect() for _ in range(8)]
    begin(client)
    answers = []
    for number, waiter in enumerate(waiters, start=1):
        answers.append(threads.submit(waiter.execute, "SELECT clock_timestamp() FROM pg_sleep(0.01)"))
        wait_for_waiting(daemon, number)
    client.execute("COMMIT")
    times = [answer.result(20).fetchone()[0] for answer in answers]
    assert times == sorted(times)


def test_max_waiting_refuses_at_once(pgsluice, threads):
    daemon = pgsluice(size=1, overflow=0, max_waiting=2, timeout="20s")
    client = daemon.connect()
    begin(client)
    waiters = [daemon.connect() for _ in range(2)]
    excess = daemon.connect()
    answers = [threads.submit(pid_of, waiter) for waiter in waiters]
    wait_for_waiting(daemon, 2)
    began = time.monotonic()
    with pytest.raises(errors.TooManyConnections):
        excess.execute("SELECT 1")
    assert time.monotonic() - began < 5
    client.execute("COMMIT")
    assert len({answer.result(20) for answer in answers}) == 1
    assert excess.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.core
def test_waiter_that_leaves_is_forgotten(pgsluice, threads):
    daemon = pgsluice(size=1, overflow=0)
    client, leaver, stayer = daemon.connect(), daemon.connect(), daemon.connect()
    begin(client)
    left = threads.submit(leaver.execute, "SELECT 1")
    wait_for_waiting(daemon, 1)
    answer = threads.submit(pid_of, stayer)
    wait_for_waiting(daemon, 2)
    leaver.cancel()
    with pytest.raises((errors.QueryCanceled, psycopg.OperationalError)):
        left.result(20)
    wait_for_waiting(daemon, 1)
    client.execute("COMMIT")
    assert answer.result(20)


def test_thirty_seconds_is_the_default_timeout_and_is_told(pgsluice):
    daemon = pgsluice()
    config = {row["key"]: row for row in daemon.console("SHOW CONFIG")}
    assert config["timeout"]["value"] == "30s"
    assert config["size"]["value"] == "20"
    assert config["overflow"]["value"] == "10"


# -- age -----------------------------------------------------------------------------------------


def test_recycle_renews_old_connections_but_cuts_no_transaction(pgsluice):
    daemon = pgsluice(size=1, overflow=0, recycle="1s")
    client = daemon.connect()
    pid = begin(client)
    time.sleep(2.5)
    assert pid_of(client) == pid
    client.execute("COMMIT")
    assert pid_of(client) != pid


def test_idle_timeout_closes_what_stands_above_warm(pgsluice, cluster):
    daemon = pgsluice(size=3, overflow=0, warm=1, idle_timeout="1s")
    clients, _ = hold(daemon, 3)
    for client in clients:
        client.execute("COMMIT")
    assert len(cluster.backend_pids()) == 3
    wait_until(lambda: len(cluster.backend_pids()) == 1, timeout=8, what="one is kept")
    time.sleep(1.5)
    assert len(cluster.backend_pids()) == 1


def test_warm_connections_are_open_before_the_first_client(pgsluice, cluster):
    pgsluice(size=5, warm=3)
    wait_until(lambda: len(cluster.backend_pids()) == 3, what="three connections are warm")


def test_warm_connections_come_back(pgsluice, cluster):
    pgsluice(size=5, warm=2)
    wait_until(lambda: len(cluster.backend_pids()) == 2, what="two connections are warm")
    before = set(cluster.backend_pids())
    assert cluster.terminate() == 2
    wait_until(
        lambda: len(set(cluster.backend_pids()) - before) == 2, what="two others are warm"
    )


@pytest.mark.core
@pytest.mark.parametrize("pre_ping", ["on", "always", "off"])
def test_connection_that_died_while_idle_is_replaced(pgsluice, cluster, pre_ping):
    daemon = pgsluice(size=2, overflow=0, pre_ping=pre_ping)
    clients, pids = hold(daemon, 2)
    for client in clients:
        client.execute("COMMIT")
    assert cluster.terminate() == 2
    assert {pid_of(client) for client in clients}.isdisjoint(pids)


def test_console_counts_what_there_is(pgsluice, threads):
    daemon = pgsluice(size=2, overflow=0)
    clients, _ = hold(daemon, 2)
    waiter, idle = daemon.connect(), daemon.connect()
    answer = threads.submit(pid_of, waiter)
    wait_for_waiting(daemon, 1)
    pool = daemon.pool()
    assert (pool["sv_active"], pool["sv_idle"], pool["cl_waiting"]) == (2, 0, 1)
    for client in clients:
        client.execute("COMMIT")
    answer.result(20)
    wait_until(lambda: daemon.pool()["sv_idle"] == 2, what="both are idle")
    assert daemon.pool()["sv_active"] == 0
    assert idle.execute("SELECT 1").fetchone() == (1,)


# -- several workers -------------------------------------------------------------------------------


def clients_of_both_workers(daemon, count):
    """Connected clients; new ones go to the worker with the fewest, so both serve some."""
    return [daemon.connect() for _ in range(count)]


@pytest.mark.core
def test_idle_connection_of_one_worker_serves_clients_of_the_other(pgsluice):
    daemon = pgsluice(pgsluice={"workers": 2}, size=1, overflow=0, timeout="5s")
    clients = clients_of_both_workers(daemon, 4)
    pids = {pid_of(client) for client in clients * 10}
    assert len(pids) == 1


@pytest.mark.core
def test_no_worker_starves(pgsluice, threads):
    """One connection, two workers, everybody wants it all the time: all get about the same."""
    daemon = pgsluice(pgsluice={"workers": 2}, size=1, overflow=0, timeout="20s")
    clients = clients_of_both_workers(daemon, 8)
    over = threading.Event()

    def work(client):
        done = 0
        while not over.is_set():
            client.execute("SELECT 1")
            done += 1
        return done

    running = [threads.submit(work, client) for client in clients]
    time.sleep(3)
    over.set()
    done = [future.result(30) for future in running]
    assert min(done) * 4 > max(done), done


@pytest.mark.core
def test_clients_that_come_and_go_under_load_leave_the_pool_intact(pgsluice, cluster, threads):
    """Clients vanish while idle, in line and in a transaction; the rest go on undisturbed."""
    daemon = pgsluice(pgsluice={"workers": 2}, size=2, overflow=1, timeout="30s")
    over = threading.Event()

    def steady(client):
        done = 0
        while not over.is_set():
            with client.transaction():
                pid = pid_of(client)
                assert pid_of(client) == pid
            done += 1
        return done

    def vanishing(number):
        for turn in range(15):
            with psycopg.connect(daemon.dsn(), autocommit=True) as client:
                if (number + turn) % 3:
                    client.execute("BEGIN")
                if (number + turn) % 3 == 2:
                    client.pgconn.send_query(b"SELECT pg_sleep(5)")
                client.pgconn.finish()

    running = [threads.submit(steady, daemon.connect()) for _ in range(3)]
    for future in [threads.submit(vanishing, number) for number in range(6)]:
        future.result(90)
    over.set()
    assert min(future.result(30) for future in running) > 0
    wait_until(lambda: daemon.pool()["sv_active"] == 0, what="every lease has ended")
    assert len(cluster.backend_pids()) <= 2
