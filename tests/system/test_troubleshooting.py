"""
docs/troubleshooting.md: each of its messages comes about as it says, and reads, word for word, as it
stands there: in psql, in asyncpg and in pgsluice's log. Ports, lengths of time and the like are made
those of the document first.
"""

import asyncio
import contextlib
import re

import asyncpg
import psycopg
import pytest

from cluster import PORTS, secret_of, wait_until
from daemon import ROOT
from raw_server import FakeServer

DOCUMENT = (ROOT / "docs/troubleshooting.md").read_text()
# What each run has of its own, and what stands in the document in its place.
FIGURES = [
    (r"^.* UTC \[\d+\] ", ""),
    (r"\bclient \d+ ", "client 7 "),
    (r"(client 7 \S+@127\.0\.0\.1):\d+", r"\1:40000"),
    (r"\bserver [1-9]\d* ", "server 4711 "),
    (r"the next in \d+\.\d s", "the next in 0.2 s"),
    (r"failed attempts in a row: \d+", "failed attempts in a row: 1"),
    (r"connect_timeout \(\d\.\d s\)", "connect_timeout (10.0 s)"),
    (r"connect_timeout (is|allows each host) \d\.\d s", r"connect_timeout \1 10.0 s"),
    (r"waited \d+\.\d s", "waited 30.0 s"),
    (r"it took \d\.\d s", "it took 2.1 s"),
    (r"user list \S+/users\.txt", "user list /etc/pgsluice/users.txt"),
]
# Of the log, that which every start writes.
USUAL = re.compile(r"INFO:  (pgsluice starts|listening on|ready: |stopping|.* signal|pgsluice stops)")
# Nothing but what the test does asks for a connection.
QUIET = {"startup_check": "off", "warm": 0}


class Case:
    """One way to go wrong: a pgsluice, and what is told of it."""

    def __init__(self, daemon, server_port):
        self.daemon = daemon
        self.ports = {str(daemon.port): "6432", str(server_port): "5432"}

    def normal(self, text):
        for port, instead in self.ports.items():
            text = re.sub(rf"\b{port}\b", instead, text)
        for pattern, instead in FIGURES:
            text = re.sub(pattern, instead, text, flags=re.MULTILINE)
        return text.strip()

    def psql(self, sql="SELECT 1", **login):
        run = self.daemon.cluster.psql(self.daemon.dsn(**login), "-c", sql)
        assert run.returncode == 2, run.stdout
        return self.normal(run.stderr)

    def asyncpg(self, **login):
        """NAME: text, as a traceback ends."""

        async def connect():
            login.setdefault("password", secret_of(login.get("user", "app")))
            options = {"user": "app", "database": "app", "ssl": False, **login}
            await asyncpg.connect(host=self.daemon.host, port=self.daemon.port, timeout=20, **options)

        try:
            asyncio.run(connect())
        except asyncpg.PostgresError as error:
            return self.normal(f"{type(error).__module__}.{type(error).__name__}: {error}")
        raise AssertionError("it was let in")

    def log(self):
        lines = [line for line in self.normal(self.daemon.log()).splitlines() if not USUAL.match(line)]
        return "\n".join(dict.fromkeys(lines))

    def works(self):
        try:
            return self.daemon.connect().execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False


@pytest.fixture
def case(pgsluice, cluster):
    def start(server_port=None, pgsluice_keys=None, **options):
        if server_port is not None:
            options["databases"] = {"app": {"url": cluster.url().replace(str(cluster.port), str(server_port))}}
        keys = {"log_level": "info", **(pgsluice_keys or {})}
        return Case(pgsluice(pgsluice=keys, **{**QUIET, **options}), server_port or cluster.port)

    return start


def assert_documented(*texts):
    for text in texts:
        assert text in DOCUMENT, f"not in docs/troubleshooting.md:\n{text}"


# -- the pool has never had a connection -----------------------------------------------------------


def test_client_arrives_before_the_database_was_ever_reachable(case, cluster):
    cluster.stop()
    early = case(cluster.port)
    assert_documented(early.psql(), early.asyncpg(), early.log())
    cluster.start()
    wait_until(early.works, what="it heals by itself")


# -- connection refused ----------------------------------------------------------------------------


def test_pgsluice_is_not_there(case, cluster):
    port = PORTS.take()
    gone = case()
    gone.ports[str(port)] = "6432"
    run = cluster.psql(f"host=127.0.0.1 port={port} user=app dbname=app", "-c", "SELECT 1")
    assert_documented(gone.normal(run.stderr))
    with pytest.raises(OSError) as raised:
        asyncio.run(asyncpg.connect(host="127.0.0.1", port=port, user="app"))
    assert_documented(gone.normal(f"{type(raised.value).__name__}: {raised.value}"))


def test_server_went_away(case, cluster):
    pool = case(size=1, overflow=0)
    client = pool.daemon.connect()
    assert client.execute("SELECT 1").fetchone()
    cluster.stop("immediate")
    with pytest.raises(Exception, match="no connection left") as raised:
        for _ in range(2):  # the first may find how it ends
            client.execute("SELECT 1")
    assert raised.value.sqlstate == "08001"
    assert_documented(pool.normal(str(raised.value)))


# -- authentication failed -------------------------------------------------------------------------


def test_pgsluice_refuses_the_password(case):
    strict = case()
    dsn = strict.daemon.dsn().replace("app-secret", "wrong")
    run = strict.daemon.cluster.psql(dsn, "-c", "SELECT 1")
    told = strict.asyncpg(password="wrong")
    assert_documented(strict.normal(run.stderr), told, strict.log())
    assert strict.asyncpg(user="nobody", password="x") == told.replace('"app"', '"nobody"')
    assert_documented(strict.log().replace("\n".join(strict.log().splitlines()[:2]), "").strip())


def test_without_a_list_the_log_says_what_is_not_that_of_the_url(case):
    strict = case(pgsluice_keys={"auth_file": None, "admin_users": "app"}, admin="app")
    strict.asyncpg(password="wrong")
    assert_documented(strict.log().splitlines()[0])
    strict.asyncpg(user="other")
    assert "without an auth_file it has to be the user and password of the url, and the user is not" in strict.log()


def test_server_refuses_the_password_of_the_url(case, cluster):
    url = cluster.url().replace("app-secret", "wrong")
    refused = case(databases={"app": {"url": url}})
    assert_documented(refused.psql(), refused.asyncpg(), refused.log())


# -- the database does not exist -------------------------------------------------------------------


def test_pgsluice_has_no_such_section(case):
    lost = case()
    assert_documented(lost.psql(database="nowhere"), lost.asyncpg(database="nowhere"), lost.log())


def test_server_has_no_such_database(case, cluster):
    lost = case(databases={"app": {"url": cluster.url(database="nowhere")}})
    assert_documented(lost.psql(), lost.asyncpg(), lost.log())


# -- too many connections --------------------------------------------------------------------------


def test_server_is_at_max_connections(case, cluster):
    full = case()
    with contextlib.ExitStack() as others:
        for _ in range(60):
            others.enter_context(cluster.connect())
        assert_documented(full.psql(), full.asyncpg(), full.log())


def test_pgsluice_is_at_max_clients(case):
    full = case(pgsluice_keys={"max_clients": 1})
    full.daemon.connect()
    assert_documented(full.psql(), full.asyncpg(), full.log())


def test_pool_is_at_its_limit(case):
    full = case(size=1, overflow=0, timeout="300ms")
    holder, waiter = full.daemon.connect(), full.daemon.connect()
    holder.execute("BEGIN")
    holder.execute("CREATE TEMPORARY TABLE kept ()")
    holder.execute("COMMIT")
    with pytest.raises(Exception, match="is at its limit") as raised:
        waiter.execute("SELECT 1")
    assert raised.value.sqlstate == "53300"
    assert_documented(full.normal(str(raised.value)), full.log().splitlines()[-1])
    assert not waiter.closed
    # Who has not been greeted yet has no connection that could live on.
    with pytest.raises(asyncpg.TooManyConnectionsError, match="is at its limit"):
        asyncio.run(asyncpg.connect(full.daemon.url(), server_settings={"search_path": "other"}))


def test_server_refuses_more_to_a_pool_that_could_grow(case, cluster):
    cluster.sql("ALTER ROLE app CONNECTION LIMIT 1")
    try:
        narrow = case(size=4, overflow=0, timeout="300ms")
        holder, waiter = narrow.daemon.connect(), narrow.daemon.connect()
        holder.execute("BEGIN")
        with pytest.raises(Exception, match="has no free connection") as raised:
            waiter.execute("SELECT 1")
        assert raised.value.sqlstate == "53300"
        assert_documented(narrow.normal(str(raised.value)))
    finally:
        cluster.sql("ALTER ROLE app CONNECTION LIMIT -1")


# -- connection creation slow ----------------------------------------------------------------------


def test_server_accepts_and_never_answers(case):
    with FakeServer() as silent:
        slow = case(silent.port, connect_timeout="400ms")
        assert_documented(slow.psql(), slow.asyncpg(), slow.log())


def test_clients_give_up_before_connect_timeout(case):
    with FakeServer() as silent:
        slow = case(silent.port, connect_timeout="20s", timeout="300ms")
        slow.ports["20.0"] = "10.0"
        assert_documented(slow.psql(), slow.asyncpg())
        slow.daemon.stop()


@pytest.mark.parametrize("limit, words", [("10s", "a slow login"), ("500ms", "waiting for it to finish the login")])
def test_server_is_slow_to_start_a_session(case, limit, words):
    # The server waits so many seconds behind the password's check.
    slow = case(server_settings="post_auth_delay=2", connect_timeout=limit, size=1)
    if limit == "10s":
        assert slow.works()
    else:
        assert words in slow.psql()
    assert_documented(*[line for line in slow.log().splitlines() if words in line and "server" in line][:1])
    assert words in slow.log()
