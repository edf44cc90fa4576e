"""A client for Marionette, Firefox's remote control, over TCP; each message is a length, a colon and JSON."""

import json
import socket
from typing import Any

_COMMAND, _RESPONSE = 0, 1


class MarionetteError(Exception):
    """Firefox refused a command; `kind` is WebDriver's name for the error, such as "no such element"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class Marionette:
    """One connection and its session; Firefox answers commands one after the other."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._stream = self._socket.makefile("rb")
        self._last_id = 0
        self._receive()  # Firefox opens with a greeting
        self.call("WebDriver:NewSession")

    def call(self, command: str, **parameters: Any) -> Any:
        """Run a command, such as "WebDriver:Navigate", and return its value; raise MarionetteError if it fails."""
        self._last_id += 1
        self._send([_COMMAND, self._last_id, command, parameters])
        kind, answered_id, error, result = self._receive()
        if (kind, answered_id) != (_RESPONSE, self._last_id):
            raise MarionetteError("out of step", f"{command} got the answer to command {answered_id}")
        if error:
            raise MarionetteError(error["error"], error["message"])
        return result["value"] if isinstance(result, dict) and set(result) == {"value"} else result

    def close(self) -> None:
        """Close the connection; Firefox keeps running."""
        self._stream.close()
        self._socket.close()

    def _send(self, message: list[Any]) -> None:
        data = json.dumps(message).encode()
        self._socket.sendall(b"%d:%b" % (len(data), data))

    def _receive(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self._read(1)
        return json.loads(self._read(int(length[:-1])))

    def _read(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise ConnectionError("Firefox closed the Marionette connection")
        return data
