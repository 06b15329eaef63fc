"""A client of bare bytes: it sends what no library would, and leaves where no library would."""

import socket
import struct

CANCEL_CODE = 80877102
SSL_CODE = 80877103
GSSENC_CODE = 80877104
PROTOCOL_3_0 = 196608


def startup_packet(version=PROTOCOL_3_0, **parameters):
    pairs = b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items())
    return struct.pack("!II", len(pairs) + 9, version) + pairs + b"\0"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def query(sql):
    return message("Q", sql.encode() + b"\0")


def parse(sql, name=""):
    return message("P", name.encode() + b"\0" + sql.encode() + b"\0\0\0")


def bind(statement="", portal=""):
    return message("B", portal.encode() + b"\0" + statement.encode() + b"\0" + b"\0" * 6)


def execute(portal="", rows=0):
    return message("E", portal.encode() + b"\0" + struct.pack("!I", rows))


SYNC = message("S")
FLUSH = message("H")
TERMINATE = message("X")


def fields(body):
    """An ErrorResponse's or NoticeResponse's fields by their letters."""
    parts = body.rstrip(b"\0").split(b"\0")
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in parts if part}


class Closed(Exception):
    """The other side closed the connection."""


class RawClient:
    """With login=False only the socket is there. The daemon must have auth = trust."""

    def __init__(self, daemon, login=True, timeout=20, **parameters):
        self.socket = socket.create_connection((daemon.host, daemon.port), timeout=timeout)
        self.input = b""
        self.pid = self.key = None
        if login:
            self.login(**parameters)

    def login(self, user="app", database="app", **parameters):
        self.send(startup_packet(user=user, database=database, **parameters))
        for kind, body in self.until_ready():
            if kind == "K":
                self.pid, self.key = struct.unpack("!I", body[:4])[0], body[4:]

    # -- out -------------------------------------------------------------------------------------

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))

    def close(self):
        self.socket.close()

    def vanish(self):
        """Goes without a goodbye: the other side gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # -- in --------------------------------------------------------------------------------------

    def _fill(self, count):
        while len(self.input) < count:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed
            self.input += piece

    def read(self):
        """The next message: its type's letter and its body."""
        self._fill(5)
        (length,) = struct.unpack("!I", self.input[1:5])
        self._fill(1 + length)
        kind, body = chr(self.input[0]), self.input[5 : 1 + length]
        self.input = self.input[1 + length :]
        return kind, body

    def until(self, *kinds):
        """All messages up to and with one of these types."""
        found = []
        while not found or found[-1][0] not in kinds:
            found.append(self.read())
        return found

    def until_ready(self):
        return self.until("Z")

    def until_closed(self):
        found = []
        try:
            while True:
                found.append(self.read())
        except Closed:
            return found

    def ask(self, sql):
        """The types of the answer to a simple query, and its first column's values."""
        self.send(query(sql))
        answer = self.until_ready()
        rows = [body for kind, body in answer if kind == "D"]
        values = [row[6 : 6 + struct.unpack("!i", row[2:6])[0]].decode() for row in rows]
        return "".join(kind for kind, _ in answer), values

    def value(self, sql):
        kinds, values = self.ask(sql)
        assert values, f"no row, but {kinds}"
        return values[0]

    def error(self):
        """The fields of the next ErrorResponse."""
        return fields(self.until("E")[-1][1])

    def refusal(self):
        """The fields of the FATAL error after which the connection is closed."""
        told = [fields(body) for kind, body in self.until_closed() if kind == "E"]
        assert told, "closed without a word"
        return told[-1]

    def is_closed(self):
        return [] == self.until_closed()


def cancel_packet(pid, key):
    return struct.pack("!III", 12 + len(key), CANCEL_CODE, pid) + key


def send_cancel(daemon, pid, key, wait=True):
    """Brings a cancel request; with wait, returns when the connection is closed."""
    client = RawClient(daemon, login=False)
    client.send(cancel_packet(pid, key))
    if wait:
        assert client.until_closed() == []
        client.close()
    return client
