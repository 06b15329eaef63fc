"""The shop's start and end: the check at start, failing fast, health, graceful shutdown."""

import re
import signal
import threading
import time

import pytest

from cluster import PORTS, secret_of, wait_until
from service import Service, Way


class Nowhere:
    """A way to a server that is not there."""

    def __init__(self, url):
        self.url = url


def closed_url(user="app", database="app"):
    return f"postgresql://{user}:{secret_of(user)}@127.0.0.1:{PORTS.take()}/{database}"


@pytest.fixture
def way_to_nothing(kind, cluster, tmp_path):
    """PostgreSQL is down: direct there is a closed port, else a pgsluice in front of one."""
    if kind == "direct":
        yield Nowhere(closed_url())
        return
    database = {"app": {"url": closed_url()}}
    way = Way(cluster, "app", tmp_path, databases=database, timeout="5s")
    yield way
    way.finish()


def failure_of(service):
    """The log of a service that must not have come up."""
    assert service.wait() == 1
    service.client.close()
    service.check_log()
    log = service.log()
    assert "startup complete" not in log and "Traceback" not in log
    return log


def test_select_1_at_start(shop):
    line = rf"connected to the database postgresql\+asyncpg://app:\*\*\*@127.0.0.1:\d+/{shop.way.database}$"
    # Once ahead of all, and once in each worker process.
    assert len(re.findall(line, shop.log(), re.MULTILINE)) == 1 + shop.workers == 3


def test_start_fails_fast_when_postgresql_is_down(way_to_nothing, kind, tmp_path):
    began = time.monotonic()
    log = failure_of(Service(way_to_nothing, tmp_path))
    assert time.monotonic() - began < 20
    reasons = re.findall("CRITICAL fastapi_app.database: cannot reach the database (.*)$", log, re.M)
    assert reasons
    for reason in reasons:
        assert reason.startswith("postgresql+asyncpg://app:***@127.0.0.1:")
        # pgsluice passes on why it could not connect.
        assert "refused" in reason.lower()


def test_start_fails_fast_without_its_database(open_way, tmp_path):
    way = open_way()
    log = failure_of(Service(Nowhere(way.url.replace(way.database, "missing")), tmp_path))
    assert re.search('cannot reach the database .*: .*database "missing" does not exist', log)


def test_start_fails_fast_with_a_wrong_password(open_way, tmp_path):
    url = open_way().url.replace(secret_of("app"), "wrong-" + secret_of("app"))
    log = failure_of(Service(Nowhere(url), tmp_path))
    assert re.search('cannot reach the database .*: .*authentication failed for user "app"', log)


@pytest.mark.parametrize("url", [
    "postgresql://app:app-secret@localhost/app",
    "no url: app-secret",
    "postgresql+asyncpg://app:app-secret@localhost:port/app",
], ids=["driver", "not a URL", "port"])  # fmt: skip
def test_mistaken_url_is_not_repeated(tmp_path, url):
    log = failure_of(Service(Nowhere("unused"), tmp_path, DATABASE_URL=url))
    assert "database_url\n  Value error, " in log


def test_health(shop, cluster):
    def health():
        answer = shop.get("/health")
        return answer.status_code, answer.json()

    assert health() == (200, {"database": True})
    cluster.stop()
    try:
        began = time.monotonic()
        assert health() == (503, {"database": False})
        assert time.monotonic() - began < 10
    finally:
        cluster.start()
    wait_until(lambda: health() == (200, {"database": True}), timeout=10, what="healthy again")
    assert [health()[0] for _ in range(10)] == [200] * 10


def test_graceful_shutdown(open_way, open_service):
    way = open_way()
    service = open_service(way)
    answers = []

    def create(sku):
        answers.append(service.post("/trials/create_slowly", sku=sku, seconds=2))

    requests = [threading.Thread(target=create, args=(f"sku {n}",)) for n in range(4)]
    for request in requests:
        request.start()
    wait_until(lambda: way.count_sleepers() == 4, what="all requests are at work")
    service.send(signal.SIGTERM)
    for request in requests:
        request.join(20)
    assert service.wait() == 0
    # What ran was finished, and the engine disposed of by each worker.
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(way.skus()) == 4
    for pid in service.worker_pids():
        assert re.search(rf"\[{pid}\] INFO fastapi_app.database: disposed of the engine", service.log())
    assert service.log().count("Application shutdown complete") == 2
    if way.is_direct:
        wait_until(lambda: way.backends() == [], what="no backend is left")
    else:
        wait_until(lambda: way.daemon.pool(way.database)["cl_active"] == 0, what="no client is left")
        way.daemon.check_log()
