"""A private PostgreSQL for the tests: its own data folder, its own loopback port."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

# Every role's password is its name with this behind it.
SECRET_SUFFIX = "-secret"
# How each role logs in is what pg_hba.conf below says.
ROLES = {"app": "scram-sha-256", "other": "scram-sha-256", "hashed": "md5", "plain": "password",
         "trusted": "trust"}
SUPERUSER = "postgres"
DATABASES = ["app", "other"]


def secret_of(user):
    return user + SECRET_SUFFIX


def all_secrets():
    return [secret_of(user) for user in [*ROLES, SUPERUSER, "admin"]]


def worker_number():
    """0, 1, ... among pytest-xdist's processes."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


class Ports:
    """Free ports below the range that the kernel gives to outgoing connections."""

    def __init__(self):
        self.next = 21000 + worker_number() * 1000 + os.getpid() % 500

    def take(self):
        while True:
            self.next += 1
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self.next))
                except OSError:
                    continue
            return self.next


PORTS = Ports()


def wait_until(condition, timeout=20.0, interval=0.02, what=None):
    """The first true answer of condition(); fails after timeout."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition.__name__}")
        time.sleep(interval)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def programs():
    """The folder of the server's programs: PGSLUICE_TEST_POSTGRES, or the newest one installed."""
    named = os.environ.get("PGSLUICE_TEST_POSTGRES")
    if named:
        assert (Path(named) / "initdb").exists(), f"PGSLUICE_TEST_POSTGRES: no initdb in {named}"
        return Path(named)
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    return Path(shutil.which("initdb") or "/nowhere/initdb").resolve().parent


def unprivileged(*command):
    """PostgreSQL refuses root's rights. The kernel stops it should pytest die."""
    prefix = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        prefix += ["--reuid=postgres", "--regid=postgres", "--init-groups"]
    return [*prefix, *map(str, command)]


class Cluster:
    """`host`, `port` and `data`; started by its maker."""

    host = "127.0.0.1"

    def __init__(self, **settings):
        self.port = PORTS.take()
        self.folder = Path(tempfile.mkdtemp(prefix="pgsluice-cluster-"))
        self.data = self.folder / "data"
        self.log_file = self.folder / "log"
        self.process = None
        self.settings = {
            "listen_addresses": self.host, "port": self.port, "max_connections": 60,
            "unix_socket_directories": self.folder, "fsync": "off", "log_connections": "on",
            "log_line_prefix": "'%m [%p] %q%u@%d '", "timezone": "UTC", **settings,
        }  # fmt: skip
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._create()

    def _create(self):
        password = self.folder / "password"
        password.write_text(secret_of(SUPERUSER))
        password.chmod(0o644)
        subprocess.run(
            unprivileged(programs() / "initdb", "--pgdata", self.data, "--username", SUPERUSER,
                         "--pwfile", password, "--auth=scram-sha-256", "--encoding=UTF8",
                         "--locale=C.UTF-8", "--no-sync"),
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            for key, value in self.settings.items():
                quoted = value if str(value).startswith("'") else f"'{value}'"
                file.write(f"{key} = {quoted}\n")
        rules = [f"host all {role} 127.0.0.1/32 {way}" for role, way in ROLES.items()]
        (self.data / "pg_hba.conf").write_text(
            "\n".join(["local all all scram-sha-256", *rules, "host all all all scram-sha-256", ""])
        )
        self.start()
        for role, way in ROLES.items():
            hashing = "md5" if way == "md5" else "scram-sha-256"
            self.sql(f"SET password_encryption = '{hashing}'",
                     f"CREATE ROLE {role} LOGIN PASSWORD '{secret_of(role)}'")  # fmt: skip
        for database in DATABASES:
            self.sql(f"CREATE DATABASE {database} OWNER app")
            self.sql("GRANT ALL ON SCHEMA public TO public", database=database)

    # -- running ---------------------------------------------------------------------------------

    def launch(self):
        """Starts the server without waiting until it answers."""
        with self.log_file.open("a") as log:
            self.process = subprocess.Popen(
                unprivileged(programs() / "postgres", "-D", self.data),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip

    def start(self):
        self.launch()
        wait_until(self.answers, timeout=60, what="PostgreSQL answers")

    def answers(self):
        try:
            self.connect(connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, mode="fast"):
        """mode: smart, fast or immediate."""
        if self.process is None:
            return
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self.process.send_signal(signals[mode])
        self.process.wait(30)
        self.process = None

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def ensure_running(self):
        if self.process is None or self.process.poll() is not None:
            self.start()

    def destroy(self):
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- talking to it, past pgsluice ------------------------------------------------------------

    def url(self, user="app", database="app"):
        return f"postgresql://{user}:{secret_of(user)}@{self.host}:{self.port}/{database}"

    def connect(self, user=SUPERUSER, database="postgres", **keywords):
        keywords = {"autocommit": True, "connect_timeout": 10, "row_factory": dict_row, **keywords}
        return psycopg.connect(self.url(user, database), **keywords)

    def sql(self, *statements, database="postgres"):
        """Runs statements as superuser; the rows of the last one as dicts."""
        with self.connect(database=database, application_name="test helper") as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement, database="postgres"):
        return next(iter(self.sql(statement, database=database)[0].values()))

    def backends(self, user="app", database="app"):
        """pg_stat_activity's rows of one role in one database, oldest first."""
        return self.sql(
            "SELECT * FROM pg_stat_activity WHERE backend_type = 'client backend'"
            f" AND usename = '{user}' AND datname = '{database}' ORDER BY backend_start"
        )

    def backend_pids(self, user="app", database="app"):
        return [row["pid"] for row in self.backends(user, database)]

    def terminate(self, where="usename = 'app'"):
        """Ends backends; returns how many, once they are gone."""
        return len(self.end_backends(where))

    def end_backends(self, where):
        """Returns their PIDs, once they are gone."""
        rows = self.sql(
            f"SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE ({where})"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        pids = [row["pid"] for row in rows]
        wait_until(lambda: not any(map(is_running, pids)), interval=0.002, what="backends are gone")
        return pids

    def psql(self, url, *arguments, **keywords):
        return subprocess.run(
            [str(programs() / "psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments, url],
            capture_output=True, text=True, timeout=60, cwd="/", **keywords,
        )  # fmt: skip

    @staticmethod
    def program(name):
        """psql, pgbench, pg_dump, ... of the server's version."""
        path = programs() / name
        return str(path) if path.exists() else shutil.which(name)

    @staticmethod
    def user_of_server():
        return "postgres" if os.geteuid() == 0 else getpass.getuser()
