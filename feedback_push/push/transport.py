"""HTTPS over kept-alive connections, many requests at once: libcurl, driven by one thread."""

import math
import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import certifi
import pycurl

TIMEOUT = 10.0  # seconds for a request and its answer
_CONNECT_TIMEOUT = 5.0  # seconds
_LONGEST_BODY = 2048  # bytes of an answer; what follows is not read
_IDLE_CONNECTIONS = 1000
_CERTIFICATE_ERRORS = {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT, pycurl.E_SSL_CACERT_BADFILE}

# Makes the socket for one resolved address (family, type, protocol and host); OSError where it may not be connected to.
OpenSocket = Callable[[int, int, int, str], socket.socket]


class NoAnswer(NamedTuple):
    """There was none; `words` say why and name no secret."""

    words: str


class Response(NamedTuple):
    """An answer: its status, the lines of its head, and the beginning of its body."""

    status: int
    head: list[bytes]
    body: bytes

    def headers(self) -> dict[str, str]:
        """By name in lower case."""
        last = max(number for number, line in enumerate(self.head) if line.startswith(b"HTTP/"))
        fields = (line.decode("latin-1").partition(":") for line in self.head[last + 1 :])
        return {name.strip().lower(): value.strip() for name, colon, value in fields if colon}


Done = Callable[[Response | NoAnswer], None]


class Transport:
    """Posts to many hosts, following no redirect, with neither proxy nor cookie. All but `wake` is for one thread."""

    def __init__(self, open_socket: OpenSocket) -> None:
        self._open_socket = open_socket
        self._selector = selectors.DefaultSelector()
        self._due = math.inf  # when libcurl wants to look at its own timeouts
        self._idle: list[_Handle] = []
        self._under_way: dict[pycurl.Curl, _Handle] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, _IDLE_CONNECTIONS)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._bell, self._rung = socket.socketpair()
        self._bell.setblocking(False)
        self._selector.register(self._rung, selectors.EVENT_READ)

    def post(self, url: str, headers: list[str], body: bytes, done: Done) -> None:
        """Post the body with these header lines; `step` will call `done` once, at the latest after TIMEOUT."""
        handle = self._idle.pop() if self._idle else _Handle(self._open_socket)
        handle.prepare(url, headers, body, done)
        self._under_way[handle.curl] = handle
        self._multi.add_handle(handle.curl)

    def step(self, longest: float) -> None:
        """Do what there is to do, waiting for it at most so many seconds; math.inf is without end."""
        wait = min(longest, self._due - time.monotonic())
        for key, events in self._selector.select(None if wait == math.inf else wait):
            if key.fileobj is self._rung:
                self._rung.recv(4096)
            else:
                self._multi.socket_action(key.fd, events)  # the selectors' events are libcurl's too
        if self._due <= time.monotonic():
            self._due = math.inf
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._finish()

    def wake(self) -> None:
        """Let `step` return soon; from any thread."""
        with suppress(OSError):  # then it has been woken often enough, or is closed
            self._bell.send(b"\0")

    def close(self) -> None:
        """Drop all connections; what is under way will never be done."""
        for handle in self._under_way.values():
            self._multi.remove_handle(handle.curl)
        self._multi.close()
        self._selector.close()
        self._bell.close()
        self._rung.close()

    def _finish(self) -> None:
        more = 1
        while more:
            more, answered, failed = self._multi.info_read()
            for curl, error in [*((curl, None) for curl in answered), *((curl, code) for curl, code, _ in failed)]:
                self._multi.remove_handle(curl)
                handle = self._under_way.pop(curl)
                self._idle.append(handle)
                handle.done(handle.outcome(error))

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        known = descriptor in self._selector.get_map()
        if what in (pycurl.POLL_NONE, pycurl.POLL_REMOVE):
            if known:
                self._selector.unregister(descriptor)
        elif known:
            self._selector.modify(descriptor, what)
        else:
            self._selector.register(descriptor, what)

    def _set_timer(self, milliseconds: int) -> None:
        self._due = math.inf if milliseconds < 0 else time.monotonic() + milliseconds / 1000


class _Handle:
    """One of libcurl's easy handles with what it receives; it serves one request after another."""

    done: Done

    def __init__(self, open_socket: OpenSocket) -> None:
        self._open_socket = open_socket
        self._head: list[bytes] = []
        self._body = b""
        self._forbidden = ""
        self.curl = pycurl.Curl()
        for option, value in _OPTIONS.items() | _trust().items():
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.TIMEOUT_MS, int(TIMEOUT * 1000))
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_head)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)

    def prepare(self, url: str, headers: list[str], body: bytes, done: Done) -> None:
        self.done = done
        self._head = []
        self._body = b""
        self._forbidden = ""
        self.curl.setopt(pycurl.URL, url)
        self.curl.setopt(pycurl.HTTPHEADER, headers)
        self.curl.setopt(pycurl.POSTFIELDSIZE, len(body))
        self.curl.setopt(pycurl.POSTFIELDS, body)

    def outcome(self, error: int | None) -> Response | NoAnswer:
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        # What breaks or takes too long after the head of an answer does not unsay it.
        if error is None or (status >= 200 and self._head and self._head[-1] == b"\r\n"):
            return Response(status, self._head, self._body)
        return NoAnswer(self._words(error))

    def _words(self, error: int) -> str:
        if error == pycurl.E_OPERATION_TIMEDOUT:
            return "no answer in time"
        if error == pycurl.E_COULDNT_RESOLVE_HOST:
            return "its name cannot be resolved"
        if error in _CERTIFICATE_ERRORS:
            return "its certificate is not valid for it"
        if error == pycurl.E_SSL_CONNECT_ERROR:
            return "cannot agree on encryption with it"
        if error == pycurl.E_COULDNT_CONNECT:
            return f"cannot connect: {self._forbidden or os.strerror(self.curl.getinfo(pycurl.OS_ERRNO))}"
        return "the connection broke before an answer"

    def _open(self, _purpose: int, address: "pycurl.CurlSockAddr") -> int:
        family, kind, protocol, target = address
        try:
            return self._open_socket(family, kind, protocol, str(target[0])).detach()
        except OSError as error:
            self._forbidden = str(error.strerror)
            return pycurl.SOCKET_BAD

    def _take_head(self, line: bytes) -> None:
        self._head.append(line)

    def _take_body(self, part: bytes) -> int | None:
        self._body = (self._body + part)[:_LONGEST_BODY]
        return None if len(self._body) < _LONGEST_BODY else 0  # which ends the transfer


_OPTIONS: dict[int, Any] = {
    pycurl.POST: 1,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.PATH_AS_IS: 1,
    pycurl.USERAGENT: "feedback-push",
    pycurl.ACCEPT_ENCODING: "identity",  # a body is read as it comes
    pycurl.PROXY: "",  # not even what the environment says
    pycurl.NOSIGNAL: 1,
    pycurl.CONNECTTIMEOUT_MS: int(_CONNECT_TIMEOUT * 1000),
}


def _trust() -> dict[int, str]:
    """The authorities of the system, where OpenSSL's own variables and defaults say that they are."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath:
        return {pycurl.CAPATH: paths.capath}
    return {pycurl.CAINFO: paths.cafile or certifi.where()}
