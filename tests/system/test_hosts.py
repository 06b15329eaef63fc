"""Several hosts of one database: which is taken, in what time, and target_session_attrs."""

import subprocess
import time

import psycopg
import pytest

from cluster import (
    PORTS,
    SUPERUSER,
    Cluster,
    programs,
    secret_of,
    unprivileged,
    wait_until,
)
from raw_server import FakeServer, error_response


class Standby(Cluster):
    """A copy of a running cluster, which follows it."""

    def __init__(self, primary):
        self.primary = primary
        super().__init__()

    def _create(self):
        rule = f"host replication {SUPERUSER} 127.0.0.1/32 scram-sha-256\n"
        with (self.primary.data / "pg_hba.conf").open("a") as file:
            file.write(rule)
        self.primary.sql("SELECT pg_reload_conf()")
        source = f"host={self.primary.host} port={self.primary.port} user={SUPERUSER}"
        subprocess.run(
            unprivileged(programs() / "pg_basebackup", "-d",
                         f"{source} password={secret_of(SUPERUSER)}", "-D", self.data, "-R",
                         "--checkpoint=fast", "--no-sync", "--wal-method=stream"),
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"port = {self.port}\nunix_socket_directories = '{self.folder}'\n")
        self.start()


@pytest.fixture(scope="module")
def session_standby(session_cluster):
    session_cluster.ensure_running()
    standby = Standby(session_cluster)
    yield standby
    standby.destroy()


@pytest.fixture
def standby(session_standby, cluster):
    session_standby.ensure_running()
    return session_standby


def hosts(*ports, **keywords):
    """A url with several hosts on this machine."""
    addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
    more = "&".join(f"{key}={value}" for key, value in keywords.items())
    return f"postgresql://app:{secret_of('app')}@{addresses}/app" + (f"?{more}" if more else "")


def start(pgsluice, *ports, url_keywords=None, **options):
    url = hosts(*ports, **(url_keywords or {}))
    return pgsluice(databases={"app": {"url": url}}, startup_check="off", **options)


def port_of(client):
    return client.execute("SHOW port").fetchone()[0]


def works_on(daemon):
    """The port of the server that a new client gets, or None."""
    try:
        return int(port_of(daemon.connect()))
    except psycopg.OperationalError:
        return None


def test_first_host_is_taken(pgsluice, cluster, standby):
    assert works_on(start(pgsluice, cluster.port, standby.port)) == cluster.port
    assert works_on(start(pgsluice, standby.port, cluster.port)) == standby.port


def test_refused_host_is_left_at_once(pgsluice, cluster):
    daemon = start(pgsluice, PORTS.take(), cluster.port, connect_timeout="20s")
    began = time.monotonic()
    assert works_on(daemon) == cluster.port
    assert time.monotonic() - began < 3


@pytest.mark.core
def test_silent_host_does_not_hold_up_the_next(pgsluice, cluster):
    with FakeServer() as silent:
        daemon = start(pgsluice, silent.port, cluster.port, connect_timeout="400ms", warm=0)
        began = time.monotonic()
        assert works_on(daemon) == cluster.port
        assert 0.3 < time.monotonic() - began < 3


def test_host_that_is_starting_up_is_left(pgsluice, cluster):
    with FakeServer(error_response("57P03", "the database system is starting up")) as starting:
        daemon = start(pgsluice, starting.port, cluster.port)
        assert works_on(daemon) == cluster.port


def test_the_last_hosts_error_is_told(pgsluice, cluster):
    ports = [PORTS.take(), PORTS.take()]
    daemon = start(pgsluice, *ports)
    with pytest.raises(psycopg.OperationalError, match=f"port {ports[1]} .*refused"):
        daemon.connect()


@pytest.mark.parametrize("attributes, expected", [
    ("any", "standby"), ("read-write", "primary"), ("primary", "primary"),
    ("read-only", "standby"), ("standby", "standby"), ("prefer-standby", "standby"),
])  # fmt: skip
@pytest.mark.parametrize("in_url", [True, False])
def test_target_session_attrs(pgsluice, cluster, standby, attributes, expected, in_url):
    # The standby is first in the list; the other way round where the standby is wanted.
    ports = [standby.port, cluster.port]
    if expected == "standby" and attributes != "any":
        ports.reverse()
    if in_url:
        daemon = start(pgsluice, *ports, url_keywords={"target_session_attrs": attributes})
    else:
        daemon = start(pgsluice, *ports, target_session_attrs=attributes)
    assert works_on(daemon) == (cluster.port if expected == "primary" else standby.port)


def test_prefer_standby_takes_the_primary_where_there_is_no_other(pgsluice, cluster):
    daemon = start(pgsluice, PORTS.take(), cluster.port, target_session_attrs="prefer-standby")
    assert works_on(daemon) == cluster.port


def test_no_fitting_host_says_so(pgsluice, cluster):
    daemon = start(pgsluice, cluster.port, target_session_attrs="standby")
    with pytest.raises(psycopg.OperationalError, match="target_session_attrs"):
        daemon.connect()


def test_second_host_serves_when_the_first_goes_down(pgsluice, cluster, standby):
    daemon = start(pgsluice, standby.port, cluster.port, size=2)
    client = daemon.connect()
    assert int(port_of(client)) == standby.port
    standby.stop("immediate")

    def moved():
        try:
            return int(port_of(client)) == cluster.port
        except psycopg.OperationalError:
            return False

    wait_until(moved, timeout=5, what="the other host is used")
