"""The suites: where each comes from, what its database must have, and how it is run."""

import os
import subprocess
import time
from pathlib import Path

import origins
import outcome

HOST = "127.0.0.1"
PYTEST = ("pytest==9.2.0", "pytest-timeout==2.4.0")
# For one test, where the suite has no limit of its own.
TEST_SECONDS = 90
# Of a Go package, whose tests may end all by one's panic.
MOST_RUNS = 20


def run_logged(command, cwd, environment, log, limit):
    """Runs a suite with what it prints in a file; its seconds."""
    begin = time.monotonic()
    with log.open("wb") as file:
        try:
            subprocess.run([str(word) for word in command], cwd=cwd, env=environment, timeout=limit,
                           stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            file.write(f"\nended after {limit} s\n".encode())
    return time.monotonic() - begin


class Suite:
    """`size` is of pgsluice's pool; `setup` is run in `database` before the suite, by psql."""

    name = title = None
    database = "regression"
    setup = ""
    size = 5

    def prepare(self, cache, tree):
        """Fetches and installs below the cache; `tree` is a source of the user's, or None."""
        raise NotImplementedError

    def run(self, environment, folder, limit, tests):
        """An Outcome; `tests` are names in the suite's own words, or empty for all."""
        raise NotImplementedError


class PytestSuite(Suite):
    version = None
    packages = ()
    options = ()

    def prepare(self, cache, tree):
        self.programs = origins.environment_of(cache, (*PYTEST, *self.packages))
        self.tree = tree or origins.python_source(cache, self.programs, self.name, self.version)

    def more_environment(self, environment):
        return {}

    def run(self, environment, folder, limit, tests):
        report = folder / "report.xml"
        command = [self.programs / "pytest", "-q", "--rootdir", self.tree, "-o",
                   f"cache_dir={folder / 'cache'}", f"--timeout={TEST_SECONDS}",
                   f"--junitxml={report}", *self.options, *(tests or ["tests"])]
        environment = environment | self.more_environment(environment)
        environment["PATH"] = f"{self.programs}{os.pathsep}{environment['PATH']}"
        seconds = run_logged(command, self.tree, environment, folder / "output.log", limit)
        return outcome.of_junit(report, seconds)


class Asyncpg(PytestSuite):
    name, version, title = "asyncpg", "0.32.0", "asyncpg"
    packages = (f"asyncpg=={version}", "uvloop==0.23.0", "distro==1.9.0")
    # Its tests name it themselves.
    database = "postgres"
    # Those start servers of their own.
    options = ("--deselect=tests/test__sourcecode.py", "--deselect=tests/test_adversity.py",
               "--deselect=tests/test_connect.py::TestConnectionAttributes")


class Psycopg(PytestSuite):
    name, title = "psycopg", "psycopg 3"
    # A connection that a failed test leaves open is not to fail whichever test comes next.
    options = ("-m", "not slow and not timing and not mypy and not gevent", "-p", "no:randomly",
               "-p", "no:unraisableexception")

    def prepare(self, cache, tree):
        self.tree = tree or origins.debian_source(cache, "psycopg3")
        self.version = origins.version_in(self.tree / "psycopg")
        pool = origins.version_in(self.tree / "psycopg_pool")
        self.programs = origins.environment_of(cache, (
            *PYTEST, f"psycopg[binary]=={self.version}", f"psycopg-pool=={pool}", "anyio==4.16.0",
            "pproxy==2.7.9"))

    def more_environment(self, environment):
        return {"PSYCOPG_TEST_DSN": " ".join(
            f"{key}={environment['PG' + name]}" for key, name in
            (("host", "HOST"), ("port", "PORT"), ("user", "USER"), ("dbname", "DATABASE")))}


class Psycopg2(PytestSuite):
    name, version, title = "psycopg2", "2.9.13", "psycopg2"
    packages = (f"psycopg2-binary=={version}",)
    setup = "CREATE EXTENSION hstore"

    def more_environment(self, environment):
        return {"PSYCOPG2_TESTDB": environment["PGDATABASE"]}


class GoSuite(Suite):
    module = version = None
    # Tests at a time.
    parallel = 12

    def prepare(self, cache, tree):
        origins.need("go", "the Go programming language")
        self.tree = tree or origins.go_module(cache, self.module, self.version)
        # Compiled ahead of the run, whose limit it would use up.
        origins.must(cache / "go.log", "go", "test", "-count=1", "-exec=true", "./...", cwd=self.tree)

    def more_environment(self, environment):
        return {}

    def run(self, environment, folder, limit, tests):
        command = ["go", "test", "-json", "-count=1", "-p=1", f"-parallel={self.parallel}",
                   f"-timeout={limit}s"]
        if tests:
            command.append(f"-run={'|'.join(tests)}")
        environment = environment | self.more_environment(environment)
        found, done = outcome.Outcome(0), []
        for number in range(1, MOST_RUNS + 1):
            log = folder / f"output{number}.log"
            skip = [f"-skip=^({'|'.join(done)})$"] if done else []
            seconds = run_logged([*command, *skip, "./..."], self.tree, environment, log, limit)
            text = log.read_text(errors="replace")
            found.add(outcome.of_go(text, self.module, seconds))
            if '"Output":"panic: ' not in text:
                break
            # A panic ends all tests of its package, also those that had not begun.
            done = sorted({test.split()[-1] for test in found.states if "/" not in test.split()[-1]}
                          - {"(package)"})
        return found


class Pgx(GoSuite):
    name, version, title = "pgx", "v5.12.0", "pgx"
    module = "github.com/jackc/pgx/v5"
    # One of its tests leaves five connections with temporary tables open, in each mode one.
    size = 8
    # As its own setup has them; the roles are those that its tests name.
    setup = ("CREATE EXTENSION hstore; CREATE EXTENSION ltree; "
             "CREATE DOMAIN uint64 AS numeric(20,0); CREATE ROLE postgres SUPERUSER LOGIN; "
             "CREATE ROLE \" tricky, ' } \"\" \\\\ test user \" SUPERUSER LOGIN")

    def more_environment(self, environment):
        return {"PGX_TEST_DATABASE": " ".join(
            f"{key}={environment['PG' + name]}" for key, name in
            (("host", "HOST"), ("port", "PORT"), ("user", "USER"), ("dbname", "DATABASE"),
             ("sslmode", "SSLMODE")))}


class Pq(GoSuite):
    name, version, title = "pq", "v1.12.3", "lib/pq"
    module = "github.com/lib/pq"
    # Its tests end all when one waits for a tenth of a second.
    parallel, size = 4, 3
    # The roles that its own setup has.
    setup = "; ".join(f"CREATE ROLE pqgo{name} LOGIN PASSWORD 'wordpass'"
                      for name in ("ssl", "sslcert", "password", "scram", "md5"))


SUITES = {suite.name: suite for suite in (Asyncpg(), Psycopg(), Pgx(), Psycopg2(), Pq())}


def environment_for(database, user, port):
    """What a suite is told of the server: only this, whatever the user's own environment says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"PGHOST": HOST, "PGPORT": str(port), "PGUSER": user, "PGDATABASE": database,
                   "PGSSLMODE": "disable", "PYTHONDONTWRITEBYTECODE": "1",
                   "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", str(Path.home()))}
