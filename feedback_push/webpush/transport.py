"""Post to many hosts at once over kept-alive HTTPS connections: libcurl's multi interface, driven by one thread."""

import math
import os
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import certifi
import pycurl

from feedback_push.webpush.responses import PushError

TIMEOUT = 10.0  # seconds for a request and its answer
_CONNECT_TIMEOUT = 5.0  # seconds
_CHECK_AGAIN_AFTER = 0.05  # seconds that a request has waited for its connection
_SUPPRESS_CONNECT_HEADERS = 265  # an option of libcurl that pycurl has no name for
_LONGEST_BODY = 2048  # bytes of an answer; the rest is not read
_IDLE_CONNECTIONS = 1000
_CERTIFICATE_ERRORS = {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT, pycurl.E_SSL_CACERT_BADFILE}
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] +([0-9]{3})\b")
_END_OF_HEAD = b"\r\n"
_OPTIONS: dict[int, Any] = {
    pycurl.POST: 1,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.PATH_AS_IS: 1,
    pycurl.USERAGENT: "feedback-push",
    pycurl.ACCEPT_ENCODING: "identity",  # a body is read as it comes
    pycurl.PROXY: "",  # ignore the environment's proxy
    pycurl.NOSIGNAL: 1,
    pycurl.CONNECTTIMEOUT_MS: int(_CONNECT_TIMEOUT * 1000),
}
# A tunnel for http too: otherwise a refusal of the proxy looks like one of the push service.
TUNNEL = {pycurl.NOPROXY: "", pycurl.HTTPPROXYTUNNEL: 1, _SUPPRESS_CONNECT_HEADERS: 1}

# Makes the socket for one resolved address (family, type, protocol, host); OSError if we may not connect to it.
OpenSocket = Callable[[int, int, int, str], socket.socket]


class Response(NamedTuple):
    """An answer: its status, the lines of its head, the status line first, and the beginning of its body."""

    status: int
    head: list[bytes]
    body: bytes

    def headers(self) -> dict[str, str]:
        """Return the headers by name in lower case."""
        fields = (line.decode("latin-1").partition(":") for line in self.head[1:])
        return {name.strip().lower(): value.strip() for name, colon, value in fields if colon}


class NoAnswer(NamedTuple):
    """There was no answer; `reason` says why and holds no secret. With `from_proxy` the push service was not asked."""

    reason: str
    from_proxy: bool = False


class Cancelled(NamedTuple):
    """The request was not sent, because its check failed while it was connecting."""

    error: PushError


Done = Callable[[Response | NoAnswer | Cancelled], None]
Check = Callable[[], PushError | None]


class Transport:
    """Post to many hosts without following redirects and without cookies. All but `wake` is for one thread.

    It connects through the http proxy at this address, if there is one, else by the sockets that `open_socket` makes.
    """

    def __init__(self, open_socket: OpenSocket, proxy: str = "") -> None:
        self._open_socket = open_socket
        self._proxy = proxy
        self._selector = selectors.DefaultSelector()
        self._due = math.inf  # when libcurl wants to check its own timeouts
        self._idle: list[_Transfer] = []
        self._in_flight: dict[pycurl.Curl, _Transfer] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, _IDLE_CONNECTIONS)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def post(self, url: str, headers: tuple[str, ...], body: bytes, done: Done, check: Check | None = None) -> None:
        """Post the body with these header lines; `step` will call `done` once, after TIMEOUT at the latest.

        If it takes a while to connect, `check` is called before anything is sent; an error cancels the request.
        """
        transfer = self._idle.pop() if self._idle else _Transfer(self._open_socket, self._proxy)
        transfer.prepare(url, headers, body, done, check)
        self._in_flight[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)

    def step(self, longest: float) -> None:
        """Wait at most `longest` seconds (math.inf: for ever) for something to do, and do it."""
        wait = min(longest, self._due - time.monotonic())
        for key, events in self._selector.select(None if wait == math.inf else wait):
            if key.fileobj is self._woken:
                self._woken.recv(4096)
            else:
                self._multi.socket_action(key.fd, events)
        if self._due <= time.monotonic():
            self._due = math.inf
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._finish()

    def wake(self) -> None:
        """Let `step` return soon; may be called from any thread."""
        with suppress(OSError):  # it has been woken often enough, or is closed
            self._waker.send(b"\0")

    def close(self) -> None:
        """Drop all connections; requests in flight will never be done."""
        for transfer in self._in_flight.values():
            self._multi.remove_handle(transfer.curl)
        self._multi.close()
        self._selector.close()
        self._waker.close()
        self._woken.close()

    def _finish(self) -> None:
        more = 1
        while more:
            more, answered, failed = self._multi.info_read()
            for curl, error in [*((curl, None) for curl in answered), *((curl, code) for curl, code, _ in failed)]:
                self._multi.remove_handle(curl)
                transfer = self._in_flight.pop(curl)
                self._idle.append(transfer)
                transfer.done(transfer.outcome(error))

    def _watch(self, events: int, descriptor: int, _multi: object, _data: object) -> None:
        # libcurl's bits for reading and writing are those of selectors.
        known = descriptor in self._selector.get_map()
        if events == pycurl.POLL_REMOVE:
            if known:
                self._selector.unregister(descriptor)
        elif known:
            self._selector.modify(descriptor, events)
        else:
            self._selector.register(descriptor, events)

    def _set_timer(self, milliseconds: int) -> None:
        self._due = math.inf if milliseconds < 0 else time.monotonic() + milliseconds / 1000


class _Transfer:
    """One of libcurl's easy handles: one request and its answer, then the next."""

    done: Done

    def __init__(self, open_socket: OpenSocket, proxy: str) -> None:
        self._open_socket = open_socket
        self._proxy = proxy
        self._check: Check | None = None
        self._cancelled: Cancelled | None = None
        self._posted_at = 0.0
        self._opened = False
        self._heads: list[bytes] = []
        self._body = b""
        self._forbidden = ""
        self.curl = pycurl.Curl()
        for option, value in _OPTIONS.items() | trust().items():
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.TIMEOUT_MS, int(TIMEOUT * 1000))
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._before_request)
        if proxy:
            for option, value in {pycurl.PROXY: proxy, **TUNNEL}.items():
                self.curl.setopt(option, value)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._heads.append)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)

    def prepare(self, url: str, headers: tuple[str, ...], body: bytes, done: Done, check: Check | None) -> None:
        """Forget the last request and get ready to post this body with these header lines."""
        self.done = done
        self._check = check
        self._cancelled = None
        self._posted_at = time.monotonic()
        self._opened = False
        self._heads.clear()
        self._body = b""
        self._forbidden = ""
        self.curl.setopt(pycurl.URL, url)
        self.curl.setopt(pycurl.HTTPHEADER, headers)
        self.curl.setopt(pycurl.POSTFIELDS, body)  # which sets their length too

    def outcome(self, error: int | None) -> Response | NoAnswer | Cancelled:
        """Return the answer, or the reason why there is none, by libcurl's error number (None: no error)."""
        if self._cancelled:
            return self._cancelled
        if reason := self._proxy_failure(error):
            return NoAnswer(reason, from_proxy=True)
        head = self._head()
        status = _status(head[0]) if head else 0
        # An error after the head of an answer does not unsay the answer.
        if (error is None and status) or (status >= 200 and head[-1] == _END_OF_HEAD):
            return Response(status, head, self._body)
        return NoAnswer("its answer cannot be read" if error is None else self._reason(error))

    def _head(self) -> list[bytes]:
        """Return the last of several heads: the others only announce the answer (RFC 9110, 15.2)."""
        begins = 0
        if _END_OF_HEAD in self._heads[:-1]:
            begins = max(n for n, line in enumerate(self._heads) if line.startswith(b"HTTP/"))
        return self._heads[begins:]

    def _reason(self, error: int) -> str:
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

    def _proxy_failure(self, error: int | None) -> str:
        """Return what the proxy did instead of connecting; empty if it connected, or if there is none."""
        if error == pycurl.E_COULDNT_RESOLVE_PROXY:
            return "the name of the proxy cannot be resolved"
        answer = self.curl.getinfo(pycurl.HTTP_CONNECTCODE)
        # A reused connection is one that the proxy has made before.
        if not (self._proxy and self._opened) or 200 <= answer < 300:
            return ""
        if answer == 407:
            return "the proxy refuses the user name or password (407)"
        if answer:
            return f"the proxy does not connect to it ({answer})"
        if error == pycurl.E_OPERATION_TIMEDOUT:
            return "the proxy does not answer in time"
        if error == pycurl.E_COULDNT_CONNECT:
            return f"cannot connect to the proxy: {os.strerror(self.curl.getinfo(pycurl.OS_ERRNO))}"
        return "the proxy ends the connection"

    def _before_request(self, *_addresses: object) -> int:
        """Check once more, if connecting took a while, before libcurl sends anything of the request."""
        waited = time.monotonic() - self._posted_at
        if self._check and waited > _CHECK_AGAIN_AFTER and (error := self._check()):
            self._cancelled = Cancelled(error)
            return pycurl.PREREQFUNC_ABORT
        return pycurl.PREREQFUNC_OK

    def _open(self, _purpose: int, address: "pycurl.CurlSockAddr") -> int:
        family, kind, protocol, target = address
        self._opened = True
        try:
            if self._proxy:  # it may have a private address, and it guards the addresses of push services itself
                return socket.socket(family, kind, protocol).detach()
            return self._open_socket(family, kind, protocol, str(target[0])).detach()
        except OSError as error:
            self._forbidden = str(error.strerror)
            return pycurl.SOCKET_BAD

    def _take_body(self, part: bytes) -> int | None:
        self._body = (self._body + part)[:_LONGEST_BODY]
        return None if len(self._body) < _LONGEST_BODY else 0  # which ends the transfer


@lru_cache
def _status(line: bytes) -> int:
    # libcurl takes a status line of an unknown HTTP version for 200, even if it refuses.
    found = _STATUS_LINE.match(line)
    return int(found[1]) if found else 0


def trust() -> dict[int, str]:
    """Return the option that names the system's certificate authorities, where OpenSSL expects them."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath:
        return {pycurl.CAPATH: paths.capath}
    return {pycurl.CAINFO: paths.cafile or certifi.where()}
