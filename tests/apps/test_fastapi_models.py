"""The shop's rows: the server's timestamps, soft delete, and types that need a codec."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import psycopg


def times(product):
    return [datetime.datetime.fromisoformat(product[name]) for name in ("created_at", "updated_at")]


def stored(way, product):
    return way.sql(f"SELECT * FROM products WHERE id = {product['id']}")[0]


def clock(way):
    return way.sql("SELECT clock_timestamp() AS now")[0]["now"]


def test_timestamps_are_the_servers(shop):
    before = clock(shop.way)
    product = shop.add("a")
    created, updated = times(product)
    assert before <= created == updated <= clock(shop.way)
    row = stored(shop.way, product)
    assert (row["created_at"], row["updated_at"]) == (created, updated)
    # Without the application too.
    bare = shop.way.sql("INSERT INTO products (sku, name, price) VALUES ('b', 'b', 1) RETURNING *")
    assert bare[0]["created_at"] == bare[0]["updated_at"] > created


def test_update_refreshes_its_timestamp(shop):
    product = shop.add("a")
    for number in range(3):
        answer = shop.client.patch(f"/products/{product['id']}", json={"name": f"name {number}"})
        changed = answer.json()
        assert changed["name"] == f"name {number}"
        assert times(changed)[0] == times(product)[0]
        assert times(changed)[1] > times(product)[1]
        assert stored(shop.way, product)["updated_at"] == times(changed)[1]
        product = changed


def test_soft_delete(shop):
    product, other = shop.add("a", stock=5), shop.add("b")
    address = f"/products/{product['id']}"
    assert shop.client.delete(address).status_code == 204
    assert shop.get(address).status_code == 404
    assert shop.client.patch(address, json={"name": "x"}).status_code == 404
    assert shop.client.delete(address).status_code == 404
    assert [one["id"] for one in shop.get("/products").json()] == [other["id"]]
    assert shop.get("/products/export").text.count("\n") == 1
    order = {"customer": "Ada", "lines": [{"product_id": product["id"], "quantity": 1}]}
    assert shop.post("/orders", order).status_code == 404
    # It is still there, and says when.
    row = stored(shop.way, product)
    assert row["deleted_at"] == row["updated_at"] > row["created_at"]
    assert shop.get(address, deleted=True).json()["sku"] == "a"
    # Its sku is free again, once.
    assert shop.add("a")["id"] not in (product["id"], other["id"])
    assert shop.post("/products", {"sku": "a", "name": "a", "price": 1}).status_code == 409


VALUES = {
    "status": "on sale",
    "price": "9999999999.99",
    "tags": ["plain", "it's \"quoted\"", "{braces,}", "", "NULL", "Öl 油 🛢"],
    "channels": ["phone", "web", "web"],
    "attributes": {
        "list": [1, 2.5, None, True, {"deep": [[]]}],
        "text": "quote ' \" backslash \\ emoji 🛢",
        "empty": {},
    },
}


def test_json_enums_and_arrays(shop):
    def one(number):
        product = shop.add(f"sku {number}", **VALUES)
        return product, shop.get(f"/products/{product['id']}").json()

    # Many at once: connections that find types out and connections that know them change backends.
    with ThreadPoolExecutor(24) as threads:
        for product, read in threads.map(one, range(72)):
            assert read == product
            assert VALUES.items() <= product.items()
    rows = shop.way.sql("SELECT DISTINCT status, tags, channels::text, attributes FROM products")
    assert rows == [
        {
            "status": "on sale",
            "tags": VALUES["tags"],
            "channels": "{phone,web,web}",
            "attributes": VALUES["attributes"],
        }
    ]


def test_search_by_enum_and_array(shop):
    shop.add("a", status="on sale", channels=["web", "shop"], tags=["x", "y"])
    shop.add("b", status="retired", channels=["shop"], tags=["y"])
    shop.add("c")

    def found(**query):
        return [one["sku"] for one in shop.get("/products", **query).json()]

    assert found(channel="shop") == ["a", "b"]
    assert found(channel="phone") == []
    assert found(tag="x") == ["a"]
    assert found(product_status="draft") == ["c"]
    assert found(product_status="on sale", channel="shop", tag="y", limit=1) == ["a"]


def test_codecs_that_a_program_sets(shop):
    def ask(_):
        return shop.get("/trials/codecs").json()

    with ThreadPoolExecutor(16) as threads:
        for seen in threads.map(ask, range(48)):
            assert seen == {
                "enum": "<Channel.WEB: 'web'>",
                "array": "[<Channel.SHOP: 'shop'>, <Channel.PHONE: 'phone'>]",
                "jsonb": ["decoded", "[1]"],
                "range": "<Range [Decimal('1'), Decimal('2'))>",
                "row": "(<Channel.WEB: 'web'>,)",
            }
    for number in range(20):  # on the same connections, with the engine's own codecs again
        assert shop.add(f"p{number}", attributes={"n": number})["attributes"] == {"n": number}


def test_settings_that_the_engine_sends(shop):
    # Another client of the same pool has others.
    expected = {
        "jit": "off", "application_name": "fastapi_app", "TimeZone": "UTC",
        "search_path": '"$user", public',
    }  # fmt: skip
    with psycopg.connect(shop.way.url, autocommit=True) as other:
        other.execute("SET TimeZone = 'Asia/Tokyo'; SET jit = on; SET search_path = pg_catalog")
        other.execute("SET application_name = 'another'")
        for _ in range(8):
            with ThreadPoolExecutor(8) as threads:
                for answer in threads.map(lambda _: shop.get("/trials/settings"), range(8)):
                    assert answer.json() == expected
            assert other.execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)
