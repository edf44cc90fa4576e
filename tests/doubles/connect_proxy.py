"""An http proxy on loopback that supports CONNECT (RFC 9110, 9.3.6) and records its requests."""

import base64
import selectors
import socket
import socketserver
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_PART = 65536


class ConnectProxy:
    """`with ConnectProxy() as proxy:` listens on a free port of 127.0.0.1 until the block ends.

    `url` is its address, and `heads` are the requests that it got. If `target` is given, it connects there for every
    requested host. `refusal` is an answer to send instead of connecting; an empty one closes the connection without an
    answer. While it is `silent`, it reads and never answers. It requires `credentials`, as `user:password`.
    """

    def __init__(self, *, credentials: str = "", target: tuple[str, int] | None = None) -> None:
        self.heads: list[str] = []
        self.refusal: str | None = None
        self.silent = False
        self.target = target
        self._credentials = credentials
        self._stopping = threading.Event()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=[0.05], name="proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, client: socket.socket) -> None:
        head = _read_head(client)
        if not head:
            return
        self.heads.append(head)
        if self.silent:
            self._stopping.wait(20)
        elif (answer := self._answer(head)) is not None:
            client.sendall(answer.encode())
        else:
            self._tunnel(client, self.target or _target(head))

    def _answer(self, head: str) -> str | None:
        wanted = f"Proxy-Authorization: Basic {base64.b64encode(self._credentials.encode()).decode()}\r\n"
        if self._credentials and wanted not in head:
            return "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"
        if not head.startswith("CONNECT "):
            return "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
        return self.refusal

    def _tunnel(self, client: socket.socket, target: tuple[str, int]) -> None:
        try:
            upstream = socket.create_connection(target, timeout=5)
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\ngone")
            return
        with upstream:
            client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")
            self._relay(client, upstream)

    def _relay(self, client: socket.socket, upstream: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, suppress(ConnectionError):
            selector.register(client, selectors.EVENT_READ, upstream)
            selector.register(upstream, selectors.EVENT_READ, client)
            while not self._stopping.is_set():
                for ready, _ in selector.select(0.1):
                    source: socket.socket = ready.fileobj  # type: ignore[assignment]
                    part = source.recv(_PART)
                    if not part:
                        return
                    ready.data.sendall(part)


def _read_head(client: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = client.recv(_PART)
        if not part:
            return ""
        head += part
    return head.decode("latin-1")


def _target(head: str) -> tuple[str, int]:
    host, _, port = head.split(" ")[1].rpartition(":")
    return host, int(port)
