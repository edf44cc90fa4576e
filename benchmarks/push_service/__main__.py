"""Run a push service over TLS that needs very little CPU, so that the benchmarks measure the senders and not it.

It answers `POST /LATENCY/RUN/DEVICE` with 201 after LATENCY milliseconds. `GET /RUN` returns what arrived in a run, and
forgets the run. It reads sockets without an event loop's layers: 15 to 35 us a push, against 20 to 60 with asyncio and
60 to 95 with node's https.
"""

import heapq
import json
import re
import selectors
import socket
import ssl
import sys
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NoReturn

from benchmarks.push_service import TOPICS

_TOPICS = TOPICS.encode()
_TOPIC = re.compile(rb"\r\ntopic: *([\w-]+)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ACCEPTED = b"HTTP/1.1 201 Created\r\nLocation: https://127.0.0.1/message\r\nContent-Length: 0\r\n\r\n"


@dataclass
class _Connection:
    tls: ssl.SSLSocket
    received: bytes = b""


@dataclass
class _Run:
    devices: Counter[bytes] = field(default_factory=Counter)
    first_at: float = 0.0
    last_at: float = 0.0
    topics: dict[str, float] = field(default_factory=dict)


class _PushService:
    def __init__(self, ports: list[int], context: ssl.SSLContext) -> None:
        self._context = context
        self._runs: dict[bytes, _Run] = defaultdict(_Run)
        self._due: list[tuple[float, int, _Connection]] = []
        self._order = count()
        self._selector = selectors.DefaultSelector()
        for port in ports:
            listener = socket.create_server(("127.0.0.1", port), backlog=1024)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, None)

    def serve(self) -> NoReturn:
        """Answer until a signal ends the process."""
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    self._accept(key.fileobj)
                else:
                    self._read(key.data)
            self._answer_what_is_due()

    def _accept(self, listener: Any) -> None:
        plain, _ = listener.accept()
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The handshake happens inside the first reads.
        tls = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._selector.register(tls, selectors.EVENT_READ, _Connection(tls))

    def _read(self, connection: _Connection) -> None:
        try:
            new = connection.tls.recv(65536)
            while new and connection.tls.pending():
                new += connection.tls.recv(65536)
        except ssl.SSLWantReadError:
            return
        except OSError:
            new = b""
        if not new:
            self._selector.unregister(connection.tls)
            connection.tls.close()
            return
        connection.received += new
        self._handle(connection)

    def _handle(self, connection: _Connection) -> None:
        """Handle a request once it is complete; clients wait for the answer before they send the next one."""
        head, found, body = connection.received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or (length and len(body) < int(length[1])):
            return
        connection.received = b""
        method, path, _ = head.split(b" ", 2)
        if method == b"POST":
            self._take(connection, path, head)
        else:
            self._tell(connection, self._runs.pop(path[1:], _Run()))

    def _take(self, connection: _Connection, path: bytes, head: bytes) -> None:
        _, latency, name, device = path.split(b"/", 3)
        run, now = self._runs[name], time.monotonic()
        run.devices[device.lstrip(b"A")] += 1  # without the padding, a million of them fit into memory
        run.first_at, run.last_at = run.first_at or now, now
        if name.startswith(_TOPICS) and (topic := _TOPIC.search(head)):
            run.topics.setdefault(topic[1].decode(), now)
        if latency == b"0":
            _send(connection, _ACCEPTED)
        else:
            heapq.heappush(self._due, (now + int(latency) / 1000, next(self._order), connection))

    def _tell(self, connection: _Connection, run: _Run) -> None:
        facts = {"pushes": run.devices.total(), "devices": len(run.devices), "topics": run.topics}
        facts |= {"first_at": run.first_at, "last_at": run.last_at}
        body = json.dumps(facts).encode()
        _send(connection, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def _answer_what_is_due(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _send(heapq.heappop(self._due)[2], _ACCEPTED)


def _send(connection: _Connection, answer: bytes) -> None:
    with suppress(OSError):  # if the client has gone, the next read closes the connection
        connection.tls.send(answer)


def _main(chain: str, *ports: str) -> NoReturn:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    _PushService([int(port) for port in ports], context).serve()


if __name__ == "__main__":
    _main(*sys.argv[1:])
