"""The files of tests/system/scenarios, read into steps; README.md there tells their format."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import wire

FOLDER = Path(__file__).resolve().parent / "scenarios"
EXPECTED_FAILURES = FOLDER / "expected_failures"
HEADER_KEYS = {"PgBouncer", "pgsluice", "user", "size", "mask", "server"}
SIMPLE_VERBS = {"disconnects", "vanishes", "reads", "cancels"}


class FormatError(Exception):
    """A file that is not as README.md says; names file and line."""


@dataclass
class Step:
    line: int
    client: str  # a letter, or "outside"
    verb: str  # query, messages, blocks, connects, hears, or one of SIMPLE_VERBS
    text: str = ""
    data: bytes = b""
    ready: int = 0  # ReadyForQuery that answer `data`
    ends_copy: bool = False  # the Sync behind it brings no ReadyForQuery of its own
    replies: int = 0  # where it ends in a flush: replies to be read
    settings: dict = field(default_factory=dict)
    # What a direct connection must give; None: not said.
    rows: list = None
    errors: list = field(default_factory=list)
    statuses: list = None
    heard: list = None

    def __str__(self):
        return f"{self.client} {self.verb} {self.text}".rstrip()


@dataclass
class Scenario:
    path: Path
    title: str = ""
    pgbouncer: str = ""
    options: dict = field(default_factory=dict)
    user: str = "app"
    size: int = 2
    masks: list = field(default_factory=list)
    versions: tuple = (0, 999)
    steps: list = field(default_factory=list)
    source: str = ""

    @property
    def clients(self):
        return sorted({step.client for step in self.steps} - {"outside"})


def paths():
    return sorted(FOLDER.glob("*/*.txt"))


def name_of(path):
    """As expected_failures has it: settings/set."""
    return f"{path.parent.name}/{path.stem}"


def expected_failures():
    """{name: reason}"""
    found = {}
    for line in EXPECTED_FAILURES.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(": ")
            if not reason:
                raise FormatError(f"{EXPECTED_FAILURES.name}: {line!r} gives no reason")
            found[name] = reason
    return found


def logical_lines(text):
    """(number, line): indented lines belong to the one before; a blank one ends a block."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("  ") and found and found[-1][1]:
            found[-1] = (found[-1][0], found[-1][1] + "\n" + line[2:])
        else:
            found.append((number, line.rstrip()))
    return found


def expand(text):
    """{{x * 5000}} is x five thousand times."""
    return re.sub(r"\{\{(.+?) \* (\d+)\}\}", lambda m: m.group(1) * int(m.group(2)), text)


def escaped(text):
    """Bytes of a text with \\n, \\t, \\xNN."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


class Reader:
    def __init__(self, path, text=None):
        self.path = path
        self.scenario = Scenario(path)
        self.scenario.source = path.read_text(encoding="utf-8") if text is None else text
        self.line = 0
        self.open_block = None

    def fail(self, problem):
        raise FormatError(f"{self.path.name}:{self.line}: {problem}")

    def read(self):
        lines = logical_lines(self.scenario.source)
        if not lines or not re.match(r"# \w", lines[0][1]):
            self.line = 1
            self.fail("the first line is not the title: '# …'")
        self.scenario.title = lines[0][1][2:]
        for self.line, line in lines[1:]:
            self.take(line)
        if not self.scenario.pgbouncer:
            self.fail("no line says what PgBouncer would leak or lose: 'PgBouncer: …'")
        if not self.scenario.steps:
            self.fail("no step")
        return self.scenario

    def take(self, line):
        if not line:
            self.open_block = None
        elif line.startswith("#"):
            pass
        elif match := re.match(r"([=!~*])(?: (.*)|$)", line, re.DOTALL):
            self.take_expectation(match.group(1), match.group(2) or "")
        elif match := re.match(r"([A-Za-z]{2,}): (.*)", line, re.DOTALL):
            self.take_key(match.group(1), match.group(2))
        elif match := re.match(r"([a-z])> (.*)", line, re.DOTALL):
            self.take_message(match.group(1), match.group(2))
        elif match := re.match(r"([a-z]): (.*)", line, re.DOTALL):
            self.add(match.group(1), "query", match.group(2), ready=1,
                     data=wire.query(expand(match.group(2))))  # fmt: skip
        elif match := re.match(r"([a-z]) (\w+)(?::? (.*)|$)", line, re.DOTALL):
            self.take_verb(match.group(1), match.group(2), match.group(3) or "")
        else:
            self.fail(f"not understood: {line!r}")

    def add(self, client, verb, text="", **others):
        self.open_block = None
        self.scenario.steps.append(Step(self.line, client, verb, text, **others))

    def take_key(self, key, text):
        scenario = self.scenario
        if key == "outside":
            self.add("outside", "query", expand(text))
            return
        if key not in HEADER_KEYS:
            self.fail(f"unknown word {key!r}; known are outside, {', '.join(sorted(HEADER_KEYS))}")
        if scenario.steps:
            self.fail(f"{key} stands behind the first step")
        if key == "PgBouncer":
            scenario.pgbouncer = text
        elif key == "user":
            scenario.user = text
        elif key == "size":
            scenario.size = self.number(text)
        elif key == "mask":
            scenario.masks.append(self.regex(text))
        elif key == "server":
            match = re.fullmatch(r"(>=|<) (\d+)", text)
            if not match:
                self.fail("server: is followed by '>= VERSION' or '< VERSION'")
            version = int(match.group(2))
            scenario.versions = (version, 999) if match.group(1) == ">=" else (0, version - 1)
        else:
            for pair in text.split("; "):
                name, equals, value = pair.partition(" = ")
                if not equals:
                    self.fail("pgsluice: is followed by 'KEY = VALUE; …'")
                scenario.options[name] = value

    def number(self, text):
        if not text.isdigit():
            self.fail(f"{text!r} is no number")
        return int(text)

    def regex(self, text):
        try:
            return re.compile(text)
        except re.error as problem:
            self.fail(f"not a regular expression: {problem}")

    def take_verb(self, client, verb, text):
        if verb == "connects":
            pairs = re.findall(r"(\w+)=('[^']*'|\S+)", text)
            self.add(client, verb, text, settings={key: value.strip("'") for key, value in pairs})
        elif verb == "hears":
            self.add(client, verb, text, replies=self.number(text))
        elif verb == "blocks":
            self.add(client, verb, text, ready=1, data=wire.query(expand(text)))
        elif verb == "bytes":
            self.add(client, "query", text, ready=1, data=wire.query(escaped(text)))
        elif verb in SIMPLE_VERBS and not text:
            self.add(client, verb)
        else:
            self.fail(f"client {client} cannot do {verb!r}")

    def take_expectation(self, mark, text):
        if not self.scenario.steps:
            self.fail(f"{mark!r} stands ahead of the first step")
        step = self.scenario.steps[-1]
        self.open_block = None
        if step.client == "outside":
            self.fail("nothing is expected of outside")
        if mark == "!":
            if not re.fullmatch(r"[0-9A-Z]{5}", text):
                self.fail(f"{text!r} is no SQLSTATE")
            step.errors.append(text)
            return
        attribute = {"=": "rows", "~": "statuses", "*": "heard"}[mark]
        found = getattr(step, attribute) or []
        if text != "(none)":
            found.append(expand(text))
        setattr(step, attribute, found)

    # -- messages of the extended protocol -------------------------------------------------------

    def take_message(self, client, text):
        step = self.open_block
        if step is None or step.client != client:
            self.add(client, "messages")
            step = self.open_block = self.scenario.steps[-1]
        elif step.replies:
            self.fail("what follows a flush is a block of its own: leave a blank line")
        step.text += ("; " if step.text else "") + text
        head, _, rest = text.partition(": ")
        words = head.split(maxsplit=1)
        method = getattr(self, "message_" + words[0], None)
        if method is None:
            self.fail(f"unknown message {words[0]!r}")
        step.data += method(step, words[1] if len(words) > 1 else "", expand(rest))

    @staticmethod
    def name(word):
        return "" if word == "-" else word

    def arguments(self, text):
        try:
            return json.loads(text) if text else []
        except json.JSONDecodeError as problem:
            self.fail(f"parameters are no JSON list: {problem}")

    def match(self, pattern, text, usage):
        found = re.fullmatch(pattern, text)
        if not found:
            self.fail(f"is written: {usage}")
        return found.groups()

    def message_parse(self, _step, head, sql):
        name, oids = self.match(r"(\S+)(?: \(([\d, ]*)\))?", head, "parse NAME (OID, …): SQL")
        types = [int(oid) for oid in (oids or "").split(",") if oid]
        return wire.parse(self.name(name), sql, types)

    def message_bind(self, _step, head, _rest):
        statement, portal, parameters = self.match(
            r"(\S+)(?: into (\S+))?(?: (\[.*\]))?", head, "bind STATEMENT into PORTAL [JSON]")
        return wire.bind(self.name(portal or "-"), self.name(statement), self.arguments(parameters))

    def message_describe(self, _step, head, _rest):
        what, name = self.match(r"(statement|portal) (\S+)", head, "describe statement|portal NAME")
        return wire.describe(what[0].upper(), self.name(name))

    def message_execute(self, _step, head, _rest):
        portal, limit = self.match(r"(\S+)(?: (\d+))?", head, "execute PORTAL LIMIT")
        return wire.execute(self.name(portal), int(limit or 0))

    def message_close(self, _step, head, _rest):
        what, name = self.match(r"(statement|portal) (\S+)", head, "close statement|portal NAME")
        return wire.close(what[0].upper(), self.name(name))

    def message_run(self, _step, head, sql):
        return wire.extended(sql, *self.arguments(head))

    def message_query(self, step, _head, sql):
        step.ready += 1
        return wire.query(sql)

    def message_sync(self, step, _head, _rest):
        step.ready += not step.ends_copy
        step.ends_copy = False
        return wire.sync()

    def message_flush(self, step, head, _rest):
        step.replies = self.number(head)
        return wire.flush()

    def message_call(self, step, head, _rest):
        oid, arguments = self.match(r"(\d+)(?: (\[.*\]))?", head, "call OID [JSON]")
        step.ready += 1
        return wire.call(int(oid), *self.arguments(arguments))

    def message_data(self, _step, _head, text):
        return wire.copy_data(escaped(text))

    def message_done(self, step, _head, _rest):
        step.ready, step.ends_copy = step.ready + 1, True
        return wire.copy_done()

    def message_fail(self, step, _head, text):
        step.ready, step.ends_copy = step.ready + 1, True
        return wire.copy_fail(text)


def load(path, text=None):
    return Reader(path, text).read()
