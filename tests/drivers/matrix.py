"""What the programs of the folders report, direct and through pgsluice, made into one table."""

import json

CASES = ("crud", "types", "statements", "batch", "copy", "transactions", "pipeline_errors", "large_rows",
         "cancel", "notify", "session_set", "schema_change")
RESULTS = {"pass": "ok", "fail": "FAIL", "absent": "–"}
LONGEST_REASON = 300


class Reports:
    """What one run of a folder's program printed: records by (row, case), and what is wrong with it."""

    def __init__(self, output, status=0):
        self.records = {}
        self.complaints = []
        for line in output.splitlines():
            self.take(line)
        if status != 0:
            self.complaints.append(f"run-cases ended with status {status}")
        if not self.records:
            self.complaints.append("run-cases reported nothing")

    def take(self, line):
        try:
            record = json.loads(line)
            key = record["row"], record["case"]
            known = record["result"] in RESULTS and record["case"] in CASES
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            self.complaints.append(f"not a report: {line[:200]}")
        elif key in self.records:
            self.complaints.append(f"reported twice: {key[0]}: {key[1]}")
        else:
            self.records[key] = record


def reason_of(record):
    text = " ".join(str(record.get("detail") or "no reason given").split())
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + " …"


def judge(records):
    """(cell, reason) of {way: record or None}: "ok" only if every way passed and saw the same."""
    missing = [way for way, record in records.items() if record is None]
    if missing:
        return "FAIL", f"not reported ({' and '.join(missing)})"
    failed = {way: record for way, record in records.items() if record["result"] == "fail"}
    if failed:
        return "FAIL", "; ".join(f"{way}: {reason_of(record)}" for way, record in failed.items())
    results = {record["result"] for record in records.values()}
    if len(results) > 1:
        return "FAIL", ", ".join(f"{way}: {record['result']}" for way, record in records.items())
    seen = {way: record.get("observed") for way, record in records.items()}
    if len(set(seen.values())) > 1:
        return "FAIL", "seen otherwise: " + "; ".join(f"{way}: {text}" for way, text in seen.items())
    if results == {"absent"}:
        return "–", reason_of(next(iter(records.values())))
    return "ok", ""


def merge(reports, cases, wanted=()):
    """
    Rows of {way: Reports}, in the order in which they were reported: {row, version, cells}. Every row
    that any way reported, or that was `wanted`, must have all of the cases in every way.
    """
    keys = [key for found in reports.values() for key in found.records]
    rows = []
    for name in dict.fromkeys([*(row for row, _ in keys), *wanted]):
        cells, versions = {}, []
        for case in cases:
            records = {way: found.records.get((name, case)) for way, found in reports.items()}
            cells[case] = judge(records)
            versions += [record["version"] for record in records.values() if record and record.get("version")]
        rows.append({"row": name, "version": versions[0] if versions else "?", "cells": cells})
    return rows


def count(folders):
    """(passed, failed, absent) over the cells; a complaint is a failure as well."""
    states = [state for folder in folders for row in folder["rows"] for state, _ in row["cells"].values()]
    complaints = sum(len(folder["complaints"]) for folder in folders)
    return states.count("ok"), states.count("FAIL") + complaints, states.count("–")


def aligned(rows):
    """A table of Markdown that is one in plain text too."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
             for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return lines


def same_reasons(folders, state):
    """[(reason, [row: case, ...])] of the cells in this state; what is said of many is said once."""
    found = {}
    for folder in folders:
        for row in folder["rows"]:
            for case, (of_cell, reason) in row["cells"].items():
                if of_cell == state:
                    found.setdefault(reason, {}).setdefault(row["row"], []).append(case)
    return [(reason, [f"{row}: {', '.join(cases)}" for row, cases in rows.items()])
            for reason, rows in found.items()]


def escaped(text):
    """As one item of a list of Markdown."""
    return text.replace("<", "&lt;").replace("|", "\\|")


def render(folders, missing):
    """
    The lines of the table, of what failed, of what drivers do not have, and of what was not to be
    had: {title: reason}. `folders` are those of the kept results.
    """
    folders = sorted(folders, key=lambda folder: folder["language"].lower())
    cases = [case for case in CASES
             if any(case in row["cells"] for folder in folders for row in folder["rows"])]
    rows = [["language", "driver", "version", *(case.replace("_", " ") for case in cases)]]
    for folder in folders:
        rows += [[f"{folder['language']} {folder['language_version']}".strip(), row["row"], row["version"],
                  *(row["cells"].get(case, [""])[0] for case in cases)] for row in folder["rows"]]
    lines = aligned(rows) if len(rows) > 1 else []
    lists = {"Failures": same_reasons(folders, "FAIL"),
             "What a driver does not have (–)": same_reasons(folders, "–")}
    for title, found in lists.items():
        if found:
            lines += ["", f"{title}:", ""]
            lines += [f"- {escaped('; '.join(where))}: {escaped(reason)}" for reason, where in found]
    complaints = [f"- {folder['folder']}: {escaped(text)}" for folder in folders for text in folder["complaints"]]
    if complaints:
        lines += ["", "Complaints:", "", *complaints]
    if missing:
        lines += ["", "Not run:", "", *(f"- {title}: {escaped(reason)}" for title, reason in missing.items())]
    return lines
