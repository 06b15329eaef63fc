"""
Clients that send what no library would: they get a clear error where the protocol has a place for
one, they pay for it alone, and a neighbour's transaction goes on.
"""

import os
import random
import struct
import time

import pytest

from cluster import wait_until
from raw_client import (
    CANCEL_CODE,
    GSSENC_CODE,
    PROTOCOL_3_0,
    SSL_CODE,
    SYNC,
    Closed,
    RawClient,
    bind,
    execute,
    fields,
    message,
    parse,
    query,
    startup_packet,
)

TRUST = {"auth": "trust"}


@pytest.fixture
def daemon(pgsluice):
    return pgsluice(pgsluice=TRUST, size=2, overflow=0)


@pytest.fixture
def neighbour(daemon):
    """A client in a transaction, which must be whole at the end."""
    client = daemon.connect()
    client.execute("BEGIN")
    client.execute("CREATE TEMPORARY TABLE mine (id int) ON COMMIT DROP")
    client.execute("INSERT INTO mine VALUES (1)")
    yield client
    assert client.execute("SELECT id FROM mine").fetchone() == (1,)
    client.execute("COMMIT")


def stranger(daemon):
    return RawClient(daemon, login=False)


def answer_to(daemon, *parts):
    """The FATAL error that a stranger's bytes get."""
    client = stranger(daemon)
    client.send(*parts)
    told = client.refusal()
    client.close()
    return told


# -- before the login -------------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 10001, 65536, 2**30, 2**31 - 1, 2**31, 2**32 - 1])
def test_impossible_length_of_a_startup_packet(daemon, neighbour, length):
    told = answer_to(daemon, struct.pack("!II", length, PROTOCOL_3_0), b"user\0app\0\0")
    assert (told["C"], told["S"]) == ("08P01", "FATAL")
    assert "length of startup packet" in told["M"]


BODIES_WITHOUT_END = [
    b"", b"user", b"user\0", b"user\0app", b"user\0app\0", b"user\0app\0\0\0", b"user\0app\0\0x",
    b"\0\0", b"user\0app\0database\0",
]  # fmt: skip


def test_startup_packet_without_its_terminators(daemon, neighbour):
    for body in BODIES_WITHOUT_END:
        told = answer_to(daemon, struct.pack("!II", 8 + len(body), PROTOCOL_3_0) + body)
        assert told["C"] == "08P01", body
        assert "terminator" in told["M"]


@pytest.mark.parametrize("parameters", [{}, {"user": ""}, {"database": "app"}])
def test_missing_user(daemon, neighbour, parameters):
    told = answer_to(daemon, startup_packet(**parameters))
    assert (told["C"], told["S"]) == ("28000", "FATAL")
    assert "no PostgreSQL user name specified" in told["M"]


@pytest.mark.parametrize("version", [0, 1, 2 << 16, (2 << 16) + 1, 4 << 16, 9999 << 16, 2**32 - 1])
def test_unsupported_protocol_version(daemon, neighbour, version):
    told = answer_to(daemon, startup_packet(version, user="app", database="app"))
    assert told["C"] in ("08P01", "0A000")
    assert "unsupported frontend protocol" in told["M"]


def test_newer_minor_version_is_negotiated(daemon):
    client = stranger(daemon)
    client.send(startup_packet(PROTOCOL_3_0 + 7, user="app", database="app", **{"_pq_.x": "1"}))
    kind, body = client.read()
    assert kind == "v"
    assert struct.unpack("!I", body[:4]) == (PROTOCOL_3_0,)
    client.until_ready()
    assert client.ask("SELECT 1") == ("TDCZ", ["1"])
    client.close()


@pytest.mark.parametrize("codes", [[SSL_CODE], [GSSENC_CODE], [SSL_CODE, GSSENC_CODE]])
def test_encryption_is_answered_with_no(daemon, codes):
    client = stranger(daemon)
    for code in codes:
        client.send(struct.pack("!II", 8, code))
        assert client.socket.recv(1) == b"N"
    client.login()
    assert client.value("SELECT 1") == "1"
    client.close()


def test_encryption_asked_for_without_end(daemon, neighbour):
    client = stranger(daemon)
    try:
        for _ in range(10_000):
            client.send(struct.pack("!II", 8, SSL_CODE))
            assert client.socket.recv(1) == b"N"
    except (AssertionError, OSError):
        pass  # it may be sent away
    client.close()


def test_wrong_length_of_special_requests(daemon, neighbour):
    for code in (SSL_CODE, GSSENC_CODE, CANCEL_CODE):
        client = stranger(daemon)
        client.send(struct.pack("!III", 12, code, 1))
        assert [kind for kind, _ in client.until_closed()] in ([], ["E"])
        client.close()


@pytest.mark.core
def test_startup_packet_that_trickles(daemon):
    client = stranger(daemon)
    for byte in startup_packet(user="app", database="app", application_name="slow"):
        client.send(bytes([byte]))
        time.sleep(0.001)
    client.until_ready()
    for byte in query("SELECT current_setting('application_name')"):
        client.send(bytes([byte]))
    assert client.until_ready()[1][1].endswith(b"slow")
    client.close()


@pytest.mark.parametrize("sent", [b"", b"\0", struct.pack("!II", 30, PROTOCOL_3_0) + b"user\0a",
                                  struct.pack("!II", 8, SSL_CODE)])  # fmt: skip
def test_stalled_startup_is_given_up(pgsluice, sent):
    daemon = pgsluice(pgsluice={**TRUST, "client_login_timeout": "400ms"})
    client = stranger(daemon)
    client.send(sent)
    began = time.monotonic()
    if len(sent) == 8:
        assert client.socket.recv(1) == b"N"
    told = client.refusal()
    assert 0.2 < time.monotonic() - began < 3
    assert told["S"] == "FATAL"
    assert "timeout" in told["M"]
    client.close()


def test_stalled_password_is_given_up(pgsluice):
    daemon = pgsluice(pgsluice={"client_login_timeout": "400ms"})
    client = stranger(daemon)
    client.send(startup_packet(user="app", database="app"))
    assert client.read()[0] == "R"
    assert "timeout" in client.refusal()["M"]
    client.close()


NO_PASSWORDS = [
    b"p" + struct.pack("!I", 2**31 - 1) + b"x" * 100, b"p" + struct.pack("!I", 65536 + 5),
    b"p" + struct.pack("!I", 3), b"p" + struct.pack("!I", 0), b"p" + struct.pack("!i", -1),
    message("p", b"no terminator"), message("p"), message("p", b"\0" * 50),
    query("SELECT 1"), SYNC, b"\0\0\0\0\0", message("p", os.urandom(3000)),
]  # fmt: skip


@pytest.mark.parametrize("way", ["password", "md5", "scram-sha-256"])
def test_what_is_no_password(pgsluice, way):
    daemon = pgsluice(pgsluice={"auth": way})
    for sent in NO_PASSWORDS:
        client = stranger(daemon)
        client.send(startup_packet(user="app", database="app"))
        assert client.read()[0] == "R"
        client.send(sent)
        assert client.refusal()["C"] in ("08P01", "28P01", "28000"), sent
        client.close()


def test_bytes_without_end_before_the_login(pgsluice):
    daemon = pgsluice(pgsluice={"auth": "password"})
    client = stranger(daemon)
    client.send(startup_packet(user="app", database="app"))
    client.read()
    client.send(b"p" + struct.pack("!I", 60_000))
    with pytest.raises(OSError):  # some seconds after it was told, it is cut off
        until = time.monotonic() + 20
        while time.monotonic() < until:
            client.send(b"x" * 65536)
    client.close()


# -- after the login --------------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.parametrize("length", [0, 1, 3, 2**31 - 1, 2**31, 2**32 - 1, 0x3FFFFFFF])
def test_impossible_length_of_a_message(daemon, neighbour, length):
    for kind in "QPBESdXF":
        client = RawClient(daemon)
        client.send(kind.encode() + struct.pack("!I", length) + b"\0" * 20)
        told = client.refusal()
        assert (told["C"], told["S"]) == ("08P01", "FATAL"), kind
        client.close()


def test_short_message_that_is_long(daemon, neighbour):
    # PostgreSQL itself takes no more than 10,000 bytes for these.
    for kind in "EDCHScfX":
        client = RawClient(daemon)
        client.send(kind.encode() + struct.pack("!I", 20_000))
        assert client.refusal()["C"] == "08P01", kind
        client.close()


@pytest.mark.core
@pytest.mark.parametrize("where", ["at rest", "in a transaction", "in a sequence", "in COPY"])
def test_unknown_type(daemon, neighbour, where):
    before = {"at rest": b"", "in a transaction": query("BEGIN"),
              "in a sequence": parse("SELECT 1") + bind(),
              "in COPY": query("BEGIN; CREATE TEMPORARY TABLE c (i int); COPY c FROM STDIN")}  # fmt: skip
    for kind in (b"\0", b"!", b"R", b"Z", b"\xff", b"a"):
        client = RawClient(daemon)
        client.send(before[where], kind + struct.pack("!I", 4))
        told = client.refusal()
        assert told["C"] == "08P01"
        client.close()
    wait_until(lambda: daemon.pool()["sv_active"] == 1, what="only the neighbour is at work")


def test_messages_out_of_order(daemon, neighbour):
    # What PostgreSQL ignores is ignored, what it answers with an error is answered so.
    client = RawClient(daemon)
    for stray in (message("c"), message("f", b"why\0"), message("d", b"1\n"), message("H"),
                  message("c") * 20):  # fmt: skip
        client.send(stray, query("SELECT 1"))
        assert [kind for kind, _ in client.until_ready()] == ["T", "D", "C", "Z"]
    client.send(SYNC, SYNC, SYNC)
    assert [client.until_ready() for _ in range(3)] == [[("Z", b"I")]] * 3
    client.send(execute(), SYNC)
    answer = client.until_ready()
    assert fields(answer[0][1])["C"] == "34000"
    client.send(bind("nothing"), SYNC)
    assert fields(client.until_ready()[0][1])["C"] == "26000"
    client.close()


def test_password_after_the_login(daemon, neighbour):
    client = RawClient(daemon)
    client.send(message("p", b"late\0"))
    assert client.refusal()["C"] == "08P01"
    client.close()


def test_second_startup_packet(daemon, neighbour):
    client = RawClient(daemon)
    client.send(startup_packet(user="app", database="app"))
    assert client.refusal()["C"] == "08P01"
    client.close()


BROKEN_BODIES = [
    message("Q", b"SELECT 1"), message("Q"), message("P", b"no end"), message("P", b"a\0b\0"),
    message("P", b"\0SELECT 1\0\xff\xff"), message("B", b"\0"), message("B", b"\0\0\0\1"),
    message("B", b"\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"), message("D"), message("D", b"S"),
    message("D", b"x\0"), message("C", b"S"), message("E", b"\0"), message("E"),
    message("F", b"\0"), message("S", b"xx"), message("H", b"xx"),
]  # fmt: skip


@pytest.mark.parametrize("where", ["at rest", "in a transaction"])
def test_malformed_bodies(daemon, neighbour, where):
    # A Sync behind it: PostgreSQL answers some with ERROR and stays, others with FATAL.
    for broken in BROKEN_BODIES:
        client = RawClient(daemon)
        if where == "in a transaction":
            client.ask("BEGIN")
        client.send(broken, SYNC)
        answer = []
        try:
            while not answer or answer[-1][0] != "Z":
                answer.append(client.read())
        except Closed:
            pass
        told = [fields(body)["C"] for kind, body in answer if kind == "E"]
        if where == "at rest" and broken[:1] in (b"S", b"H"):
            told = told or ["08P01"]  # they need no server, and nobody looks at what they hold
        assert len(told) == 1, (broken, answer)
        assert told[0] in {"08P01", "26000", "22P02", "34000", "42601"}, broken
        client.close()
        other = RawClient(daemon)
        assert other.ask("SELECT 1") == ("TDCZ", ["1"]), broken
        other.close()


def test_zero_byte_and_invalid_text_in_sql(daemon, neighbour):
    client = RawClient(daemon)
    client.send(message("Q", b"SELECT '\xff\xfe'\0"))
    assert client.error()["C"] == "22021"
    client.until_ready()
    client.send(message("Q", b"SELECT 1\0; SELECT 2\0"))
    client.until("Z", "E")
    client.close()


@pytest.mark.core
def test_random_bytes(daemon, neighbour):
    """Ten thousand streams: strangers' noise, noise behind a login, and messages with noise within."""
    seed = int(os.environ.get("PGSLUICE_SEED", "20260101"))
    dice = random.Random(seed)
    count = 10_000 if not os.environ.get("PGSLUICE_SHORT") else 1000
    logged_in = startup_packet(user="app", database="app")
    kinds = b"BCDEFHPQSXdcfp" + bytes(range(0, 256, 37))
    open_ones = []
    for number in range(count):
        noise = dice.randbytes(dice.choice((1, 4, 8, 30, 300)))
        if number % 3 == 0:
            sent = noise
        elif number % 3 == 1:
            sent = logged_in + bytes([dice.choice(kinds)]) + noise
        else:
            kind = chr(dice.choice(b"BCDEFHPSdcf"))
            sent = logged_in + message(kind, noise) + (SYNC if dice.random() < 0.5 else b"")
        client = stranger(daemon)
        client.send(sent)
        open_ones.append(client)
        if len(open_ones) >= 40:
            leaver = open_ones.pop(dice.randrange(len(open_ones)))
            leaver.vanish() if dice.random() < 0.5 else leaver.close()
    for client in open_ones:
        client.close()
    assert daemon.is_running()
    wait_until(lambda: daemon.pool()["sv_active"] == 1, what="only the neighbour is at work")
    wait_until(lambda: daemon.pool()["cl_waiting"] == 0, what="nobody waits")
    other = RawClient(daemon)
    assert other.ask("SELECT 1") == ("TDCZ", ["1"])
    other.close()


def test_half_a_message_costs_the_others_nothing(daemon, neighbour, threads):
    # Strangers and clients that stop within a message, many of them: others go on meanwhile.
    halves = []
    for number in range(100):
        client = RawClient(daemon, login=number % 2 == 0)
        client.send((query("SELECT 1") if number % 2 == 0 else startup_packet(user="a"))[:-3])
        halves.append(client)
    other = daemon.connect()
    assert [other.execute("SELECT %s::int", (n,)).fetchone() for n in range(20)] == [
        (n,) for n in range(20)
    ]
    for half in halves:
        half.close()
