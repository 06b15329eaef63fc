"""Fixtures: the shop with a database of its own, direct and through a pgsluice."""

import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from cluster import Cluster  # noqa: E402
from service import Service, Way, run_alembic  # noqa: E402

TEMPLATE = "shop_template"
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def session_cluster():
    cluster = Cluster(max_connections=120)
    cluster.sql(f"CREATE DATABASE {TEMPLATE} OWNER app")
    run_alembic(cluster.url(database=TEMPLATE), "upgrade", "head")
    yield cluster
    cluster.destroy()


@pytest.fixture
def cluster(session_cluster):
    """The session's PostgreSQL, running; tests may stop and start it."""
    session_cluster.ensure_running()
    yield session_cluster
    session_cluster.ensure_running()


@pytest.fixture(scope="session", params=["direct", "pgsluice"])
def kind(request):
    return request.param


class Openers:
    """Makes ways and services, and brings them to their end in the opposite order."""

    def __init__(self, cluster, folder, kind=None):
        self.cluster = cluster
        self.folder = folder
        self.kind = kind
        self.opened = []

    def way(self, template=TEMPLATE, **options):
        """To a database of its own: with the shop's tables, or empty with template0."""
        name = f"shop_{next(numbers)}"
        self.cluster.sql(f"CREATE DATABASE {name} OWNER app TEMPLATE {template}")
        folder = None
        if self.kind == "pgsluice":
            folder = self.folder / name
            folder.mkdir()
        self.opened.append(Way(self.cluster, name, folder, **options))
        return self.opened[-1]

    def service(self, way, wait=True, **options):
        self.opened.append(Service(way, self.folder, **options))
        return self.opened[-1].wait_until_ready() if wait else self.opened[-1]

    def finish(self):
        problems = []
        for one in reversed(self.opened):
            try:
                one.finish()
            except Exception as problem:  # every one must end, whatever the others did
                problems.append(problem)
        if problems:
            raise problems[0]


@pytest.fixture
def open_way(cluster, kind, tmp_path):
    """Ways of both kinds, one after the other."""
    openers = Openers(cluster, tmp_path, kind)
    yield openers.way
    openers.finish()


@pytest.fixture
def open_pooled(cluster, tmp_path):
    """Ways through a pgsluice, for what only pooling can show."""
    openers = Openers(cluster, tmp_path, "pgsluice")
    yield openers.way
    openers.finish()


@pytest.fixture
def open_service(cluster, tmp_path):
    """Comes behind the ways among a test's fixtures: services end before what they talk to."""
    openers = Openers(cluster, tmp_path)
    yield openers.service
    openers.finish()


@pytest.fixture(scope="session")
def session_shop(session_cluster, kind, tmp_path_factory):
    openers = Openers(session_cluster, tmp_path_factory.mktemp(kind), kind)
    yield openers.service(openers.way())
    openers.finish()


@pytest.fixture
def shop(session_shop, cluster):
    """The service that most tests share, with size=5 and overflow=2, and no product in it."""
    session_shop.way.sql("TRUNCATE products, orders, order_lines RESTART IDENTITY")
    yield session_shop
    session_shop.way.wait_for_rest()
