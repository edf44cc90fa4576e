"""One request over HTTPS and what comes of it: an easy handle of libcurl's, its options, its errors in words."""

import os
import re
import socket
import ssl
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import certifi
import pycurl

TIMEOUT = 10.0  # seconds for a request and its answer
_CONNECT_TIMEOUT = 5.0  # seconds
_ASK_AGAIN_AFTER = 0.05  # seconds that a request has waited for its connection
_LONGEST_BODY = 2048  # bytes of an answer; what follows is not read
_CERTIFICATE_ERRORS = {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT, pycurl.E_SSL_CACERT_BADFILE}
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] +([0-9]{3})\b")
_END_OF_HEAD = b"\r\n"
_SUPPRESS_CONNECT_HEADERS = 265  # an option of libcurl's that pycurl has no name for
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

# A tunnel for http too: only so are a proxy's refusals told apart from a push service's.
_TUNNEL = {pycurl.NOPROXY: "", pycurl.HTTPPROXYTUNNEL: 1, _SUPPRESS_CONNECT_HEADERS: 1}

# Makes the socket for one resolved address (family, type, protocol and host); OSError where it may not be connected to.
OpenSocket = Callable[[int, int, int, str], socket.socket]


class NoAnswer(NamedTuple):
    """There was none; `words` say why and name no secret. `from_proxy`: the push service was not even asked."""

    words: str
    from_proxy: bool = False


class Response(NamedTuple):
    """An answer: its status, the lines of its head, the status line first, and the beginning of its body."""

    status: int
    head: list[bytes]
    body: bytes

    def headers(self) -> dict[str, str]:
        """By name in lower case."""
        fields = (line.decode("latin-1").partition(":") for line in self.head[1:])
        return {name.strip().lower(): value.strip() for name, colon, value in fields if colon}


class Stopped(NamedTuple):
    """It was not sent, for a reason that came up while it was connecting."""

    reason: Any


Done = Callable[[Response | NoAnswer | Stopped], None]
Objection = Callable[[], Any]  # asked once connected: a reason not to send, or None


class Transfer:
    """One of libcurl's easy handles with what it receives: one request and its answer, then the next."""

    done: Done

    def __init__(self, open_socket: OpenSocket, proxy: str) -> None:
        self._open_socket = open_socket
        self._proxy = proxy
        self._headers: tuple[str, ...] = ()
        self._heads: list[bytes] = []
        self._body = b""
        self._forbidden = ""
        self._objection: Objection | None = None
        self._stopped: Stopped | None = None
        self._posted_at = 0.0
        self._opened = False
        self.curl = pycurl.Curl()
        for option, value in _OPTIONS.items() | _trust().items():
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.TIMEOUT_MS, int(TIMEOUT * 1000))
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._before_request)
        if proxy:
            for option, value in {pycurl.PROXY: proxy, **_TUNNEL}.items():
                self.curl.setopt(option, value)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._heads.append)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)

    def prepare(self, url: str, headers: tuple[str, ...], body: bytes, done: Done, objection: Objection | None) -> None:
        """Forget the last request, and be about to post this body with these header lines."""
        self.done = done
        self._objection = objection
        self._stopped = None
        self._posted_at = time.monotonic()
        self._heads.clear()
        self._body = b""
        self._forbidden = ""
        self._opened = False
        self.curl.setopt(pycurl.URL, url)
        if headers is not self._headers:
            self.curl.setopt(pycurl.HTTPHEADER, headers)
            self._headers = headers
        self.curl.setopt(pycurl.POSTFIELDS, body)  # which sets their length too

    def outcome(self, error: int | None) -> Response | NoAnswer | Stopped:
        """What came of it, by libcurl's error number, or None where it saw no error."""
        if self._stopped:
            return self._stopped
        head = self._head()
        status = _status(head[0]) if head else 0
        # What breaks or takes too long after the head of an answer does not unsay it.
        if (error is None and status) or (status >= 200 and head[-1] == _END_OF_HEAD):
            return Response(status, head, self._body)
        if words := self._words_about_proxy(error):
            return NoAnswer(words, from_proxy=True)
        return NoAnswer("its answer cannot be read" if error is None else self._words(error))

    def _head(self) -> list[bytes]:
        """Of several heads the last: the others only announce the answer."""
        begins = 0
        if _END_OF_HEAD in self._heads[:-1]:
            begins = max(n for n, line in enumerate(self._heads) if line.startswith(b"HTTP/"))
        return self._heads[begins:]

    def _words_about_proxy(self, error: int | None) -> str:
        """Say what the proxy did instead of connecting; nothing where it connected, or there is none."""
        if error == pycurl.E_COULDNT_RESOLVE_PROXY:
            return "the name of the proxy cannot be resolved"
        answer = self.curl.getinfo(pycurl.HTTP_CONNECTCODE)
        # A connection of an earlier transfer is one that the proxy has made.
        if not (self._proxy and self._opened) or 200 <= answer < 300:
            return ""
        if answer == 407:
            return "the proxy wants another user name or password (407)"
        if answer:
            return f"the proxy does not connect to it ({answer})"
        if error == pycurl.E_OPERATION_TIMEDOUT:
            return "the proxy does not answer in time"
        if error == pycurl.E_COULDNT_CONNECT:
            return f"cannot connect to the proxy: {os.strerror(self.curl.getinfo(pycurl.OS_ERRNO))}"
        return "the proxy ends the connection"

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

    def _before_request(self, *_addresses: object) -> int:
        """Ask once more where connecting took a while, before libcurl sends anything of the request."""
        if self._objection and time.monotonic() - self._posted_at > _ASK_AGAIN_AFTER and (reason := self._objection()):
            self._stopped = Stopped(reason)
            return pycurl.PREREQFUNC_ABORT
        return pycurl.PREREQFUNC_OK

    def _open(self, _purpose: int, address: "pycurl.CurlSockAddr") -> int:
        family, kind, protocol, target = address
        self._opened = True
        try:
            if self._proxy:  # it may be at a private address; the push service's address is its business
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
    # In its own words: libcurl takes a status line of another version for 200, also where it refuses.
    found = _STATUS_LINE.match(line)
    return int(found[1]) if found else 0


def _trust() -> dict[int, str]:
    """The authorities of the system, where OpenSSL's own variables and defaults say that they are."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath:
        return {pycurl.CAPATH: paths.capath}
    return {pycurl.CAINFO: paths.cafile or certifi.where()}
