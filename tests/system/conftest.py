"""Fixtures of the system tests: a private PostgreSQL a session, a pgsluice a test."""

import concurrent.futures
import itertools

import pytest

from cluster import Cluster
from daemon import Daemon


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


@pytest.fixture
def threads():
    """An executor for clients that run at the same time."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=64) as executor:
        yield executor
