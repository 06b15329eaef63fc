"""The sessions of the shop's requests: commit, rollback, close, transactions, savepoints."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

FAILURES = {"http": 418, "sql": 500, "exception": 500, "cancelled": 500, "response": 500}


def test_commit_is_seen_by_another_connection(shop):
    with psycopg.connect(shop.way.url, autocommit=True) as other:
        for number in range(20):
            shop.add(f"sku {number}")
            # The response is there: so is the row, whichever way one looks.
            count = "SELECT count(*) FROM products"
            assert other.execute(count).fetchone() == (number + 1,)
            assert shop.way.sql(count) == [{"count": number + 1}]


@pytest.mark.parametrize("dependency", ["session", "transaction"])
@pytest.mark.parametrize("failure", FAILURES)
def test_rollback_when_something_is_raised(shop, dependency, failure):
    shop.add("before")
    answer = shop.post(f"/trials/{dependency}/{failure}", sku="lost")
    assert answer.status_code == FAILURES[failure]
    shop.way.wait_for_rest()
    assert shop.way.skus() == {"before"}
    shop.add("lost")


def test_every_path_closes_its_session(shop):
    def one(number):
        for failure in FAILURES:
            for dependency in ("session", "transaction"):
                shop.post(f"/trials/{dependency}/{failure}", sku=f"{failure} {number}")
        shop.post("/products", {"sku": ""})  # refused before there is a session
        shop.get("/products/0")
        shop.add(f"good {number}")

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(one, range(12)))
    shop.way.wait_for_rest()
    assert {shop.get("/trials/pool").json() for _ in range(10)} == {0}
    assert shop.way.skus() == {f"good {number}" for number in range(12)}


def test_transaction_around_the_request(shop):
    def look(_):
        return shop.get("/trials/transaction").json()

    with ThreadPoolExecutor(16) as threads:
        for seen in threads.map(look, range(48)):
            assert len(seen) == 3 and len({tuple(one) for one in seen}) == 1


def test_order_is_placed_whole_or_not_at_all(shop):
    many, few = shop.add("many", stock=100), shop.add("few", stock=1)

    def order(*quantities):
        lines = [
            {"product_id": product["id"], "quantity": quantity}
            for product, quantity in zip((many, few), quantities, strict=True)
        ]
        return shop.post("/orders", {"customer": "Ada", "lines": lines})

    answer = order(10, 1)
    assert answer.status_code == 201
    assert answer.json()["total"] == "16.50"
    assert shop.get(f"/orders/{answer.json()['id']}").json() == answer.json()
    assert order(10, 1).status_code == 409
    assert shop.get(f"/products/{many['id']}").json()["stock"] == 90
    counts = shop.way.sql("SELECT (SELECT count(*) FROM orders), count(*) AS lines FROM order_lines")
    assert counts == [{"count": 1, "lines": 2}]


def test_nested_savepoints(shop):
    kept = ["kept", "kept in one", "kept in two", "kept at last"]
    answer = shop.post("/trials/nested")
    assert answer.json() == kept
    assert shop.way.skus() == set(kept)


def test_failure_undoes_savepoints_that_were_released(shop):
    assert shop.post("/trials/nested", fail=True).status_code == 500
    shop.way.wait_for_rest()
    assert shop.way.skus() == set()


def test_import_rejects_what_is_there_already(shop):
    shop.add("old")

    def send(number):
        names = ["old", f"new {number}", "old", f"newer {number}", f"new {number}", "contested"]
        return shop.post(
            "/products/import", [{"sku": sku, "name": sku, "price": "1"} for sku in names]
        ).json()

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(send, range(8)))
    for number, result in enumerate(results):
        assert result["added"][:2] == [f"new {number}", f"newer {number}"]
        assert result["rejected"][:3] == ["old", "old", f"new {number}"]
    assert sum("contested" in result["added"] for result in results) == 1
    assert len(shop.way.skus()) == 1 + 2 * 8 + 1
