"""How many clients may keep their server connections, and what becomes of a statement that would
make its client one too many: pin = allow, warn, deny; max_pinned."""

import pytest

from cluster import SUPERUSER, secret_of, wait_until
from wire import (
    bind, copy_data, copy_done, describe, errors, execute, extended, flush, kinds, parse, query,
    rows, sync, tags,
)  # fmt: skip

BACKEND = "SELECT pg_backend_pid()"

# What would pin, its effect as an error names it, and a look at whether it is there.
EFFECTS = [
    ("CREATE TEMP TABLE mine (i int)", "temporary", "SELECT count(*) FROM mine"),
    ("SELECT 1 AS i INTO TEMP mine", "temporary", "SELECT count(*) FROM mine"),
    ("DO $$ BEGIN CREATE TEMP TABLE mine (i int); END $$", "temporary", "TABLE mine"),
    ("DO $$ BEGIN EXECUTE 'CREATE TE' || 'MP TABLE mine ()'; END $$", "temporary", "TABLE mine"),
    ("SELECT pg_advisory_lock(4711)", "advisory lock", None),
    ("DECLARE mine CURSOR WITH HOLD FOR SELECT 7", "WITH HOLD", "FETCH 1 FROM mine"),
    ("SELECT setseed(0.5)", "seed", None),
    ("SET seed = 0.5", "seed", None),
    ("LOAD 'pgcrypto'", "LOAD", None),
]


def locks(wire):
    return wire.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


def pinned(daemon):
    rows = daemon.console("SHOW CLIENTS")
    return sorted(row["pinned"] for row in rows if row["database"] == "app")


def refused(replies, code, words):
    """The one error among replies that end as PostgreSQL ends them."""
    found = [reply for reply in replies if reply.kind == "E"]
    assert [reply.sqlstate for reply in found] == [code], [r.fields for r in found]
    assert words in found[0].words
    assert replies[-1].kind == "Z"
    return replies[-1].status


@pytest.fixture
def denied(pooled):
    pooled.use(pin="deny")
    return pooled


@pytest.fixture
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS pin_policy", "CREATE TABLE pin_policy (i int)",
                "GRANT ALL ON pin_policy TO public", database="app")  # fmt: skip


@pytest.fixture
def denied_for(denied):
    """The same for a statement, which may need rights."""

    def make(sql):
        if sql.startswith("LOAD"):
            denied.use(users={"app": {"user": SUPERUSER, "password": secret_of(SUPERUSER)}})
        return denied

    return make


@pytest.mark.core
@pytest.mark.parametrize("sql, effect, look", EFFECTS)
def test_denied_statement_leaves_nothing(denied_for, sql, effect, look):
    denied = denied_for(sql)
    one, other = denied.wire(), denied.wire()
    one.run("SET app.mine = 'kept'")
    assert refused(one.ask(query(sql)), "0A000", effect) == "I"
    assert pinned(denied.daemon) == ["", ""]
    denied.wait_for_rest()
    for wire in (one, other) * 2:
        assert locks(wire) == "0"
        if look is not None:
            assert errors(wire.ask(query(look))) != []
    assert one.value("SHOW app.mine") == "kept"


@pytest.mark.core
@pytest.mark.parametrize("sql, effect, look", EFFECTS)
def test_denied_statement_fails_its_transaction(denied_for, table, sql, effect, look):
    denied = denied_for(sql)
    one, other = denied.wire(), denied.wire()
    one.run("BEGIN")
    one.run("INSERT INTO pin_policy VALUES (1)")
    assert refused(one.ask(query(sql)), "0A000", effect) == "E"
    assert errors(one.ask(query("SELECT 1"))) == ["25P02"]
    replies = one.ask(query("COMMIT"))
    assert (tags(replies), kinds(replies)) == (["ROLLBACK"], "CZI")
    assert one.value("SELECT count(*) FROM pin_policy") == "0"
    denied.wait_for_rest()
    for wire in (one, other):
        assert locks(wire) == "0"
        if look is not None:
            assert errors(wire.ask(query(look))) != []


@pytest.mark.parametrize("sql", ["SELECT pg_advisory_lock(4711)", "DECLARE mine CURSOR WITH HOLD FOR SELECT 7"])
def test_denied_in_a_read_only_transaction(denied, sql):
    one = denied.wire(default_transaction_read_only="on")
    one.run("BEGIN")
    assert refused(one.ask(query(sql)), "0A000", "would keep its server connection") == "E"
    one.run("ROLLBACK")
    one.run("BEGIN")
    assert one.run("SELECT 1") == [("1",)]
    one.run("COMMIT")


@pytest.mark.parametrize("sql, effect, look", EFFECTS)
def test_savepoint_goes_back_ahead_of_the_denied_statement(denied_for, table, sql, effect, look):
    denied = denied_for(sql)
    one = denied.wire()
    one.run("BEGIN")
    one.run("INSERT INTO pin_policy VALUES (6)")
    one.run("SAVEPOINT before")
    assert refused(one.ask(query(sql)), "0A000", effect) == "E"
    one.run("ROLLBACK TO before")
    one.run("INSERT INTO pin_policy VALUES (7)")
    one.run("COMMIT")
    denied.wait_for_rest()
    assert locks(one) == "0"
    assert one.run("TABLE pin_policy") == [("6",), ("7",)]


@pytest.mark.parametrize("sql, effect, look", EFFECTS)
def test_denied_statement_of_the_extended_protocol(denied_for, sql, effect, look):
    denied = denied_for(sql)
    one = denied.wire()
    replies = one.ask(extended(sql), sync())
    assert refused(replies, "0A000", effect) == "I"
    assert tags(replies) == []
    one.run("BEGIN")
    assert refused(one.ask(extended(sql), sync()), "0A000", effect) == "E"
    one.run("ROLLBACK")
    denied.wait_for_rest()
    assert locks(one) == "0"


def test_denied_in_a_pipeline(denied):
    """What follows in the same sequence is not answered; the next sequence is."""
    one = denied.wire()
    replies = one.ask(
        extended("SELECT 1"), extended("SELECT pg_advisory_lock(1)"), extended("SELECT 2"), sync(),
        extended("SELECT 3"), sync(), query("SELECT 4"), ready=3,
    )  # fmt: skip
    assert errors(replies) == ["0A000"]
    assert rows(replies)[0] == ("1",)
    assert rows(replies)[-2:] == [("3",), ("4",)]
    assert kinds(replies).count("ZI") == 3
    assert kinds(replies).index("E") < kinds(replies).index("ZI")
    denied.wait_for_rest()
    assert locks(one) == "0"


def test_flush_brings_what_is_held_back(denied):
    """A client may want to read a command's end ahead of its Sync."""
    one = denied.wire()
    one.send(extended("SELECT pg_advisory_lock(1)"), flush())
    assert kinds(one.read_until("C")) == "12TDC"
    assert refused(one.ask(sync()), "0A000", "advisory lock") == "I"
    denied.wait_for_rest()
    assert locks(one) == "0"


def test_more_than_is_held_back_arrives_whole(denied):
    one = denied.wire()
    many = "SELECT repeat('x', 100) FROM generate_series(1, 3000)"
    replies = one.ask(query(f"SELECT pg_advisory_lock(1); {many}"))
    assert refused(replies, "0A000", "advisory lock") == "I"
    # What is dropped is at most what is held back, and the read that went past it.
    assert 1500 < len(rows(replies)) <= 3001
    assert set(rows(replies)[1:]) == {("x" * 100,)}
    denied.wait_for_rest()
    assert locks(one) == "0"


def test_copy_in_of_a_guarded_client(denied):
    """The Sync that a driver sends behind the Execute is used up by the COPY."""
    one = denied.wire()
    one.run("BEGIN; CREATE TABLE pin_copies (i int)")
    one.send(parse("", "COPY pin_copies FROM STDIN"), bind(), execute(), sync())
    assert kinds(one.read_until("G")) == "12G"
    assert tags(one.ask(copy_data(b"1\n2\n"), copy_done(), sync())) == ["COPY 2"]
    one.send(query("COPY pin_copies FROM STDIN"))
    one.read_until("G")
    assert tags(one.ask(copy_data(b"3\n"), copy_done())) == ["COPY 1"]
    assert one.value("SELECT count(*) FROM pin_copies") == "3"
    one.run("ROLLBACK")


@pytest.mark.parametrize(
    "transaction",
    [
        ["CREATE TEMP TABLE mine (i int) ON COMMIT DROP", "INSERT INTO mine VALUES (1)"],
        ["SELECT pg_advisory_xact_lock(1)"],
        ["DECLARE mine CURSOR FOR SELECT 1", "FETCH ALL FROM mine"],
        ["DO $$ BEGIN PERFORM 1; END $$"],
        ["SET LOCAL app.mine = 'x'", "SAVEPOINT a", "ROLLBACK TO a"],
    ],
)
def test_what_ends_with_the_transaction_is_not_denied(denied, transaction):
    one = denied.wire()
    for sql in ["BEGIN", *transaction, "COMMIT"]:
        one.run(sql)
    assert pinned(denied.daemon) == [""]


def test_held_replies_bring_notices_and_parameters(denied):
    one = denied.wire()
    one.run("SET TimeZone = 'UTC'")
    replies = one.ask(
        query(
            "DO $$ BEGIN RAISE NOTICE 'hello'; PERFORM set_config('TimeZone', 'Asia/Tokyo', false);"
            " CREATE TEMP TABLE mine (); END $$"
        )
    )
    assert refused(replies, "0A000", "temporary") == "I"
    assert [reply.words for reply in replies if reply.kind == "N"] == ["hello"]
    assert [reply.strings[:2] for reply in replies if reply.kind == "S"] == [
        ["TimeZone", "Asia/Tokyo"]
    ]
    assert one.value("SHOW TimeZone") == "Asia/Tokyo"


def test_denied_where_the_question_fails(denied):
    """The client's own time limit ends the question: the transaction fails, the client is told."""
    one = denied.wire()
    one.run("BEGIN")
    one.run("SET LOCAL statement_timeout = '1ms'")
    replies = one.ask(query("DECLARE mine CURSOR WITH HOLD FOR SELECT 7"))
    assert errors(replies) in (["57014"], ["0A000"])
    assert replies[-1].status == "E"
    one.run("ROLLBACK")
    assert one.value("SELECT 1") == "1"


def test_denied_by_the_search_path(denied):
    one = denied.wire()
    one.run("SET search_path = pg_temp, public")
    assert refused(one.ask(query("CREATE TABLE mine (i int)")), "0A000", "temporary") == "I"
    one.run("BEGIN")
    assert refused(one.ask(query("CREATE TABLE mine (i int)")), "0A000", "temporary") == "E"
    one.run("ROLLBACK")


# -- warn ------------------------------------------------------------------------------------------


def test_warning_is_given_once(pooled):
    pooled.use(pin="warn", max_pinned=1)
    one = pooled.wire()
    one.send(query("CREATE TEMP TABLE mine (i int)"))
    replies = one.read_until("N")
    warning = replies[-1]
    assert (warning.sqlstate, warning.fields["V"]) == ("01000", "WARNING")
    assert "temporary table" in warning.words and "(1 of 1)" in warning.words
    assert '"app"' in warning.words
    if "ZI" not in kinds(replies):
        one.read_until("Z")
    one.run("DROP TABLE mine")
    wait_until(lambda: pinned(pooled.daemon) == [""], what="the client is not pinned")
    one.run("CREATE TEMP TABLE mine (i int)")
    wait_until(lambda: pinned(pooled.daemon) == ["TEMPORARY"], what="the client is pinned")
    assert kinds(one.ask(query("SELECT 1"))) == "TDCZI"
    log = pooled.daemon.log()
    assert log.count("because of a temporary table") == 2
    assert "is no longer pinned, after" in log


# -- max_pinned ------------------------------------------------------------------------------------


@pytest.mark.core
def test_most_clients_that_may_be_pinned(pooled):
    pooled.use(size=3, max_pinned=1)
    one, two, three = pooled.wire(), pooled.wire(), pooled.wire()
    one.run("CREATE TEMP TABLE mine (i int)")
    wait_until(lambda: pinned(pooled.daemon) == ["", "", "TEMPORARY"], what="one is pinned")
    replies = two.ask(query("CREATE TEMP TABLE mine (i int)"))
    assert refused(replies, "53400", "temporary") == "I"
    error = next(reply for reply in replies if reply.kind == "E")
    assert "1 clients do; max_pinned is 1" in error.fields["D"]
    two.run("BEGIN")
    assert refused(two.ask(query("SELECT pg_advisory_lock(1)")), "53400", "advisory") == "E"
    two.run("ROLLBACK")
    assert refused(three.ask(query("SELECT setseed(0)")), "53400", "seed") == "I"
    one.run("SELECT pg_advisory_lock(2)")  # who is pinned goes on
    one.run("INSERT INTO mine VALUES (1)")
    one.close()
    wait_until(lambda: pinned(pooled.daemon) == ["", ""], what="nobody is pinned")
    two.run("CREATE TEMP TABLE mine (i int)")
    wait_until(lambda: pinned(pooled.daemon) == ["", "TEMPORARY"], what="the next one is pinned")


def test_one_connection_is_left_by_default(pooled):
    pooled.use(max_pinned="auto")
    one, two, three = pooled.wire(), pooled.wire(), pooled.wire()
    one.run("SELECT pg_advisory_lock(1)")
    wait_until(lambda: "ADVISORY" in pinned(pooled.daemon), what="one is pinned")
    assert refused(two.ask(query("SELECT pg_advisory_lock(2)")), "53400", "advisory") == "I"
    for wire in (two, three, two):
        assert wire.value("SELECT 1") == "1"


def test_count_is_exact_when_clients_die(pooled):
    """Each pinned client takes a place, and gives it back however it goes."""
    pooled.use(size=4, max_pinned=2)
    daemon = pooled.daemon
    for round_ in range(3):
        wires = [pooled.wire() for _ in range(2)]
        for wire in wires:
            wire.run("SELECT pg_advisory_lock_shared(1)")
        wait_until(lambda: pinned(daemon) == ["ADVISORY"] * 2, what="both are pinned")
        assert daemon.pool()["pinned"] == 2
        extra = pooled.wire()
        assert refused(extra.ask(query("CREATE TEMP TABLE a ()")), "53400", "temporary") == "I"
        if round_ == 1:
            daemon.reload()
            assert daemon.pool()["pinned"] == 2
        wires[0].send(query("SELECT pg_sleep(20)"))
        for wire in (*wires, extra):
            wire.close()
        wait_until(lambda: pinned(daemon) == [], what="all have gone")
        assert daemon.pool()["pinned"] == 0


def test_reservation_is_given_back(pooled):
    """What only may pin takes no place for good."""
    pooled.use(size=3, max_pinned=1)
    one, two = pooled.wire(), pooled.wire()
    for _ in range(3):
        one.run("DO $$ BEGIN PERFORM 1; END $$")
        one.run("BEGIN; CREATE TEMP TABLE mine () ON COMMIT DROP; COMMIT")
    one.run("BEGIN")
    one.run("CREATE TEMP TABLE mine ()")
    one.run("ROLLBACK")
    two.run("CREATE TEMP TABLE mine ()")
    wait_until(lambda: pinned(pooled.daemon) == ["", "TEMPORARY"], what="the other is pinned")


# -- how to see it ---------------------------------------------------------------------------------


def test_console_tells_since_when(pooled):
    one = pooled.wire()
    one.run("CREATE TEMP TABLE mine ()")
    wait_until(lambda: pinned(pooled.daemon) == ["TEMPORARY"], what="the client is pinned")
    (row,) = [row for row in pooled.daemon.console("SHOW CLIENTS") if row["database"] == "app"]
    assert row["pinned_at"].endswith(" UTC")
    assert pooled.daemon.pool()["pinned"] == 1
    one.run("DROP TABLE mine")
    wait_until(lambda: pinned(pooled.daemon) == [""], what="the client is not pinned")
    (row,) = [row for row in pooled.daemon.console("SHOW CLIENTS") if row["database"] == "app"]
    assert row["pinned_at"] == ""
    assert pooled.daemon.pool()["pinned"] == 0
