"""
Session state follows the client: each file of tests/system/scenarios is a script of clients that is
run against PostgreSQL, a connection for each client, and through pgsluice, on a pool of two that
others use between any two steps (scenario_noise.py). What the clients get must be the same, every
byte of it.
"""

import difflib
import itertools

import psycopg
import pytest

import scenario_file
from cluster import wait_until
from daemon import Daemon
from scenario_noise import Crowd
from scenario_player import Disagreement, Player
from wire import Wire, query

DATABASE = "scenario"
ROLES = """
    CREATE ROLE part; GRANT part TO app, other;
    CREATE ROLE tenant_one; CREATE ROLE tenant_two; GRANT tenant_one, tenant_two TO app;
    CREATE ROLE stranger;
"""
FRESH = """
    DO $$ DECLARE old text; BEGIN
        FOR old IN SELECT nspname FROM pg_namespace
                WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', old);
        END LOOP;
    END $$;
    CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO public;
    CREATE SCHEMA noise; GRANT USAGE ON SCHEMA noise TO public;
    CREATE SEQUENCE noise.noise; GRANT ALL ON SEQUENCE noise.noise TO public;
    ALTER ROLE app RESET ALL; ALTER ROLE other RESET ALL; ALTER DATABASE scenario RESET ALL;
    ALTER ROLE app IN DATABASE scenario RESET ALL;
    GRANT part, tenant_one, tenant_two TO app; REVOKE stranger FROM app;
    GRANT TEMP ON DATABASE scenario TO public, app;
"""


class Difference(AssertionError):
    """What the clients got through pgsluice is not what they got direct."""


class Bench:
    """The database of the scenarios, and a running pgsluice for each configuration."""

    def __init__(self, cluster, folder):
        self.cluster = cluster
        self.folder = folder
        self.count = itertools.count(1)
        self.daemons = {}
        self.consoles = {}
        cluster.sql(ROLES)
        cluster.sql(f"CREATE DATABASE {DATABASE} OWNER app")
        self.connection = cluster.connect(database=DATABASE, application_name="test helper",
                                          prepare_threshold=None)

    def outside(self, sql):
        """By a superuser, past pgsluice; the rows."""
        cursor = self.connection.execute(sql)
        found = cursor.fetchall() if cursor.description else []
        if self.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            self.connection.execute("DISCARD ALL")
        return found

    def start_afresh(self):
        """No connection, no object, no right is left from the run before; the PIDs that were."""
        helper = self.connection.info.backend_pid
        ended = self.cluster.end_backends(f"datname = '{DATABASE}' AND pid <> {helper}")
        self.outside(FRESH)
        return set(map(str, ended))

    def daemon(self, scenario):
        key = (scenario.size, *sorted(scenario.options.items()))
        if key not in self.daemons or not self.daemons[key].is_running():
            folder = self.folder / f"pgsluice-{next(self.count)}"
            folder.mkdir()
            users = ["app", "other", "postgres"]
            url = f"postgresql://{self.cluster.host}:{self.cluster.port}/{DATABASE}"
            daemon = Daemon(
                self.cluster, folder, pgsluice={"auth": "trust"}, databases={DATABASE: {"url": url}},
                size=scenario.size, overflow=0, max_pinned=scenario.size, timeout="5s",
                **scenario.options,
            )  # fmt: skip
            daemon.write_users(postgres="postgres-secret")
            self.daemons[key] = daemon.start()
            self.consoles[key] = Wire((daemon.host, daemon.port), "admin", "pgsluice")
        return self.daemons[key], self.consoles[key]

    def direct(self, scenario):
        self.start_afresh()
        return Player(scenario, self.cluster, self.outside).play()

    def pooled(self, scenario, direct):
        ended = self.start_afresh()
        daemon, wire = self.daemon(scenario)

        def console(command):
            replies = wire.ask(query(command))
            names = [part.decode() for part in column_names(replies[0].body)]
            return [dict(zip(names, r.row)) for r in replies if r.kind == "D"]

        wait_until(lambda: not any(row["remote_pid"] in ended for row in console("SHOW SERVERS")),
                   interval=0.002, what="pgsluice knows that its connections are gone")  # fmt: skip
        crowd = Crowd(scenario, daemon, console)
        try:
            return Player(scenario, daemon, self.outside, direct, crowd).play()
        finally:
            crowd.close()

    def forsake(self, scenario):
        """What a run that failed has left behind is no other's concern."""
        key = (scenario.size, *sorted(scenario.options.items()))
        if key in self.daemons:
            self.consoles.pop(key).close()
            daemon = self.daemons.pop(key)
            daemon.stop()
            daemon.check_log()

    def close(self):
        self.start_afresh()
        for console in self.consoles.values():
            console.close()
        self.connection.close()
        try:
            for daemon in self.daemons.values():
                daemon.finish()
        finally:
            self.cluster.sql(f"DROP DATABASE {DATABASE} WITH (FORCE)")
            self.cluster.sql("DROP ROLE part, tenant_one, tenant_two, stranger")


def column_names(body):
    """Of a RowDescription."""
    names, at = [], 2
    while at < len(body):
        end = body.index(b"\0", at)
        names.append(body[at:end])
        at = end + 19
    return names


@pytest.fixture(scope="module")
def bench(session_cluster, tmp_path_factory):
    session_cluster.ensure_running()
    bench = Bench(session_cluster, tmp_path_factory.mktemp("scenarios"))
    yield bench
    bench.close()


def scenario_parameters():
    reasons = scenario_file.expected_failures()
    for path in scenario_file.paths():
        name = scenario_file.name_of(path)
        marks = []
        if name in reasons:
            marks.append(pytest.mark.xfail(raises=Difference, strict=True, reason=reasons[name]))
        yield pytest.param(path, id=name, marks=marks)


@pytest.mark.parametrize("path", list(scenario_parameters()))
def test_scenario(bench, path):
    scenario = scenario_file.load(path)
    version = bench.connection.info.server_version // 10000
    if not scenario.versions[0] <= version <= scenario.versions[1]:
        pytest.skip(f"not for version {version}")
    direct = bench.direct(scenario)
    try:
        pooled = bench.pooled(scenario, direct)
    except (AssertionError, OSError, EOFError) as problem:
        bench.forsake(scenario)
        raise Difference(f"{scenario.title} {problem!r}") from problem
    if pooled != direct:
        raise Difference("\n".join([
            scenario.title, *difflib.unified_diff(
                direct[: len(pooled) + 4], pooled, "direct", "pgsluice", lineterm="", n=8)
        ]))  # fmt: skip


def test_expected_failures_are_scenarios():
    known = set(map(scenario_file.name_of, scenario_file.paths()))
    assert set(scenario_file.expected_failures()) <= known


@pytest.mark.parametrize("path", scenario_file.paths(), ids=scenario_file.name_of)
def test_scenario_says_what_would_break(path):
    """Its title is a sentence, and so is what PgBouncer would leak or lose; it has two steps."""
    scenario = scenario_file.load(path)
    assert scenario.title.endswith(".") and len(scenario.title.split()) >= 4
    assert scenario.pgbouncer.endswith(".") and len(scenario.pgbouncer.split()) >= 4
    assert len(scenario.steps) >= 2


def test_there_are_enough_scenarios():
    assert len(scenario_file.paths()) >= 120


GOOD = "# A title of it.\nPgBouncer: loses all that was there.\na: SELECT 1\n= 1\n"


def test_good_file_is_read():
    scenario = scenario_file.load(scenario_file.FOLDER / "none.txt", GOOD)
    assert [(s.line, s.client, s.verb, s.text, s.rows) for s in scenario.steps] == [
        (3, "a", "query", "SELECT 1", ["1"])]  # fmt: skip


@pytest.mark.parametrize(
    "text, told",
    [
        ("a: SELECT 1\n", "none.txt:1: the first line is not the title"),
        ("# Title\na: SELECT 1\n", "none.txt:2: no line says what PgBouncer would leak"),
        ("# Title\nPgBouncer: x\n", "none.txt:2: no step"),
        (GOOD + "user: other\n", "none.txt:5: user stands behind the first step"),
        (GOOD + "colour: red\n", "none.txt:5: unknown word 'colour'"),
        (GOOD + "a dances\n", "none.txt:5: client a cannot do 'dances'"),
        (GOOD + "a hears much\n", "none.txt:5: 'much' is no number"),
        (GOOD + "what is this\n", "none.txt:5: not understood: 'what is this'"),
        (GOOD + "! oops\n", "none.txt:5: 'oops' is no SQLSTATE"),
        (GOOD + "a> pars s: SELECT 1\n", "none.txt:5: unknown message 'pars'"),
        (GOOD + "a> bind s into\n", "none.txt:5: is written: bind STATEMENT"),
        (GOOD + "a> bind s [1\n", "none.txt:5: is written: bind STATEMENT"),
        (GOOD + "a> bind s [1 2]\n", "none.txt:5: parameters are no JSON list"),
        (GOOD + "a> flush 1\na> sync\n", "none.txt:6: what follows a flush is a block of its own"),
        (GOOD.replace("a:", "mask: (\na:"), "none.txt:3: not a regular expression"),
        (GOOD.replace("a:", "pgsluice: on\na:"), "none.txt:3: pgsluice: is followed by"),
        (GOOD.replace("a:", "= 1\na:"), "none.txt:3: '=' stands ahead of the first step"),
    ],
)
def test_mistake_in_a_file_is_told(text, told):
    with pytest.raises(scenario_file.FormatError) as raised:
        scenario_file.load(scenario_file.FOLDER / "none.txt", text)
    assert str(raised.value).startswith(told)


def test_what_direct_gives_otherwise_is_told(bench):
    for wrong, told in (("= 2", "rows ['1'], but the file says ['2']"),
                        ("! 42601", "errors [], but the file says ['42601']"),
                        ("~ TimeZone=UTC", "statuses [], but the file says ['TimeZone=UTC']")):  # fmt: skip
        if wrong.startswith("~") and bench.connection.info.server_version < 140000:
            continue
        scenario = scenario_file.load(scenario_file.FOLDER / "none.txt", GOOD.replace("= 1", wrong))
        with pytest.raises(Disagreement) as raised:
            bench.direct(scenario)
        assert str(raised.value) == f"none.txt:3: {told}"
