"""An HTTP client that controls every byte."""

import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Self

FORM = "Content-Type: application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """A response of the server."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def closes(self) -> bool:
        """Return whether the response announces that the connection closes."""
        return self.headers.get("connection") == "close"


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *lines: str, body: bytes = b"", host: str | None = None) -> None:
        """Send a request with its Host, or as much of its body as is given."""
        first, *others = lines
        named = f"Host: {host or f'127.0.0.1:{self.port}'}"
        self.socket.sendall("\r\n".join([first, named, *others, "", ""]).encode("latin-1") + body)

    def answer(self, method: str = "GET") -> Answer:
        """Return the next response."""
        response = HTTPResponse(self.socket, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read().decode("latin-1"))

    def ask(self, *lines: str, body: bytes = b"", host: str | None = None) -> Answer:
        """Send a request and read its answer."""
        self.send(*lines, body=body, host=host)
        return self.answer()

    def is_alive(self) -> bool:
        """Return whether the connection still serves."""
        return self.ask("GET /healthz HTTP/1.1").status == 200

    def is_closed(self) -> bool:
        """Return whether the server has closed the connection cleanly; raise ConnectionResetError if it aborted it."""
        return self.socket.recv(1) == b""
