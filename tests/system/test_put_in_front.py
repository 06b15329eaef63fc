"""
A command that runs behind a Parse which pgsluice put in front of it. The server keeps the
ParseComplete back until the command ends; what must reach a running command must reach it all the
same.
"""

import pytest

from cluster import wait_until
from raw_client import SYNC, RawClient, bind, execute, parse, send_cancel

TRUST = {"auth": "trust"}
PID = "SELECT pg_backend_pid()"


def sleeping(cluster):
    """Backends of app that sleep within a command."""
    return [row["pid"] for row in cluster.backends() if row["wait_event"] == "PgSleep"]


@pytest.fixture
def run_behind(pgsluice, cluster):
    """Lets a client run pg_sleep(300) on a server connection that has not got its statement yet."""
    opened = []

    def run(name, **options):
        daemon = pgsluice(pgsluice={**TRUST, "workers": 1}, size=2, overflow=0, **options)
        client, other = RawClient(daemon), RawClient(daemon)
        opened.extend([client, other])
        pid = client.value(PID)
        client.send(parse("SELECT pg_sleep(300)", name), SYNC)
        client.until_ready()
        other.ask("BEGIN")
        assert other.value(PID) == pid
        client.send(bind(name), execute(), SYNC)
        wait_until(lambda: sleeping(cluster), what="the command runs")
        assert sleeping(cluster) != [int(pid)]
        return daemon, client

    yield run
    for client in opened:
        client.close()


names = pytest.mark.parametrize("name", ["", "named"])


@names
def test_cancel_reaches_it(run_behind, name):
    daemon, client = run_behind(name)
    send_cancel(daemon, client.pid, client.key)
    assert client.error()["C"] == "57014"
    client.until_ready()
    assert client.value("SELECT 7") == "7"


@names
def test_command_timeout_reaches_it(run_behind, name):
    _, client = run_behind(name, command_timeout="300ms")
    error = client.error()
    assert error["C"] == "57014"
    assert "command timeout" in error["M"]
    client.until_ready()
    assert client.value("SELECT 7") == "7"


@names
def test_it_ends_when_its_client_vanishes(run_behind, cluster, name):
    daemon, client = run_behind(name)
    client.vanish()
    wait_until(lambda: not sleeping(cluster), timeout=5, what="the command ends")
    wait_until(lambda: daemon.pool()["sv_idle"] == 1, what="its server connection is kept")
