"""tests/apps/measure comes to its end and prints its table; not what it measures."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = Path(__file__).with_name("measure")
WAY = "NullPool, pgsluice with auth = md5"


@pytest.mark.timeout(180)
def test_measure(tmp_path):
    """One way of all, with few requests: most of the time a cluster and a service start."""
    figures = tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, MEASURE, "--rounds", "1", "--requests", "80", "--clients", "4",
         "--ways", f"^{WAY}$", "--json", figures],
        capture_output=True, text=True, timeout=170, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    head, rule, row = [line.strip("| ").split(" | ") for line in run.stdout.splitlines()]
    assert row[0] == WAY
    assert all(re.fullmatch(r"\d+(\.\d)?", cell) for cell in row[1:])
    (one,) = json.loads(figures.read_text())[WAY]
    assert one["rate"] > 0 and one["p99"] >= one["p50"] > 0
    assert one["memory_app"] > 10 and one["memory_pgsluice"] > 0 and 1 <= one["backends"] <= 4
