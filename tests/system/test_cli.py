"""The command line: what it prints, what it refuses, and its exit status."""

import re
import signal
import socket

import psycopg
import pytest

from cluster import PORTS, all_secrets, wait_until
from daemon import run_binary
from raw_server import FakeServer


@pytest.fixture
def check(tmp_path):
    """Runs --check on a file with this text; returns its path and the finished process."""

    def run(text, env=None):
        path = tmp_path / "pgsluice.ini"
        path.write_text(text)
        return path, run_binary("-c", path, "--check", env=env)

    return run


GOOD = """[pgsluice]
listen = 127.0.0.1:6999

[database app]
url = postgresql://app:app-secret@127.0.0.1:5432/app
"""


def output(run):
    return run.stdout + run.stderr


# -- words ---------------------------------------------------------------------------------------


def test_version():
    run = run_binary("--version")
    assert (run.returncode, run.stderr) == (0, "")
    assert re.match(r"pgsluice \d+\.\d+", run.stdout)


def test_help_names_every_option():
    run = run_binary("--help")
    assert (run.returncode, run.stderr) == (0, "")
    for option in ("-c", "--check", "--test-connect", "--version", "--help"):
        assert option in run.stdout


def test_unknown_option_is_refused():
    run = run_binary("--no-such-option")
    assert run.returncode != 0
    assert "no-such-option" in run.stderr
    assert run.stdout == ""


def test_neither_file_nor_database_url():
    run = run_binary("--check")
    assert run.returncode != 0
    assert "DATABASE_URL" in output(run)


def test_file_that_is_not_there(tmp_path):
    run = run_binary("-c", tmp_path / "missing.ini")
    assert run.returncode != 0
    assert "missing.ini" in output(run)
    assert "No such file or directory" in output(run)


# -- --check -------------------------------------------------------------------------------------


def test_check_accepts_a_good_file(check):
    _, run = check(GOOD)
    assert run.returncode == 0, output(run)


@pytest.mark.parametrize(
    "line, key, words",
    [
        ("tiemout = 30s", "tiemout", "timeout"),
        ("size = many", "size", ""),
        ("size = -1", "size", ""),
        ("timeout = 30 parsecs", "timeout", ""),
        ("mode = transactional", "mode", "transaction"),
        ("pre_ping = perhaps", "pre_ping", "always"),
        ("size = 1\nsize = 2", "size", ""),
        ("command_timeout = 99999999999999999999s", "command_timeout", ""),
    ],
)
def test_check_names_file_line_and_key(check, line, key, words):
    text = GOOD + "\n[pool]\n" + line + "\n"
    path, run = check(text)
    assert run.returncode != 0
    number = text.count("\n")
    assert f"{path}:{number}: " in output(run)
    assert key in output(run)
    assert words in output(run)


def test_check_finds_an_unknown_section(check):
    path, run = check(GOOD + "\n[pools]\nsize = 3\n")
    assert run.returncode != 0
    assert re.search(rf"{re.escape(str(path))}:[78]: .*pools", output(run))


def test_check_says_every_mistake_at_once(check):
    _, run = check(GOOD + "\n[pool]\nsiez = 3\ntimeout = soon\nmode = none\n")
    for number in (8, 9, 10):
        assert f":{number}: " in output(run)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_check_refuses_tls_that_is_not_there(check, mode):
    _, run = check(GOOD.replace("/app\n", f"/app?sslmode={mode}\n"))
    assert run.returncode != 0
    assert "sslmode" in output(run)


def test_check_says_no_password(check):
    _, run = check(GOOD.replace("5432", "543210") + "\n[pool]\nsize = x\n")
    assert run.returncode != 0
    assert "app-secret" not in output(run)


def test_check_reads_included_files(check, tmp_path):
    included = tmp_path / "more.ini"
    included.write_text("[pool]\n\nsize = lots\n")
    _, run = check(GOOD + f"\n%include {included}\n")
    assert run.returncode != 0
    assert f"{included}:3: " in output(run)


def test_check_expands_the_environment(check):
    text = GOOD + "\n[pool]\nsize = ${POOL_SIZE}\noverflow = ${POOL_OVERFLOW:-4}\n"
    assert check(text, {"POOL_SIZE": "7"})[1].returncode == 0
    _, run = check(text, {"POOL_SIZE": "seven"})
    assert run.returncode != 0
    assert ":8: " in output(run)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"])
def test_check_takes_the_schemes_of_drivers(check, scheme):
    _, run = check(GOOD.replace("postgresql://", f"{scheme}://"))
    assert run.returncode == 0, output(run)


# -- --test-connect --------------------------------------------------------------------------------


def paragraphs(run):
    """{database: {"": ok or failed or skipped, label: value}} of what --test-connect prints."""
    found = {}
    for line in run.stdout.splitlines():
        label, _, value = line.strip().partition(": ")
        if not line.startswith(" "):
            current = found[label] = {}
            label = ""
        current[label] = value
    return found


@pytest.fixture
def try_databases(tmp_path):
    """Runs --test-connect on these sections."""

    def run(text):
        path = tmp_path / "pgsluice.ini"
        path.write_text(text)
        return run_binary("-c", path, "--test-connect")

    return run


def test_test_connect_tells_of_each_database(cluster, try_databases):
    run = try_databases(
        f"[database app]\nurl = {cluster.url()}\nsize = 7\noverflow = 4\n"
        f"[database second]\nurl = {cluster.url('other', 'other')}\n"
    )
    assert run.returncode == 0, output(run)
    told = paragraphs(run)
    assert list(told) == ["app", "second"]
    for name, user, database in (("app", "app", "app"), ("second", "other", "other")):
        lines = told[name]
        assert lines[""] == "ok"
        assert lines["server version"] == cluster.value("SHOW server_version").split()[0]
        assert lines["current database"] == database
        assert lines["active connections"].startswith("1 to this database, this one included; ")
        assert f'as far as user "{user}" may see' in lines["active connections"]
        assert lines["connection limit"] == "57 (max_connections 60, of which 3 are reserved)"
        assert lines["server"] == f'127.0.0.1 port {cluster.port}, user "{user}", without TLS'
        assert re.fullmatch(r"\d+\.\d ms", lines["time"])
        assert "warning" not in lines
    assert told["app"]["pool limit"] == "11 (size 7, overflow 4)"
    assert not any(secret in output(run) for secret in all_secrets())


def test_test_connect_counts_connections_of_others(cluster, try_databases, threads):
    text = f"[database app]\nurl = {cluster.url()}\n"
    with cluster.connect("other", "app"), cluster.connect("app", "app") as own, cluster.connect("app", "other"):
        sleeping = threads.submit(own.execute, "SELECT pg_sleep(20)")
        wait_until(lambda: [row["state"] for row in cluster.backends()] == ["active"], what="it sleeps")
        told = paragraphs(try_databases(text))["app"]["active connections"]
        own.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            sleeping.result(20)
    assert told.startswith("3 to this database, this one included; 1 running a query ")


@pytest.mark.parametrize("role, database, words", [
    (5, -1, '5 (CONNECTION LIMIT of user "app")'),
    (9, 6, '6 (CONNECTION LIMIT of database "app")'),
])  # fmt: skip
def test_test_connect_warns_of_a_pool_larger_than_the_servers_limit(cluster, try_databases, role, database, words):
    cluster.sql(f"ALTER ROLE app CONNECTION LIMIT {role}", f"ALTER DATABASE app CONNECTION LIMIT {database}")
    try:
        run = try_databases(f"[database app]\nurl = {cluster.url()}\nsize = 5\noverflow = 2\n")
    finally:
        cluster.sql("ALTER ROLE app CONNECTION LIMIT -1", "ALTER DATABASE app CONNECTION LIMIT -1")
    told = paragraphs(run)["app"]
    assert run.returncode == 0, output(run)
    assert told["connection limit"] == words
    assert told["warning"] == f"the pool may ask for 7 connections, the server allows {words[0]}"


def test_test_connect_fails_where_one_database_fails(cluster, try_databases):
    closed = PORTS.take()
    run = try_databases(
        f"[database dead]\nurl = postgresql://app:app-secret@127.0.0.1:{closed}/app\n"
        f"[database wrong]\nurl = postgresql://app:wrong-secret@127.0.0.1:{cluster.port}/app\n"
        f"[database gone]\nurl = {cluster.url(database='nowhere')}\n"
        f"[database odd]\nurl = {cluster.url()}\nserver_settings = jit=perhaps\n"
        f"[database app]\nurl = {cluster.url()}\nserver_settings = search_path='\"a b\", \"c\\d\"'\n"
        f"[database anybody]\nurl = postgresql://127.0.0.1:{cluster.port}/app\n"
    )
    assert run.returncode == 1
    told = paragraphs(run)
    to_server = f'connection to server at "127.0.0.1", port {cluster.port} failed: FATAL: '
    assert {name: lines[""] for name, lines in told.items()} == {
        "dead": "failed", "wrong": "failed", "gone": "failed", "odd": "failed", "app": "ok",
        "anybody": "skipped",
    }  # fmt: skip
    assert told["dead"]["error"].startswith(
        f'connection to server at "127.0.0.1", port {closed} failed: Connection refused')  # fmt: skip
    assert told["wrong"]["error"] == to_server + '28P01: password authentication failed for user "app"'
    assert told["gone"]["error"] == to_server + '3D000: database "nowhere" does not exist'
    assert told["odd"]["error"].startswith(to_server + '22023: parameter "jit" requires a Boolean value')
    assert told["dead"]["server"] == f'127.0.0.1 port {closed}, user "app"'
    assert "wrong-secret" not in output(run)


def test_test_connect_gives_each_host_its_time(cluster, try_databases):
    with FakeServer() as silent:
        hosts = f"127.0.0.1:{silent.port},127.0.0.1:{cluster.port}"
        run = try_databases(f"[pool]\nconnect_timeout = 400ms\n"
                            f"[database both]\nurl = postgresql://app:app-secret@{hosts}/app\n"
                            f"[database silent]\nurl = {silent.url(cluster)}\n")  # fmt: skip
    told = paragraphs(run)
    assert (run.returncode, told["both"][""], told["silent"][""]) == (1, "ok", "failed")
    assert told["both"]["server"] == f'127.0.0.1 port {cluster.port}, user "app", without TLS'
    assert told["silent"]["error"] == (f'connection to server at "127.0.0.1", port {silent.port} failed: '
                                       "connect_timeout (0.4 s) expired")  # fmt: skip


def test_test_connect_without_a_file(cluster):
    run = run_binary("--test-connect", env={"DATABASE_URL": cluster.url()})
    assert run.returncode == 0, output(run)
    assert cluster.value("SHOW server_version").split()[0] in run.stdout


# -- starting ------------------------------------------------------------------------------------


def test_environment_fills_what_the_file_leaves_open(pgsluice, cluster):
    daemon = pgsluice(
        ini="[pgsluice]\nlisten = 127.0.0.1:{port}\nadmin_users = app\n[pool]\noverflow = 2\n",
        env={"DATABASE_URL": cluster.url(), "DATABASE_POOL_SIZE": "3",
             "DATABASE_MAX_OVERFLOW": "8", "DATABASE_POOL_TIMEOUT": "7"},
        admin="app",
    )  # fmt: skip
    assert daemon.connect().execute("SELECT current_database()").fetchone() == ("app",)
    rows = {row["key"]: row["value"] for row in daemon.console("SHOW CONFIG")}
    assert (rows["size"], rows["overflow"], rows["timeout"]) == ("3", "2", "7s")


def test_address_in_use_ends_the_start(pgsluice, cluster):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ini = f"[pgsluice]\nlisten = 127.0.0.1:{port}\n[database app]\nurl = {cluster.url()}\n"
        path = pgsluice().folder / "taken.ini"
        path.write_text(ini)
        run = run_binary("-c", path)
    assert run.returncode == 1
    assert f"127.0.0.1:{port}" in output(run)
    assert "Address already in use" in output(run)


@pytest.mark.parametrize("choice, status", [("require", 1), ("warn", 0)])
def test_startup_check_of_an_unreachable_database(pgsluice, tmp_path, choice, status):
    closed = PORTS.take()
    url = f"postgresql://app:app-secret@127.0.0.1:{closed}/app"
    if status == 0:
        daemon = pgsluice(databases={"app": {"url": url}}, startup_check=choice)
        daemon.wait_for_log(str(closed))
        return
    path = tmp_path / "pgsluice.ini"
    path.write_text(f"[pgsluice]\nlisten = 127.0.0.1:{PORTS.take()}\n"
                    f"[database app]\nurl = {url}\nstartup_check = {choice}\n")  # fmt: skip
    run = run_binary("-c", path)
    assert run.returncode != 0
    assert str(closed) in output(run)


@pytest.mark.core
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_status_zero(pgsluice, signal_number):
    daemon = pgsluice()
    client = daemon.connect()
    assert client.execute("SELECT 1").fetchone() == (1,)
    assert daemon.stop(signal_number) == 0


def test_listens_on_several_addresses(pgsluice, tmp_path, cluster):
    daemon = pgsluice(pgsluice={"listen": f"127.0.0.1:{PORTS.take()}, {tmp_path}"}, wait=False)
    daemon.wait_for_log("ready")
    sockets = list(tmp_path.glob(".s.PGSQL.*"))
    assert len(sockets) == 1
    port = sockets[0].name.rsplit(".", 1)[1]
    run = cluster.psql(f"host={tmp_path} port={port} user=app password=app-secret dbname=app",
                       "-c", "SELECT 5")  # fmt: skip
    assert (run.stdout, run.returncode) == ("5\n", 0), run.stderr
    daemon.port = int(re.search(r"127\.0\.0\.1:(\d+)", daemon.ini_text()).group(1))
    assert daemon.connect().execute("SELECT 1").fetchone() == (1,)
