"""tests/apps/pool_demo: what a newcomer sees of it, through pgsluice and direct."""

import re
import subprocess
import sys

import pytest

from cluster import PORTS
from daemon import ROOT, environment

LINE = re.compile(r" *\d+\.\d{3} s  worker (\d)  query (\d)  backend (\d+), (its first|after query \d of worker \d)")
SUMMARY = re.compile(r"15 queries of 5 workers, 15 client connections: (\d+) backends, (\d+) times one was used again")


def run_demo(*arguments, **variables):
    return subprocess.run(
        [sys.executable, ROOT / "tests/apps/pool_demo", *arguments], capture_output=True, text=True,
        timeout=60, stdin=subprocess.DEVNULL, env=environment(variables),
    )  # fmt: skip


def told(run):
    """[(worker, query, PID)] and the two figures of the last line."""
    assert (run.returncode, run.stderr) == (0, "")
    *lines, last = run.stdout.splitlines()
    found = [LINE.fullmatch(line).groups() for line in lines]
    assert sorted(line[:2] for line in found) == [(str(w), str(q)) for w in range(1, 6) for q in range(1, 4)]
    return [line[2] for line in found], *map(int, SUMMARY.fullmatch(last).groups())


def test_backends_are_used_again(pgsluice, cluster):
    daemon = pgsluice(size=2, overflow=0)
    pids, backends, again = told(run_demo(daemon.url()))
    assert (len(pids), len(set(pids)), backends, again) == (15, 2, 2, 13)
    assert set(map(int, pids)) == set(cluster.backend_pids())


def test_direct_every_connection_has_a_backend_of_its_own(cluster):
    pids, backends, again = told(run_demo(cluster.url()))
    assert (len(set(pids)), backends, again) == (15, 15, 0)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg"])
def test_database_url_says_where(pgsluice, scheme):
    daemon = pgsluice(size=3, overflow=0)
    run = run_demo(DATABASE_URL=daemon.url().replace("postgresql", scheme))
    assert told(run)[1] == 3


def test_error_is_told_in_one_line_and_by_the_exit_status(pgsluice):
    daemon = pgsluice()
    run = run_demo(daemon.url(database="nowhere"))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith('pool_demo: database "nowhere" does not exist\n')
    assert run_demo(f"postgresql://app:app@127.0.0.1:{PORTS.take()}/app").returncode == 1
    assert run_demo("one", "two").returncode == 1


def test_help():
    run = run_demo("--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("Shows that pgsluice")
