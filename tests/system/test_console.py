"""The admin console: a database of its own, simple queries, one command each."""

import re

import psycopg
import pytest

from cluster import all_secrets, wait_until
from wire import Wire, bind, errors, execute, extended, flush, kinds, parse, query, rows, sync, tags

POOLS = ["database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used", "sv_tested",
         "sv_login", "maxwait", "maxwait_us", "pool_mode"]  # fmt: skip
SOCKETS = ["type", "user", "database", "state", "addr", "port", "local_addr", "local_port", "connect_time",
           "request_time", "wait", "wait_us", "close_needed", "ptr", "link", "remote_pid", "tls",
           "application_name", "prepared_statements"]  # fmt: skip


@pytest.fixture
def admin(pooled):
    return pooled.wire(user="admin", database="pgsluice")


def table(wire, command):
    """A command's rows as dicts."""
    replies = wire.ask(query(command))
    assert kinds(replies[-2:]) == "CZI", [reply.fields for reply in replies if reply.kind == "E"]
    names, at = [], 2
    body = replies[0].body
    while at < len(body):
        end = body.index(b"\0", at)
        names.append(body[at:end].decode())
        at = end + 19
    return [dict(zip(names, row)) for row in rows(replies)], names


@pytest.mark.core
def test_show_pools(pooled, admin):
    one, two = pooled.wire(), pooled.wire()
    one.run("BEGIN")
    two.run("SELECT 1")
    found, names = table(admin, "SHOW POOLS")
    assert names[: len(POOLS)] == POOLS
    (row,) = [row for row in found if row["database"] == "app"]
    assert (row["user"], row["pool_mode"]) == ("app", "transaction")
    assert (row["cl_waiting"], row["sv_active"], row["sv_login"]) == ("0", "1", "0")
    assert row["sv_idle"] == "1"
    one.run("COMMIT")
    wait_until(lambda: table(admin, "SHOW POOLS")[0][0]["sv_active"] == "0", what="no lease")


def test_show_clients(pooled, admin):
    one = pooled.wire(application_name="named")
    one.run("BEGIN")
    pid = one.value("SELECT pg_backend_pid()")
    found, names = table(admin, "SHOW CLIENTS")
    assert names[: len(SOCKETS)] == SOCKETS
    (row,) = [row for row in found if row["database"] == "app"]
    assert (row["type"], row["user"], row["state"], row["addr"]) == ("C", "app", "active", "127.0.0.1")
    assert (row["application_name"], row["remote_pid"]) == ("named", pid)
    assert row["port"] == str(one.socket.getsockname()[1])
    assert [r["user"] for r in found if r["database"] == "pgsluice"] == ["admin"]


def test_show_servers(pooled, admin):
    one = pooled.wire()
    one.run("BEGIN")
    pid = one.value("SELECT pg_backend_pid()")
    found, names = table(admin, "SHOW SERVERS")
    assert names[: len(SOCKETS)] == SOCKETS
    row = next(row for row in found if row["remote_pid"] == pid)
    assert (row["type"], row["user"], row["database"], row["state"]) == ("S", "app", "app", "active")
    assert (row["addr"], row["port"]) == ("127.0.0.1", str(pooled.cluster.port))
    one.run("COMMIT")


def test_show_config_masks_secrets(pooled):
    pooled.use(databases={"app": {"user": "app", "password": "app-secret"}})
    found, _ = table(pooled.wire(user="admin", database="pgsluice"), "SHOW CONFIG")
    values = {row["key"]: row["value"] for row in found}
    assert (values["size"], values["overflow"], values["auth"]) == ("2", "0", "scram-sha-256")
    assert all(row["changeable"] in ("yes", "no") for row in found)
    everything = str(found)
    for secret in all_secrets():
        assert secret not in everything


def test_no_command_tells_a_secret(pooled, admin):
    pooled.wire().run("SELECT 1")
    for command in ("SHOW POOLS", "SHOW CLIENTS", "SHOW SERVERS", "SHOW CONFIG", "SHOW VERSION"):
        replies = admin.ask(query(command))
        everything = b"".join(reply.body for reply in replies)
        for secret in [*all_secrets(), "SCRAM-SHA-256$"]:
            assert secret.encode() not in everything


def test_show_version(admin):
    assert re.match(r"pgsluice \d+\.\d+", admin.value("SHOW VERSION"))
    assert tags(admin.ask(query("SHOW VERSION"))) == ["SHOW"]


@pytest.mark.parametrize("command", ["show version", "  SHOW\n\tVERSION ;", "Show Version;;"])
def test_spelling_is_free(admin, command):
    assert kinds(admin.ask(query(command))) == "TDCZI"


@pytest.mark.parametrize("command", ["SELECT 1", "SHOW", "SHOW VERSIONS", "SHOW POOLS; SHOW POOLS", "é", "'"])
def test_unknown_command_is_told_what_there_is(admin, command):
    replies = admin.ask(query(command))
    assert (kinds(replies), errors(replies)) == ("EZI", ["42601"])
    assert "SHOW POOLS" in replies[0].fields["H"]
    assert kinds(admin.ask(query("SHOW VERSION"))) == "TDCZI"


def test_empty_query(admin):
    assert kinds(admin.ask(query(""))) == "IZI"
    assert kinds(admin.ask(query(" ; "))) == "IZI"


def test_extended_protocol_is_told_politely(admin):
    replies = admin.ask(extended("SHOW POOLS"), sync())
    assert (kinds(replies), errors(replies)) == ("EZI", ["0A000"])
    assert "simple" in replies[0].words
    admin.send(parse("", "SHOW POOLS"), flush(), bind(), execute())
    assert kinds(admin.read_until("E")) == "E"
    assert kinds(admin.ask(query("SHOW VERSION"), sync())) == "ZI"
    assert kinds(admin.ask(query("SHOW VERSION"))) == "TDCZI"
    assert kinds(admin.ask(sync(), query("SHOW VERSION"), ready=2)) == "ZITDCZI"


def test_commands_in_one_write(admin):
    replies = admin.ask(*[query("SHOW VERSION"), query("nothing"), query("SHOW POOLS")] * 20, ready=60)
    assert [reply.kind for reply in replies].count("E") == 20
    assert tags(replies) == ["SHOW", "SHOW"] * 20


def test_many_admins(pooled, threads):
    daemon = pooled.daemon

    def work(_):
        wire = Wire((daemon.host, daemon.port), user="admin", database="pgsluice")
        for _ in range(10):
            assert kinds(wire.ask(query("SHOW CLIENTS"))).endswith("CZI")
        wire.close()
        return True

    assert all(threads.map(work, range(8)))


def test_libpq_and_psql(pooled):
    daemon = pooled.daemon
    run = pooled.cluster.psql(daemon.url("admin", "pgsluice"), "-c", "SHOW VERSION", "-c", "SHOW POOLS")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("pgsluice")
    run = pooled.cluster.psql(daemon.url("admin", "pgsluice"), "-c", "SELECT 1")
    assert run.returncode != 0
    assert "unknown command" in run.stderr


@pytest.mark.parametrize("command", ["SHOW POOLS", "RELOAD", "SHUTDOWN"])
def test_others_are_refused_at_the_door(pooled, command):
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(pooled.daemon.dsn("app", "pgsluice"))
    # Nor do these words mean anything elsewhere.
    assert errors(pooled.wire().ask(query(command))) in (["42601"], ["42704"])


def test_reload(pooled, admin):
    daemon = pooled.daemon
    daemon.write_ini(size=5)
    assert (kinds(admin.ask(query("RELOAD")))) == "CZI"
    found, _ = table(admin, "SHOW CONFIG")
    assert {row["key"]: row["value"] for row in found}["size"] == "5"


def test_reload_of_a_bad_file_tells_the_mistake(pooled, admin):
    daemon = pooled.daemon
    before = daemon.ini_text()
    daemon.ini_file.write_text(before + "\n[pool]\nsiez = 5\n")
    replies = admin.ask(query("RELOAD"))
    assert kinds(replies) == "EZI"
    assert "siez" in replies[0].words
    found, _ = table(admin, "SHOW CONFIG")
    assert {row["key"]: row["value"] for row in found}["size"] == "2"
    daemon.ini_file.write_text(before)
    assert kinds(admin.ask(query("RELOAD"))) == "CZI"


def test_shutdown_ends_as_sigterm_does(pooled, admin):
    busy, idle = pooled.wire(), pooled.wire()
    busy.run("BEGIN")
    assert kinds(admin.ask(query("SHUTDOWN"))) == "CZI"
    assert errors(idle.read_to_the_end()) == ["57P01"]
    assert busy.run("SELECT 'still here'") == [("still here",)]
    assert tags(busy.ask(query("COMMIT"))) == ["COMMIT"]
    assert pooled.daemon.wait() == 0
