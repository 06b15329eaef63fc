"""How clients prove who they are: every method, every form of a secret, and what a failure tells."""

import base64
import hashlib
import os
import socket
import struct

import psycopg
import pytest

from cluster import secret_of
from wire import Refused, Wire, kinds, mac, message, query, startup, text

METHODS = ["trust", "password", "md5", "scram-sha-256"]


@pytest.fixture
def connect():
    """Opens raw clients of a daemon, closed at the end."""
    wires = []

    def make(daemon, **keywords):
        wires.append(Wire((daemon.host, daemon.port), **keywords))
        return wires[-1]

    yield make
    for wire in wires:
        wire.close()


def md5_of(user, password):
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()


def verifier_of(password, iterations=4096):
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(mac(salted, "Client Key")).digest()
    words = [base64.b64encode(part).decode() for part in (salt, stored, mac(salted, "Server Key"))]
    return f"SCRAM-SHA-256${iterations}:{words[0]}${words[1]}:{words[2]}"


def refusal(connect, daemon, **keywords):
    with pytest.raises(Refused) as refused:
        connect(daemon, **keywords)
    reply = refused.value.reply
    return {key: value for key, value in reply.fields.items() if key in "SVCMDH"}


@pytest.mark.core
@pytest.mark.parametrize("auth", METHODS)
@pytest.mark.parametrize("with_list", [True, False])
def test_method(pgsluice, connect, auth, with_list):
    changed = {} if with_list else {"auth_file": None}
    daemon = pgsluice(admin="app", pgsluice={"auth": auth, "admin_users": "app", **changed})
    wire = connect(daemon)
    assert wire.way == auth
    assert kinds(wire.ask(query("SELECT 1"))) == "TDCZI"
    assert connect(daemon, database="pgsluice").way == auth
    assert daemon.connect().execute("SELECT current_user").fetchone() == ("app",)
    if auth == "trust":
        connect(daemon, password="anything")
        return
    expected = {"S": "FATAL", "V": "FATAL", "C": "28P01",
                "M": 'password authentication failed for user "app"',
                "D": "pgsluice says so, before it asks the server; its log tells why."}  # fmt: skip
    assert refusal(connect, daemon, password="wrong-word") == expected
    assert refusal(connect, daemon, password="") == expected
    assert "wrong-word" not in daemon.log()


@pytest.mark.parametrize(
    "auth, form",
    [
        ("password", "plain"), ("password", "md5"), ("password", "scram"),
        ("md5", "plain"), ("md5", "md5"), ("md5", "scram"),
        ("scram-sha-256", "plain"), ("scram-sha-256", "scram"),
    ],
)  # fmt: skip
def test_forms_of_secrets(pgsluice, connect, cluster, auth, form):
    """The list proves the client; the url's own password opens the server connection."""
    secrets = {
        "plain": secret_of("app"),
        "md5": md5_of("app", secret_of("app")),
        "scram": verifier_of(secret_of("app"), 5000),
    }
    daemon = pgsluice(pgsluice={"auth": auth}, databases={"app": {"user": "app", "password": secret_of("app")}})
    daemon.write_users(app=secrets[form])
    daemon.reload()
    wire = connect(daemon)
    # As PostgreSQL does: a SCRAM verifier cannot be used for md5, so SCRAM is asked for.
    assert wire.way == ("scram-sha-256" if (auth, form) == ("md5", "scram") else auth)
    assert kinds(wire.ask(query("SELECT 1"))) == "TDCZI"
    assert refusal(connect, daemon, password="wrong-word")["C"] == "28P01"
    assert secrets[form] not in daemon.log()


@pytest.mark.parametrize("auth", METHODS[1:])
def test_unknown_user_gets_the_same_answer(pgsluice, connect, auth):
    """Message by message: nobody can find out who exists."""
    daemon = pgsluice(pgsluice={"auth": auth})

    def answers(user):
        wire = connect(daemon, user=user, password="wrong-word", login=False)
        with pytest.raises(Refused) as refused:
            wire.log_in(database="app")
        fields = refused.value.reply.fields
        sequence = [(r.kind, len(r.body)) for r in wire.greeting[:-1]]
        return sequence, {key: value.replace(user, "X") for key, value in fields.items() if key in "SVCMDH"}

    known = answers("plain")
    assert known == answers("plane") == answers("ghost")


def test_salt_of_an_unknown_user_stays(pgsluice, connect):
    """SCRAM's salt of a user is always the same; so must it be of one who does not exist."""
    daemon = pgsluice(pgsluice={"auth": "scram-sha-256"})

    def challenge(user):
        wire = connect(daemon, user=user, login=False)
        wire.send(startup(user=user, database="app"))
        assert wire.read().kind == "R"
        first = b"n,,n=,r=abcdefghijklmnop"
        wire.send(message("p", text("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first))
        parts = wire.read().body[4:].decode().split(",")
        return [part for part in parts if not part.startswith("r=")]

    for user in ("app", "ghost", "phantom"):
        assert challenge(user) == challenge(user)
    assert challenge("ghost") != challenge("phantom")


def test_trust_of_an_unknown_user(pgsluice, connect, cluster):
    """Who has no password here cannot be logged in at the server: the server says so."""
    daemon = pgsluice(pgsluice={"auth": "trust"},
                      databases={"app": {"url": cluster.url().replace("app:app-secret@", "")}})  # fmt: skip
    assert connect(daemon).value("SELECT current_user") == "app"
    assert refusal(connect, daemon, user="ghost")["C"] in ("28P01", "28000", "08001", "08004")


def test_without_a_list_only_the_urls_user_comes_in(pgsluice, connect, cluster):
    daemon = pgsluice(
        admin="app",
        pgsluice={"auth_file": None, "admin_users": "app"},
        databases={"app": {}, "second": {"url": cluster.url("other", "other")}},
    )
    assert connect(daemon).run("SELECT current_user, current_database()") == [("app", "app")]
    second = connect(daemon, user="other", database="second")
    assert second.run("SELECT current_user, current_database()") == [("other", "other")]
    for keywords in ({"user": "other"}, {"user": "app", "database": "second"}):
        assert refusal(connect, daemon, **keywords)["C"] == "28P01"


def test_console_takes_admins_only(pgsluice, connect):
    daemon = pgsluice()
    assert connect(daemon, user="admin", database="pgsluice").run("SHOW VERSION")
    assert refusal(connect, daemon, user="app", database="pgsluice")["C"] == "42501"
    assert refusal(connect, daemon, user="admin", database="pgsluice", password="x")["C"] == "28P01"


def test_database_that_is_not_configured(pgsluice, connect):
    daemon = pgsluice()
    fields = refusal(connect, daemon, database="nowhere")
    assert (fields["C"], fields["M"]) == ("3D000", 'database "nowhere" does not exist')


def test_user_name_is_the_database_where_none_is_named(pgsluice):
    daemon = pgsluice()
    with socket.create_connection((daemon.host, daemon.port)) as plain:
        plain.sendall(startup(user="app"))
        assert plain.recv(1) == b"R"


@pytest.mark.parametrize("odd", ["", "a b", 'quo"ted', "ü€", "x" * 300])
def test_odd_user_names_are_refused_politely(pgsluice, connect, odd):
    daemon = pgsluice()
    fields = refusal(connect, daemon, user=odd, password="x")
    assert fields["C"] == ("28000" if odd == "" else "28P01")


@pytest.mark.parametrize("password", ["with space", 'quo"te', "ü€😀", "x" * 200, "a,b=c", "back\\slash", "%41"])
def test_odd_passwords(pgsluice, connect, cluster, password):
    quoted = password.replace('"', '""')
    for auth in METHODS[1:]:
        daemon = pgsluice(pgsluice={"auth": auth}, databases={"app": {"user": "app", "password": secret_of("app")}})
        daemon.write_users(app=quoted)
        daemon.reload()
        assert kinds(connect(daemon, password=password).ask(query("SELECT 1"))) == "TDCZI"
        assert refusal(connect, daemon, password=password + "x")["C"] == "28P01"


def test_messages_in_one_write_with_the_password(pgsluice, connect):
    """A client that does not wait for the login's end: what it sends is done after it."""
    daemon = pgsluice(pgsluice={"auth": "password"})
    wire = connect(daemon, login=False)
    wire.send(startup(user="app", database="app"), message("p", text(secret_of("app"))), query("SELECT 5"))
    replies = wire.read_until("Z", 2)
    assert kinds(replies).endswith("KZITDCZI")


def test_libpq_logs_in_in_every_way(pgsluice):
    for auth in METHODS:
        daemon = pgsluice(pgsluice={"auth": auth})
        assert daemon.connect(require_auth="none" if auth == "trust" else auth).execute("SELECT 1").fetchone()
        if auth != "trust":
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(daemon.dsn().replace(secret_of("app"), "wrong-word"))
