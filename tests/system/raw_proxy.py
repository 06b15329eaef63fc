"""A TCP relay for faults of the network: it can fall silent without closing, cut, or stop at a byte."""

import contextlib
import select
import socket
import threading


class Proxy:
    """Between pgsluice and a server; `port` is where it listens. One thread for all connections."""

    host = "127.0.0.1"

    def __init__(self, target_port):
        self.target = ("127.0.0.1", target_port)
        self.listener = socket.create_server((self.host, 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = {}  # socket: the other one
        self.to_client = {}  # the client's socket: bytes that still may go there
        self.silent = set()
        self.accept_silent = False
        self.hold_ends = False
        self.held = []
        self.accepted = 0
        self.lock = threading.Lock()
        self.over = False
        self.wake, self.waker = socket.socketpair()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over = True
        self._poke()
        self.thread.join()
        self.cut()
        for one in (self.listener, self.wake, self.waker):
            one.close()

    def url(self, cluster, user="app", database="app"):
        return cluster.url(user, database).replace(f":{cluster.port}/", f":{self.port}/")

    # -- faults ----------------------------------------------------------------------------------

    def go_silent(self, new_ones_too=False):
        """What stands now passes nothing on any more, in neither direction, but stays open."""
        with self.lock:
            self.silent |= set(self.pairs)
            self.accept_silent = new_ones_too
        self._poke()

    def speak_again(self):
        """What has been silent passes on what has come meanwhile, and goes on."""
        with self.lock:
            self.silent.clear()
        self._poke()

    def heal(self):
        """New connections work again; those that are silent stay so."""
        self.accept_silent = False

    def stop_after(self, count):
        """Each connection passes so many more bytes from the server on."""
        with self.lock:
            self.to_client = {one: count for one in self.to_client}

    def release_ends(self):
        """hold_ends keeps the server's closing from its client; this lets it through."""
        self.hold_ends = False
        with self.lock:
            for one in self.held:
                self._drop(one)
            self.held = []

    def cut(self):
        """Closes what stands."""
        with self.lock:
            for one in list(self.pairs):
                self._drop(one)

    def cut_one_that_is_silent(self):
        with self.lock:
            self._drop(min(self.silent, key=id))

    def count(self):
        with self.lock:
            return len(self.pairs) // 2

    # -- the relay -------------------------------------------------------------------------------

    def _poke(self):
        with contextlib.suppress(OSError):
            self.waker.send(b"x")

    def _drop(self, one):
        other = self.pairs.pop(one, None)
        self.pairs.pop(other, None)
        for each in (one, other):
            if each is not None:
                self.silent.discard(each)
                self.to_client.pop(each, None)
                each.close()

    def _accept(self):
        client, _ = self.listener.accept()
        self.accepted += 1
        try:
            server = socket.create_connection(self.target, timeout=5)
        except OSError:
            client.close()
            return
        self.pairs[client], self.pairs[server] = server, client
        self.to_client[client] = None
        if self.accept_silent:
            self.silent |= {client, server}

    def _relay(self, one):
        other = self.pairs.get(one)
        if other is None:
            return
        try:
            piece = one.recv(65536)
            allowed = self.to_client.get(other)
            if allowed is not None:
                piece_length = len(piece)
                piece = piece[:allowed]
                self.to_client[other] = allowed - len(piece)
                if piece_length and not piece:
                    return
            if piece:
                other.sendall(piece)
                return
        except OSError:
            pass
        if self.hold_ends and other in self.to_client:
            self.held.append(one)
            self.silent.add(one)
            return
        self._drop(one)

    def _run(self):
        while not self.over:
            with self.lock:
                watched = [self.listener, self.wake, *(set(self.pairs) - self.silent)]
            ready, _, _ = select.select(watched, [], [], 1)
            with self.lock:
                for one in ready:
                    if one is self.listener:
                        self._accept()
                    elif one is self.wake:
                        self.wake.recv(4096)
                    elif one in self.pairs and one not in self.silent:
                        self._relay(one)
