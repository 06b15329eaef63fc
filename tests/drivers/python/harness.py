"""What the rows share: sizes, clients that are at work at the same time, and the report of a case."""

import asyncio
import json
import os
import re
import sys
import threading
import time
import traceback

import psycopg

CASES = ("crud", "types", "statements", "batch", "copy", "transactions", "pipeline_errors", "large_rows",
         "cancel", "notify", "session_set", "schema_change")
# Also for a machine that is busy with something else.
CASE_SECONDS = 120

URL = os.environ.get("DATABASE_URL", "")
CLIENTS = int(os.environ.get("CLIENTS", "8"))
QUICK = os.environ.get("QUICK") == "1"

# Drivers hold 100 statements for each connection, or fewer.
STATEMENTS = 120 if QUICK else 300
STATEMENT_CLIENTS = 3 if QUICK else CLIENTS
BATCH = 200
COPY_ROWS = 2_000 if QUICK else 20_000
LARGE_BYTES = (4 if QUICK else 64) * 1024 * 1024
LARGE_CLIENTS = 2
TRANSACTIONS = 20 if QUICK else 50
NOTIFICATIONS = 50
# How long a query runs before it is cancelled, one that is not, and one that must be.
CANCEL_AFTER, UNHARMED_SECONDS, CANCELLED_SECONDS, CANCELLED_WITHIN = 0.5, 1, 60, 10


class Absent(Exception):
    """The driver has no such thing; the argument says what."""


class Row:
    """A driver in one of its modes. A case is a method of its name, a coroutine or not, and returns
    what was observed, or None."""

    name = version = ""

    def table(self, of):
        return re.sub(r"\W+", "_", self.name.lower()) + "_" + of

    async def open(self):
        """Ahead of each case of coroutines, in its loop."""

    async def close(self):
        """Behind it."""


# ---- clients at the same time ------------------------------------------------------------------


def at_once(work, count=CLIENTS):
    """work(number) in as many threads; the results in the order of the numbers."""
    results, problems = {}, []

    def one(number):
        try:
            results[number] = work(number)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return [results[number] for number in range(count)]


async def at_once_async(work, count=CLIENTS):
    """The same with tasks."""
    return await asyncio.gather(*(work(number) for number in range(count)))


# ---- what the cases need beside the driver -----------------------------------------------------


def setup(*statements):
    """Runs statements by a connection that is nothing of the row's."""
    with psycopg.connect(URL, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def create(table, columns):
    setup(f"DROP TABLE IF EXISTS {table}", f"CREATE TABLE {table} ({columns})")


def asked(sql):
    """The rows of a query by a connection that is nothing of the row's: what others see."""
    with psycopg.connect(URL, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


def expect(found, wanted, what="value"):
    if found != wanted or not isinstance(found, type(wanted)):
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}"[:400])


def expect_cancelled(started, sqlstate):
    """A query that began at `started` ended by its cancellation, soon."""
    expect(sqlstate, "57014", "SQLSTATE")
    took = time.monotonic() - started
    if took > CANCELLED_WITHIN:
        raise AssertionError(f"cancelled only after {took:.1f} s")


def one_observation(observations):
    """What all clients saw, which has to be the same."""
    found = sorted(set(observations))
    if len(found) != 1:
        raise AssertionError(f"clients saw different things: {found}"[:600])
    return found[0]


# ---- running and reporting ---------------------------------------------------------------------


async def run_coroutine(row, case):
    await row.open()
    try:
        return await getattr(row, case)()
    finally:
        await row.close()


def outcome_of(row, case):
    """(result, detail, observed) of a case, whatever happens in it."""
    try:
        method = getattr(row, case)
        observed = asyncio.run(run_coroutine(row, case)) if asyncio.iscoroutinefunction(method) else method()
    except Absent as absent:
        return "absent", str(absent), None
    except BaseException as problem:
        traceback.print_exc()
        return "fail", f"{type(problem).__name__}: {problem}".strip()[:400], None
    return "pass", "", observed


def run_case(row, case):
    """Prints the report of one case; a thread that is still at it after its time is left behind."""
    outcomes = []
    started = time.monotonic()
    thread = threading.Thread(target=lambda: outcomes.append(outcome_of(row, case)), daemon=True)
    thread.start()
    thread.join(CASE_SECONDS)
    result, detail, observed = outcomes[0] if outcomes else ("fail", f"not within {CASE_SECONDS} s", None)
    report = {"row": row.name, "version": row.version, "case": case, "result": result, "detail": detail,
              "seconds": round(time.monotonic() - started, 2)}
    if observed is not None:
        report["observed"] = observed
    # In one write: rows run in processes of their own, which share it.
    os.write(sys.stdout.fileno(), (json.dumps(report) + "\n").encode())


def run_row(row):
    """All cases that CASES names; ends the process, with whatever threads were left behind."""
    setup("DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');"
          " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$")
    wanted = os.environ.get("CASES", "").split(",")
    for case in CASES:
        if wanted == [""] or case in wanted:
            run_case(row, case)
    sys.stdout.flush()
    os._exit(0)
