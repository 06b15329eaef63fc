"""
Statements prepared by SQL (PREPARE, EXECUTE, DEALLOCATE) follow their client to whatever server
connection it gets, under names that others use too, and fail where they would fail on a connection
of their own.
"""

import pytest

from cluster import wait_until
from wire import errors, plain, query

LIST = "SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements ORDER BY name"
BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture(autouse=True)
def tables(cluster):
    """Tables that the tests change; dropped and made anew for each."""
    cluster.sql("DROP SCHEMA IF EXISTS shop CASCADE", "CREATE SCHEMA shop AUTHORIZATION app",
                database="app")
    yield
    cluster.sql("DROP SCHEMA IF EXISTS shop CASCADE", database="app")


def pins(daemon):
    rows_of_clients = daemon.console("SHOW CLIENTS")
    return [row["pinned"] for row in rows_of_clients if row["database"] == "app"]


class Mover:
    """A client that is made to change server connections between its commands: another one keeps
    the connection that it had last in a transaction."""

    def __init__(self, target):
        self.target = target
        self.wire = target.wire()
        self.other = None if target.is_direct else target.wire()

    def move(self):
        """To another server connection than the one that is most recently used."""
        if self.other is None:
            return
        home = self.wire.value(BACKEND)
        self.target.wait_for_rest()
        for _ in range(10):
            self.other.run("BEGIN")
            if self.other.value(BACKEND) == home:
                break
            self.other.run("COMMIT")
        assert self.wire.value(BACKEND) != home

    def back(self):
        if self.other is not None:
            self.other.run("COMMIT")

    def ask(self, *messages, ready=1):
        """The same from both server connections, as the client reads it."""
        return self.wire.ask(*messages, ready=ready)


def says(replies):
    return [(code, fields) for code, fields in plain(replies)]


@pytest.fixture
def mover(target):
    return Mover(target)


@pytest.mark.core
def test_statement_follows_its_client(mover):
    wire = mover.wire
    wire.run("PREPARE plus (int, int) AS SELECT $1 + $2 AS sum")
    mover.move()
    assert wire.run("EXECUTE plus (1, 2)") == [("3",)]
    assert wire.run(LIST) == [
        ("plus", "PREPARE plus (int, int) AS SELECT $1 + $2 AS sum", "{integer,integer}", "t")
    ]
    mover.back()
    assert wire.run("EXECUTE plus (3, 4)") == [("7",)]


@pytest.mark.core
def test_names_of_many_clients_collide(target):
    wires = [target.wire() for _ in range(12)]
    for number, wire in enumerate(wires):
        wire.run(f"PREPARE mine AS SELECT {number} AS i")
        wire.run(f'PREPARE "Mine" AS SELECT -{number} AS i')
    for _ in range(3):
        for number, wire in enumerate(wires):
            assert wire.run("EXECUTE mine") == [(str(number),)]
            assert wire.run('EXECUTE "Mine"') == [(str(-number),)]
    for wire in wires[::2]:
        wire.run("DEALLOCATE mine")
    for number, wire in enumerate(wires):
        expected = ["26000"] if number % 2 == 0 else []
        assert errors(wire.ask(query("EXECUTE mine"))) == expected
        assert wire.run('EXECUTE "Mine"') == [(str(-number),)]
    if not target.is_direct:
        wait_until(lambda: set(pins(target.daemon)) == {""}, what="nobody is pinned")
