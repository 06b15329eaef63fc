"""A client of protocol version 3 that sends what it is told, byte by byte: what drivers do not."""

import base64
import hashlib
import hmac
import re
import socket
import struct

from cluster import secret_of

TIMEOUT = 20.0
PROTOCOL = 3 << 16


# -- what a client says ----------------------------------------------------------------------------


def text(value):
    return (value if isinstance(value, bytes) else str(value).encode()) + b"\0"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def query(sql):
    return message("Q", text(sql))


def parse(name, sql, types=()):
    return message("P", text(name) + text(sql) + struct.pack(f"!H{len(types)}I", len(types), *types))


def value(parameter):
    """A parameter or argument as it is sent; None is SQL's NULL."""
    if parameter is None:
        return struct.pack("!i", -1)
    data = parameter if isinstance(parameter, bytes) else str(parameter).encode()
    return struct.pack("!i", len(data)) + data


def values(parameters):
    """Parameters in text, with the counts of formats and values ahead."""
    return struct.pack("!HH", 0, len(parameters)) + b"".join(map(value, parameters))


def bind(portal="", statement="", parameters=()):
    return message("B", text(portal) + text(statement) + values(parameters) + struct.pack("!H", 0))


def describe(what, name=""):
    return message("D", what.encode() + text(name))


def execute(portal="", limit=0):
    return message("E", text(portal) + struct.pack("!i", limit))


def close(what, name=""):
    return message("C", what.encode() + text(name))


def sync():
    return message("S")


def flush():
    return message("H")


def call(oid, *arguments):
    """FunctionCall, arguments and result in text."""
    return message("F", struct.pack("!I", oid) + values(arguments) + struct.pack("!H", 0))


def copy_data(data):
    return message("d", data)


def copy_done():
    return message("c")


def copy_fail(reason):
    return message("f", text(reason))


def terminate():
    return message("X")


def extended(sql, *parameters, limit=0):
    """Parse, Bind, Describe, Execute without a name and without a Sync."""
    return parse("", sql) + bind("", "", parameters) + describe("P") + execute("", limit)


def startup(version=PROTOCOL, **parameters):
    body = struct.pack("!i", version)
    body += b"".join(text(name) + text(word) for name, word in parameters.items()) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


# -- what a server says ----------------------------------------------------------------------------


class Reply:
    """One message of a server: `kind` is its letter."""

    def __init__(self, kind, body):
        self.kind = kind
        self.body = body

    def __repr__(self):
        return f"{self.kind}({self.body[:200]!r})"

    @property
    def strings(self):
        return [part.decode(errors="replace") for part in self.body.split(b"\0")]

    @property
    def fields(self):
        """Of an error or notice, by letter: C is the SQLSTATE, M the message."""
        return {part[0]: part[1:] for part in self.strings if part}

    @property
    def sqlstate(self):
        return self.fields["C"]

    @property
    def words(self):
        return self.fields["M"]

    @property
    def tag(self):
        return self.strings[0]

    @property
    def status(self):
        """Of ReadyForQuery: I, T or E."""
        return self.body.decode()

    @property
    def row(self):
        columns, at = [], 2
        for _ in range(struct.unpack_from("!H", self.body)[0]):
            (length,) = struct.unpack_from("!i", self.body, at)
            at += 4
            columns.append(None if length < 0 else self.body[at : at + length].decode())
            at += max(length, 0)
        assert at == len(self.body)
        return tuple(columns)


def kinds(replies):
    """The letters of messages in order, with ReadyForQuery's status: `TDCZI`."""
    return "".join(r.kind + (r.status if r.kind == "Z" else "") for r in replies)


def rows(replies):
    return [reply.row for reply in replies if reply.kind == "D"]


def tags(replies):
    return [reply.tag for reply in replies if reply.kind == "C"]


def errors(replies):
    """SQLSTATEs of the errors."""
    return [reply.sqlstate for reply in replies if reply.kind == "E"]


def plain(replies):
    """All that a client reads, to be compared: errors without the place in the server's source."""
    return [
        (r.kind, {k: v for k, v in r.fields.items() if k not in "FLR"} if r.kind in "EN" else r.body)
        for r in replies
    ]


class Refused(Exception):
    """The server ended the login with an error."""

    def __init__(self, reply):
        super().__init__(f"{reply.fields}")
        self.reply = reply
        self.sqlstate = reply.sqlstate
        self.words = reply.words


# -- a connection ----------------------------------------------------------------------------------


class Wire:
    """
    Logged in, unless login=False. `parameters` are what the server told at login; `greeting` all
    replies up to ReadyForQuery; `way` how it let the client in.
    """

    def __init__(self, address, user="app", database="app", password=None, login=True, **settings):
        self.user = user
        self.password = secret_of(user) if password is None else password
        self.socket = socket.create_connection(address, timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.way = None
        self.parameters = {}
        self.greeting = []
        self.pid = self.secret = None
        if login:
            try:
                self.log_in(database=database, **settings)
            except BaseException:
                self.close()
                raise

    def close(self):
        self.socket.close()

    def send(self, *messages):
        """In one write."""
        self.socket.sendall(b"".join(messages))

    def _fill(self, length):
        while len(self.buffer) < length:
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError(f"end of file, {bytes(self.buffer)!r} left")
            self.buffer += data

    def _take(self, length):
        self._fill(length)
        data = bytes(self.buffer[:length])
        del self.buffer[:length]
        return data

    def read(self):
        kind, length = struct.unpack("!ci", self._take(5))
        return Reply(kind.decode(), self._take(length - 4))

    def read_until(self, last, count=1):
        """Replies up to and with the count-th of a kind that `last` holds."""
        replies = []
        while count > 0:
            replies.append(self.read())
            count -= replies[-1].kind in last
        return replies

    def read_to_the_end(self):
        """Replies until the server closes the connection."""
        replies = []
        try:
            while True:
                replies.append(self.read())
        except (EOFError, ConnectionResetError):
            return replies

    def ask(self, *messages, ready=1):
        """Sends in one write, reads up to that many ReadyForQuery."""
        self.send(*messages)
        return self.read_until("Z", ready)

    def run(self, sql):
        """The rows of a simple query that must succeed."""
        replies = self.ask(query(sql))
        assert errors(replies) == [], [reply.fields for reply in replies if reply.kind == "E"]
        return rows(replies)

    def value(self, sql):
        return self.run(sql)[0][0]

    @property
    def version(self):
        """The server's major version."""
        return int(re.match(r"\d+", self.parameters["server_version"]).group(0))

    def in_order(self, expected):
        """kinds() as this version has them: before 14, reports go ahead of the CommandComplete."""
        return expected.replace("CS", "SC") if self.version < 14 else expected

    def is_silent(self, seconds=0.2):
        """True where the server says nothing for so long."""
        self.socket.settimeout(seconds)
        try:
            self._fill(len(self.buffer) + 1 if not self.buffer else 1)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT)

    # -- login -------------------------------------------------------------------------------------

    def log_in(self, **settings):
        self.send(startup(user=self.user, **settings))
        self._authenticate()
        while True:
            reply = self.read()
            self.greeting.append(reply)
            if reply.kind == "E":
                raise Refused(reply)
            if reply.kind == "S":
                self.parameters[reply.strings[0]] = reply.strings[1]
            elif reply.kind == "K":
                self.pid, self.secret = struct.unpack("!Ii", reply.body)
            elif reply.kind == "Z":
                return

    def _authenticate(self):
        while True:
            reply = self.read()
            self.greeting.append(reply)
            if reply.kind == "E":
                raise Refused(reply)
            assert reply.kind == "R", reply
            (code,) = struct.unpack_from("!i", reply.body)
            if code == 0:
                self.way = self.way or "trust"
                return
            if code == 3:
                self.way = "password"
                self.send(message("p", text(self.password)))
            elif code == 5:
                self.way = "md5"
                self.send(message("p", text(md5_answer(self.user, self.password, reply.body[4:8]))))
            elif code == 10:
                self.way = "scram-sha-256"
                assert "SCRAM-SHA-256" in reply.body[4:].decode().split("\0")
                self._scram()
            else:
                raise AssertionError(f"unknown authentication {code}")

    def _scram_step(self, code, data):
        self.send(message("p", data))
        reply = self.read()
        self.greeting.append(reply)
        if reply.kind == "E":
            raise Refused(reply)
        assert (reply.kind, struct.unpack_from("!i", reply.body)[0]) == ("R", code), reply
        return reply.body[4:].decode()

    def _scram(self):
        first = "n=,r=2b3c4d5e6f7g8h9i0j"
        answer = self._scram_step(
            11, text("SCRAM-SHA-256") + struct.pack("!i", len(first) + 3) + b"n,," + first.encode()
        )
        parts = dict(part.split("=", 1) for part in answer.split(","))
        bare = f"c=biws,r={parts['r']}"
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password.encode(), base64.b64decode(parts["s"]), int(parts["i"])
        )
        said = f"{first},{answer},{bare}"
        key = mac(salted, "Client Key")
        signature = mac(hashlib.sha256(key).digest(), said)
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
        final = self._scram_step(12, f"{bare},p={proof}".encode())
        expected = base64.b64encode(mac(mac(salted, "Server Key"), said)).decode()
        assert final == f"v={expected}", "the server does not know the password"


def mac(key, words):
    return hmac.digest(key, words.encode(), "sha256")


def md5_answer(user, password, salt):
    inner = hashlib.md5((password + user).encode()).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt).hexdigest()
