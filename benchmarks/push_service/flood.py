"""Flood the push service with requests that are cheap to send, to measure how many it can take."""

import selectors
import socket
import ssl
import time
from dataclasses import dataclass
from itertools import islice

from benchmarks.push_service import Run

CONNECTIONS = 400
_HEAD = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: vapid t={token}\r\nContent-Encoding: aes128gcm\r\n"
    "TTL: 60\r\nUrgency: high\r\nContent-Length: {length}\r\n\r\n"
)
_BODY = "x" * 400


@dataclass(frozen=True)
class Ceiling:
    """The limit of the push service: pushes a second, and its own CPU seconds for each push."""

    rate: float
    cpu: float


def measure(run: Run, pushes: int) -> Ceiling:
    """Send as fast as one core can, over many connections, and return the limit."""
    selector = selectors.DefaultSelector()
    connections = [_connect(run) for _ in range(min(CONNECTIONS, pushes))]
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ, connection)
    cpu, started = run.service.cpu(), time.perf_counter()
    _send_all(selector, connections, run, pushes)
    seconds = time.perf_counter() - started
    used = run.service.cpu() - cpu
    selector.close()
    for connection in connections:
        connection.close()
    return Ceiling(pushes / seconds, used / pushes)


def _send_all(selector: selectors.BaseSelector, connections: list[ssl.SSLSocket], run: Run, pushes: int) -> None:
    requests = (_request(run, number) for number in range(pushes))
    for idle, request in zip(connections, islice(requests, len(connections)), strict=True):
        idle.send(request)
    answered = 0
    while answered < pushes:
        for key, _ in selector.select(10):
            connection: ssl.SSLSocket = key.data
            try:
                connection.recv(65536)
            except ssl.SSLWantReadError:
                continue
            answered += 1
            connection.send(next(requests, b""))


def _connect(run: Run) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(run.service.ca_file))
    plain = socket.create_connection(("127.0.0.1", run.service.port), timeout=10)
    connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
    connection.setblocking(False)
    return connection


def _request(run: Run, number: int) -> bytes:
    path = f"{run.prefix.removeprefix(f'https://127.0.0.1:{run.service.port}')}{number}"
    return (_HEAD.format(path=path, token="a" * 350, length=len(_BODY)) + _BODY).encode()
