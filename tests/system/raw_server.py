"""A server that is none: it accepts, says what it was told to say, or nothing, and counts."""

import contextlib
import socket
import struct
import threading


def error_response(sqlstate, text, severity="FATAL"):
    body = f"S{severity}\0V{severity}\0C{sqlstate}\0M{text}\0\0".encode()
    return b"E" + struct.pack("!I", len(body) + 4) + body


class FakeServer:
    """answer: bytes said to each connection, which is then closed; None: silence, and it stays."""

    host = "127.0.0.1"

    def __init__(self, answer=None, port=0):
        self.answer = answer
        self.listener = socket.create_server((self.host, port))
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self.connections = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for one in self.connections:
            one.close()

    def url(self, cluster, user="app", database="app"):
        return cluster.url(user, database).replace(f":{cluster.port}/", f":{self.port}/")

    def _run(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.answer is None:
                self.connections.append(one)
                continue
            with contextlib.suppress(OSError):
                one.settimeout(5)
                one.recv(65536)  # its startup packet
                one.sendall(self.answer)
            one.close()
