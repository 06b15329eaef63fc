"""SIGHUP and RELOAD: what takes effect, what does not, and that no transaction is hurt."""

import threading

import pytest
from psycopg import errors

from cluster import secret_of, wait_until


def config(daemon):
    return {row["key"]: row["value"] for row in daemon.console("SHOW CONFIG")}


def backend_count(cluster):
    return len(cluster.backend_pids())


def test_a_good_file_takes_effect(pgsluice):
    daemon = pgsluice(size=1, overflow=0, timeout="300ms")
    holder, other = daemon.connect(), daemon.connect()
    holder.execute("BEGIN")
    with pytest.raises(errors.TooManyConnections):
        other.execute("SELECT 1")
    daemon.write_ini(size=2)
    daemon.reload()
    assert config(daemon)["size"] == "2"
    assert other.execute("SELECT 1").fetchone() == (1,)
    holder.execute("COMMIT")


def test_the_console_reloads_too(pgsluice):
    daemon = pgsluice(size=1)
    daemon.write_ini(size=7)
    daemon.console("RELOAD")
    wait_until(lambda: config(daemon)["size"] == "7", what="the new size")


@pytest.mark.core
def test_a_bad_file_changes_nothing_and_says_why(pgsluice):
    daemon = pgsluice(size=3, timeout="9s")
    client = daemon.connect()
    text = daemon.ini_text().replace("size = 3", "size = 4") + "\n[pool]\nno_such_key = 1\n"
    daemon.ini_file.write_text(text)
    line = text.count("\n")
    assert f"{daemon.ini_file}:{line}" in daemon.reload(expect="no_such_key")
    assert (config(daemon)["size"], config(daemon)["timeout"]) == ("3", "9s")
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_missing_file_changes_nothing(pgsluice):
    daemon = pgsluice(size=3)
    daemon.ini_file.rename(daemon.ini_file.with_suffix(".away"))
    daemon.reload(expect="No such file")
    assert config(daemon)["size"] == "3"


@pytest.mark.parametrize("key, value", [("workers", "1"), ("listen", "127.0.0.1:1")])
def test_what_needs_a_restart_is_named(pgsluice, key, value):
    daemon = pgsluice(size=3)
    daemon.write_ini(pgsluice={key: value}, size=4)
    assert key in daemon.reload(expect="restart")
    wait_until(lambda: config(daemon)["size"] == "4", what="the other key took effect")


def test_a_pool_shrinks_without_hurting_transactions(pgsluice, cluster):
    daemon = pgsluice(size=4, overflow=0)
    clients = [daemon.connect() for _ in range(4)]
    for client in clients:
        client.execute("BEGIN")
        client.execute("SELECT 1")
    daemon.write_ini(size=1)
    daemon.reload()
    assert [client.execute("SELECT 2").fetchone() for client in clients] == [(2,)] * 4
    assert backend_count(cluster) == 4
    for client in clients:
        client.execute("COMMIT")
    wait_until(lambda: backend_count(cluster) == 1, what="one connection is left")
    assert [client.execute("SELECT 3").fetchone() for client in clients] == [(3,)] * 4


@pytest.mark.core
def test_a_pool_grows_and_shrinks_under_load(pgsluice, cluster, threads):
    daemon = pgsluice(size=1, overflow=0, timeout="30s")
    over = threading.Event()

    def work(client):
        done = 0
        while not over.is_set():
            with client.transaction():
                first = client.execute("SELECT pg_backend_pid()").fetchone()
                assert client.execute("SELECT pg_backend_pid()").fetchone() == first
            done += 1
        return done

    running = [threads.submit(work, daemon.connect()) for _ in range(8)]
    try:
        for size in (6, 2, 5, 1):
            daemon.write_ini(size=size)
            daemon.reload()
            wait_until(lambda size=size: backend_count(cluster) == size, what=f"a pool of {size}")
    finally:
        over.set()
    assert min(future.result(30) for future in running) > 0


def test_waiting_clients_profit_from_a_larger_pool(pgsluice, threads):
    daemon = pgsluice(size=1, overflow=0, timeout="20s")
    holder, waiter = daemon.connect(), daemon.connect()
    holder.execute("BEGIN")
    answer = threads.submit(lambda: waiter.execute("SELECT 1").fetchone())
    wait_until(lambda: daemon.pool()["cl_waiting"] == 1, what="one client waits")
    daemon.write_ini(size=2)
    daemon.reload()
    assert answer.result(10) == (1,)
    holder.execute("COMMIT")


def test_another_server_serves_new_transactions(pgsluice, cluster):
    """A changed url: running transactions end where they began, the next go to the new place."""
    daemon = pgsluice(size=2, overflow=0)
    client, other = daemon.connect(), daemon.connect()
    client.execute("BEGIN")
    assert client.execute("SELECT current_database()").fetchone() == ("app",)
    daemon.write_ini(databases={"app": {"url": cluster.url("app", "other")}})
    daemon.reload()
    assert other.execute("SELECT current_database()").fetchone() == ("other",)
    assert client.execute("SELECT current_database()").fetchone() == ("app",)
    client.execute("COMMIT")
    assert client.execute("SELECT current_database()").fetchone() == ("other",)
    wait_until(lambda: cluster.backend_pids() == [], what="the old connections are closed")


def test_a_changed_secret_holds_for_new_clients(pgsluice, cluster):
    daemon = pgsluice(databases={"app": {"url": f"postgresql://{cluster.host}:{cluster.port}/app"}})
    old = daemon.connect()
    assert old.execute("SELECT 1").fetchone() == (1,)
    daemon.write_users(app="another-one")
    daemon.reload()
    with pytest.raises(Exception, match="password authentication failed"):
        daemon.connect()
    daemon.write_users(app=secret_of("app"))
    daemon.reload()
    assert daemon.connect().execute("SELECT 1").fetchone() == (1,)
