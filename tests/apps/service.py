"""The shop as the tests run it: uvicorn, the way to its database, what its log must not have."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from cluster import PORTS, all_secrets, is_running, wait_until
from daemon import Daemon, environment

HERE = Path(__file__).resolve().parent
ALEMBIC_INI = HERE / "fastapi_app" / "alembic.ini"
USER = "app"
# As python -m fastapi_app does.
SERVE = "import sys; from fastapi_app.serve import serve; serve(sys.argv[1])"


def application_environment(url, **variables):
    url = url.replace("postgresql:", "postgresql+asyncpg:")
    return environment(
        {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", "DATABASE_URL": url, **variables}
    )


def run_alembic(url, *arguments, ini=ALEMBIC_INI):
    """What it printed; its exit status must be 0."""
    run = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(ini), *arguments],
        capture_output=True, text=True, timeout=60, env=application_environment(url),
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


class Way:
    """To one database: PostgreSQL itself, or a pgsluice ahead of it."""

    def __init__(self, cluster, database, folder=None, **options):
        """With a folder there is a pgsluice; options are those of daemon.Daemon."""
        self.cluster = cluster
        self.database = database
        self.daemon = None
        if folder is not None:
            server = {"url": cluster.url(USER, database)}
            options = {"size": 5, "overflow": 2, "databases": {database: server}, **options}
            self.daemon = Daemon(cluster, folder, **options).start()

    @property
    def is_direct(self):
        return self.daemon is None

    @property
    def url(self):
        return (self.daemon or self.cluster).url(USER, self.database)

    def sql(self, *statements):
        """Past pgsluice, by a connection of its own."""
        return self.cluster.sql(*statements, database=self.database)

    def skus(self):
        return {row["sku"] for row in self.sql("SELECT sku FROM products")}

    def backends(self):
        return self.cluster.backends(USER, self.database)

    def count_sleepers(self):
        """Backends that run pg_sleep()."""
        return sum(row["state"] == "active" and "pg_sleep" in row["query"] for row in self.backends())

    def _is_at_rest(self):
        if self.daemon:
            pool = self.daemon.pool(self.database, USER)
            if pool.get("sv_active", 0) or pool.get("cl_waiting", 0):
                return False
        return all(row["state"] in (None, "idle") for row in self.backends())

    def wait_for_rest(self):
        """Until nobody has a server connection, and no backend is in a transaction."""
        wait_until(self._is_at_rest, timeout=10, what="no server connection is leased")

    def finish(self):
        if self.daemon:
            self.daemon.finish()


class Service:
    """uvicorn with the shop. env: variables on top; app: what uvicorn makes it with."""

    host = "127.0.0.1"

    def __init__(self, way, folder, workers=2, app="fastapi_trials:create_app", **env):
        self.way = way
        self.port = PORTS.take()
        self.workers = workers
        self.log_file = folder / f"uvicorn-{self.port}.log"
        self.address = f"http://{self.host}:{self.port}"
        # A connection for each request spreads them over the workers.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self.client = httpx.Client(base_url=self.address, timeout=30, limits=limits)
        env = {"HOST": self.host, "PORT": str(self.port), "WORKERS": str(workers), **env}
        with self.log_file.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, app], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=application_environment(way.url, **env), cwd=folder, start_new_session=True,
            )  # fmt: skip

    def wait_until_ready(self):
        def all_started():
            assert self.process.poll() is None, f"the service ended at once:\n{self.log()}"
            log = self.log()
            # A single process binds its port last, several have it from their parent.
            started = log.count("Application startup complete") >= self.workers
            return started and "Uvicorn running on" in log

        wait_until(all_started, timeout=60, what="the service is ready")
        return self

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_for_log(self, pattern):
        found = wait_until(lambda: re.search(f"^.*{pattern}.*$", self.log(), re.MULTILINE))
        return found.group(0)

    def worker_pids(self):
        """Of all that were ever started."""
        return {int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", self.log())}

    def post(self, path, body=None, **query):
        return self.client.post(path, json=body, params=query)

    def get(self, path, **query):
        return self.client.get(path, params=query)

    def add(self, sku, **values):
        """A product, as the response shows it."""
        answer = self.post("/products", {"sku": sku, "name": sku, "price": "1.50", **values})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def send(self, signal_number):
        self.process.send_signal(signal_number)

    def wait(self, timeout=60):
        """The exit status; every worker has ended with it."""
        try:
            status = self.process.wait(timeout)
            assert not any(map(is_running, self.worker_pids()))
            return status
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"the service did not end:\n{self.log()}") from None

    def finish(self):
        """What holds at the end of every test. A service that has ended may have failed."""
        self.client.close()
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
            # A single process ends by the signal, as uvicorn raises it again once all is done.
            assert self.wait() == (0 if self.workers > 1 else -signal.SIGTERM), self.log()
        self.check_log()

    def check_log(self):
        log = self.log()
        for secret in all_secrets():
            assert secret not in log, f"a secret is in the log: {secret}"
        assert "was garbage collected" not in log, log  # a connection that nobody closed
