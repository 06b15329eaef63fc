"""Values, statements and settings that the rows have in common."""

import datetime
import decimal
import ipaddress
import uuid

UTC = datetime.UTC

# (type, value) as the drivers' common types of Python.
NUMBERS = [
    ("int2", -32768), ("int4", 2147483647), ("int8", -(2**63)), ("float8", 0.1), ("float8", -1.5e300),
    ("numeric", decimal.Decimal("12345678901234567890.1234567890")), ("bool", True), ("bool", False),
]  # fmt: skip
TEXTS = [("text", text) for text in
         ("", "it's \"quoted\"", "back\\slash \\n", "line\nline\ttab", "żółć Ærø 中文", "😀 🐘", "%s $1 :name ?")]
BYTES = [("bytea", bytes(range(256))), ("bytea", b"")]
TIMES = [
    ("date", datetime.date(2024, 2, 29)), ("date", datetime.date(1, 1, 1)),
    ("timestamp", datetime.datetime(2001, 2, 3, 4, 5, 6, 789012)),
    ("timestamptz", datetime.datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)),
    ("time", datetime.time(23, 59, 59, 999999)),
    ("interval", datetime.timedelta(days=3, hours=4, minutes=5, microseconds=7)),
]  # fmt: skip
UUIDS = [("uuid", uuid.UUID("12345678-90ab-cdef-1234-567890abcdef"))]
ARRAYS = [("int4[]", [1, -2, None, 3]), ("text[]", ["a", None, 'quo"te', "", "back\\slash", "NULL", "{,}"]),
          ("int4[]", [])]
ENUMS = [("mood", "happy")]
NETWORKS = [("inet", ipaddress.ip_address("192.168.0.1")), ("inet", ipaddress.ip_address("2001:db8::1"))]
DOCUMENT = {"a": [1, 2.5, None, True], "text": "żółć 😀", "b": {"c": ""}}
NULLS = [(name, None) for name in ("int4", "text", "bytea", "timestamptz", "jsonb", "uuid", "int4[]", "mood")]
COMMON = NUMBERS + TEXTS + BYTES + TIMES + UUIDS + ARRAYS + ENUMS + NETWORKS + NULLS


def statement(number, parameter):
    """One of many different queries of one int4 `parameter` ("$1", "%s"), and what it gives."""
    kinds = (
        (f"SELECT {parameter}::int4 + {number} AS n{number}", lambda x: x + number),
        (f"SELECT {parameter}::int4::text || '-{number}' AS t{number}", lambda x: f"{x}-{number}"),
        (f"SELECT {parameter}::int4 * {number}::numeric AS d{number}", lambda x: decimal.Decimal(x * number)),
        (f"SELECT ARRAY[{parameter}::int4, {number}] AS a{number}", lambda x: [x, number]),
        (f"SELECT {parameter}::int4 > {number} AS b{number}", lambda x: x > number),
    )
    return kinds[number % len(kinds)]


ZONES = ("Asia/Tokyo", "Europe/Rome", "America/Lima", "Africa/Cairo", "UTC", "Asia/Kolkata")


def settings_of(number):
    """What a client sets, unlike any other's."""
    return {"application_name": f"client {number}", "TimeZone": ZONES[number % len(ZONES)],
            "search_path": f"schema_{number}, public", "my.name": f"name of {number}"}


SEE_SETTINGS = ("SELECT current_setting('application_name'), current_setting('TimeZone'),"
                " current_setting('search_path'), current_setting('my.name')")


def copy_rows(count, number):
    """Rows of (int, text, numeric) for COPY."""
    return [(row, None if row % 7 == 0 else f"row {row} of {number}\t\\ żółć", decimal.Decimal(row) / 4)
            for row in range(count)]  # fmt: skip


COPY_COLUMNS = "id int4 PRIMARY KEY, word text, amount numeric"
