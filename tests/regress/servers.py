"""What the regression tests run against: a private PostgreSQL, alone or behind a pgsluice."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import targets  # noqa: E402
from targets import TargetError  # noqa: E402

SUPERUSER = "regress"
DATABASE = "regression"
# What pg_regress sets in a server and a database that it makes itself.
SERVER_SETTINGS = {"max_prepared_transactions": 2, "log_lock_waits": "on", "log_line_prefix": "%m %b[%p] %q%a "}
DATABASE_SETTINGS = {"lc_messages": "C", "lc_monetary": "C", "lc_numeric": "C", "lc_time": "C",
                     "bytea_output": "hex", "timezone_abbreviations": "Default"}
# Of those that the tests create, the one that keeps a switch in a variable of the server process.
SESSION_FUNCTIONS = "set_ttdummy"
# What a daemon must never write to its log.
COMPLAINT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|\bPANIC\b")


def own(folder):
    """Gives a folder with all that is in it to the user whom PostgreSQL's programs run as."""
    identity = targets.unprivileged()
    if identity:
        for path, _, files in os.walk(folder):
            for name in [path, *(os.path.join(path, file) for file in files)]:
                shutil.chown(name, identity["user"], identity["group"])


class Server(targets.Cluster):
    """A PostgreSQL in a folder of its own, with an empty database for the tests."""

    def __init__(self, folder, programs):
        self.folder = folder
        self.programs = programs
        self.environment = targets.client_environment()
        folder.mkdir()
        own(folder)
        data = folder / "data"
        self.run([programs / "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8",
                  "--locale=C", "--no-sync"], **targets.unprivileged())
        self.port = targets.free_port()
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "fsync": "off",
                    "unix_socket_directories": "", "max_connections": 100, **SERVER_SETTINGS}
        command = [programs / "postgres", "-D", data]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        self.process = targets.Process("postgres", command, self.port, folder,
                                       **targets.unprivileged())
        try:
            self.wait_until_answers(self.process, "postgres")
            self.query(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")
            for key, value in DATABASE_SETTINGS.items():
                self.query(f"ALTER DATABASE {DATABASE} SET {key} TO '{value}'")
        except BaseException:
            self.stop()
            raise

    def query(self, sql, port=None, database="postgres", timeout=60):
        return self.run([self.programs / "psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p",
                         port or self.port, "-U", SUPERUSER, "-d", database, "-c", sql],
                        timeout=timeout)

    def complaints(self):
        """Nothing is asked of PostgreSQL."""
        return []


class Pgsluice(targets.Process):
    """A pgsluice in transaction mode ahead of a Server; every user has a pool in every database."""

    def __init__(self, server, program, workers, log_level, keys):
        self.server = server
        port = targets.free_port()
        file = server.folder / "pgsluice.ini"
        keys = {"mode": "transaction", "overflow": 0, "timeout": "10min", "startup_check": "off",
                "session_functions": SESSION_FUNCTIONS, **keys}
        file.write_text("\n".join([
            "[pgsluice]", f"listen = 127.0.0.1:{port}", f"workers = {workers}", "auth = trust",
            f"log_level = {log_level}",
            "[pool]", *(f"{key} = {value}" for key, value in keys.items()),
            "[database *]", f"url = host=127.0.0.1 port={server.port}",
        ]) + "\n")
        super().__init__("pgsluice", [program, "-c", file], port, server.folder)
        try:
            server.wait_until_answers(self, DATABASE)
        except BaseException:
            self.stop()
            raise

    def complaints(self):
        """Stops it; what it must not have done: ended by itself or badly, or logged a failed check."""
        early = self.popen.poll() is not None
        self.stop((signal.SIGTERM, signal.SIGKILL))
        found = ["pgsluice ended by itself"] if early else []
        if self.popen.returncode != 0:
            found.append(f"pgsluice's exit status is {self.popen.returncode}")
        for line in self.log.read_text(errors="replace").splitlines():
            if COMPLAINT.search(line):
                found.append(f"pgsluice logged: {line}")
        return found[:10]


__all__ = ["DATABASE", "SUPERUSER", "Pgsluice", "Server", "TargetError", "own"]
