"""
Seeded random sequences of statements that change the session, by several clients on fewer server
connections: each client must read what it reads on a PostgreSQL connection of its own.

    PGSLUICE_SEQUENCES=5000       how many are tried (default 300)
    PGSLUICE_SEQUENCES_FROM=1000  the first seed (default 0): with PGSLUICE_SEQUENCES=1 a single one

    export PGSLUICE_SEQUENCES=5000 PGSLUICE_BINARY=build/asan/pgsluice
    build/venv/bin/python -m pytest -q -n 2 --timeout 60 tests/system/test_random_sequences.py

A sequence that shows a difference is made as short as it can be, printed, and kept as a file below
kept_sequences/; those are tried first in every run. Give the file a telling name and commit it with
what mends it.
"""

import os
from pathlib import Path

import pytest

import sequence_shrinker
import sequence_writer
import sequences
from sequence_player import Difference, Player

COUNT = int(os.environ.get("PGSLUICE_SEQUENCES", 300))
FIRST = int(os.environ.get("PGSLUICE_SEQUENCES_FROM", 0))
BATCH = 10  # sequences for one pgsluice
SHRINKING = 35  # seconds
KEPT = Path(__file__).parent / "kept_sequences"
DIRECT, POOLED = "sequences_direct", "sequences_pooled"


class Stage:
    """Two databases alike, one behind a pgsluice that has a pool for every name of a database."""

    def __init__(self, cluster, pgsluice):
        self.cluster = cluster
        self.pgsluice = pgsluice
        self.daemons = {}  # by the pool's size and state
        self.pools = 0
        self.fresh = set()  # clients whose tables are as they were made
        self._prepare()
        self.helpers = [cluster.connect(database=name) for name in (DIRECT, POOLED)]

    def _prepare(self):
        if self.cluster.sql(f"SELECT 1 FROM pg_database WHERE datname = '{POOLED}'"):
            return
        self.cluster.sql("CREATE ROLE half", "GRANT half TO trusted")
        for name in (DIRECT, POOLED):
            self.cluster.sql(f"CREATE DATABASE {name}")
            self.cluster.sql("GRANT ALL ON SCHEMA public TO public", sequence_writer.COMMON, database=name)

    def close(self):
        for helper in self.helpers:
            helper.close()

    def daemon(self, sequence):
        key = (sequence.size, sequence.state)
        if key not in self.daemons:
            url = self.cluster.url(user="trusted", database=POOLED)
            secret = self.cluster.url(user="postgres").partition("postgres:")[2].partition("@")[0]
            self.daemons[key] = self.pgsluice(
                pgsluice={"auth": "trust"}, state=sequence.state, size=sequence.size, overflow=0,
                timeout="5s", warm=0, max_pinned=sequence.size, session_functions="put_hidden",
                databases={"*": {"url": url.replace("trusted:trusted-secret@", "")}},
                users={"trusted": {}, "postgres": {"password": secret}},
            )  # fmt: skip
        return self.daemons[key]

    def difference(self, sequence):
        """None where there is none."""
        daemon = self.daemon(sequence)
        self.pools += 1
        used = {step.client for step in sequence.steps}
        for helper in self.helpers:
            helper.execute("".join(map(sequence_writer.tables, used - self.fresh)) or "SELECT")
        self.fresh |= used
        self.fresh -= {step.client for step in sequence.steps if sequence_writer.changes(step)}
        player = Player(sequence, ((self.cluster.host, self.cluster.port), DIRECT),
                        ((daemon.host, daemon.port), f"pool_{self.pools}"))  # fmt: skip
        try:
            player.play()
        except Difference as difference:
            return difference
        finally:
            self._end_sessions()
        return None

    def _end_sessions(self):
        for helper in self.helpers:
            helper.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip


@pytest.fixture
def stage(cluster, pgsluice):
    stage = Stage(cluster, pgsluice)
    yield stage
    stage.close()


def kept():
    return sorted(KEPT.glob("*.json"))


@pytest.mark.parametrize("file", kept(), ids=lambda file: file.stem)
def test_kept_sequence(stage, file):
    sequence = sequences.load(file)
    difference = stage.difference(sequence)
    assert difference is None, f"{sequence}\n{difference}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT, BATCH))
def test_answers_are_the_servers(stage, seed):
    for number in range(seed, min(seed + BATCH, FIRST + COUNT)):
        sequence = sequence_writer.write(number)
        difference = stage.difference(sequence)
        if difference is not None:
            pytest.fail(keep(stage, sequence, difference), pytrace=False)


def keep(stage, sequence, difference):
    """Shrinks it and writes it to a file; what to print."""
    short = sequence_shrinker.shrink(sequence, lambda s: stage.difference(s) is not None, SHRINKING)
    difference = stage.difference(short) or difference
    short.why = str(difference)
    KEPT.mkdir(exist_ok=True)
    file = KEPT / f"{sequence.name.replace(' ', '_')}.json"
    short.save(file)
    return f"kept as {file.name}\n{short}"
