"""Compares what the tests print direct and through pgsluice, with the list of what is known."""

import difflib
import re
import tomllib
from pathlib import Path


def read_known():
    """{file: (why, [pattern])} of differences.toml."""
    text = (Path(__file__).resolve().parent / "differences.toml").read_text()
    return {name: (entry["why"], [re.compile(line) for line in entry["lines"]])
            for name, entry in tomllib.loads(text).items()}


def differing_lines(direct, pooled):
    """The lines that only one of two texts has, each behind its sign; blank ones do not count."""
    old, new = direct.splitlines(), pooled.splitlines()
    found = []
    for _, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if old[i:j] != new[k:m]:
            found += [f"-{line}" for line in old[i:j]] + [f"+{line}" for line in new[k:m]]
    return [line for line in found if line[1:].strip()]


class Verdict:
    """On one suite: `failing` {test: the ways that fail}, and `unknown` {test: differing lines}."""

    def __init__(self, outcomes, known):
        self.outcomes = outcomes
        self.known = known
        first = next(iter(outcomes.values()))
        self.failing = {}
        self.unknown = {}
        self.reasons = {}
        for test in first.passed:
            ways = [way for way, found in outcomes.items() if not found.passed.get(test, False)]
            if ways:
                self.failing[test] = ways
                self.reasons[test] = self._judge(test, ways)

    def _judge(self, test, ways):
        if ways == ["direct"]:
            return "not through pgsluice"
        if "direct" not in self.outcomes:
            return "run direct to know why"
        lines = differing_lines(*(self.outcomes[way].result_of(test) for way in ("direct", "pgsluice")))
        if ways == ["direct", "pgsluice"] and not lines:
            return "the same output both ways, not what this source expects of its own version"
        why, patterns = self.known.get(test, (None, []))
        strange = [line for line in lines if not any(at.search(line[1:]) for at in patterns)]
        if why and not strange:
            return why
        self.unknown[test] = strange or ["(see its output)"]
        return "UNKNOWN DIFFERENCE"
