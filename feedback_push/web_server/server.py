"""Run the server: one loop reads and writes for all clients, and threads answer complete requests."""

import resource
import socket
import time
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from feedback_push import request_limits
from feedback_push.config import current_settings
from feedback_push.web_server.channel import IDLE_SECONDS, LARGE_BODY, Channel
from feedback_push.web_server.parser import Parser

if TYPE_CHECKING:
    from flask import Flask

_THREADS = 8
_MOST_CONNECTIONS = 500
_OTHER_FILES = 200  # that the application also opens: the database, Redis, templates
_LARGE_BODIES = 32 * 1024 * 1024  # bytes in memory, for all large requests together
_ANSWERS = 64 * 1024 * 1024  # bytes that clients have not read yet, for all responses together
_ACCEPTED_AT_ONCE = 64
_STOPS_WITHIN = 4.5  # seconds


class Server(TcpWSGIServer):  # type: ignore[misc]
    """waitress with limits for all clients together.

    Bodies stay in memory. If there are too many connections, the server closes the oldest one of the network that has
    the most.
    """

    channel_class = Channel

    def __init__(self, app: "Flask", listener: socket.socket) -> None:
        self._most_connections = _raise_limit_of_files()
        self._body_bytes = 0
        self._networks: dict[str, dict[Channel, None]] = {}
        self._stopping = False
        sockinfo = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            app, map={}, _sock=listener, adj=_adjustments(app, self._most_connections), sockinfo=sockinfo,
            bind_socket=False,
        )  # fmt: skip

    def run(self) -> None:
        """Serve until `stop` is called, then finish the requests in progress, for at most 5 seconds."""
        while not self._stopping:
            wasyncore.poll2(1.0, self._map)
        self._finish()

    def stop(self, *_: object) -> None:
        """Make `run` return; a signal handler may call this."""
        if not self._stopping:
            self._stopping = True
            self.pull_trigger()

    @property
    def is_stopping(self) -> bool:
        """True once the server finishes what is in progress."""
        return self._stopping

    def has_room(self, request: Parser, arrived: int) -> bool:
        """Return whether a request may continue beside all other large ones, after `arrived` more bytes."""
        size = max(request.content_length, request.body_bytes_received)
        if size <= LARGE_BODY:
            return True
        self._body_bytes += arrived
        return bool(self._body_bytes + size - request.body_bytes_received <= _LARGE_BODIES)

    def handle_accept(self) -> None:
        """Accept many waiting clients at once, so that a crowd does not delay the others."""
        for _ in range(_ACCEPTED_AT_ONCE):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                return
            if len(self.active_channels) > self._most_connections:
                self._end_one()

    def note_open(self, channel: Channel) -> None:
        """Count a connection for its network."""
        self._networks.setdefault(channel.network, {})[channel] = None

    def note_closed(self, channel: Channel) -> None:
        """Forget a connection."""
        of_network = self._networks.get(channel.network, {})
        of_network.pop(channel, None)
        if not of_network:
            self._networks.pop(channel.network, None)

    def maintenance(self, now: float) -> None:
        """Close overdue connections; waitress calls this every second.

        Close them immediately. waitress sets `will_close`, which takes effect only when the client reads, if ever.
        """
        channels: list[Channel] = list(self.active_channels.values())
        for channel in channels:
            if channel.is_overdue(now):
                channel.handle_close()
        self._body_bytes = sum(channel.body_size for channel in channels)
        unread = sum(channel.total_outbufs_len for channel in channels)
        for channel in sorted(channels, key=lambda channel: channel.total_outbufs_len, reverse=True):
            if unread <= _ANSWERS:
                break
            if now - channel.last_activity > 1:
                unread -= channel.total_outbufs_len
                channel.handle_close()

    def _end_one(self) -> None:
        largest = max(self._networks.values(), key=len)
        for channel in largest:  # the oldest first
            if channel.is_waiting:
                channel.handle_close()
                return

    def _finish(self) -> None:
        ends_at = time.monotonic() + _STOPS_WITHIN
        self.handle_accept()  # clients whose connection is made would be reset with a listener that is ours alone
        self.close_listener()
        while time.monotonic() < ends_at:
            wasyncore.poll2(0.0, self._map)  # a request that has arrived must be read before its client looks idle
            for channel in list(self.active_channels.values()):
                if channel.is_at_rest and not channel.is_awaited(time.time()):
                    channel.handle_close()
            if not self.active_channels:
                break
            wasyncore.poll2(0.1, self._map)
        self.task_dispatcher.shutdown(timeout=0.5)
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        self.trigger.close()

    def close_listener(self) -> None:
        """Accept no further clients; on an inherited listener they wait for the next server."""
        self.accepting = False
        self.del_channel()
        self.socket.close()


def _adjustments(app: "Flask", connections: int) -> Adjustments:
    largest = request_limits.largest_body(app)
    options: dict[str, Any] = {
        "threads": _THREADS,
        "connection_limit": connections + _ACCEPTED_AT_ONCE,
        "channel_timeout": IDLE_SECONDS,
        "cleanup_interval": 1,
        "recv_bytes": 32 * 1024,
        "max_request_header_size": 32 * 1024,
        "max_request_body_size": largest + 1,  # the first size that is too large
        "inbuf_overflow": 2 * largest,  # never a file: visitors' texts are on disk only in the database
        "ident": "",
        "asyncore_use_poll": True,  # select() ends at the 1,024th file
        # Werkzeug's ProxyFix reads them if there are proxies. Without proxies, nothing may read them.
        "clear_untrusted_proxy_headers": not current_settings(app).trusted_proxies,
    }
    return Adjustments(**options)


def _raise_limit_of_files() -> int:
    """Raise the limit of open files if necessary, and return the maximum number of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _ACCEPTED_AT_ONCE + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(100, soft - _ACCEPTED_AT_ONCE - _OTHER_FILES)
    return _MOST_CONNECTIONS
