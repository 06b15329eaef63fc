"""
Faults that a reading of src/session brought to light: lost wake-ups, state that went to another
client, memory used by two at once. One test each.
"""

import os
import signal
import socket
import threading
import time

import psycopg
import pytest

from cluster import wait_until
from raw_client import FLUSH, SYNC, RawClient, bind, execute, message, parse, query, send_cancel

TRUST = {"auth": "trust"}
ONE = {"pgsluice": TRUST, "size": 1, "overflow": 0}


class Stopped:
    """The daemon stands still: what its sockets get meanwhile comes to it in one wake-up."""

    def __init__(self, daemon):
        self.daemon = daemon

    def __enter__(self):
        self.daemon.send(signal.SIGSTOP)
        wait_until(lambda: self.state() == "T", what="the daemon is stopped")

    def __exit__(self, *_):
        self.daemon.send(signal.SIGCONT)

    def state(self):
        with open(f"/proc/{self.daemon.pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]


def resident(daemon):
    """Bytes."""
    with open(f"/proc/{daemon.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_cancel_between_flush_and_sync(pgsluice):
    """Nothing is being run then, but the lease goes on."""
    daemon = pgsluice(**ONE)
    client = RawClient(daemon)
    client.send(parse("SELECT 1"), FLUSH)
    assert client.read()[0] == "1"
    send_cancel(daemon, client.pid, client.key)
    client.send(bind(), execute(), SYNC)
    assert "".join(kind for kind, _ in client.until_ready()) == "2DCZ"


def test_slow_readers_server_goes_on_to_the_next(pgsluice):
    """Its last bytes are kept for it when its lease ends: the next lease's must be read."""
    daemon = pgsluice(**ONE)
    with psycopg.connect(daemon.dsn("admin", "pgsluice"), autocommit=True,
                         cursor_factory=psycopg.ClientCursor) as admin:  # fmt: skip
        at = [column.name for column in admin.execute("SHOW POOLS").description].index("sv_active")

        def is_leased():
            return any(int(row[at]) > 0 for row in admin.execute("SHOW POOLS").fetchall())

        other = RawClient(daemon)
        for turn in range(30):
            slow = RawClient(daemon)
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            slow.send(query(f"SELECT repeat('x', 1000) FROM generate_series(1, {4000 + 23 * turn})"))
            assert slow.socket.recv(1000)
            while is_leased():
                assert slow.socket.recv(16384)
            assert other.value("SELECT 1") == "1"
            slow.close()


def test_long_message_behind_one_that_waits(pgsluice):
    """What was not read while the client waited is read once it has a server connection."""
    daemon = pgsluice(**ONE)
    holder, waiting = RawClient(daemon), RawClient(daemon)
    holder.ask("BEGIN")
    waiting.send(query("SELECT 1"), parse(f"SELECT 2 /*{'x' * 300000}*/", "long"),
                 bind("long"), execute(), SYNC)  # fmt: skip
    wait_until(lambda: daemon.pool()["cl_waiting"] == 1, what="it waits")
    holder.ask("COMMIT")
    assert "".join(kind for kind, _ in waiting.until("Z") + waiting.until("Z")) == "TDCZ12DCZ"


def test_messages_that_are_held_are_not_read_without_bound(pgsluice, cluster):
    daemon = pgsluice(**ONE)
    client = RawClient(daemon)
    client.send(query("SELECT pg_sleep(60)"))
    before = resident(daemon)
    client.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        for _ in range(200):
            client.socket.sendall(SYNC * 100000)
    assert resident(daemon) - before < 20_000_000
    cluster.terminate()
    client.close()


def test_end_of_an_idle_server_behind_a_query(pgsluice, cluster):
    """Both in one wake-up, the query first: it runs on another server connection, unharmed."""
    daemon = pgsluice(**ONE, pre_ping="off")
    client = RawClient(daemon)
    pid = int(client.value("SELECT pg_backend_pid()"))
    time.sleep(0.05)  # longer than an idle connection is believed to be open
    with Stopped(daemon):
        client.send(query("SELECT pg_backend_pid(), repeat('y', 100)"))
        cluster.terminate(f"pid = {pid}")
    answer = client.until_ready()
    assert "".join(kind for kind, _ in answer) == "TDCZ"
    assert str(pid).encode() not in answer[1][1]


def test_setting_of_a_client_that_left_before_its_answer(pgsluice):
    daemon = pgsluice(**ONE)
    for _ in range(10):
        client = RawClient(daemon)
        with Stopped(daemon):
            client.send(query("SET work_mem = '5MB'"))
            client.close()
        wait_until(lambda: daemon.pool()["sv_active"] == 0, what="no server connection is at work")
        assert RawClient(daemon).value("SHOW work_mem") == "4MB"


def test_notifications_while_the_state_is_asked_for(pgsluice, cluster, threads):
    daemon = pgsluice(pgsluice=TRUST)
    listener = RawClient(daemon)
    listener.ask("LISTEN news")
    count = 400

    def notify():
        with cluster.connect("app", "app") as connection:
            for i in range(count):
                connection.execute(f"NOTIFY news, '{i}'")

    sender = threads.submit(notify)
    got = 0
    while not sender.done():
        listener.send(query("SET work_mem = '5MB'"))
        got += [kind for kind, _ in listener.until_ready()].count("A")
    sender.result()
    while got < count:
        assert listener.read()[0] == "A"
        got += 1


def test_long_settings_follow_the_client(pgsluice):
    """The server's answer about them comes in pieces."""
    daemon = pgsluice(pgsluice=TRUST, size=2, overflow=0)
    client, other = RawClient(daemon), RawClient(daemon)
    for turn in range(5):
        values = {f"app.v{i}": f"{turn}{i}" * 3000 for i in range(5)}
        for name, value in values.items():
            client.ask(f"SET {name} = '{value}'")
        other.ask("BEGIN")
        there = other.value("SELECT pg_backend_pid()")
        assert client.value("SELECT pg_backend_pid()") != there
        assert {name: client.value(f"SHOW {name}") for name in values} == values
        other.ask("COMMIT")


def test_copy_that_failed_while_the_server_did_not_read(pgsluice, cluster):
    """The client's rest is read on after its lease."""
    cluster.sql("DROP TABLE IF EXISTS numbers", "CREATE TABLE numbers (n int)",
                "ALTER TABLE numbers OWNER TO app", database="app")  # fmt: skip
    daemon = pgsluice(**ONE)
    for _ in range(5):
        client = RawClient(daemon)
        pid = int(client.value("SELECT pg_backend_pid()"))
        client.send(query("COPY numbers FROM STDIN"))
        assert client.until("G")
        os.kill(pid, signal.SIGSTOP)
        row = message("d", b"no number" + b"x" * 49 + b"\n")
        sender = threading.Thread(target=client.send, args=[row * 400000, message("c")])
        sender.start()
        try:
            time.sleep(0.3)  # until no buffer on the way takes more
        finally:
            os.kill(pid, signal.SIGCONT)
        sender.join(20)
        assert not sender.is_alive(), "it is not read on"
        assert "".join(kind for kind, _ in client.until_ready()) == "EZ"
        assert client.value("SELECT 1") == "1"
        client.close()
    cluster.sql("DROP TABLE numbers", database="app")


def test_client_that_is_gone_when_it_is_to_be_told_parameters(pgsluice, cluster):
    daemon = pgsluice(**ONE)
    client = RawClient(daemon)
    client.ask("SELECT 1")
    cluster.sql("ALTER ROLE app SET timezone = 'Asia/Tokyo'")
    try:
        cluster.terminate()
        wait_until(lambda: RawClient(daemon).value("SHOW timezone") == "Asia/Tokyo",
                   what="a server connection with another time zone")  # fmt: skip
        with Stopped(daemon):
            client.send(query("SELECT 2"))
            client.vanish()
        assert RawClient(daemon).value("SELECT 3") == "3"
    finally:
        cluster.sql("ALTER ROLE app RESET timezone")


def test_many_queries_of_the_console_in_one_write(pgsluice):
    daemon = pgsluice(pgsluice=TRUST)
    console = RawClient(daemon, user="admin", database="pgsluice")
    console.send(query(";") * 8000)
    assert [kind for _ in range(8000) for kind, _ in console.until_ready()] == ["I", "Z"] * 8000


def test_clients_of_a_pool_are_counted(pgsluice):
    """As PgBouncer does: idle ones, too."""
    daemon = pgsluice(pgsluice=TRUST, size=1, overflow=0)
    clients = [RawClient(daemon) for _ in range(5)]
    clients[0].ask("BEGIN")
    clients[1].send(query("SELECT 1"))
    wait_until(lambda: daemon.pool()["cl_waiting"] == 1, what="one waits")
    assert daemon.pool()["cl_active"] == 4
    clients[0].ask("COMMIT")
    clients[1].until_ready()
    wait_until(lambda: daemon.pool()["cl_active"] == 5, what="all are idle")


def test_end_at_once_while_a_command_runs(pgsluice, cluster):
    """What cancels the command is freed, too."""
    daemon = pgsluice(pgsluice=TRUST)
    client = RawClient(daemon)
    client.send(query("SELECT pg_sleep(60)"))
    wait_until(lambda: "active" in [row["state"] for row in cluster.backends()], what="it runs")
    assert daemon.stop(signal.SIGINT) == 0
    wait_until(lambda: not cluster.backends(), what="no backend is left")


def test_session_mode_that_is_given_up_by_a_reload(pgsluice):
    """Nobody knows what such a session has: it stays with its client."""
    daemon = pgsluice(**ONE, mode="session")
    client = RawClient(daemon)
    client.ask("SET work_mem = '7MB'")
    client.ask("CREATE TEMP TABLE mine (n int)")
    daemon.write_ini(mode="transaction")
    daemon.reload()
    assert client.value("SHOW work_mem") == "7MB"
    assert client.ask("SELECT * FROM mine")[0] == "TCZ"
    client.close()
    other = RawClient(daemon)
    assert other.value("SHOW work_mem") == "4MB"
    assert other.ask("SELECT * FROM mine")[0] == "EZ"


def pinned(daemon):
    return [row["pinned"] for row in daemon.console("SHOW CLIENTS") if row["database"] == "app"]


@pytest.mark.parametrize("extended", [False, True])
def test_setting_whose_name_is_not_in_the_text(pgsluice, extended):
    """Nobody can ask the server for it later: it pins."""
    daemon = pgsluice(pgsluice=TRUST, size=2, overflow=0)
    client, other = RawClient(daemon), RawClient(daemon)
    sql = "SELECT set_config('app.' || 'me', 'x', false)"
    if extended:
        client.send(parse(sql, "s"), SYNC)
        client.until_ready()
        assert pinned(daemon) == ["", ""]
        client.send(bind("s"), execute(), SYNC)
        client.until_ready()
    else:
        client.ask(sql)
    assert sorted(pinned(daemon)) == ["", "SETTING"]
    other.ask("BEGIN")
    assert client.value("SHOW app.me") == "x"
    assert other.ask("SHOW app.me")[0] == "EZ"


def test_command_does_not_run_without_its_role(pgsluice, cluster):
    """The role is gone when another server connection is to take it on."""
    cluster.sql("DROP TABLE IF EXISTS who", "DROP ROLE IF EXISTS less", "CREATE ROLE less",
                "GRANT less TO app", "CREATE TABLE who (name text)",
                "GRANT INSERT ON who TO PUBLIC", database="app")  # fmt: skip
    daemon = pgsluice(pgsluice=TRUST, size=2, overflow=0)
    client, other = RawClient(daemon), RawClient(daemon)
    client.ask("SET ROLE less")
    client.ask("INSERT INTO who VALUES (current_user)")
    other.ask("BEGIN")
    cluster.sql("REVOKE less FROM app", database="app")
    client.send(query("INSERT INTO who VALUES (current_user)"))
    assert client.refusal()["C"] == "42501"
    assert cluster.sql("SELECT name FROM who", database="app") == [{"name": "less"}]
    cluster.sql("DROP TABLE who", "DROP ROLE less", database="app")


def test_sequence_without_its_sync_is_an_idle_transaction(pgsluice):
    daemon = pgsluice(**ONE, idle_transaction_timeout="300ms")
    client = RawClient(daemon)
    client.send(parse("SELECT 1"), FLUSH)
    assert client.read()[0] == "1"
    assert client.refusal()["C"] == "25P03"


def test_pin_is_no_transaction(pgsluice):
    daemon = pgsluice(**ONE, transaction_timeout="300ms")
    client = RawClient(daemon)
    client.ask("LISTEN news")
    client.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        client.read()
    client.socket.settimeout(20)
    assert client.value("SELECT 1") == "1"


def test_idle_timeout_of_clients_in_session_mode(pgsluice):
    daemon = pgsluice(pgsluice={**TRUST, "client_idle_timeout": "500ms"}, mode="session")
    client = RawClient(daemon)
    assert client.value("SELECT 1") == "1"
    assert client.refusal()["C"] == "57P05"


def test_a_pid_is_not_soon_another_clients(pgsluice):
    # Drivers' pools know by it whether they have a new connection.
    daemon = pgsluice(**ONE)
    pids = []
    for _ in range(20):
        client = RawClient(daemon)
        pids.append(client.pid)
        client.close()
    assert len(set(pids)) == 20
