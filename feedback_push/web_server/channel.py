"""Handle a connection: one request at a time, each with a deadline, and a close that loses no response."""

import socket
import time
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from waitress.channel import HTTPChannel

from feedback_push.web_server.parser import Parser
from feedback_push.web_server.tasks import ErrorTask, Task

HEAD_SECONDS = 15  # for the head of a request, from its first byte
REQUEST_SECONDS = 60  # for the whole request
_NEXT_REQUEST_WITHIN = 1.0  # seconds, while the server stops
IDLE_SECONDS = 30  # between two requests, and without progress in sending a response
_LINGER_SECONDS = 30  # for a client that still sends after its response
_LINGER_PAUSE_SECONDS = 5  # without receiving a byte
_LINGER_BYTES = 32 * 1024 * 1024
LARGE_BODY = 64 * 1024  # bytes; the server limits the total of bodies above this


class Channel(HTTPChannel):  # type: ignore[misc]
    """A client's connection.

    waitress reads ahead: it answers all requests that come in one packet although the client reads no response, until
    the buffer is full and the thread blocks. This class reads the next request only after the previous response has
    begun to be sent.
    """

    request: Parser | None
    requests: list[Parser]
    will_close: bool
    sent_continue: bool
    parser_class = Parser
    task_class = Task
    error_task_class = ErrorTask

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002
        self.network = _network(addr[0])
        self._ahead = b""  # data after the request in progress
        self._began_at = 0.0
        self._lingers_until = 0.0
        self._discarded = 0
        super().__init__(server, sock, addr, adj, map=map)

    @property
    def is_waiting(self) -> bool:
        """True if no thread is answering a request of this client."""
        return len(self.requests) == 0

    @property
    def is_at_rest(self) -> bool:
        """True if no request or response is in progress."""
        return not any((self.requests, self.request, self.total_outbufs_len, self.close_when_flushed))

    def is_awaited(self, now: float) -> bool:
        """Return whether the client has just connected, or got a response, so that a request may be on its way."""
        return bool(now - self.last_activity < _NEXT_REQUEST_WITHIN)

    @property
    def body_size(self) -> int:
        """The size in bytes of the large bodies held in memory for this client."""
        held = [*self.requests[:1], *filter(None, [self.request])]
        sizes = [len(each.body_rcv) for each in held if each.body_rcv is not None and not each.is_refused]
        return sum(size for size in sizes if size > LARGE_BODY)

    def is_overdue(self, now: float) -> bool:
        """Return whether the client took too long to send, to read its response, to start a request or to close."""
        silent = now - self.last_activity
        if self._lingers_until:
            return bool(now > self._lingers_until or silent > _LINGER_PAUSE_SECONDS)
        if self.total_outbufs_len or self.is_at_rest:
            return bool(silent > IDLE_SECONDS)
        if self.requests or not (request := self.request):
            return False
        return now - self._began_at > (REQUEST_SECONDS if request.headers_finished else HEAD_SECONDS)

    def readable(self) -> bool:
        """Return whether to wait for data from the client."""
        if self._lingers_until:
            return True
        if not super().readable():
            return False
        if not self._ahead:
            return True
        try:
            self.received(b"")
        except Exception:  # noqa: BLE001 - as waitress does for errors while reading; the loop must go on
            self.handle_error()
        return bool(super().readable())  # there may be a request now

    def add_channel(self, map: Any = None) -> None:  # noqa: A002 - waitress's name
        """Add the connection to the server's count."""
        super().add_channel(map)
        self.server.note_open(self)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002 - waitress's name
        """Remove the connection from the server's count."""
        super().del_channel(map)
        self.server.note_closed(self)

    def received(self, data: bytes) -> bool:
        """Read one request, and keep the data after it for later."""
        with self.requests_lock:
            if self.will_close or self.close_when_flushed:
                return False
            if self._lingers_until:
                self._discarded += len(data)
                self.will_close = self._discarded > _LINGER_BYTES
                return False
            data = self._ahead + data
            while data and not self.requests:
                data = data[self._parse(data) :]
            self._ahead = data
        return True

    def handle_write(self) -> None:
        """Send ready data, and close the connection after the last response."""
        if not self.close_when_flushed or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif self.connected and not self.total_outbufs_len:
            self._linger()

    def _parse(self, data: bytes) -> int:
        if self.request is None:
            self.request = self.parser_class(self.adj)
            self._began_at = time.time()
        request = self.request
        consumed = request.received(data)
        if not (request.completed or request.is_refused or self.server.has_room(request, consumed)):
            request.refuse_body(overloaded=True)
        if request.expect_continue and request.headers_finished and not self.sent_continue:
            self.send_continue()
        if request.completed:
            self.request = None
            self.sent_continue = False
            if not request.empty:
                self.requests.append(request)
                self.server.add_task(self)
        return int(consumed)

    def _linger(self) -> None:
        # Closing a socket while the client still sends resets the connection, and the client may lose its response.
        self.close_when_flushed = False
        self._ahead = b""
        self._lingers_until = time.time() + _LINGER_SECONDS
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)


def _network(address: str) -> str:
    # All addresses of an IPv6 /64 belong to one subscriber.
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return address if ip.version == 4 else f"{int(ip) >> 64:x}"
