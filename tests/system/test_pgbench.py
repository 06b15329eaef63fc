"""pgbench through pgsluice: every protocol, many clients, each transaction exactly once."""

import re
import subprocess

import pytest


@pytest.fixture
def tables(cluster):
    """pgbench's tables, empty of history."""
    run = subprocess.run(
        [cluster.program("pgbench"), "-i", "-q", "-s", "1", cluster.url()],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return cluster


def pgbench(daemon, *arguments):
    """Runs to the end without an error; returns the number of transactions that it counts."""
    run = subprocess.run(
        [daemon.cluster.program("pgbench"), "-n", *map(str, arguments), daemon.url()],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "aborted" not in run.stderr
    done = re.search(r"actually processed: (\d+)", run.stdout)
    failed = re.search(r"failed transactions: (\d+)", run.stdout)
    assert failed is None or failed.group(1) == "0", run.stdout
    return int(done.group(1))


def history(cluster):
    query = "SELECT count(*) AS n, sum(delta) AS total FROM pgbench_history"
    return cluster.sql(query, database="app")[0]


@pytest.mark.core
@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_every_transaction_runs_exactly_once(pgsluice, tables, protocol):
    daemon = pgsluice(size=4, overflow=0, timeout="60s")
    # A thread for each client: pgbench prepares with blocking calls, and a thread that waits for a
    # lease there cannot end the transactions of its other clients.
    assert pgbench(daemon, "-M", protocol, "-c", 20, "-j", 20, "-t", 25) == 500
    assert history(tables)["n"] == 500
    total = history(tables)["total"]
    for column, table in (("b", "branches"), ("t", "tellers"), ("a", "accounts")):
        assert tables.value(f"SELECT sum({column}balance) FROM pgbench_{table}", "app") == total


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_many_more_clients_than_connections(pgsluice, tables, protocol):
    daemon = pgsluice(size=5, overflow=0, timeout="60s")
    assert pgbench(daemon, "-S", "-M", protocol, "-c", 200, "-j", 2, "-t", 20) == 4000
    assert len(tables.backend_pids()) <= 5


@pytest.mark.core
def test_a_connection_for_each_transaction(pgsluice, tables):
    daemon = pgsluice(size=4, overflow=0, timeout="60s")
    assert pgbench(daemon, "-S", "-C", "-c", 10, "-j", 2, "-t", 20) == 200
    assert len(tables.backend_pids()) <= 4


def test_pipelines(pgsluice, tables, tmp_path):
    script = tmp_path / "pipeline.sql"
    script.write_text(
        "\\set aid random(1, 100000)\n\\startpipeline\n"
        + "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n" * 10
        + "\\endpipeline\n"
    )
    daemon = pgsluice(size=3, overflow=0, timeout="60s")
    for protocol in ("extended", "prepared"):
        assert pgbench(daemon, "-M", protocol, "-f", script, "-c", 12, "-j", 2, "-t", 20) == 240


def test_statements_of_many_scripts_are_told_apart(pgsluice, tables, tmp_path):
    """More prepared statements than a server connection may hold: the oldest give way."""
    scripts = []
    for number in range(12):
        script = tmp_path / f"{number}.sql"
        script.write_text(f"SELECT {number} / (CASE WHEN abalance IS NULL THEN 0 ELSE 1 END)"
                          " FROM pgbench_accounts WHERE aid = 1 + :client_id;\n")  # fmt: skip
        scripts += ["-f", script]
    daemon = pgsluice(size=2, overflow=0, prepared_statements=5, timeout="60s")
    assert pgbench(daemon, "-M", "prepared", *scripts, "-c", 8, "-t", 60) == 480
    assert len(tables.backend_pids()) <= 2
