"""What tests/drivers makes of the folders' reports; running them takes longer."""

import json
import sys
from pathlib import Path

DRIVERS = Path(__file__).resolve().parents[1] / "drivers"
sys.path.insert(0, str(DRIVERS))

import matrix  # noqa: E402

CASES = ["crud", "copy"]


def reports(*records, status=0):
    lines = [json.dumps({"row": "driver", "version": "1.0", "case": "crud", "result": "pass", **record})
             for record in records]
    return matrix.Reports("\n".join(lines), status)


def cell(direct, pgsluice):
    """The cell of one case that was reported as these two, or not at all (None)."""
    ways = {"direct": direct, "pgsluice": pgsluice}
    found = {way: reports(*([record] if record is not None else [])) for way, record in ways.items()}
    return matrix.merge(found, ["crud"])[0]["cells"]["crud"]


def test_a_cell_is_ok_when_both_ways_pass_and_see_the_same():
    assert cell({}, {}) == ("ok", "")
    assert cell({"observed": "22012"}, {"observed": "22012"}) == ("ok", "")


def test_a_cell_fails_when_one_way_fails():
    assert cell({}, {"result": "fail", "detail": "a\n  reason"}) == ("FAIL", "pgsluice: a reason")
    assert cell({"result": "fail"}, {})[0] == "FAIL"


def test_a_cell_fails_when_something_else_was_seen():
    assert cell({"observed": "22012"}, {"observed": "25P02"})[0] == "FAIL"
    assert cell({"observed": "22012"}, {})[0] == "FAIL"


def test_a_cell_fails_when_a_case_is_missing():
    assert cell({}, None) == ("FAIL", "not reported (pgsluice)")


def test_absent_must_be_absent_both_ways():
    absent = {"result": "absent", "detail": "no COPY"}
    assert cell(absent, absent) == ("–", "no COPY")
    assert cell(absent, {})[0] == "FAIL"


def test_a_row_that_was_asked_for_and_not_reported_fails():
    rows = matrix.merge({"direct": reports({}), "pgsluice": reports({})}, CASES, ["other driver"])
    assert [row["row"] for row in rows] == ["driver", "other driver"]
    assert {state for state, _ in rows[1]["cells"].values()} == {"FAIL"}
    assert rows[0]["cells"]["copy"][0] == "FAIL"


def test_what_is_no_report_is_a_complaint():
    found = matrix.Reports('hello\n{"row": "a"}\n')
    assert len(found.complaints) == 3 and not found.records
    assert len(reports({}, {}).complaints) == 1
    assert len(reports({"case": "no such case"}).complaints) == 2
    assert reports({}, status=3).complaints == ["run-cases ended with status 3"]


def test_complaints_count_as_failures():
    rows = matrix.merge({"direct": reports({}), "pgsluice": reports({})}, CASES)
    assert matrix.count([{"rows": rows, "complaints": ["a leak"]}]) == (1, 2, 0)


def test_the_table_tells_reasons_once():
    absent = {"result": "absent", "detail": "no COPY"}
    found = reports({"result": "fail", "detail": "wrong"}, {**absent, "case": "copy"},
                    {**absent, "row": "second"}, {**absent, "row": "second", "case": "copy"})
    folder = {"folder": "c", "language": "C", "language_version": "17", "complaints": ["a leak"],
              "rows": matrix.merge({"direct": found}, CASES)}
    text = "\n".join(matrix.render([folder], {"Other": "not installed"}))
    assert "| C 17     | driver | 1.0     | FAIL | –    |" in text
    assert "- driver: crud: direct: wrong" in text
    assert "- driver: copy; second: crud, copy: no COPY" in text
    assert "- c: a leak" in text and "- Other: not installed" in text
