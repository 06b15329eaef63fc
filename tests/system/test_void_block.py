"""A BEGIN for which there is no connection: the client is told that its block has begun, and the first
statement in it gets the error, so that drivers that never forget a failed BEGIN work on."""

import asyncio
import signal

import asyncpg
import psycopg
import pytest

from cluster import wait_until
from raw_client import SYNC, Closed, RawClient, bind, execute, fields, parse, query

TRUST = {"auth": "trust"}


def test_session_mode(pgsluice):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, timeout="200ms", mode="session")
    holder = RawClient(daemon)
    holder.ask("SELECT 1")
    client = RawClient(daemon)
    assert said(client, query("BEGIN")) == ("CZ", "BEGIN", "T")
    assert said(client, query("SELECT 1")) == ("EZ", "53300", "E")
    assert said(client, query("ROLLBACK")) == ("CZ", "ROLLBACK", "I")
    holder.close()
    wait_until(lambda: said(client, query("SELECT 1"))[0] == "TDCZ", what="the connection is free")
    client.close()


@pytest.fixture
def full(pgsluice):
    """A pool whose only connection is in a transaction, and one client more."""
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, timeout="200ms")
    holder, client = RawClient(daemon), RawClient(daemon)
    client.ask("SELECT 1")
    holder.ask("BEGIN")
    client.let_go = lambda: holder.ask("ROLLBACK")
    yield client
    for one in (holder, client):
        one.close()


def kinds(answer):
    return "".join(kind for kind, _ in answer)


def said(client, *messages):
    """Kinds of the answer, its tag or SQLSTATE, and the transaction's status."""
    client.send(*messages)
    answer = client.until_ready()
    word = next((fields(body)["C"] for kind, body in answer if kind == "E"), None)
    word = word or next((body[:-1].decode() for kind, body in answer if kind == "C"), None)
    return kinds(answer), word, answer[-1][1].decode()


@pytest.mark.parametrize("begin", ["BEGIN", "begin;", " /* a */ BEGIN WORK ; ;", "START TRANSACTION READ ONLY, DEFERRABLE",
                                   "BEGIN ISOLATION LEVEL SERIALIZABLE;"])  # fmt: skip
@pytest.mark.parametrize("end", ["ROLLBACK", "COMMIT;", "end transaction", " abort work ; "])
def test_first_statement_gets_the_error(full, begin, end):
    assert said(full, query(begin)) == ("CZ", "BEGIN", "T")
    assert said(full, query("SELECT 1")) == ("EZ", "53300", "E")
    for later in ("SELECT 1", "SAVEPOINT a", "ROLLBACK TO a", "rollback work to savepoint a", "BEGIN", "COMMITTED"):
        assert said(full, query(later)) == ("EZ", "25P02", "E")
    assert said(full, query(end)) == ("CZ", "ROLLBACK", "I")
    full.let_go()
    assert full.ask("SELECT 2") == ("TDCZ", ["2"])


def test_block_without_a_statement(full):
    assert said(full, query("BEGIN")) == ("CZ", "BEGIN", "T")
    assert said(full, query("COMMIT")) == ("CZ", "ROLLBACK", "I")
    assert said(full, query("SELECT 1")) == ("EZ", "53300", "I")


@pytest.mark.parametrize("text", ["BEGIN; SELECT 1", "BEGINNING", "START", "BEGIN READ ONLY; ; COMMIT", ""])
def test_other_texts_get_the_error_at_once(full, text):
    kind, word, status = said(full, query(text))
    assert (kind, word, status) == ("EZ", "53300", "I")


def test_extended_messages_in_it(full):
    assert said(full, query("BEGIN")) == ("CZ", "BEGIN", "T")
    select = (parse("SELECT 1"), bind(), execute(), SYNC)
    assert said(full, *select) == ("EZ", "53300", "E")
    assert said(full, *select) == ("EZ", "25P02", "E")
    assert said(full, SYNC) == ("Z", None, "E")
    # Statements of several messages ahead: each Sync has its answer.
    full.send(*select, *select)
    assert [kinds(full.until_ready()) for _ in range(2)] == ["EZ", "EZ"]
    full.let_go()
    # A ROLLBACK by the extended protocol is the server's to answer.
    assert said(full, parse("ROLLBACK"), bind(), execute(), SYNC) == ("12NCZ", "ROLLBACK", "I")
    assert full.ask("SELECT 2") == ("TDCZ", ["2"])


def test_extended_rollback_that_finds_no_connection_either(full):
    rollback = (parse("ROLLBACK"), bind(), execute(), SYNC)
    assert said(full, query("BEGIN")) == ("CZ", "BEGIN", "T")
    assert said(full, *rollback) == ("EZ", "53300", "E")
    assert said(full, query("SELECT 1")) == ("EZ", "25P02", "E")
    full.let_go()
    assert said(full, *rollback) == ("12NCZ", "ROLLBACK", "I")
    assert full.ask("SELECT 2") == ("TDCZ", ["2"])


def test_rollback_with_more_behind_it_is_the_servers(full):
    assert said(full, query("BEGIN")) == ("CZ", "BEGIN", "T")
    assert said(full, query("SELECT 1")) == ("EZ", "53300", "E")
    full.let_go()
    assert said(full, query("ROLLBACK; SELECT 1"))[2] == "I"
    assert full.ask("SELECT 2") == ("TDCZ", ["2"])


@pytest.mark.parametrize("messages", [(query("COMMIT; SELECT 1"),), (parse("COMMIT"), bind(), execute(), SYNC)])
def test_commit_is_never_taken_for_a_success(full, messages):
    assert said(full, query("BEGIN")) == ("CZ", "BEGIN", "T")
    assert said(full, query("SELECT 1")) == ("EZ", "53300", "E")
    full.let_go()
    full.send(*messages)
    answer = full.until("E")
    assert (fields(answer[-1][1])["S"], fields(answer[-1][1])["C"]) == ("FATAL", "25P02")
    with pytest.raises(Closed):
        full.read()


def test_messages_sent_ahead(full):
    full.send(query("BEGIN"), query("SELECT 1"), query("ROLLBACK"), query("BEGIN"), query("COMMIT"))
    assert [kinds(full.until_ready()) for _ in range(5)] == ["CZ", "EZ", "CZ", "CZ", "CZ"]


def test_server_that_is_down(pgsluice, cluster):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    client = RawClient(daemon)
    client.ask("SELECT 1")
    cluster.stop("immediate")
    wait_until(lambda: daemon.pool()["sv_idle"] == 0, what="pgsluice has noticed")
    assert said(client, query("BEGIN")) == ("CZ", "BEGIN", "T")
    kind, word, status = said(client, query("SELECT 1"))
    assert (kind, status) == ("EZ", "E") and word in ("08001", "57P03")
    assert said(client, query("ROLLBACK")) == ("CZ", "ROLLBACK", "I")
    cluster.start()
    wait_until(lambda: said(client, query("SELECT 1"))[0] == "TDCZ", what="it has recovered")
    client.close()


def test_stop_of_pgsluice(pgsluice):
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0, timeout="200ms")
    holder, client = RawClient(daemon), RawClient(daemon)
    holder.ask("BEGIN")
    assert said(client, query("BEGIN")) == ("CZ", "BEGIN", "T")
    daemon.send(signal.SIGTERM)
    refusal = fields(client.until("E")[-1][1])
    assert (refusal["S"], refusal["C"]) == ("FATAL", "57P01")
    for one in (client, holder):
        one.close()
    assert daemon.wait() == 0


def test_asyncpg_and_psycopg_work_on(pgsluice):
    """asyncpg takes what follows a failed BEGIN for a part of its block, and sends SAVEPOINT."""
    daemon = pgsluice(size=1, overflow=0, timeout="200ms")
    holder, psycopgs = daemon.connect(), daemon.connect(autocommit=False)

    async def play():
        client = await asyncpg.connect(daemon.url())
        holder.execute("BEGIN")
        for _ in range(2):
            with pytest.raises(asyncpg.TooManyConnectionsError):
                async with client.transaction():
                    await client.fetchval("SELECT 1")
            with pytest.raises(psycopg.errors.TooManyConnections):
                psycopgs.execute("SELECT 1")
            psycopgs.rollback()
        holder.execute("ROLLBACK")
        async with client.transaction():
            assert await client.fetchval("SELECT 2") == 2
        await client.close()
        assert psycopgs.execute("SELECT 3").fetchone() == (3,)
        psycopgs.rollback()

    asyncio.run(play())
