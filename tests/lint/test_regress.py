"""What tests/regress makes of pg_regress's output and of a difference; running it all takes longer."""

import re
import sys
from pathlib import Path

REGRESS = Path(__file__).resolve().parents[1] / "regress"
sys.path.insert(0, str(REGRESS))

import compare  # noqa: E402
import suite  # noqa: E402

OLD_OUTPUT = """\
(using postmaster on 127.0.0.1, port 5432)
test test_setup                   ... ok          220 ms
parallel group (2 tests):  char boolean
     boolean                      ... ok           72 ms
     char                         ... FAILED       44 ms
test random                       ... failed (ignored)       52 ms
test stats                        ... FAILED (test process exited with exit code 2)       10 ms
"""
TAP_OUTPUT = """\
# using postmaster on 127.0.0.1, port 5432
ok 1         - test_setup                                220 ms
# parallel group (2 tests):  char boolean
ok 2         + boolean                                    72 ms
not ok 3     + char                                       44 ms
not ok 4     - stats                                      10 ms
# (test process exited with exit code 2)
1..4
"""


class Printed(suite.Outcome):
    """An outcome whose results are given."""

    def __init__(self, printed, failing=()):
        super().__init__(None)
        self.printed = printed
        self.passed = {test: test not in failing for test in printed}

    def result_of(self, name):
        return self.printed[name]


def verdict(direct, pooled, failing_direct=(), known=()):
    outcomes = {"direct": Printed({"temp": direct}, failing_direct),
                "pgsluice": Printed({"temp": pooled}, ["temp"])}
    patterns = [re.compile(pattern) for pattern in known]
    return compare.Verdict(outcomes, {"temp": ("known", patterns)} if known else {})


def test_output_of_versions_up_to_15_is_read():
    assert suite.verdicts(OLD_OUTPUT) == {
        "test_setup": True, "boolean": True, "char": False, "random": True, "stats": False
    }  # fmt: skip


def test_tap_output_is_read():
    assert suite.verdicts(TAP_OUTPUT) == {
        "test_setup": True, "boolean": True, "char": False, "stats": False
    }  # fmt: skip


def test_every_known_difference_has_a_reason_and_lines():
    known = compare.read_known()
    assert known
    for why, patterns in known.values():
        assert why and patterns


def test_a_difference_that_nobody_knows_is_unknown():
    assert verdict("a\nb\n", "a\nc\n").unknown == {"temp": ["-b", "+c"]}


def test_a_line_that_is_known_is_none():
    found = verdict("a\nb\n", "a\nERROR:  late\n", known=["^b$", "^ERROR:  late$"])
    assert not found.unknown and found.reasons == {"temp": "known"}


def test_a_line_beside_a_known_one_is_unknown():
    assert verdict("a\nb\n", "ERROR:  late\nc\n", known=["^[ab]$", "late"]).unknown == {"temp": ["+c"]}


def test_the_same_output_both_ways_is_the_servers():
    assert not verdict("a\n", "a\n", failing_direct=["temp"]).unknown


def test_another_output_where_direct_fails_too_is_unknown():
    assert verdict("a\n", "b\n", failing_direct=["temp"]).unknown == {"temp": ["-a", "+b"]}


def test_a_file_that_fails_without_a_differing_line_is_unknown():
    assert verdict("a\n", "a\n").unknown
