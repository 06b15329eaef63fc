"""What a suite said of each of its tests, and what differs between two ways to run it."""

import json
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

# Of two reports of one test (its call and its teardown) the later in this line counts.
STATES = ("absent", "skipped", "passed", "failed")
GO_STATES = {"pass": "passed", "fail": "failed", "skip": "skipped"}


class Outcome:
    """`states` and, of what failed, `texts`, by the test's name."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.states = {}
        self.texts = {}

    def take(self, test, state, text=""):
        if STATES.index(state) >= STATES.index(self.states.get(test, "absent")):
            self.states[test] = state
        if state == "failed":
            self.texts[test] = self.texts.get(test, "") + text

    def add(self, other):
        self.seconds += other.seconds
        for test, state in other.states.items():
            self.take(test, state, other.texts.get(test, ""))

    def count(self, state):
        return sum(found == state for found in self.states.values())


def of_junit(path, seconds):
    """From the XML file that pytest writes."""
    found = Outcome(seconds)
    if not path.exists():
        return found
    for case in ElementTree.parse(path).iter("testcase"):
        test = f"{case.get('classname')}.{case.get('name')}".removeprefix("tests.")
        bad = [child for child in case if child.tag in ("failure", "error")]
        if bad:
            found.take(test, "failed", "\n".join(child.text or child.get("message") for child in bad))
        else:
            found.take(test, "skipped" if case.find("skipped") is not None else "passed")
    return found


def of_go(text, module, seconds):
    """From the lines of `go test -json`. A test's name stands behind its package's folder."""
    found, printed = Outcome(seconds), {}
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        package = event.get("Package", "").removeprefix(module).strip("/")
        # Names of temporary folders differ from run to run.
        name = re.sub(r"\d{6,}", "N", event.get("Test", "(package)"))
        test = f"{package} {name}".strip()
        if event.get("Action") == "output":
            printed.setdefault(test, []).append(event["Output"])
        state = GO_STATES.get(event.get("Action"))
        if state and ("Test" in event or state == "failed"):
            found.take(test, state, "".join(printed.get(test, [])))
    return found


def differing(direct, pooled):
    """{test: (state direct, state through pgsluice)} where they are not the same."""
    tests = [*direct.states, *(test for test in pooled.states if test not in direct.states)]
    pairs = {test: (direct.states.get(test, "absent"), pooled.states.get(test, "absent"))
             for test in tests}
    found = {test: pair for test, pair in pairs.items() if pair[0] != pair[1]}
    # What has parts differs where its parts do, and needs no reason of its own.
    return {test: pair for test, pair in found.items()
            if not test.endswith("(package)")
            and not any(other.startswith(test + "/") for other in found)}


class Reason:
    """An entry of differences.toml."""

    def __init__(self, entry):
        self.why = entry["why"]
        self.patterns = [re.compile(text) for text in entry["tests"]]
        self.sometimes = entry.get("sometimes", False)

    def covers(self, test):
        return any(pattern.fullmatch(test) for pattern in self.patterns)


def read_reasons():
    """{suite: [Reason]} of differences.toml."""
    text = (Path(__file__).resolve().parent / "differences.toml").read_text()
    return {suite: [Reason(entry) for entry in entries]
            for suite, entries in tomllib.loads(text).items()}


class Verdict:
    """
    On one suite: `known` {why: [test]}, `unknown` {test: states} without a reason, `stale` [pattern]
    of reasons that no difference needed.
    """

    def __init__(self, direct, pooled, reasons):
        self.known = {}
        self.unknown = {}
        self.differing = differing(direct, pooled)
        self.both = [test for test, state in direct.states.items()
                     if state == "failed" and pooled.states.get(test) == "failed"]
        for test, states in self.differing.items():
            reason = next((reason for reason in reasons if reason.covers(test)), None)
            if reason:
                self.known.setdefault(reason.why, []).append(test)
            else:
                self.unknown[test] = states
        self.stale = [pattern.pattern for reason in reasons if not reason.sometimes
                      for pattern in reason.patterns
                      if not any(pattern.fullmatch(test) for test in self.differing)]
