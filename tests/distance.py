"""A server that is far away: a way to it that counts the round trips, and may take its time for each.

`with far_from(port) as way:` and then `way.port` instead of `port`.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import contextmanager, suppress

# https://www.postgresql.org/docs/current/protocol-message-formats.html
SYNC, FLUSH, READY = b"S\0\0\0\4", b"H\0\0\0\4", b"Z\0\0\0\5"


class Way:
    """One round trip: the client has said what it wants and waits for all of it to be answered.

    What a server answers while more is being said is none: nobody waits for that.

    `seconds`: how long one takes, half of it there and half of it back.
    """

    def __init__(self, port, seconds):
        self._to = port
        self._half = seconds / 2
        self._sockets = []
        self._lock = threading.Lock()
        self._waits = self._synced = False
        self.trips = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._let_in, daemon=True).start()

    def of(self, address):
        """The same database, by this way."""
        return type(address)(address.url.replace(f":{self._to}/", f":{self.port}/"))

    def close(self):
        for each in (self._door, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _let_in(self):
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                self._carry("client", client, server)
                self._carry("server", server, client)

    def _carry(self, who, source, target):
        on_its_way = queue.SimpleQueue()
        threading.Thread(target=self._take, args=(who, source, on_its_way), daemon=True).start()
        threading.Thread(target=self._give, args=(on_its_way, target), daemon=True).start()

    def _take(self, who, source, on_its_way):
        with suppress(OSError):
            while said := source.recv(65_536):
                self._count(who, said)
                on_its_way.put((time.monotonic() + self._half, said))
        on_its_way.put((0, None))

    def _count(self, who, said):
        with self._lock:
            if who == "server":
                self._waits = self._waits and self._synced and said[-6:-1] != READY
            elif said.endswith((SYNC, FLUSH)):
                self.trips += not self._waits
                self._synced = said.endswith(SYNC) or (self._waits and self._synced)
                self._waits = True

    def _give(self, on_its_way, target):
        with suppress(OSError):
            while True:
                due, said = on_its_way.get()
                if said is None:
                    return target.shutdown(socket.SHUT_WR)
                if self._half:
                    time.sleep(max(0, due - time.monotonic()))
                target.sendall(said)


@contextmanager
def far_from(port, *, seconds=0.0):
    way = Way(port, seconds)
    try:
        yield way
    finally:
        way.close()
