"""From the figures of all rounds to one line for each row and target, and to plain text."""

from statistics import median

COLUMNS = ("row", "target", "rate", "cost", "x floor", "x pgbouncer", "p50 ms", "p99 ms")
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
    """Each cost against the relay's and pgbouncer's of the same row."""
    costs = {(line["row"], line["target"]): line.get("cost") for line in lines}
    for line in lines:
        for key, other in (("floor", "relay"), ("pgbouncer", "pgbouncer")):
            against = costs.get((line["row"], other))
            if line.get("cost") is not None and against and line["target"] != other:
                line[f"cost_by_{key}"] = line["cost"] / against


def number(value, digits, unit=""):
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def cells(line):
    small = line["cost_unit"] == "us/tx"
    return (
        line["row"], line["target"],
        number(line.get("rate"), 0, " " + line["unit"]),
        number(line.get("cost"), 2 if small else 0, " " + line["cost_unit"]),
        number(line.get("cost_by_floor"), 2), number(line.get("cost_by_pgbouncer"), 2),
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
