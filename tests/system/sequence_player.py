"""
Plays a sequence twice at the same time, step by step: each client on a PostgreSQL connection of its
own, and all of them through a pgsluice with fewer server connections. What a client reads must be
the same, message by message.
"""

import itertools
import struct
import time

from sequences import FOR_LIFE, Step
from wire import Refused, Wire, plain

NOTIFICATION_LIMIT = 5.0  # seconds
# What ends each pin, in the order in which a careful client tidies up.
TIDY = {
    "CURSOR": "CLOSE ALL",
    "TEMPORARY": "DISCARD TEMP",
    "ADVISORY": "SELECT pg_advisory_unlock_all()",
    "PREPARE": "DEALLOCATE ALL",
}


class Difference(Exception):
    """Where pgsluice's answer is not PostgreSQL's."""

    def __init__(self, number, step, direct, pooled):
        self.number = number
        self.step = step
        lines = [f"at step {number}, {step}"]
        for ours, theirs in zip(padded(pooled, direct), padded(direct, pooled)):
            lines += [f"    {ours}"] if ours == theirs else [f"  - direct    {theirs}", f"  + pgsluice  {ours}"]
        super().__init__("\n".join(lines))


def padded(answers, others):
    return [*answers, *["nothing"] * (len(others) - len(answers))]


def without_tables(body):
    """RowDescription without the tables' OIDs, which differ between two databases."""
    columns, at = [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        end = body.index(b"\0", at)
        columns.append((body[at:end].decode(), *struct.unpack_from("!hIhih", body, end + 5)))
        at = end + 19
    return columns


def told(replies):
    """
    What must be the same. Notifications come when they come, and are compared on their own. Since
    PostgreSQL 16 the order of reports that come together is that in which the settings ceased to be
    the server's own, on that connection.
    """
    kept = [
        (kind, without_tables(body) if kind == "T" else body)
        for kind, body in plain(replies)
        if kind != "A"
    ]
    groups = itertools.groupby(kept, key=lambda one: one[0])
    return [one for kind, group in groups for one in (sorted(group) if kind == "S" else group)]


class Side:
    """One client's connection on one side."""

    def __init__(self, address, **login):
        self.wire = Wire(address, **login)
        self.notifications = []
        self.ended = False

    def answers(self, ready):
        replies = []
        try:
            while ready > 0:
                replies.append(self.wire.read())
                ready -= replies[-1].kind == "Z"
        except (EOFError, ConnectionResetError):
            self.ended = True
            return [*told(replies), "the end of the connection"], replies
        except TimeoutError:
            return [*told(replies), "no answer in time"], replies
        finally:
            self._hear(replies)
        return told(replies), replies

    def _hear(self, replies):
        for reply in replies:
            if reply.kind == "A":
                self.notifications.append(tuple(word.decode() for word in reply.body[4:].split(b"\0")))

    def wait_for_notifications(self, count):
        """A shared connection hears them later than the client gets its answer."""
        deadline = time.monotonic() + NOTIFICATION_LIMIT
        while len(self.notifications) < count and time.monotonic() < deadline:
            if not self.wire.is_silent(0.05):
                self._hear([self.wire.read()])

    def parameters(self):
        return sorted(self.wire.parameters.items())


class Client:
    """Both sides of one client, and what keeps it on its server connection."""

    def __init__(self, direct, pooled):
        self.direct = direct
        self.pooled = pooled
        self.status = "I"
        self.pins = set()

    @property
    def holds(self):
        return self.status != "I" or bool(self.pins)

    def close(self):
        self.direct.wire.close()
        self.pooled.wire.close()


class Player:
    """`direct` and `pooled` are (address, database); a pool that nobody has used makes it repeatable."""

    def __init__(self, sequence, direct, pooled):
        self.sequence = sequence
        self.sides = [direct, pooled]
        self.clients = {}  # by number, in the order in which they took a server connection
        self.number = -1
        self.said = []  # all steps with those that made room, for whoever wants to read them

    def play(self):
        """Raises Difference."""
        try:
            for self.number, step in enumerate(self.sequence.steps):
                self._make_room(step)
                if step.messages:
                    self._run(step)
                else:
                    self._leave(step.client)
            for number in self.clients:
                self._check_notifications(Step(number, []))
        finally:
            for client in self.clients.values():
                client.close()

    def _connect(self, number):
        settings = self.sequence.startup[number]
        sides = []
        for address, database in self.sides:
            try:
                sides.append(Side(address, user=self.sequence.user, database=database, **settings))
            except Refused as refused:
                raise Difference(self.number, f"the login of client {number}", [], [refused]) from None
        client = self.clients[number] = Client(*sides)
        expected, got = (side.parameters() for side in sides)
        if expected != got:
            raise Difference(self.number, f"the login of client {number}", expected, got)
        return client

    def _leave(self, number):
        client = self.clients.pop(number, None)
        if client is not None:
            client.close()

    def _run(self, step):
        client = self.clients.get(step.client) or self._connect(step.client)
        self.said.append(str(step))
        for side in (client.direct, client.pooled):
            side.wire.send(step.sent())
        expected, replies = client.direct.answers(step.ready)
        got, _ = client.pooled.answers(step.ready)
        if expected != got:
            raise Difference(self.number, step, expected, got)
        if client.direct.ended:
            self._leave(step.client)
            return replies
        self._check_notifications(step)
        self._follow(client, step, replies)
        return replies

    def _follow(self, client, step, replies):
        failed = any(reply.kind == "E" for reply in replies)
        held = client.holds
        client.status = replies[-1].status
        if client.status == "I" and not failed:
            client.pins -= set(step.frees)
        if any(reply.kind == "C" and reply.tag == "DISCARD ALL" for reply in replies):
            client.pins &= {FOR_LIFE}
        client.pins |= set(step.pins)
        if client.holds and not held:  # the last to let go
            self.clients[step.client] = self.clients.pop(step.client)

    def _check_notifications(self, step):
        client = self.clients.get(step.client)
        if client is None:
            return
        client.pooled.wait_for_notifications(len(client.direct.notifications))
        if client.direct.notifications != client.pooled.notifications:
            raise Difference(self.number, f"notifications of {step}", client.direct.notifications,
                             client.pooled.notifications)  # fmt: skip

    # -- room --------------------------------------------------------------------------------------

    def _make_room(self, step):
        """Clients that would wait for each other for ever are no test: the oldest let go."""
        client = self.clients.get(step.client)
        if client is not None and client.holds:
            return
        holders = [number for number, other in self.clients.items() if other.holds]
        for number in holders[: max(0, len(holders) + 1 - self.sequence.size)]:
            self._let_go(number, step.room)

    def _let_go(self, number, way):
        client = self.clients[number]
        if client.status != "I":
            self._run(Step(number, [["Q", "ROLLBACK" if way % 2 else "COMMIT"]]))
        way //= 2
        if client.pins and FOR_LIFE not in client.pins and way % 3 == 1:
            pins = [pin for pin in TIDY if pin in client.pins]
            self._run(Step(number, [["Q", TIDY[pin]] for pin in pins], frees=pins))
        if client.pins and FOR_LIFE not in client.pins and way % 3 > 0 and not self.sequence.startup[number]:
            self._run(Step(number, [["Q", "DISCARD ALL"]]))
        if client.pins:
            self._leave(number)
