"""One load on one target: transactions by pgbench, or rows by psql and pgbench. Answers a dict of
figures; what the pooler's login of the clients cost is subtracted."""

import math
import os
import re
import time

from gauge import cpu_nanoseconds

SAMPLING = 0.2  # of the transactions, for the latencies
STATEMENT_MEGABYTES = 8  # what one SELECT or one pass over a table answers with
CALIBRATION_TRANSACTIONS = 5  # for each client
CLIENT_SECONDS = 300  # after which a client program is given up


def pooler_cpu(target):
    return cpu_nanoseconds(target.pid) if target.pid else 0


def percentile(ordered, share):
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


class Transactions:
    """pgbench's select-only transaction by one protocol and a number of clients."""

    unit = "tps"
    with_state_off = False  # what it is for the target pgsluice-off

    def __init__(self, protocol, clients):
        self.name = f"{protocol}-{clients}"
        self.protocol = protocol
        self.clients = clients
        self.logins = {}  # target's name: (transactions, nanoseconds) of the calibration

    def script(self, cluster):
        """pgbench's arguments that say what a transaction is."""
        return ["-S"]

    def pgbench(self, cluster, target, *more):
        threads = min(self.clients, os.cpu_count())
        text = cluster.run([
            cluster.programs / "pgbench", "-n", *self.script(cluster), "-M", self.protocol, "-c",
            self.clients, "-j", threads, "-h", "127.0.0.1", "-p", target.port, "-U", "bench", *more, "bench"],
            timeout=CLIENT_SECONDS)
        count = int(re.search(r"transactions actually processed: (\d+)", text)[1])
        rate = float(re.search(r"^tps = ([\d.]+) \((?:without|excluding)", text, re.M)[1])
        return count, rate

    def measured(self, cluster, target, *more):
        """Transactions, rate and the pooler's nanoseconds, with the end of all sessions in them."""
        before = pooler_cpu(target)
        count, rate = self.pgbench(cluster, target, *more)
        cluster.settle()
        time.sleep(0.05)
        target.check_alive()
        return count, rate, pooler_cpu(target) - before

    def prepare(self, cluster, target):
        """Warms the target up, then measures what sessions with hardly a transaction cost: the
        price of a transaction is the slope between that and a full run."""
        few = ("-t", CALIBRATION_TRANSACTIONS)
        self.measured(cluster, target, *few)
        count, _, cpu = self.measured(cluster, target, *few)
        self.logins[target.name] = (count, cpu)

    def round(self, cluster, target, seconds):
        prefix = cluster.folder / "latency"
        count, rate, cpu = self.measured(cluster, target, "-T", seconds, "--log", "--log-prefix",
                                         prefix, "--sampling-rate", SAMPLING)
        figures = {"rate": rate, "transactions": count} | self.latencies(cluster)
        login_count, login_cpu = self.logins[target.name]
        if target.pid and count > login_count:
            figures["cost"] = (cpu - login_cpu) / (count - login_count) / 1000
        return figures

    def latencies(self, cluster):
        samples = []
        for file in cluster.folder.glob("latency.*"):
            samples += [int(line.split()[2]) for line in file.read_text().splitlines()]
            file.unlink()
        samples.sort()
        if not samples:
            return {}
        return {"p50_ms": percentile(samples, 0.50) / 1000,
                "p99_ms": percentile(samples, 0.99) / 1000, "latency_samples": len(samples)}


# Of four commands each, that the client waits for one after the other.
SESSIONS = {
    "plain": ["BEGIN;", "SELECT 1;", "SELECT 1;", "COMMIT;"],
    # As a framework does when it has connected: on every connection, the same.
    "connect": [r"\if :first", "SET application_name = 'bench';", "SET TimeZone = 'Asia/Tokyo';",
                "SET statement_timeout = '30s';", r"\set first 0", r"\endif",
                "BEGIN;", "SELECT 1;", "SELECT 1;", "COMMIT;"],
    # As row-level security is used: another value for each client and transaction.
    "set": [r"\set id random(1, 1000000000)",
            "BEGIN;", "SET app.user_id = ':id';", "SELECT 1;", "COMMIT;"],
    "local": [r"\set id random(1, 1000000000)",
              "BEGIN;", "SET LOCAL app.user_id = ':id';", "SELECT 1;", "COMMIT;"],
}


class Sessions(Transactions):
    """Transactions that change their session, or not (plain), by the simple protocol."""

    with_state_off = True

    def __init__(self, kind, clients):
        super().__init__("simple", clients)
        self.name = f"{kind}-{clients}"
        self.kind = kind

    def script(self, cluster):
        file = cluster.folder / f"{self.kind}.sql"
        file.write_text("\n".join([*SESSIONS[self.kind], ""]))
        return ["-D", "first=1", "-f", file]


class Rows:
    """Megabytes (10^6 bytes of payload) of rows to one client that throws them away."""

    unit = "MB/s"
    with_state_off = False

    def __init__(self, kind, megabytes):
        self.name = kind
        self.passes = max(1, megabytes // STATEMENT_MEGABYTES)
        self.clients = 1

    def command(self, cluster, target):
        where = ["-h", "127.0.0.1", "-p", target.port, "-U", "bench"]
        if self.name == "copy":
            sql = ("COPY (SELECT payload FROM wide CROSS JOIN "
                   f"generate_series(1, {self.passes})) TO STDOUT")
            return [cluster.programs / "psql", "-X", "-q", *where, "-o", "/dev/null", "-c", sql,
                    "bench"]
        script = cluster.folder / "select.sql"
        script.write_text("SELECT payload FROM narrow;\n")
        return [cluster.programs / "pgbench", "-n", "-f", script, "-t", self.passes, *where,
                "bench"]

    def prepare(self, cluster, target):
        pass

    def round(self, cluster, target, seconds):
        megabytes = self.passes * STATEMENT_MEGABYTES
        command = self.command(cluster, target)
        before, start = pooler_cpu(target), time.monotonic()
        cluster.run(command, timeout=CLIENT_SECONDS)
        took = time.monotonic() - start
        time.sleep(0.05)
        target.check_alive()
        figures = {"rate": megabytes / took, "megabytes": megabytes}
        if target.pid:
            figures["cost"] = (pooler_cpu(target) - before) / megabytes / 1000
        return figures


def all_loads(megabytes):
    loads = [Transactions(protocol, clients) for clients in (1, 16, 300)
             for protocol in ("simple", "extended", "prepared")]
    loads += [Sessions(kind, clients) for clients in (1, 16) for kind in SESSIONS]
    return loads + [Rows("copy", megabytes), Rows("select", megabytes)]
