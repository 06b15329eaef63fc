"""The private PostgreSQL, and what is compared in front of it: each target is one process that
listens on a free port of 127.0.0.1 and ends with the benchmark."""

import os
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

POOL_SIZE = 20
MAX_CLIENTS = 6000
MAX_CONNECTIONS = 400
START_SECONDS = 15


class TargetError(Exception):
    """A target or the server did not start, or died."""


class MissingTarget(Exception):
    """A target that is not installed or not built: no error, its rows stay empty."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def unprivileged():
    """Arguments to subprocess that give up root, which PostgreSQL and pgbouncer refuse."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise TargetError("root has no unprivileged user (postgres, nobody) to run PostgreSQL as")


def client_environment():
    """No TLS or GSS question ahead of the startup packet, figures with a point."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}


def newest_server_programs():
    """The folder with postgres, initdb, pgbench and psql of the newest version installed."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin")
             if (path / "postgres").exists() and (path / "pgbench").exists()]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    if shutil.which("postgres") and shutil.which("pgbench"):
        return Path(shutil.which("postgres")).resolve().parent
    raise TargetError("no PostgreSQL server found in /usr/lib/postgresql/*/bin nor in PATH")


class Process:
    """One program with its port and its log, which is where its complaints are found."""

    def __init__(self, name, command, port, folder, **options):
        self.name = name
        self.port = port
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=folder, **options)

    @property
    def pid(self):
        return self.popen.pid

    def check_alive(self):
        if self.popen.poll() is not None:
            raise TargetError(f"{self.name} ended with status {self.popen.returncode}{self.tail()}")

    def tail(self):
        lines = self.log.read_text(errors="replace").splitlines()[-8:]
        return "".join(f"\n    {line}" for line in lines)

    def stop(self, signals=(signal.SIGINT, signal.SIGKILL)):
        for number in signals:
            if self.popen.poll() is not None:
                return
            self.popen.send_signal(number)
            try:
                self.popen.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue


class Cluster:
    """A PostgreSQL of our own, tuned so that it is not the disk that is measured."""

    def __init__(self, folder):
        self.folder = folder
        self.programs = newest_server_programs()
        self.environment = client_environment()
        data = folder / "data"
        self.run([self.programs / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8",
                  "--locale=C", "--no-sync"], **unprivileged())
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "",
            "max_connections": MAX_CONNECTIONS, "shared_buffers": "128MB", "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
            "max_parallel_workers_per_gather": 0, "jit": "off", "lc_messages": "C",
        }
        command = [self.programs / "postgres", "-D", data]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        self.process = Process("postgres", command, port, folder, **unprivileged())
        self.port = port
        try:
            self.wait_until_answers(self.process, "postgres")
        except BaseException:
            self.stop()
            raise

    def run(self, command, **options):
        """Runs a program to its end; what it printed, or TargetError with what it complained of."""
        program = Path(command[0]).name
        options.setdefault("timeout", 60)
        try:
            done = subprocess.run([str(word) for word in command], env=self.environment, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, cwd=self.folder,
                                  **options)
        except subprocess.TimeoutExpired as late:
            raise TargetError(f"{program} did not end within {late.timeout} s") from late
        if done.returncode != 0:
            complaint = "; ".join(done.stderr.strip().splitlines()[:3])
            raise TargetError(complaint or f"{program}: status {done.returncode}")
        return done.stdout

    def query(self, sql, port=None, database="bench", timeout=60):
        """What psql prints, from the server itself or through the pooler on another port."""
        return self.run([self.programs / "psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p",
                         port or self.port, "-U", "bench", "-d", database, "-c", sql],
                        timeout=timeout)

    def wait_until_answers(self, process, database="bench"):
        deadline = time.monotonic() + START_SECONDS
        while True:
            process.check_alive()
            try:
                self.query("SELECT 1", process.port, database, timeout=START_SECONDS)
                return
            except TargetError as error:
                if time.monotonic() > deadline:
                    raise TargetError(
                        f"{process.name} does not answer: {error}{process.tail()}") from error
            time.sleep(0.1)

    def fill(self):
        """pgbench's tables, and two that rows are copied from: few bytes a row, and many."""
        self.query("CREATE DATABASE bench", database="postgres")
        self.run([self.programs / "pgbench", "-i", "-q", "-s", "1", "-h", "127.0.0.1", "-p",
                  self.port, "-U", "bench", "bench"])
        for table, count, width in (("wide", 8000, 1000), ("narrow", 80000, 100)):
            self.query(f"CREATE TABLE {table} (payload text)")
            self.query(f"ALTER TABLE {table} ALTER payload SET STORAGE PLAIN")
            self.query(f"INSERT INTO {table} SELECT repeat('x', {width}) "
                       f"FROM generate_series(1, {count})")
        self.query("VACUUM FREEZE ANALYZE")
        self.query("CHECKPOINT")

    def settle(self, limit=80, seconds=10):
        """Waits until few server connections but the poolers' own are left from the run before:
        their ends cost time, and with three hundred new ones they would pass max_connections."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            count = self.query("SELECT count(*) FROM pg_stat_activity "
                               "WHERE backend_type = 'client backend'")
            if int(count) <= limit:
                return
            time.sleep(0.1)

    def stop(self):
        self.process.stop((signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))


class Direct:
    """No pooler at all."""

    def __init__(self, cluster):
        self.name = "direct"
        self.port = cluster.port
        self.pid = None

    def check_alive(self):
        pass

    def stop(self):
        pass


def has_sanitizer(program):
    return any(mark in program.read_bytes() for mark in (b"__asan_init", b"__tsan_init"))


def build_relay(root, folder):
    """The relay of the build where it is fresh, else one compiled for this run."""
    source = root / "tests/bench/relay.c"
    built = root / "build/tests/bench/relay"
    fresh = built.exists() and built.stat().st_mtime >= source.stat().st_mtime
    if fresh and not has_sanitizer(built):
        return built
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise MissingTarget("no C compiler to build tests/bench/relay.c with")
    program = folder / "relay"
    done = subprocess.run([compiler, "-std=gnu17", "-D_GNU_SOURCE", "-O2", source, "-o", program],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise TargetError(f"relay.c does not compile:\n{done.stderr}")
    return program


def start_relay(cluster, options):
    program = build_relay(options.root, cluster.folder)
    port = free_port()
    return Process("relay", [program, port, cluster.port], port, cluster.folder)


def pgbouncer_version(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_pgbouncer(options):
    program = shutil.which(options.pgbouncer, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise MissingTarget(f"{options.pgbouncer} is not installed")
    return program


def start_pgbouncer(cluster, options):
    program = find_pgbouncer(options)
    port = free_port()
    users = cluster.folder / "pgbouncer.users"
    users.write_text('"bench" ""\n')
    lines = [
        "[databases]", f"bench = host=127.0.0.1 port={cluster.port} dbname=bench user=bench",
        "[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {port}", "unix_socket_dir =",
        "auth_type = trust", f"auth_file = {users}", "pool_mode = transaction",
        f"default_pool_size = {POOL_SIZE}", f"max_client_conn = {MAX_CLIENTS}",
        "ignore_startup_parameters = extra_float_digits", "log_connections = 0",
        "log_disconnections = 0", "log_pooler_errors = 0", "log_stats = 0", "verbose = 0",
    ]
    if pgbouncer_version(program) >= (1, 21):
        lines.append("max_prepared_statements = 200")
    file = cluster.folder / "pgbouncer.ini"
    file.write_text("\n".join(lines) + "\n")
    return Process("pgbouncer", [program, "-q", file], port, cluster.folder, **unprivileged())


def start_pgsluice(cluster, options, name="pgsluice", workers=1, pool_keys=()):
    program = Path(options.pgsluice)
    if not program.exists():
        raise MissingTarget(f"{options.pgsluice} is not built")
    port = free_port()
    file = cluster.folder / f"{name}.ini"
    file.write_text("\n".join([
        "[pgsluice]", f"listen = 127.0.0.1:{port}", f"workers = {workers}",
        f"max_clients = {MAX_CLIENTS}", "auth = trust", "log_level = warning",
        "[pool]", f"size = {POOL_SIZE}", "overflow = 0", *pool_keys,
        "[database bench]", f"url = postgresql://bench@127.0.0.1:{cluster.port}/bench",
    ]) + "\n")
    done = subprocess.run([program, "-c", file, "--check"], capture_output=True, text=True)
    if done.returncode != 0 and pool_keys:
        raise MissingTarget(f"{options.pgsluice} does not know {', '.join(pool_keys)}")
    return Process(name, [program.resolve(), "-c", file], port, cluster.folder)


STARTERS = {
    "direct": lambda cluster, options: Direct(cluster),
    "relay": start_relay,
    "pgbouncer": start_pgbouncer,
    "pgsluice": start_pgsluice,
    "pgsluice-w2": lambda cluster, options: start_pgsluice(cluster, options, "pgsluice-w2", 2),
    "pgsluice-off": lambda cluster, options: start_pgsluice(
        cluster, options, "pgsluice-off", 1, ["state = off"]),
}


def start(name, cluster, options):
    """Starts one target and waits until a query passes through it."""
    target = STARTERS[name](cluster, options)
    if isinstance(target, Direct):
        return target
    try:
        cluster.wait_until_answers(target)
    except BaseException:
        target.stop()
        raise
    return target


def raise_file_limit(wanted):
    """Raises the limit of open files, which the targets inherit; answers what was reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted and os.geteuid() == 0:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
        except (ValueError, OSError):
            pass
    reached = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft < reached:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reached, hard))
        return reached
    return soft
