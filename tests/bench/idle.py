"""Thousands of clients that log in and then sit still: what one of them costs a pooler in memory.

The clients speak the protocol by hand, because a libpq connection would cost this program more than
a client costs the pooler."""

import contextlib
import socket
import struct
import time

from gauge import resident_bytes
from targets import TargetError

FIRST_CLIENTS = 100  # log in before the base is measured: code and pool are then in memory
AT_ONCE = 16
REST_SECONDS = 1.5


def startup_packet():
    pairs = {"user": "bench", "database": "bench", "application_name": "idle",
             "client_encoding": "UTF8"}
    body = struct.pack("!I", 3 << 16)
    for name, value in pairs.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    body += b"\0"
    return struct.pack("!I", len(body) + 4) + body


def query_message(sql):
    body = sql.encode() + b"\0"
    return b"Q" + struct.pack("!I", len(body) + 4) + body


def read_until_ready(client):
    """Reads messages up to ReadyForQuery; an error of the server is one of the benchmark's."""
    buffered = b""
    while True:
        while len(buffered) >= 5:
            kind, length = struct.unpack("!cI", buffered[:5])
            if len(buffered) < length + 1:
                break
            body, buffered = buffered[5:length + 1], buffered[length + 1:]
            if kind == b"E":
                fields = body.decode(errors="replace").replace("\0", " ")
                raise TargetError(f"idle clients: {fields}")
            if kind == b"R" and body[:4] != b"\0\0\0\0":
                raise TargetError("idle clients: asked for a password")
            if kind == b"Z":
                return
        received = client.recv(8192)
        if not received:
            raise TargetError("idle clients: connection closed")
        buffered += received


def log_in(port, count, opened):
    """Opens clients, some at once; each is closed by the stack `opened`."""
    clients = []
    while len(clients) < count:
        group = []
        for _ in range(min(AT_ONCE, count - len(clients))):
            client = opened.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            client.sendall(startup_packet())
            group.append(client)
        for client in group:
            read_until_ready(client)
        clients += group
    return clients


def run_transactions(clients):
    """One transaction for each client, some at once."""
    for start in range(0, len(clients), AT_ONCE):
        group = clients[start:start + AT_ONCE]
        for client in group:
            client.sendall(query_message("SELECT 1"))
        for client in group:
            read_until_ready(client)


def measure(target, count):
    """Bytes of resident memory for each of `count` clients, just logged in and after one
    transaction each. The target must be fresh, or memory that it had before would hide some."""
    def rested():
        time.sleep(REST_SECONDS)
        target.check_alive()
        return resident_bytes(target.pid)

    with contextlib.ExitStack() as opened:
        run_transactions(log_in(target.port, FIRST_CLIENTS, opened))
        base = rested()
        clients = log_in(target.port, count, opened)
        logged_in = rested()
        run_transactions(clients)
        used = rested()
    return {"idle-login": (logged_in - base) / count, "idle-used": (used - base) / count}
