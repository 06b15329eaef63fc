"""
What tests/suites makes of a suite's report: which tests differ, which differences have a reason, and
which reasons nothing needs any more.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "suites"))

import outcome  # noqa: E402

MODULE = "example.org/driver"


def outcome_of(**states):
    found = outcome.Outcome(0)
    for test, state in states.items():
        found.take(test, state)
    return found


def reason(*tests, sometimes=False):
    return outcome.Reason({"why": "because", "tests": tests, "sometimes": sometimes})


def go_lines(*events):
    return "\n".join(json.dumps({"Package": MODULE, **event}) for event in events)


def test_a_difference_without_a_reason_is_unknown():
    verdict = outcome.Verdict(outcome_of(a="passed", b="passed"), outcome_of(a="passed", b="failed"), [])
    assert verdict.unknown == {"b": ("passed", "failed")} and not verdict.both


def test_a_test_that_is_not_run_differs():
    verdict = outcome.Verdict(outcome_of(a="passed", b="passed"), outcome_of(a="skipped"), [])
    assert verdict.unknown == {"a": ("passed", "skipped"), "b": ("passed", "absent")}


def test_a_reason_covers_whole_names_only():
    verdict = outcome.Verdict(outcome_of(ab="passed", abc="passed"), outcome_of(ab="failed", abc="failed"),
                              [reason("a.")])  # fmt: skip
    assert verdict.known == {"because": ["ab"]} and list(verdict.unknown) == ["abc"]


def test_a_reason_that_nothing_needs_is_stale_unless_it_holds_sometimes():
    same = outcome_of(a="passed")
    verdict = outcome.Verdict(same, same, [reason("a"), reason("b", sometimes=True)])
    assert verdict.stale == ["a"]


def test_what_fails_both_ways_is_no_difference():
    same = outcome_of(a="failed")
    verdict = outcome.Verdict(same, same, [])
    assert verdict.both == ["a"] and not verdict.differing


def test_a_go_test_differs_where_its_part_does():
    direct = outcome.of_go(go_lines({"Test": "T/x", "Action": "pass"}, {"Test": "T", "Action": "pass"}),
                           MODULE, 0)  # fmt: skip
    pooled = outcome.of_go(go_lines({"Test": "T/x", "Action": "output", "Output": "why\n"},
                                    {"Test": "T/x", "Action": "fail"}, {"Test": "T", "Action": "fail"},
                                    {"Action": "fail"}), MODULE, 0)  # fmt: skip
    assert outcome.differing(direct, pooled) == {"T/x": ("passed", "failed")}
    assert pooled.texts["T/x"] == "why\n"


def test_an_error_behind_a_passed_test_fails_it(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite><testcase classname="tests.t" name="a"/>'
                      '<testcase classname="tests.t" name="a"><error message="m">gone</error></testcase>'
                      '<testcase classname="tests.t" name="b"><skipped/></testcase>'
                      "</testsuite></testsuites>")  # fmt: skip
    found = outcome.of_junit(report, 0)
    assert found.states == {"t.a": "failed", "t.b": "skipped"} and found.texts["t.a"] == "gone"


def test_differences_are_written_for_suites_that_there_are():
    import catalogue

    reasons = outcome.read_reasons()
    assert reasons and set(reasons) <= set(catalogue.SUITES)
