"""What cannot be moved to another server connection keeps its client where it is, as long as it
lasts and no longer; nobody else ever sees it."""

import pytest

from cluster import wait_until
from wire import errors, query

# What makes the pin, its reason, what shows that it is there, what ends it.
PINS = [
    ("CREATE TEMP TABLE mine (i int)", "TEMPORARY", "SELECT count(*) FROM mine", "DROP TABLE mine"),
    ("SELECT 1 AS i INTO TEMP mine", "TEMPORARY", "SELECT i FROM mine", "DROP TABLE mine"),
    ("CREATE TEMP VIEW mine AS SELECT 1", "TEMPORARY", "TABLE mine", "DROP VIEW mine"),
    ("SELECT pg_advisory_lock(4711)", "ADVISORY", None, "SELECT pg_advisory_unlock(4711)"),
    ("SELECT pg_try_advisory_lock_shared(4711)", "ADVISORY", None,
     "SELECT pg_advisory_unlock_all()"),
    ("DECLARE mine CURSOR WITH HOLD FOR SELECT 7", "CURSOR", "FETCH ABSOLUTE 1 FROM mine",
     "CLOSE mine"),
    ("SELECT 1; PREPARE mine AS SELECT 7", "PREPARE", "EXECUTE mine", "DEALLOCATE mine"),
]  # fmt: skip


@pytest.fixture
def two(pooled):
    """Two clients on a pool of two server connections."""
    return pooled.daemon, pooled.wire(), pooled.wire()


def expect_pins(daemon, *reasons):
    """Of the two clients. The server is asked behind the client's answer: that takes a moment."""

    def pinned():
        rows = daemon.console("SHOW CLIENTS")
        return sorted(row["pinned"] for row in rows if row["database"] == "app") == list(reasons)

    wait_until(pinned, what=f"the clients are pinned by {reasons}")


@pytest.mark.core
@pytest.mark.parametrize("begin, reason, use, end", PINS)
def test_pin_lasts_as_long_as_its_cause(two, begin, reason, use, end):
    daemon, one, other = two
    backend = "SELECT pg_backend_pid()"
    assert errors(one.ask(query(begin))) == []
    home = one.value(backend)
    expect_pins(daemon, "", reason)
    for _ in range(3):
        assert other.value(backend) != home
        assert one.value(backend) == home
    if use is not None:
        assert errors(other.ask(query(use))) != []
        assert errors(one.ask(query(use))) == []
    assert errors(one.ask(query(end))) == []
    expect_pins(daemon, "", "")


@pytest.mark.parametrize("begin, reason, use, end", PINS)
def test_leaving_client_takes_it_along(two, begin, reason, use, end):
    daemon, one, other = two
    one.run(begin)
    one.close()
    daemon.check_at_rest()
    assert other.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"
    if use is not None:
        for _ in range(2):
            other.run("BEGIN")
            assert errors(other.ask(query(use))) != []
            other.run("ROLLBACK")


@pytest.mark.parametrize(
    "transaction",
    [
        ["BEGIN", "CREATE TEMP TABLE mine (i int) ON COMMIT DROP", "COMMIT"],
        ["BEGIN", "CREATE TEMP TABLE mine (i int)", "ROLLBACK"],
        ["BEGIN", "SELECT pg_advisory_xact_lock(4711)", "COMMIT"],
        ["BEGIN", "DECLARE mine CURSOR FOR SELECT 1", "COMMIT"],
    ],
)
def test_what_ends_with_the_transaction_does_not_pin(two, transaction):
    daemon, one, _ = two
    for sql in transaction:
        one.run(sql)
    expect_pins(daemon, "", "")


def test_pin_of_a_function(two):
    """The text says nothing; a DO block may have done anything, so the server is asked."""
    daemon, one, _ = two
    one.run("DO $$ BEGIN EXECUTE 'CREATE TE' || 'MP TABLE mine (i int)'; END $$")
    expect_pins(daemon, "", "TEMPORARY")


def test_pin_of_the_search_path(two):
    """Neither the text nor the tag of this command says that the table is temporary."""
    daemon, one, _ = two
    one.run("SET search_path = pg_temp, public")
    one.run("CREATE TABLE mine (i int)")
    expect_pins(daemon, "", "TEMPORARY")
    one.run("INSERT INTO mine VALUES (1)")
    one.run("DROP TABLE mine")
    expect_pins(daemon, "", "")
