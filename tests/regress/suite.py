"""PostgreSQL's regression tests and those of libpq's pipelines, run against one port."""

import os
import re
import shutil
import signal
import subprocess
import time

from servers import DATABASE, SUPERUSER, TargetError, own
from targets import client_environment, unprivileged

# A line of pg_regress on one file, as versions 13 to 15 write it, and as TAP from 16 on.
OLD_LINE = re.compile(r"^(?:test | {4,})\s*(\S+)\s+\.\.\. (ok|FAILED|failed \(ignored\))", re.MULTILINE)
TAP_LINE = re.compile(r"^(not ok|ok) \d+\s+[-+] (\S+)", re.MULTILINE)
# What pg_regress reads; from version 15 on there is neither input nor output.
INPUTS = ("sql", "expected", "data", "input", "output")
# As PostgreSQL's own test of libpq_pipeline has it.
ROWS = 700


def run_limited(command, seconds, **options):
    """
    Runs a program that gives up root, and ends it with all that it has started when it takes too
    long. Answers (status, output); TargetError where the time is over.
    """
    process = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        **options, **unprivileged())
    try:
        output, _ = process.communicate(timeout=seconds)
    except BaseException as problem:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(problem, subprocess.TimeoutExpired):
            raise TargetError(f"{command[0].name} did not end within {seconds} s") from problem
        raise
    return process.returncode, output


class Inputs:
    """
    A copy of what the tests read, where the server's user can read it: the server itself opens the
    data files and loads the libraries.
    """

    def __init__(self, source, folder):
        self.folder = folder
        self.pg_regress = folder / "pg_regress"
        self.psql = folder / "psql"
        self.libpq_pipeline = folder / "libpq_pipeline"
        self.traces = source.tree / "src/test/modules/libpq_pipeline/traces"
        folder.mkdir()
        tree, build = source.tree / "src/test/regress", source.build / "src/test/regress"
        for name in INPUTS:
            if (tree / name).is_dir():
                shutil.copytree(tree / name, folder / name)
        for name in ("parallel_schedule", "resultmap"):
            shutil.copy(tree / name, folder / name)
        for path in [source.pg_regress, source.psql, source.libpq, *build.glob("*.so")]:
            shutil.copy(path, folder / path.name)
        if source.libpq_pipeline.exists():
            shutil.copy(source.libpq_pipeline, self.libpq_pipeline)
        own(folder)

    @property
    def environment(self):
        """The programs find their own libpq."""
        return client_environment() | {"LD_LIBRARY_PATH": str(self.folder)}


class Outcome:
    """Of one way, direct or through pgsluice: {test: whether it passed}, and where to look."""

    def __init__(self, folder):
        self.folder = folder
        self.passed = {}
        self.seconds = 0.0

    def result_of(self, name):
        """What a test printed."""
        path = self.folder / "results" / f"{name}.out"
        return path.read_text(errors="surrogateescape") if path.exists() else ""


def verdicts(output):
    """{file: whether it passed} from what pg_regress printed; what it ignores may fail by chance."""
    found = OLD_LINE.findall(output)
    found += [(name, word) for word, name in TAP_LINE.findall(output)]
    return {name: word in ("ok", "failed (ignored)") for name, word in found}


def regress(inputs, port, folder, seconds, names=()):
    """Runs PostgreSQL's files: its parallel schedule as it is, or single files one by one."""
    outcome = Outcome(folder)
    folder.mkdir()
    (folder / "testtablespace").mkdir()
    own(folder)
    which = names or [f"--schedule={inputs.folder / 'parallel_schedule'}"]
    started = time.monotonic()
    status, output = run_limited(
        [inputs.pg_regress, "--use-existing", f"--dbname={DATABASE}", "--host=127.0.0.1",
         f"--port={port}", f"--user={SUPERUSER}", f"--bindir={inputs.folder}",
         f"--inputdir={inputs.folder}", f"--outputdir={folder}", f"--dlpath={inputs.folder}",
         "--max-concurrent-tests=20", *which],
        seconds, cwd=folder, env=inputs.environment)
    outcome.seconds = time.monotonic() - started
    (folder / "output").write_text(output)
    outcome.passed = verdicts(output)
    if not outcome.passed:
        raise TargetError(f"pg_regress ran nothing (status {status}):\n{output}")
    return outcome


def pipeline(inputs, port, folder, seconds):
    """Runs the tests of libpq_pipeline, one by one, each with its trace of messages compared."""
    outcome = Outcome(folder)
    (folder / "results").mkdir(parents=True)
    own(folder)
    started = time.monotonic()
    _, names = run_limited([inputs.libpq_pipeline, "tests"], seconds, env=inputs.environment)
    conninfo = f"host=127.0.0.1 port={port} user={SUPERUSER} dbname={DATABASE}"
    for name in names.split():
        expected = inputs.traces / f"{name}.trace"
        trace = folder / "results" / f"{name}.trace"
        tracing = ["-t", trace] if expected.exists() else []
        status, output = run_limited([inputs.libpq_pipeline, "-r", ROWS, *tracing, name, conninfo],
                                     seconds, cwd=folder, env=inputs.environment)
        same = not tracing or trace.read_bytes() == expected.read_bytes()
        outcome.passed[name] = status == 0 and same
        (folder / "results" / f"{name}.out").write_text(output)
    outcome.seconds = time.monotonic() - started
    return outcome
