"""LISTEN, NOTIFY and UNLISTEN through a pool of two: a client that listens holds no server
connection, and hears what it would hear on one of its own, in the same places."""

import asyncio
import os
import re
import signal
import struct
import threading
import time

import asyncpg
import psycopg
import pytest

from cluster import wait_until
from wire import (
    bind, describe, errors, execute, extended, kinds, parse, plain, query, sync,
)  # fmt: skip

# Fewer would fit into the buffers of sockets.
MOST_UNREAD = 4000


def notification(reply):
    """(channel, payload) of a NotificationResponse."""
    assert reply.kind == "A", reply
    channel, payload, rest = reply.body[4:].split(b"\0")
    assert rest == b""
    return channel.decode(), payload.decode()


def heard(replies):
    return [notification(reply) for reply in replies if reply.kind == "A"]


def sender_of(reply):
    return struct.unpack_from("!I", reply.body)[0]


def listener(daemon):
    """The row of SHOW SERVERS of the connection that listens for all, or None."""
    rows = [row for row in daemon.console("SHOW SERVERS") if row["state"] == "listen"]
    assert len(rows) <= 1
    return rows[0] if rows else None


def wait_shared(daemon, clients=1, channels=1):
    """Until so many clients have so many channels each, and hold nothing for them."""

    def are_shared():
        rows = [row for row in daemon.console("SHOW CLIENTS") if int(row["channels"]) == channels]
        return len(rows) == clients and all(row["pinned"] + row["link"] == "" for row in rows)

    wait_until(are_shared, what=f"{clients} clients listen to {channels} channels without a pin")


def kill_listener(daemon, cluster):
    pid = int(listener(daemon)["remote_pid"])
    assert cluster.terminate(f"pid = {pid}") == 1
    return pid


# -- one client --------------------------------------------------------------------------------------


@pytest.mark.core
def test_idle_client_hears_without_a_server_connection(pooled):
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN tidings")
    wait_shared(pooled.daemon)
    backend = int(other.value("SELECT pg_backend_pid()"))
    begin = time.monotonic()
    other.run("NOTIFY tidings, 'first'")
    reply = one.read()
    assert time.monotonic() - begin < 1
    assert notification(reply) == ("tidings", "first")
    assert sender_of(reply) == backend
    assert pooled.daemon.pool()["sv_active"] == 0
    assert listener(pooled.daemon) is not None


def test_payloads_of_any_length(pooled):
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN tidings")
    for length in (0, 1, 100, 4096, 7999):
        payload = "x" * length
        other.run(f"NOTIFY tidings, '{payload}'")
        assert notification(one.read()) == ("tidings", payload)


CHANNELS = ["plain", "MixedCase", 'with "quotes"', "with space", "größe", "канал", "a'b;c", "x" * 63]


def test_names_of_channels(pooled):
    one, other = pooled.wire(), pooled.wire()
    quoted = ['"{}"'.format(name.replace('"', '""')) for name in CHANNELS]
    for name in quoted:
        one.run(f"LISTEN {name}")
    wait_shared(pooled.daemon, 1, len(CHANNELS))
    for name in quoted:
        other.run(f"NOTIFY {name}, 'größer'")
    other.run("NOTIFY mixedcase; NOTIFY PLAIN, 'last'")
    for name in CHANNELS:
        assert notification(one.read()) == (name, "größer")
    assert notification(one.read()) == ("plain", "last")
    one.run(f"UNLISTEN {quoted[2]}")
    other.run(f"NOTIFY {quoted[2]}; NOTIFY plain")
    assert notification(one.read()) == ("plain", "")


@pytest.mark.core
@pytest.mark.parametrize(
    "script, channels",
    [
        (["UNLISTEN b"], "ac"),
        (["UNLISTEN *"], ""),
        (["DISCARD ALL"], ""),
        (["UNLISTEN nothing"], "abc"),
        (["LISTEN d"], "abcd"),
        (["BEGIN; UNLISTEN b; COMMIT"], "ac"),
        (["BEGIN; UNLISTEN b; ROLLBACK"], "abc"),
        (["BEGIN", "UNLISTEN *", "ROLLBACK"], "abc"),
        (["BEGIN", "UNLISTEN *", "LISTEN b", "COMMIT"], "b"),
        (["BEGIN", "LISTEN d", "SAVEPOINT s", "UNLISTEN *", "ROLLBACK TO s", "COMMIT"], "abcd"),
        (["BEGIN", "SAVEPOINT s", "UNLISTEN a", "ROLLBACK TO s", "UNLISTEN c", "COMMIT"], "ab"),
        (["BEGIN", "LISTEN d", "ROLLBACK"], "abc"),
        (["UNLISTEN a; SELECT 1/0"], "abc"),
        (["DO $$ BEGIN EXECUTE 'UNLIS' || 'TEN a'; EXECUTE 'LIS' || 'TEN d'; END $$"], "bcd"),
        (["LISTEN a"], "abc"),
    ],
)  # fmt: skip
def test_channels_are_what_the_server_says(target, script, channels):
    """Also where the client does so in a lease of its own, long after it has begun to listen."""
    one, other = target.wire(), target.wire()
    one.run("LISTEN a; LISTEN b; LISTEN c")
    if not target.is_direct:
        wait_shared(target.daemon, 1, 3)
    for sql in script:
        one.ask(query(sql))
    assert heard(one.ask(query("SELECT 1"))) == []
    for channel in "abcd":
        other.run(f"NOTIFY {channel}")
    got = heard(one.ask(query("LISTEN last")))
    other.run("NOTIFY last")
    # "last" comes by the connection that is leased, the others by the one that listens for all: while
    # a new channel is being handed over, one may be ahead of the other.
    while ("last", "") not in got or len(got) < len(channels) + 1:
        got += [notification(one.read())]
    assert "".join(channel for channel, _ in got if channel != "last") == channels
    assert one.is_silent()


def test_nothing_is_heard_of_what_was_not_committed(pooled):
    one, other = pooled.wire(), pooled.wire()
    one.run("BEGIN")
    one.run("LISTEN a")
    one.run("ROLLBACK")
    other.run("NOTIFY a")
    one.run("LISTEN b")
    other.run("BEGIN; NOTIFY b, 'rolled back'; ROLLBACK")
    other.run("NOTIFY b, 'committed'")
    assert notification(one.read()) == ("b", "committed")
    assert one.is_silent()


# What one client sends, in turn: its own notifications have their place.
SCRIPTS = {
    "own": [query("LISTEN a"), query("NOTIFY a, '1'"), query("SELECT 1"), query("NOTIFY a, '2'")],
    "one query": [query("LISTEN a; NOTIFY a, '1'"), query("SELECT 2")],
    "transaction": [
        query("LISTEN a"), query("BEGIN"), query("NOTIFY a, '1'"), query("SELECT 1"),
        query("NOTIFY a, '2'"), query("COMMIT"),
    ],
    "within one": [
        query("BEGIN"), query("LISTEN a"), query("NOTIFY a, '1'"), query("COMMIT"), query("SELECT 1"),
    ],
    "rollback": [query("LISTEN a"), query("BEGIN; NOTIFY a"), query("ROLLBACK"), query("SELECT 1")],
    "function": [
        query("LISTEN a"), query("SELECT pg_notify('a', '1')"),
        query("DO $$ BEGIN PERFORM pg_notify('a', '2'); END $$"), query("SELECT 1"),
    ],
    "extended": [
        extended("LISTEN a") + sync(), extended("NOTIFY a, '1'") + sync(),
        extended("SELECT pg_notify($1, $2)", "a", "2") + sync(),
        parse("s", "SELECT pg_notify('a', '3')") + sync(),
        bind("", "s") + describe("P") + execute() + sync(),
    ],
    "unlistened": [
        query("LISTEN a; LISTEN b"), query("UNLISTEN a"), query("NOTIFY a, '1'; NOTIFY b, '2'"),
        query("UNLISTEN *"), query("NOTIFY b"), query("SELECT 1"),
    ],
    "same twice": [query("LISTEN a"), query("LISTEN a"), query("NOTIFY a, '1'; NOTIFY a, '1'")],
    "error": [query("LISTEN a"), query("NOTIFY a; SELECT 1/0"), query("NOTIFY a, 'x'")],
    "temporary table": [
        query("LISTEN a; CREATE TEMP TABLE t (i int)"), query("NOTIFY a, '1'"), query("DROP TABLE t"),
        query("NOTIFY a, '2'"),
    ],
    "settings": [
        query("SET application_name = 'x'; LISTEN a"), query("NOTIFY a"), query("SHOW application_name"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_transcript_is_that_of_a_direct_connection(open_target, script):
    def transcript(way):
        target = open_target(way)
        wire, other = target.wire(), target.wire()
        lines = []
        for messages in script:
            lines.append([
                (kind, body[4:] if kind == "A" else body) for kind, body in plain(wire.ask(messages))
            ])  # fmt: skip
            other.run("SELECT 1")
        return lines

    assert transcript("pgsluice") == transcript("direct")


@pytest.mark.core
def test_what_was_sent_before_its_own_command_comes_with_its_answer(target):
    """Somebody's NOTIFY has ended before the client asks: it is there ahead of ReadyForQuery."""
    one, other = target.wire(), target.wire()
    one.run("LISTEN a")
    for number in range(100):
        one.run("BEGIN")
        other.run(f"NOTIFY a, '{number}'")
        assert heard(one.ask(query("SELECT 1"))) == []
        replies = one.ask(query("COMMIT"))
        assert kinds(replies) == "CAZI"
        assert heard(replies) == [("a", str(number))]


def test_pipelined_queries(pooled):
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    messages = [query(f"NOTIFY a, '{number}'") for number in range(20)]
    replies = one.ask(*messages, ready=20)
    assert heard(replies) == [("a", str(number)) for number in range(20)]
    assert kinds(replies[-1:]) == "ZI"
    other.run("NOTIFY a, 'after'")
    assert notification(one.read()) == ("a", "after")


# -- many clients ------------------------------------------------------------------------------------


def test_fifty_listen_on_a_pool_of_two(pooled):
    wires = [pooled.wire() for _ in range(50)]
    sender = pooled.wire()
    for number, wire in enumerate(wires):
        wire.run("LISTEN everybody")
        wire.run(f"LISTEN only_{number}")
    wait_shared(pooled.daemon, 50, 2)
    sender.run("NOTIFY everybody, 'all'")
    for number in range(50):
        sender.run(f"NOTIFY only_{number}, '{number}'")
    for number, wire in enumerate(wires):
        assert notification(wire.read()) == ("everybody", "all")
        assert notification(wire.read()) == (f"only_{number}", str(number))
    assert len(pooled.cluster.backends()) <= 3


@pytest.mark.core
def test_order_is_the_same_for_all(pooled, threads):
    """Several senders at once: each listener hears what a direct one hears, in its order."""
    direct = pooled.cluster.connect("app", "app")
    direct.execute("LISTEN a; LISTEN b")
    wires = [pooled.wire() for _ in range(6)]
    for wire in wires:
        wire.run("LISTEN a")
        wire.run("LISTEN b")
    senders = [pooled.wire() for _ in range(3)]

    def send(name, wire):
        for number in range(60):
            wire.run(f"NOTIFY {'ab'[number % 2]}, '{name} {number}'")

    jobs = [threads.submit(send, name, wire) for name, wire in enumerate(senders)]
    expected = [(n.channel, n.payload, n.pid) for n in direct.notifies(timeout=20, stop_after=180)]
    assert len(expected) == 180
    for job in jobs:
        job.result(20)
    for wire in wires:
        replies = [wire.read() for _ in range(180)]
        assert [(*notification(reply), sender_of(reply)) for reply in replies] == expected
    direct.close()


@pytest.mark.core
def test_nothing_is_lost_or_doubled_in_a_hand_over(pooled, threads):
    """
    Notifications go on all the time while clients begin to listen and cease to. What each hears from
    LISTEN to UNLISTEN is one unbroken run, which begins with what was sent after LISTEN's answer at
    the latest.
    """
    pooled.use(pgsluice={"log_level": "info"})
    assert pooled.daemon.is_running()
    going = threading.Event()
    going.set()
    sent = [0]  # one more may be under way

    def send():
        wire = pooled.wire()
        while going.is_set():
            wire.run(f"NOTIFY a, '{sent[0]}'")
            sent[0] += 1

    def come_and_go(number):
        wire = pooled.wire()
        rounds = 0
        for turn in range(40):
            # Some keep another channel all the time, some listen in a transaction, some come back.
            if turn % 4 == number % 4:
                wire.run("LISTEN b")
            if turn % 3 == 0:
                wire.run("BEGIN")
                replies = wire.ask(query("LISTEN a")) + wire.ask(query("COMMIT"))
            else:
                replies = wire.ask(query("LISTEN a"))
            after = sent[0]
            payloads = [int(payload) for _, payload in heard(replies)]
            for step in range(turn % 5):
                payloads += [int(payload) for _, payload in heard(wire.ask(query("SELECT 1")))]
            while not payloads or payloads[-1] < after + turn % 7 * 4:
                payloads.append(int(notification(wire.read())[1]))
            replies = wire.ask(query(["UNLISTEN a", "UNLISTEN *"][turn % 2]))
            payloads += [int(payload) for _, payload in heard(replies)]
            assert payloads == list(range(payloads[0], payloads[-1] + 1)), (number, turn)
            assert payloads[0] <= after + 1, (number, turn)
            assert heard(wire.ask(query("SELECT 1"))) == []
            rounds += 1
        return rounds

    sender = threads.submit(send)
    jobs = [threads.submit(come_and_go, number) for number in range(6)]
    try:
        assert sum(job.result(100) for job in jobs) == 240
    finally:
        going.clear()
        sender.result(20)


def test_others_hear_nothing_on_the_connection_that_listened(pooled):
    """Not even where a function has made the server connection listen, so that nobody knows."""
    one, other = pooled.wire(), pooled.wire()
    one.run("CREATE FUNCTION hidden_listen() RETURNS void LANGUAGE plpgsql AS $$"
            " BEGIN LISTEN secret; END $$")  # fmt: skip
    try:
        for _ in range(2):
            one.run("SELECT hidden_listen()")
            other.run("SELECT 1")
        with pooled.cluster.connect(database="app") as direct:
            for _ in range(3):
                direct.execute("NOTIFY secret, 'not for you'")
                assert heard(other.ask(query("SELECT 1"))) == []
        assert other.is_silent()
    finally:
        other.run("DROP FUNCTION hidden_listen")


def test_client_that_does_not_read_is_closed(pooled):
    deaf, awake, sender = pooled.wire(), pooled.wire(), pooled.wire()
    deaf.run("LISTEN a")
    awake.run("LISTEN a")
    wait_shared(pooled.daemon, 2)
    payload = "x" * 7990
    for number in range(MOST_UNREAD):
        sender.run(f"NOTIFY a, '{payload}{number}'")
        assert notification(awake.read()) == ("a", f"{payload}{number}")
        if number % 100 == 0 and "too many notifications" in pooled.daemon.log():
            break
    pooled.daemon.wait_for_log("FATAL 54000.*too many notifications wait")
    replies = deaf.read_to_the_end()
    got = [payload for _, payload in heard(replies)]
    assert [int(words[7990:]) for words in got] == list(range(len(got)))


# -- the connection that listens ---------------------------------------------------------------------


@pytest.mark.core
def test_lost_listener_is_restored_and_clients_are_told(pooled):
    wires = [pooled.wire() for _ in range(4)]
    quiet, sender = pooled.wire(), pooled.wire()
    for number, wire in enumerate(wires):
        wire.run("LISTEN a")
        wire.run(f"LISTEN b{number}")
    wait_shared(pooled.daemon, 4, 2)
    pid = kill_listener(pooled.daemon, pooled.cluster)
    for wire in wires:
        notice = wire.read()
        assert (notice.kind, notice.sqlstate) == ("N", "01000")
        assert re.search(r"may have been missed.*restored after \d", notice.words)
    sender.run("NOTIFY a, 'again'; NOTIFY b3")
    for wire in wires:
        assert notification(wire.read()) == ("a", "again")
    assert notification(wires[3].read()) == ("b3", "")
    assert int(listener(pooled.daemon)["remote_pid"]) != pid
    assert quiet.is_silent()


def test_listener_that_does_not_answer_is_replaced(pooled):
    """Nothing tells of it but the ping, of which a client's ReadyForQuery waits too."""
    pooled.use(pre_ping_timeout="300ms")
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    wait_shared(pooled.daemon)
    pid = int(listener(pooled.daemon)["remote_pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        replies = one.ask(query("SELECT 1"))
        assert kinds(replies) == "TDCZI"
        notice = one.read()
        assert (notice.kind, notice.sqlstate) == ("N", "01000")
        other.run("NOTIFY a, 'again'")
        assert notification(one.read()) == ("a", "again")
        assert int(listener(pooled.daemon)["remote_pid"]) != pid
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_clients_listen(pooled, number):
    wires = [pooled.wire() for _ in range(4)]
    for wire in wires:
        wire.run("LISTEN a")
    wires[0].run("BEGIN")
    wires[0].run("NOTIFY a")
    pooled.daemon.send(number)
    for wire in wires[1:]:
        assert errors(wire.read_to_the_end()) == ["57P01"]
    if number == signal.SIGTERM:
        replies = wires[0].ask(query("COMMIT"))
        assert kinds(replies) in ("CAZI", "CZI")
    wires[0].read_to_the_end()
    assert pooled.daemon.wait() == 0


def test_reload_of_another_server(pooled):
    """The pool's connections are replaced, and so is the one that listens."""
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    wait_shared(pooled.daemon)
    pid = listener(pooled.daemon)["remote_pid"]
    pooled.daemon.write_ini(server_settings="application_name=other")
    pooled.daemon.reload()
    assert one.read().sqlstate == "01000"
    other.run("NOTIFY a")
    assert notification(one.read()) == ("a", "")
    assert listener(pooled.daemon)["remote_pid"] != pid


def test_clients_are_closed_where_the_configuration_says_so(pooled):
    pooled.use(listen_lost="close")
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    wait_shared(pooled.daemon)
    kill_listener(pooled.daemon, pooled.cluster)
    replies = one.read_to_the_end()
    assert errors(replies) == ["08006"]
    assert "may have been missed" in replies[-1].words
    assert other.value("SELECT 7") == "7"


def test_server_restart(pooled):
    one = pooled.wire()
    one.run("LISTEN a")
    wait_shared(pooled.daemon)
    pooled.cluster.restart()
    notice = one.read()
    assert (notice.kind, notice.sqlstate) == ("N", "01000")
    other = pooled.wire()
    wait_until(lambda: errors(other.ask(query("NOTIFY a, 'new'"))) == [], what="the pool is back")
    assert notification(one.read()) == ("a", "new")


def test_client_keeps_its_server_connection_while_nobody_listens_for_it(pooled):
    """The server lets in no more connections: LISTEN works all the same, by a pin, until it does."""
    one, other = pooled.wire(), pooled.wire()
    one.run("BEGIN")
    other.run("SELECT 1")
    cluster = pooled.cluster
    cluster.sql(f"ALTER ROLE app CONNECTION LIMIT {len(cluster.backends())}")
    try:
        one.run("COMMIT")
        one.run("LISTEN a")
        pooled.daemon.wait_for_log("too many connections for role")
        for number in range(3):
            other.run(f"NOTIFY a, '{number}'")
            assert notification(one.read()) == ("a", str(number))
        rows = pooled.daemon.console("SHOW CLIENTS")
        assert sorted(row["pinned"] for row in rows if row["database"] == "app") == ["", "LISTEN"]
    finally:
        cluster.sql("ALTER ROLE app CONNECTION LIMIT -1")
    wait_shared(pooled.daemon)
    other.run("NOTIFY a, 'handed over'")
    assert notification(one.read()) == ("a", "handed over")


def test_other_client_encoding_keeps_the_server_connection(target):
    """What the one connection hears is in its own client_encoding."""
    one, other = target.wire(client_encoding="LATIN1"), target.wire()
    one.run("LISTEN a")
    one.run("SELECT 1")
    other.run("NOTIFY a, 'größe'")
    reply = one.read()
    assert reply.body[4:] == b"a\0" + "größe".encode("latin-1") + b"\0"


def test_changed_client_encoding(pooled):
    """Letters of ASCII are the same in all; others end the connection rather than come garbled."""
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    wait_shared(pooled.daemon)
    one.run("SET client_encoding = 'LATIN1'")
    other.run("NOTIFY a, 'grande'")
    assert notification(one.read()) == ("a", "grande")
    other.run("NOTIFY a, 'größe'")
    assert errors(one.read_to_the_end()) == ["0A000"]


@pytest.mark.parametrize("state", ["always", "reset"])
def test_listening_under_other_ways_of_state(pooled, state):
    pooled.use(state=state)
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    for number in range(5):
        other.run(f"NOTIFY a, '{number}'")
        assert heard([one.read()]) == [("a", str(number))]
        assert heard(one.ask(query(f"NOTIFY a, 'own {number}'"))) == [("a", f"own {number}")]
    one.run("UNLISTEN a")
    other.run("NOTIFY a")
    assert one.is_silent()


def test_listening_does_not_count_as_pinned(pooled):
    """It is no reason to refuse LISTEN that clients may not be pinned."""
    pooled.use(pin="deny")
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    assert errors(one.ask(query("LISTEN b; CREATE TEMP TABLE t (i int)"))) != []
    other.run("NOTIFY a, '1'; NOTIFY b, '2'")
    assert notification(one.read()) == ("a", "1")
    assert heard(one.ask(query("NOTIFY a, '3'"))) == [("a", "3")]


def test_hand_over_is_tried_again(pooled):
    """Behind a later transaction: here once its client_encoding is that of the shared connection."""
    one, other = pooled.wire(client_encoding="LATIN1"), pooled.wire()
    one.run("LISTEN a")
    one.run("SELECT 1")
    rows = pooled.daemon.console("SHOW CLIENTS")
    assert sorted(row["pinned"] for row in rows if row["database"] == "app") == ["", "LISTEN"]
    one.run("SET client_encoding = 'UTF8'")
    wait_shared(pooled.daemon)
    other.run("NOTIFY a, 'größe'")
    assert notification(one.read()) == ("a", "größe")


def test_session_mode_is_as_ever(pooled):
    pooled.use(mode="session")
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    other.run("NOTIFY a, '1'")
    assert notification(one.read()) == ("a", "1")
    assert heard(one.ask(query("NOTIFY a, '2'"))) == [("a", "2")]
    assert listener(pooled.daemon) is None
    one.close()
    wait_until(lambda: pooled.daemon.pool()["sv_active"] == 1, what="its connection is back")
    third = pooled.wire()
    other.run("NOTIFY a, '3'")
    assert third.is_silent()


def test_listener_is_beyond_the_size(pooled):
    pooled.use(size=1)
    one, other = pooled.wire(), pooled.wire()
    one.run("LISTEN a")
    wait_shared(pooled.daemon)
    pool = pooled.daemon.pool()
    assert pool["sv_active"] + pool["sv_idle"] + pool["sv_login"] == 1
    assert len(pooled.cluster.backends()) == 2
    other.run("NOTIFY a")
    assert notification(one.read()) == ("a", "")


def test_client_that_leaves_in_the_middle(pooled):
    """At each stage of the hand-over; who comes after is served, and hears nothing of it."""
    for _ in range(30):
        wire = pooled.wire()
        wire.send(query("LISTEN a"))
        wire.close()
        wire = pooled.wire()
        wire.run("LISTEN a")
        wire.close()
    other = pooled.wire()
    for _ in range(2):
        other.run("BEGIN; NOTIFY a; COMMIT")
    assert other.is_silent()


# -- drivers -----------------------------------------------------------------------------------------


def test_asyncpg(target):
    async def work():
        one = await asyncpg.connect(target.server.url(), ssl=False, timeout=20)
        other = await asyncpg.connect(target.server.url(), ssl=False, timeout=20)
        got = asyncio.Queue()

        def take(connection, pid, channel, payload):
            got.put_nowait((channel, payload))

        await one.add_listener("news", take)
        await one.add_listener("Other Channel", take)
        for number in range(5):
            await other.execute("SELECT pg_notify($1, $2)", "news", str(number))
            assert await asyncio.wait_for(got.get(), 10) == ("news", str(number))
            assert await one.fetchval("SELECT $1::int", number) == number
        await one.execute('NOTIFY "Other Channel", \'own\'')
        assert await asyncio.wait_for(got.get(), 10) == ("Other Channel", "own")
        await one.remove_listener("news", take)
        await other.execute("NOTIFY news; NOTIFY \"Other Channel\", 'last'")
        assert await asyncio.wait_for(got.get(), 10) == ("Other Channel", "last")
        await one.close()
        await other.close()

    asyncio.run(work())


def test_psycopg_notifies(target):
    with (
        psycopg.connect(target.server.url(), autocommit=True, connect_timeout=20) as one,
        psycopg.connect(target.server.url(), connect_timeout=20) as other,
    ):
        one.execute("LISTEN news")
        for number in range(5):
            other.execute("SELECT pg_notify('news', %s)", [str(number)])
            other.commit()
        got = [(n.channel, n.payload) for n in one.notifies(timeout=10, stop_after=5)]
        assert got == [("news", str(number)) for number in range(5)]
        one.execute("UNLISTEN news")
        other.execute("NOTIFY news")
        other.commit()
        assert list(one.notifies(timeout=0.2)) == []
