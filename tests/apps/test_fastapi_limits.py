"""The shop under load and in trouble: few backends for many requests, limits, a restart."""

import asyncio
import dataclasses
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg

from cluster import wait_until


class BackendCounter:
    """Counts a database's backends all the time, past pgsluice."""

    def __init__(self, way):
        self.way = way
        self.counts = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        query = (
            "SELECT count(*) AS count FROM pg_stat_activity"
            f" WHERE backend_type = 'client backend' AND datname = '{self.way.database}'"
        )
        with self.way.cluster.connect() as connection:
            while not self._over.wait(0.005):
                self.counts.append(connection.execute(query).fetchone()["count"])

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def all_at_once(service, *requests):
    """Sends (method, path, body) at the same time; the responses."""

    async def send():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=service.address, timeout=60, limits=limits) as client:
            return await asyncio.gather(
                *(client.request(method, path, json=body) for method, path, body in requests)
            )

    return asyncio.run(send())


# -- many requests, few backends -------------------------------------------------------------------


def order_and_read(service, way, requests, most_backends):
    """Concurrent requests, all for one product; nothing fails and nothing is lost."""
    product = service.add("wanted", stock=requests // 2)
    order = {"customer": "Ada", "lines": [{"product_id": product["id"], "quantity": 1}]}
    orders = [("POST", "/orders", order)] * (requests // 2)
    reads = [("GET", f"/products/{product['id']}", None)] * (requests // 4)
    sleeps = [("GET", "/trials/sleep?seconds=0.1", None)] * (requests // 4)
    with BackendCounter(way) as counter:
        answers = all_at_once(service, *orders, *reads, *sleeps)
    assert {answer.status_code for answer in answers} == {200, 201}, [
        answer.text for answer in answers if answer.status_code >= 400
    ][:5]
    assert len(counter.counts) > 20
    assert 2 <= max(counter.counts) <= most_backends, counter.counts
    assert service.get(f"/products/{product['id']}").json()["stock"] == 0
    assert service.post("/orders", order).status_code == 409
    assert way.sql("SELECT count(*) FROM orders") == [{"count": requests // 2}]


def test_200_concurrent_requests(shop):
    order_and_read(shop, shop.way, 200, 60 if shop.way.is_direct else 7)


def test_concurrent_requests_without_a_pool_in_the_application(open_pooled, open_service):
    way = open_pooled()
    service = open_service(way, DATABASE_NULL_POOL="true")
    order_and_read(service, way, 80, 7)
    way.wait_for_rest()
    # Nothing is kept between requests but pgsluice's own connections.
    wait_until(lambda: way.daemon.pool(way.database)["cl_active"] == 0, what="no client is left")
    assert len(way.backends()) <= 5


# -- the pool is exhausted -------------------------------------------------------------------------


def end_sleepers(way):
    """What they held is free at once; the application answers 504."""
    way.sql(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active'"
        f" AND datname = '{way.database}' AND query LIKE 'SELECT pg_sleep%'"
    )


def test_exhausted_pool_of_pgsluice_is_503(open_pooled, open_service):
    way = open_pooled(size=1, overflow=0, timeout="1s")
    service = open_service(way)
    assert service.get("/products").status_code == 200
    with ThreadPoolExecutor(10) as threads:
        holder = threads.submit(service.get, "/trials/sleep", seconds=40)
        wait_until(lambda: way.count_sleepers() == 1, what="the only connection is taken")
        began = time.monotonic()
        answers = list(threads.map(lambda _: service.get("/products"), range(8)))
        took = time.monotonic() - began
        end_sleepers(way)
        for answer in answers:
            assert answer.status_code == 503, answer.text
            assert answer.json()["sqlstate"] == "53300"
            assert answer.headers["retry-after"] == "1"
        assert 1 <= took < 20
        assert holder.result().status_code == 504
    assert service.get("/products").status_code == 200


def test_exhausted_pool_of_the_application_is_503(open_way, open_service):
    way = open_way()
    service = open_service(
        way, workers=1, DATABASE_POOL_SIZE="1", DATABASE_MAX_OVERFLOW="0", DATABASE_POOL_TIMEOUT="0.5"
    )
    with ThreadPoolExecutor(2) as threads:
        holder = threads.submit(service.get, "/trials/sleep", seconds=40)
        wait_until(lambda: way.count_sleepers() == 1, what="the only connection is taken")
        assert service.get("/products").status_code == 503
        end_sleepers(way)
        assert holder.result().status_code == 504
    assert service.get("/products").status_code == 200


# -- too slow, and gone ----------------------------------------------------------------------------


def test_command_timeout(open_way, open_service):
    way = open_way()
    service = open_service(way, workers=1, DATABASE_COMMAND_TIMEOUT="1")
    with psycopg.connect(way.url) as other, ThreadPoolExecutor(4) as threads:
        query = threads.submit(other.execute, "SELECT pg_sleep(4), 42 AS answer")
        began = time.monotonic()
        slow = [threads.submit(service.get, "/trials/sleep", seconds=30) for _ in range(3)]
        assert [one.result().status_code for one in slow] == [504] * 3
        assert 1 <= time.monotonic() - began < 10
        # The server has given up too, and nobody else's query.
        wait_until(lambda: way.count_sleepers() <= 1, timeout=5, what="the queries were cancelled")
        assert query.result().fetchone()[1] == 42
    assert [service.get("/products").status_code for _ in range(5)] == [200] * 5
    way.wait_for_rest()


def disconnect(service, request, read=0):
    """Sends a request, reads so many bytes of the response, and goes."""
    with socket.create_connection((service.host, service.port)) as connection:
        connection.sendall(f"{request} HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n".encode())
        while read > 0:
            read -= len(connection.recv(read))
        yield


def test_client_gone_while_its_request_runs(shop):
    gone = [
        disconnect(shop, f"POST /trials/create_slowly?sku=gone+{number}&seconds=2")
        for number in range(4)
    ]
    for one in gone:
        next(one)
    wait_until(lambda: shop.way.count_sleepers() == 4, what="all requests are at work")
    for one in gone:
        one.close()
    # What has begun is finished: nobody asks whether the client still listens.
    shop.way.wait_for_rest()
    assert len(shop.way.skus()) == 4
    assert shop.get("/products").status_code == 200


def test_client_gone_while_it_reads_from_a_cursor(shop):
    shop.way.sql(
        "INSERT INTO products (sku, name, price, tags)"
        " SELECT n, repeat('name', 50), n, array_fill('tag'::text, '{20}')"
        " FROM generate_series(1, 20000) n"
    )
    for _ in range(4):
        for _ in disconnect(shop, "GET /products/export", read=1000):
            pass
    shop.way.wait_for_rest()
    assert {shop.get("/trials/pool").json() for _ in range(6)} == {0}
    lines = shop.get("/products/export").text.splitlines()
    assert len(lines) == 20000


# -- the database restarts -------------------------------------------------------------------------


# The server could not be reached at that moment: the request did not run.
NOT_RUN = ("57P03", "08001")


class Buyer(threading.Thread):
    """Adds one product after the other until told to stop."""

    def __init__(self, service, number, over):
        super().__init__()
        self.service = service
        self.number = number
        self.over = over
        self.added = []
        self.failed = []

    def run(self):
        while not self.over.is_set():
            sku = f"{self.number}.{len(self.added) + len(self.failed)}"
            began = time.monotonic()
            answer = self.service.post("/products", {"sku": sku, "name": sku, "price": 1})
            attempt = Attempt(sku, began, time.monotonic(), answer)
            (self.added if answer.status_code == 201 else self.failed).append(attempt)


@dataclasses.dataclass
class Attempt:
    sku: str
    began: float
    ended: float
    answer: httpx.Response

    @property
    def was_run(self):
        return self.answer.json()["sqlstate"] not in NOT_RUN

    def __str__(self):
        return f"{self.sku} {self.began:.3f} {self.ended:.3f} {self.answer.text}"


def restart_under_load(way, service, mode):
    """What was added and what failed, each in the order of its beginning."""
    over = threading.Event()
    buyers = [Buyer(service, number, over) for number in range(16)]
    for buyer in buyers:
        buyer.start()
    try:
        wait_until(lambda: all(len(one.added) > 3 for one in buyers), what="all work")
        way.cluster.stop(mode)
        down = time.monotonic()
        way.cluster.start()
        marks = [len(one.added) for one in buyers]
        wait_until(
            lambda: all(len(one.added) > mark + 3 for one, mark in zip(buyers, marks, strict=True)),
            timeout=15, what="all have recovered",
        )  # fmt: skip
    finally:
        over.set()
        for buyer in buyers:
            buyer.join(30)
    added = [one for buyer in buyers for one in buyer.added]
    failed = [one for buyer in buyers for one in buyer.failed]
    log = "\n".join(map(str, failed))
    assert {one.answer.status_code for one in failed} == {503}, log
    # What was acknowledged is there, and nothing that nobody sent.
    skus = way.skus()
    assert {one.sku for one in added} <= skus <= {one.sku for one in added + failed}
    # Once one request has succeeded again, all do.
    recovered = min(one.ended for one in added if one.began > down)
    assert not [str(one) for one in failed if one.began > recovered], log
    way.wait_for_rest()
    return buyers


def test_database_restarts_under_load(open_way, open_service):
    way = open_way()
    buyers = restart_under_load(way, open_service(way), "fast")
    if not way.is_direct:
        check_losses(way, buyers)


def test_database_crashes_under_load(open_pooled, open_service):
    way = open_pooled()
    check_losses(way, restart_under_load(way, open_service(way), "immediate"))


def check_losses(way, buyers):
    """Only what ran was lost; all else was told that the server cannot be reached, and did not run."""
    lost = [[one for one in buyer.failed if one.was_run] for buyer in buyers]
    told = [str(one) for ones in lost for one in ones]
    assert all(len(ones) <= 1 for ones in lost), told
    assert sum(map(len, lost)) <= 7, told
    assert not {one.sku for buyer in buyers for one in buyer.failed if not one.was_run} & way.skus()
