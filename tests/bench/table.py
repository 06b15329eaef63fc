"""From the figures of all rounds to one line for each row and target, and to plain text."""

from statistics import median

from load import SESSIONS

COLUMNS = ("row", "target", "rate", "cost", "x floor", "x pgbouncer", "x off", "x plain", "p50 ms",
           "p99 ms")
MEDIANS = ("rate", "cost", "p50_ms", "p99_ms")
COST_UNITS = {"tps": "us/tx", "MB/s": "us/MB", "memory": "B/client"}


def summarize(row, target, unit, rounds):
    """One line: medians over the rounds; the rounds themselves go along for the JSON file."""
    line = {"row": row, "target": target, "unit": unit, "cost_unit": COST_UNITS[unit]}
    for key in MEDIANS:
        values = [figures[key] for figures in rounds if key in figures]
        if values:
            line[key] = median(values)
    return line | {"rounds": rounds}


def add_ratios(lines):
    """Each cost against the relay's, pgbouncer's and pgsluice-off's of the same row; that of a row
    of SESSIONS also against the same target's in the row that sets nothing."""
    costs = {(line["row"], line["target"]): line.get("cost") for line in lines}
    for line in lines:
        kind, _, clients = line["row"].partition("-")
        others = {"floor": (line["row"], "relay"), "pgbouncer": (line["row"], "pgbouncer"),
                  "off": (line["row"], "pgsluice-off")}
        if kind in SESSIONS:
            others["plain"] = (f"plain-{clients}", line["target"])
        for key, other in others.items():
            against = costs.get(other)
            if line.get("cost") is not None and against and (line["row"], line["target"]) != other:
                line[f"cost_by_{key}"] = line["cost"] / against


def number(value, digits, unit=""):
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def cells(line):
    small = line["cost_unit"] == "us/tx"
    return (
        line["row"], line["target"],
        number(line.get("rate"), 0, " " + line["unit"]),
        number(line.get("cost"), 2 if small else 0, " " + line["cost_unit"]),
        *(number(line.get(f"cost_by_{key}"), 2) for key in ("floor", "pgbouncer", "off", "plain")),
        number(line.get("p50_ms"), 3), number(line.get("p99_ms"), 3),
    )


def render(lines):
    rows = [COLUMNS] + [cells(line) for line in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    text, last = [], COLUMNS[0]
    for row in rows:
        if row[0] != last:
            text.append("")
        last = row[0]
        words = [word.ljust(width) if i < 2 else word.rjust(width)
                 for i, (word, width) in enumerate(zip(row, widths))]
        text.append("  ".join(words).rstrip())
    return "\n".join(text)
