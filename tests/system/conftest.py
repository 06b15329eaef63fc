"""Fixtures of the system tests: a private PostgreSQL a session, a pgsluice a test."""

import concurrent.futures
import itertools
import threading

import pytest

from cluster import Cluster, wait_until
from daemon import Daemon
from wire import Wire


@pytest.fixture(scope="session")
def session_cluster():
    cluster = Cluster()
    yield cluster
    cluster.destroy()


@pytest.fixture
def cluster(session_cluster):
    """The session's PostgreSQL, running; tests may stop and start it."""
    session_cluster.ensure_running()
    yield session_cluster
    session_cluster.ensure_running()


@pytest.fixture
def pgsluice(cluster, tmp_path):
    """
    Starts a pgsluice and returns it; daemon.Daemon tells the keywords. At the end of the test each
    one must be at rest, stop with status 0, and have neither a sanitizer's report, a failed check
    nor a password in its log.
    """
    daemons = []
    counter = itertools.count(1)

    def start(**options):
        folder = tmp_path / f"pgsluice-{next(counter)}"
        folder.mkdir()
        daemon = Daemon(cluster, folder, **options)
        daemons.append(daemon)
        return daemon.start()

    yield start
    cluster.ensure_running()
    problems = []
    for daemon in daemons:
        try:
            daemon.finish()
        except Exception as problem:  # every daemon must be stopped, whatever the first one did
            problems.append(problem)
    if problems:
        raise problems[0]


class Threads(concurrent.futures.Executor):
    """An executor whose threads end with the process: one that waits for ever holds up nothing."""

    def submit(self, function, /, *arguments, **keywords):
        future = concurrent.futures.Future()

        def run():
            try:
                future.set_result(function(*arguments, **keywords))
            except BaseException as problem:
                future.set_exception(problem)

        future.set_running_or_notify_cancel()
        threading.Thread(target=run, daemon=True).start()
        return future


@pytest.fixture
def threads():
    """Runs clients at the same time."""
    return Threads()


class Target:
    """PostgreSQL itself, or pgsluice ahead of it: the same is expected of both."""

    def __init__(self, way, cluster, pgsluice):
        self.is_direct = way == "direct"
        self.cluster = cluster
        self.options = {"size": 2, "overflow": 0, "max_pinned": 100}
        self._start = pgsluice
        self._daemon = None
        self._wires = []

    def use(self, **options):
        """Keywords of the `pgsluice` fixture, ahead of the first connection."""
        assert self._daemon is None
        self.options.update(options)

    @property
    def daemon(self):
        assert not self.is_direct
        if self._daemon is None:
            self._daemon = self._start(**self.options)
        return self._daemon

    @property
    def server(self):
        return self.cluster if self.is_direct else self.daemon

    def wire(self, **keywords):
        """A raw client (wire.Wire), closed at the end of the test."""
        server = self.server
        self._wires.append(Wire((server.host, server.port), **keywords))
        return self._wires[-1]

    def wait_for_rest(self):
        """Until no server connection is leased."""
        if not self.is_direct:
            wait_until(lambda: self.daemon.pool().get("sv_active") == 0, what="no lease is left")

    def close(self):
        for wire in self._wires:
            wire.close()


@pytest.fixture
def open_target(cluster, pgsluice):
    """Makes Targets: "direct" or "pgsluice"."""
    targets = []

    def make(way):
        targets.append(Target(way, cluster, pgsluice))
        return targets[-1]

    yield make
    for target in targets:
        target.close()


@pytest.fixture(params=["direct", "pgsluice"])
def target(request, open_target):
    """Runs the test twice: against PostgreSQL and through a pgsluice with a pool of two."""
    return open_target(request.param)


@pytest.fixture
def pair(target):
    """Two clients that have to share one server connection, or two of PostgreSQL itself."""
    if not target.is_direct:
        target.use(size=1)
    return target.wire(), target.wire()


@pytest.fixture
def pooled(open_target):
    """A pgsluice with a pool of two, for what only pooling can show."""
    return open_target("pgsluice")
