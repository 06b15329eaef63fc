"""Runs the rows, each in a process of its own: `main.py [ROW...]`. In a quick run two rows are at work
at the same time."""

import importlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import harness

# The module of each row, with the name of its class. Order is that of the table.
ROWS = {
    "asyncpg": ("with_asyncpg", "Connection"),
    "asyncpg, pool": ("with_asyncpg", "Pool"),
    "psycopg 3": ("with_psycopg", "Connection"),
    "psycopg 3, prepare_threshold=0": ("with_psycopg", "AlwaysPrepared"),
    "psycopg 3, pool": ("with_psycopg", "Pool"),
    "psycopg 3, pipeline": ("with_psycopg", "Pipeline"),
    "psycopg 3, async": ("with_psycopg_async", "Connection"),
    "psycopg2": ("with_psycopg2", "Connection"),
    "SQLAlchemy, asyncpg": ("with_sqlalchemy_async", "Asyncpg"),
    "SQLAlchemy, psycopg async": ("with_sqlalchemy_async", "Psycopg"),
    "SQLAlchemy, psycopg": ("with_sqlalchemy", "Psycopg"),
    "SQLAlchemy, psycopg2": ("with_sqlalchemy", "Psycopg2"),
    "Django": ("with_django", "Connection"),
    "Django, server_side_binding": ("with_django", "ServerSideBinding"),
}


def run_here(name):
    module, kind = ROWS[name]
    row = getattr(importlib.import_module(module), kind)()
    row.name = name
    harness.run_row(row)


def run_apart(name):
    """In a process of its own, whose reports go straight to where this one's would."""
    return subprocess.run([sys.executable, "-B", __file__, name], env={**os.environ, "ROW_ALONE": "1"}).returncode


def main():
    names = sys.argv[1:] or list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        sys.exit(f"no such row: {unknown}")
    if os.environ.get("ROW_ALONE"):
        run_here(names[0])
    with ThreadPoolExecutor(2 if harness.QUICK else 1) as executor:
        sys.exit(max(executor.map(run_apart, names)))


if __name__ == "__main__":
    main()
