"""A pool whose server is a hot standby: session state follows there too, in the words of a server
that writes nothing."""

import subprocess

import pytest

from cluster import Cluster, programs, secret_of, unprivileged
from wire import errors, extended, query, sync


class Standby(Cluster):
    """A hot standby of a primary; only started and asked here."""

    def __init__(self, primary):
        self.primary = primary
        super().__init__()

    def _create(self):
        subprocess.run(
            unprivileged(programs() / "pg_basebackup", "--pgdata", self.data, "--write-recovery-conf",
                         "--checkpoint=fast", "--no-sync", "--dbname",
                         self.primary.url("postgres", "postgres")),
            check=True, capture_output=True, cwd="/",
            env={"PGPASSWORD": secret_of("postgres"), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            for key, value in self.settings.items():
                quoted = value if str(value).startswith("'") else f"'{value}'"
                file.write(f"{key} = {quoted}\n")
        self.start()


@pytest.fixture(scope="module")
def primary():
    made = Cluster(wal_level="replica")
    hba = made.data / "pg_hba.conf"
    hba.write_text(hba.read_text() + "host replication all all scram-sha-256\n")
    made.sql("SELECT pg_reload_conf()")
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def standby(primary):
    made = Standby(primary)
    yield made
    made.destroy()


@pytest.fixture
def cluster(standby):
    """What the other fixtures take for the server."""
    return standby


def test_settings_follow(target):
    if not target.is_direct:
        target.use(size=1)
    one, two = target.wire(), target.wire()
    one.run("SET TimeZone = 'Asia/Tokyo'")
    one.run("SELECT set_config('work_mem', '3MB', false)")
    one.run("DO $$ BEGIN PERFORM set_config('app.x', 'mine', false); END $$")
    one.run("SELECT set_config('app.x', 'mine', false)")
    two.run("RESET ALL")
    state = "SELECT current_setting('TimeZone'), current_setting('work_mem')"
    for _ in range(2):
        assert two.run(state) == [("UTC", "4MB")]
        assert one.run(state + ", current_setting('app.x')") == [("Asia/Tokyo", "3MB", "mine")]
    one.run("DISCARD ALL")
    assert one.run(state) == [("UTC", "4MB")]


def test_what_pins_and_what_is_prepared(target):
    one, two = target.wire(), target.wire()
    one.run("PREPARE p AS SELECT 7")
    one.run("SELECT pg_advisory_lock(4711)")
    assert errors(two.ask(query("EXECUTE p"))) == ["26000"]
    assert two.value("SELECT pg_try_advisory_lock(4711)") == "f"
    assert one.value("EXECUTE p") == "7"
    assert one.value("SELECT pg_advisory_unlock(4711)") == "t"


@pytest.mark.parametrize(
    "sql, state",
    [
        ("LISTEN c", "25006"),
        ("NOTIFY c", "25006"),
        ("CREATE TEMP TABLE t (i int)", "25006"),
        ("SELECT nextval('s')", "42P01"),
    ],
)
def test_what_a_standby_refuses(target, sql, state):
    one, two = target.wire(), target.wire()
    for ask in ([query(sql)], [extended(sql), sync()]):
        assert errors(one.ask(*ask)) == [state]
    assert one.value("SELECT pg_is_in_recovery()") == "t"
    assert two.value("SELECT 1") == "1"
