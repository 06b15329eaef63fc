"""
Plays a scenario against one address and writes down every message that its clients get; ends at the
first one that differs from those of a run before.
"""

import contextlib
import re
import struct

from cluster import wait_until
from raw_client import cancel_packet
from wire import Refused, Wire, query, terminate

# PostgreSQL's own objects are below; others have another number each time.
FIRST_OWN_OID = 16384
PATIENCE = 10.0
LAST_QUERY = "SELECT 'the end of the scenario'"


class Disagreement(Exception):
    """PostgreSQL itself does not give what the file says."""


class Transcript:
    """Lines of text, one a message; two are equal where every byte is, but for what is masked."""

    def __init__(self, masks):
        self.masks = masks
        self.oids = {}
        self.lines = []

    def add(self, line):
        self.lines.append(line)

    def add_reply(self, client, reply):
        self.add(f"  {client} {reply.kind} {self.render(reply)}")

    def oid(self, number):
        """A user's table or type by the order in which they turn up."""
        if number < FIRST_OWN_OID:
            return str(number)
        return f"own {self.oids.setdefault(number, len(self.oids) + 1)}"

    def masked(self, text):
        for mask in self.masks:
            text = mask.sub("<masked>", text)
        return text

    def render(self, reply):
        if reply.kind == "T":
            return self.render_columns(reply.body)
        if reply.kind == "t":
            count = struct.unpack_from("!H", reply.body)[0]
            return str([self.oid(oid) for oid in struct.unpack_from(f"!{count}I", reply.body, 2)])
        if reply.kind == "A":
            return str(reply.body[4:])  # without the PID
        if reply.kind == "K":
            return "key"
        if reply.kind in "EN":
            return self.render_error(reply)
        if reply.kind == "D":
            return self.masked(str(raw_columns(reply.body)))
        return self.masked(str(reply.body))

    def render_error(self, reply):
        """Without the place in the server's source: pgsluice words some of its errors anew."""
        fields = [field for field in reply.body.split(b"\0") if field and field[0] not in b"FLR"]
        return self.masked(str(fields))

    def render_columns(self, body):
        at, found = 2, []
        for _ in range(struct.unpack_from("!H", body)[0]):
            end = body.index(b"\0", at)
            name, at = body[at:end], end + 1
            table, column, kind, *others = struct.unpack_from("!IhIhih", body, at)
            at += 18
            found.append(f"{name} of {self.oid(table)}.{column}: {self.oid(kind)} {others}")
        return f"{found} {body[at:]}"


def raw_columns(body):
    columns, at = [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        columns.append(None if length < 0 else body[at : at + length])
        at += max(length, 0)
    return columns


class Player:
    """`clients` are the connected Wires by letter; `status` what each one's transaction is."""

    def __init__(self, scenario, server, outside, direct=None, noise=None):
        self.direct = direct  # the lines of the direct run, in the run that is to give the same
        self.scenario = scenario
        self.server = server
        self.outside = outside
        self.noise = noise
        self.clients = {}
        self.status = {}
        self.version = None
        self.transcript = Transcript(scenario.masks)

    def is_busy(self, letter):
        """In a transaction, or amid a command: it keeps its server connection."""
        return self.status.get(letter, "I") != "I"

    def play(self):
        try:
            first = {}
            for step in self.scenario.steps:
                first.setdefault(step.client, step)
            for letter in self.scenario.clients:
                if first[letter].verb != "connects":
                    self.connect(letter, {})
            for step in self.scenario.steps:
                self.transcript.add(f"{step.line}: {step}"[:300])
                if self.noise is not None:
                    self.noise.before(step, self)
                self.check(step, self.do(step))
                if self.differs():
                    return self.transcript.lines
                if self.noise is not None:
                    self.noise.after(step, self)
            for letter in sorted(self.clients):
                if self.status[letter] in "ITE":
                    self.transcript.add(f"end of {letter}")
                    if self.noise is not None:
                        self.noise.before_end(letter, self)
                    self.send(letter, query(LAST_QUERY))
                    self.read(letter, ready=1)
            return self.transcript.lines
        finally:
            for one in self.clients.values():
                one.close()

    def differs(self):
        lines = self.transcript.lines
        return self.direct is not None and lines != self.direct[: len(lines)]

    # -- one step --------------------------------------------------------------------------------

    def do(self, step):
        """The replies of the step's client."""
        letter = step.client
        if letter == "outside":
            self.outside(step.text)
            return []
        if step.verb == "connects":
            return self.connect(letter, dict(step.settings))
        if letter not in self.clients:
            self.transcript.add(f"  {letter} is not connected")
            return []
        if step.verb in ("disconnects", "vanishes"):
            if step.verb == "disconnects":
                self.send(letter, terminate())
            self.forget(letter)
            return []
        if step.verb == "hears":
            return self.read(letter, notifications=step.replies)
        if step.verb == "reads":
            return self.read(letter, ready=1)
        if step.verb == "cancels":
            self.cancel(letter)
            return []
        self.send(letter, step.data)
        if step.verb == "blocks":
            self.status[letter] = "blocked"
            wait_until(self.somebody_waits, PATIENCE, 0.005, "somebody waits for a lock")
            return []
        return self.read(letter, ready=step.ready, count=step.replies)

    def somebody_waits(self):
        return self.outside(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'")  # fmt: skip

    def connect(self, letter, settings):
        self.forget(letter)
        user = settings.pop("user", self.scenario.user)
        database = settings.pop("database", "scenario")
        try:
            one = Wire((self.server.host, self.server.port), user, database, **settings)
        except Refused as refusal:
            self.transcript.add_reply(letter, refusal.reply)
            return [refusal.reply]
        one.socket.settimeout(PATIENCE)
        self.clients[letter], self.status[letter] = one, "I"
        self.version = one.version
        while one.greeting[0].kind == "R":  # pgsluice has its own ways to let in
            one.greeting.pop(0)
        told = sorted("=".join(reply.strings[:2]) for reply in one.greeting if reply.kind == "S")
        self.transcript.add(f"  {letter} S {', '.join(told)}")
        for reply in one.greeting:
            if reply.kind != "S":
                self.transcript.add_reply(letter, reply)
        return [reply for reply in one.greeting if reply.kind == "E"]

    def forget(self, letter):
        if letter in self.clients:
            self.clients.pop(letter).close()
            del self.status[letter]

    def cancel(self, letter):
        one = self.clients[letter]
        with Wire((self.server.host, self.server.port), login=False).socket as other:
            other.sendall(cancel_packet(one.pid, struct.pack("!i", one.secret)))
            while other.recv(100):
                pass

    def send(self, letter, data):
        with contextlib.suppress(OSError):  # what it has read tells why
            self.clients[letter].send(data)

    def read(self, letter, ready=0, count=0, notifications=0):
        """Up to that many ReadyForQuery, else replies, else notifications."""
        one, replies = self.clients[letter], []
        while True:
            try:
                reply = one.read()
            except (EOFError, ConnectionResetError):
                self.transcript.add(f"  {letter} is disconnected")
                self.forget(letter)
                return replies
            except TimeoutError:
                self.transcript.add(f"  {letter} waits in vain")
                self.status[letter] = "lost"
                return replies
            self.transcript.add_reply(letter, reply)
            replies.append(reply)
            if reply.kind == "Z":
                self.status[letter] = reply.status
            is_answer = reply.kind not in "SNA"
            ready -= reply.kind == "Z"
            count -= is_answer and count > 0
            notifications -= reply.kind == "A" and notifications > 0
            if reply.kind in "GW" or (ready <= 0 and count == 0 and notifications == 0):
                if reply.kind not in "ZA":
                    self.status[letter] = "amid"
                return replies

    # -- what a direct connection must give ------------------------------------------------------

    def check(self, step, replies):
        if self.direct is not None or step.client == "outside":
            return
        place = f"{self.scenario.path.name}:{step.line}"
        errors = [reply for reply in replies if reply.kind == "E"]
        if [reply.sqlstate for reply in errors] != step.errors:
            told = [f"{reply.sqlstate} {reply.words}" for reply in errors]
            raise Disagreement(f"{place}: errors {told}, but the file says {step.errors}")
        found = {
            "rows": [row_words(r) for r in replies if r.kind == "D"],
            "statuses": sorted("=".join(r.strings[:2]) for r in replies if r.kind == "S"),
            "heard": [" ".join(heard_words(r)) for r in replies if r.kind == "A"],
        }  # fmt: skip
        if self.version is not None and self.version < 14:
            del found["statuses"]  # it reports fewer settings, and those each time they are set
        for what, given in found.items():
            said = getattr(step, what)
            if said is not None and given != (sorted(said) if what == "statuses" else said):
                raise Disagreement(f"{place}: {what} {given}, but the file says {said}")


def row_words(reply):
    columns = raw_columns(reply.body)
    return "|".join("NULL" if one is None else one.decode(errors="replace") for one in columns)


def heard_words(reply):
    channel, payload, _ = reply.body[4:].decode(errors="replace").split("\0")
    return [channel, payload] if payload else [channel]


def names_in(scenario, pattern):
    """What the script calls its own things: others use the same names."""
    script = "\n".join(step.text for step in scenario.steps)
    return sorted(set(re.findall(pattern, script, re.IGNORECASE)))
