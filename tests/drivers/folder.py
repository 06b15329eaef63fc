"""One folder's program: made ready, run against one server, with others' noise meanwhile."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from cluster import secret_of
from daemon import Daemon
from matrix import Reports
from noise import Noise

HERE = Path(__file__).resolve().parent
USER = "app"
NOT_HERE = 77
# Language, and what tells its version.
LANGUAGES = {
    "go": ("Go", ["go", "version"]),
    "java": ("Java", ["java", "-version"]),
    "libpq": ("C", None),
    "node": ("Node.js", ["node", "--version"]),
    "php": ("PHP", ["php", "--version"]),
    "python": ("Python", ["python3", "--version"]),
    "ruby": ("Ruby", ["ruby", "--version"]),
    "rust": ("Rust", ["rustc", "--version"]),
}
# Those that people use and that have no folder: what they are, and the program that they would need.
WITHOUT_FOLDER = {".NET (Npgsql)": "dotnet"}


class FolderError(Exception):
    """The program of a folder could not be made."""


def all_folders():
    return sorted(path.parent.name for path in HERE.glob("*/run-cases"))


def not_to_be_had():
    """{title: reason} of the languages that nothing here serves."""
    return {title: "the machine has it, but there is no folder for it yet" if shutil.which(program)
            else f"{program} is not installed, and Debian has no package of it"
            for title, program in WITHOUT_FOLDER.items()}


def end(process):
    """Ends a program with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return process.communicate()


def without_settings():
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("PG", "DATABASE_")) and name not in ("CASES", "QUICK", "CLIENTS")}


class Folder:
    """One of the folders beside this file; `build` is where its program is made."""

    def __init__(self, name, build):
        self.name = name
        self.path = HERE / name
        self.build = build / name
        self.language, self._version_command = LANGUAGES.get(name, (name, None))

    def version(self):
        if self._version_command is None:
            return ""
        run = subprocess.run(self._version_command, capture_output=True, text=True, timeout=60)
        found = re.search(r"\d+(\.\d+)+", run.stdout + run.stderr)
        return found.group(0) if found else ""

    def prepare(self, limit):
        """Why it cannot run on this machine, or None."""
        self.build.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen([self.path / "prepare", self.build], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   cwd=self.build, start_new_session=True)
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            end(process)
            raise FolderError(f"prepare took more than {limit} s") from None
        if process.returncode == NOT_HERE:
            return errors.strip().splitlines()[-1]
        if process.returncode != 0:
            last = "\n".join((output + errors).strip().splitlines()[-20:])
            raise FolderError(f"prepare ended with status {process.returncode}:\n{last}")
        return None

    def run(self, server, database, options):
        """Runs the program against `server`; its Reports."""
        environment = {
            **without_settings(), "PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": USER,
            "PGPASSWORD": secret_of(USER), "PGDATABASE": database, "CLIENTS": str(options.clients),
            "DATABASE_URL": server.url(USER, database), "CASES": ",".join(options.cases),
        }  # fmt: skip
        if options.quick:
            environment["QUICK"] = "1"
        log = options.logs / f"{database}.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [self.path / "run-cases", self.build, *options.rows], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors, text=True, cwd=self.build, env=environment,
                start_new_session=True)
            try:
                output, _ = process.communicate(timeout=options.limit)
                status = process.returncode
            except subprocess.TimeoutExpired:
                output, _ = end(process)
                status = f"{signal.SIGKILL.name} after {options.limit} s"
            except BaseException:
                end(process)
                raise
        (options.logs / f"{database}.reports").write_text(output)
        return Reports(output, status)


class NoiseMakers:
    """Some clients of Noise, for the time of a `with`."""

    def __init__(self, url, count):
        self.url = url
        self.count = count
        self.makers = []
        self.complaints = []

    def __enter__(self):
        try:
            self.makers.extend(Noise(self.url) for _ in range(self.count))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for maker in self.makers:
            maker.stop()
            self.complaints += maker.complaints[:3]


def run_direct(folder, cluster, database, options):
    with NoiseMakers(cluster.url(USER, database), options.noise) as noise:
        reports = folder.run(cluster, database, options)
    reports.complaints += noise.complaints
    return reports


def run_pooled(folder, cluster, database, options):
    """The same through a pgsluice of its own, which must be at rest and well in the end."""
    place = Path(tempfile.mkdtemp(prefix="pgsluice-drivers-"))
    daemon = Daemon(
        cluster, place, databases={database: {"url": cluster.url(USER, database)}}, size=options.size,
        overflow=options.overflow, timeout="30s", startup_check=None,
        pgsluice={"log_level": options.log_level, "shutdown_timeout": None, "workers": options.workers},
    )  # fmt: skip
    try:
        daemon.start()
        with NoiseMakers(daemon.url(USER, database), options.noise) as noise:
            reports = folder.run(daemon, database, options)
        reports.complaints += noise.complaints
        try:
            daemon.finish()
        except Exception as problem:  # whatever it is, it is this folder's failure
            reports.complaints.append(f"pgsluice: {problem}")
    finally:
        if daemon.is_running():
            daemon.stop()
        shutil.copy(daemon.log_file, options.logs / f"{database}.pgsluice.log")
        shutil.rmtree(place, ignore_errors=True)
    return reports


RUNNERS = {"direct": run_direct, "pgsluice": run_pooled}


def run_way(folder, way, cluster, options):
    """Runs the folder's program one way in a fresh database; its Reports."""
    database = f"{folder.name}_{way}"
    cluster.sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)", f"CREATE DATABASE {database} OWNER {USER}")
    started = time.monotonic()
    reports = RUNNERS[way](folder, cluster, database, options)
    for text in reports.complaints:
        print(f"{folder.name}, {way}: {text}", flush=True)
    print(f"{folder.name}, {way}: {len(reports.records)} reports in {time.monotonic() - started:.0f} s", flush=True)
    cluster.sql(f"DROP DATABASE {database} WITH (FORCE)")
    return reports
