"""One running pgsluice of a test: its configuration, its log, its clients, its end."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from cluster import PORTS, ROLES, all_secrets, secret_of, wait_until

ROOT = Path(__file__).resolve().parents[2]
SANITIZER_REPORT = re.compile(
    r"(ERROR: (Address|Leak|Undefined)\w*Sanitizer|WARNING: ThreadSanitizer|runtime error:)"
)


def binary():
    return os.environ.get("PGSLUICE_BINARY", str(ROOT / "build" / "pgsluice"))


def run_binary(*arguments, env=None, timeout=60):
    """Runs pgsluice to its end, as --check and the like do."""
    return subprocess.run(
        [binary(), *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
        stdin=subprocess.DEVNULL, env=environment(env),
    )  # fmt: skip


def environment(changes=None):
    """What a daemon sees: no setting of the developer's own leaks in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "PG", "NOTIFY"))}
    return {**kept, **(changes or {})}


def section(title, keys):
    lines = [f"{key} = {value}" for key, value in keys.items() if value is not None]
    return "\n".join([f"[{title}]", *lines, ""])


class Daemon:
    """
    Keyword arguments of the `pgsluice` fixture:

    pgsluice   keys of [pgsluice]; None leaves a default of the fixture out
    databases  {NAME: keys of [database NAME]}; default: app, as role app
    users      {NAME: keys of [user NAME]}
    ini        the whole file instead of the three above and of the [pool] keys; {port}, {auth_file}
               and {url} are filled in
    file       False: started without a file
    env        environment variables on top
    wait       False: do not wait until it is ready
    admin      who asks the console; default: admin
    others     keys of [pool]
    """

    host = "127.0.0.1"

    def __init__(self, cluster, folder, **options):
        self.cluster = cluster
        self.folder = folder
        self.port = PORTS.take()
        self.ini_file = folder / "pgsluice.ini"
        self.auth_file = folder / "users.txt"
        self.log_file = folder / "pgsluice.log"
        self.options = options
        self.clients = []
        self.process = None
        self.exit_status = None
        self.write_users()
        self.write_ini()

    # -- configuration ---------------------------------------------------------------------------

    def write_users(self, **changed):
        """The user list: every role of the cluster, and admin. Keywords replace a secret."""
        users = {user: secret_of(user) for user in [*ROLES, "admin"]} | changed
        self.auth_file.write_text("".join(f'"{u}" "{s}"\n' for u, s in users.items() if s))

    def ini_text(self):
        options = dict(self.options)
        whole = options.pop("ini", None)
        if whole is not None:
            return whole.replace("{port}", str(self.port)).replace(
                "{auth_file}", str(self.auth_file)).replace("{url}", self.cluster.url())  # fmt: skip
        main = {
            "listen": f"{self.host}:{self.port}", "workers": os.environ.get("PGSLUICE_WORKERS", 2),
            "auth": "scram-sha-256", "auth_file": self.auth_file, "admin_users": "admin",
            "log_level": "debug", "shutdown_timeout": "5s", **options.pop("pgsluice", {}),
        }  # fmt: skip
        databases = options.pop("databases", {"app": {}})
        users = options.pop("users", {})
        for other in ("env", "file", "wait", "admin"):
            options.pop(other, None)
        # The check at start is one more server connection: tests that want it say so.
        pool = {"startup_check": "off", **options}
        sections = [section("pgsluice", main), section("pool", pool)]
        for name, keys in databases.items():
            sections.append(section(f"database {name}", {"url": self.cluster.url(), **keys}))
        sections += [section(f"user {name}", keys) for name, keys in users.items()]
        return "\n".join(sections)

    def write_ini(self, **changed):
        """Writes the file anew with these options changed; take effect by reload()."""
        self.options.update(changed)
        self.ini_file.write_text(self.ini_text())

    # -- life ------------------------------------------------------------------------------------

    def start(self):
        command = [binary()]
        if self.options.get("file", True):
            command += ["-c", str(self.ini_file)]
        with self.log_file.open("a") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=environment(self.options.get("env")), start_new_session=True,
            )  # fmt: skip
        if self.options.get("wait", True):
            wait_until(self._is_ready, timeout=30, interval=0.01, what="pgsluice is ready")
        return self

    def _is_ready(self):
        assert self.process.poll() is None, f"pgsluice ended at once:\n{self.log()}"
        if not re.search(r"\bready\b", self.log()):
            return False
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, signal_number):
        self.process.send_signal(signal_number)

    def reload(self, expect="reload"):
        """SIGHUP, then waits for the line of the log that tells how it went."""
        before = len(self.log())
        self.send(signal.SIGHUP)
        return self.wait_for_log(expect, since=before)

    def stop(self, signal_number=signal.SIGTERM, timeout=30):
        """The exit status; a second call gives the same again."""
        if self.exit_status is None:
            if self.is_running():
                self.send(signal_number)
            self.wait(timeout)
        return self.exit_status

    def wait(self, timeout=30):
        try:
            self.exit_status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.exit_status = self.process.wait(30)
            raise AssertionError(f"pgsluice did not end within {timeout} s:\n{self.tail()}") from None
        return self.exit_status

    # -- log -------------------------------------------------------------------------------------

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_for_log(self, pattern, since=0, timeout=20):
        """The first line that matches, ignoring case, after `since` characters of the log."""

        def find():
            return re.search(f"^.*{pattern}.*$", self.log()[since:], re.MULTILINE | re.IGNORECASE)

        return wait_until(find, timeout, what=f"a line of the log with {pattern!r}").group(0)

    # -- clients ---------------------------------------------------------------------------------

    def dsn(self, user="app", database="app", **keywords):
        extra = "".join(f" {key}='{value}'" for key, value in keywords.items())
        return (f"host={self.host} port={self.port} user={user} password={secret_of(user)}"
                f" dbname={database}{extra}")  # fmt: skip

    def url(self, user="app", database="app"):
        return f"postgresql://{user}:{secret_of(user)}@{self.host}:{self.port}/{database}"

    def connect(self, user="app", database="app", **keywords):
        """A psycopg connection (autocommit), closed at the end of the test."""
        keywords = {"autocommit": True, "connect_timeout": 20, **keywords}
        connection = psycopg.connect(self.dsn(user, database), **keywords)
        self.clients.append(connection)
        return connection

    def close_clients(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def console(self, command):
        """The rows of a command of the admin console, as dicts."""
        dsn = self.dsn(self.options.get("admin", "admin"), "pgsluice")
        with psycopg.connect(dsn, autocommit=True, connect_timeout=20, row_factory=dict_row,
                             cursor_factory=psycopg.ClientCursor) as admin:  # fmt: skip
            cursor = admin.execute(command)
            return cursor.fetchall() if cursor.description else []

    def pools(self):
        """SHOW POOLS without the console's own, by (database, user); counts as numbers."""
        rows = [row for row in self.console("SHOW POOLS") if row["database"] != "pgsluice"]
        return {(row["database"], row["user"]): numbers(row) for row in rows}

    def pool(self, database="app", user="app"):
        """One pool's counts; {} while there is none."""
        return self.pools().get((database, user), {})

    # -- the end ---------------------------------------------------------------------------------

    def check_at_rest(self):
        """With every client gone nobody waits and no server connection is at work."""
        self.close_clients()

        def at_rest():
            return all(
                pool["cl_waiting"] == 0 and pool["sv_active"] == 0 for pool in self.pools().values()
            )

        wait_until(at_rest, timeout=10, what="the pools are at rest")

    def check_log(self):
        text = self.log()
        report = SANITIZER_REPORT.search(text)
        assert not report, f"a sanitizer reports:\n{text[report.start() : report.start() + 6000]}"
        assert not re.search(r"\bPANIC\b", text), f"a failed check:\n{self.tail()}"
        for secret in [*all_secrets(), "SCRAM-SHA-256$"]:
            assert secret not in text, f"a secret is in the log: {secret}"

    def finish(self, at_rest=True):
        """What holds at the end of every test."""
        try:
            if self.is_running() and at_rest:
                self.check_at_rest()
        finally:
            self.close_clients()
            status = self.stop()
            self.check_log()
        assert status == 0, f"exit status {status}:\n{self.tail()}"


def numbers(row):
    """A console's row with its counts as numbers; everything there is text."""
    return {
        key: int(value) if isinstance(value, str) and value.isdigit() else value
        for key, value in row.items()
    }
