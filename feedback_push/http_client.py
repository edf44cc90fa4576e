"""Get a document from another web server, or post one to it, with bounds on address, size, time and redirects."""

import socket
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import pycurl

from feedback_push.config import current_settings
from feedback_push.setting_validators import ascii_host
from feedback_push.webpush import endpoints, transport
from feedback_push.webpush.endpoints import EndpointPolicy

LONGEST_URL = 2000
LARGEST_BODY = 2 * 1024 * 1024  # bytes, sent and unpacked
LARGEST_REPLY = 2048  # bytes of the answer to a POST; the rest is not read
MOST_REDIRECTS = 5
TIMEOUT = 15.0  # seconds for all requests and answers together
_CONNECT_TIMEOUT = 5.0  # seconds
_PERMANENT = (301, 308)
_REDIRECTS = (301, 302, 303, 307, 308)
_LOWEST_PORT = 1024  # of those that belong to no other protocol by convention
_OPTIONS: dict[int, Any] = {
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.ACCEPT_ENCODING: "gzip, deflate",
    pycurl.MAXFILESIZE: LARGEST_BODY,
    pycurl.PROXY: "",  # ignore the environment's proxy
    pycurl.NOSIGNAL: 1,
    pycurl.CONNECTTIMEOUT_MS: int(_CONNECT_TIMEOUT * 1000),
}


class Reason(StrEnum):
    """The reason why there is no document."""

    ADDRESS = "address"  # not an http or https URL that we request
    NOT_PUBLIC = "not-public"
    UNENCRYPTED = "unencrypted"  # https redirects to http, or a POST to http
    REDIRECTS = "redirects"
    TOO_LARGE = "too-large"
    TIMEOUT = "timeout"
    UNKNOWN_HOST = "unknown-host"
    CERTIFICATE = "certificate"
    CONNECTION = "connection"
    ANSWER = "answer"  # it broke off, or cannot be read
    PROXY = "proxy"


_REASONS = {
    pycurl.E_OPERATION_TIMEDOUT: Reason.TIMEOUT,
    pycurl.E_COULDNT_RESOLVE_HOST: Reason.UNKNOWN_HOST,
    pycurl.E_COULDNT_RESOLVE_PROXY: Reason.PROXY,
    pycurl.E_COULDNT_CONNECT: Reason.CONNECTION,
    pycurl.E_PEER_FAILED_VERIFICATION: Reason.CERTIFICATE,
    pycurl.E_SSL_CACERT_BADFILE: Reason.CERTIFICATE,
    pycurl.E_SSL_CONNECT_ERROR: Reason.CERTIFICATE,
    pycurl.E_FILESIZE_EXCEEDED: Reason.TOO_LARGE,
    pycurl.E_URL_MALFORMAT: Reason.ADDRESS,
}


class Failure(Exception):
    """There is no answer; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Answer(NamedTuple):
    """The last answer, from `url`; header names are in lower case.

    `moved_to` is the address that permanent redirects lead to, or empty if there were none. `certificate` is the time
    from which and until which the certificate of an https server is valid, if the caller has asked for it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    moved_to: str
    certificate: tuple[datetime, datetime] | None = None


def get(url: str, headers: tuple[str, ...] = ()) -> Answer:
    """Request an http or https URL with these header lines, and follow its redirects. Raise Failure.

    Private addresses are refused when the socket is made, unless PUSH_ALLOW_PRIVATE_ADDRESSES is set. With PUSH_PROXY,
    the proxy resolves names, so it must check their addresses itself.
    """
    deadline, moved_to, only_permanent = time.monotonic() + TIMEOUT, "", True
    for _ in range(MOST_REDIRECTS + 1):
        check(url)
        request = _Request(url, headers)
        request.perform(deadline)
        target = request.redirect
        if not target:
            return Answer(request.status, request.headers, bytes(request.body), url, moved_to)
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
            raise Failure(Reason.UNENCRYPTED)
        only_permanent = only_permanent and request.status in _PERMANENT
        moved_to = target if only_permanent else moved_to
        url = target
    raise Failure(Reason.REDIRECTS)


def post(url: str, headers: tuple[str, ...], body: bytes, private_hosts: tuple[str, ...] = ()) -> Answer:
    """Post a body to an https URL, and return the answer with the beginning of its body. Raise Failure.

    A redirect is not followed; it is the answer. Addresses are checked as in `get`, but a host in `private_hosts` may
    have a private one, and speak http.
    """
    check_target(url, private_hosts)
    request = _Request(url, (*headers, "Expect:"), body=body, private_allowed=_may_be_private(url, private_hosts))
    request.perform(time.monotonic() + TIMEOUT)
    return Answer(request.status, request.headers, bytes(request.body), url, "")


def check_target(url: str, private_hosts: tuple[str, ...] = ()) -> None:
    """Raise Failure if we never post to this URL, whatever its name resolves to."""
    private_allowed = _may_be_private(url, private_hosts)
    check(url, private_allowed=private_allowed)
    if urlsplit(url).scheme != "https" and not private_allowed:
        raise Failure(Reason.UNENCRYPTED)


def _may_be_private(url: str, private_hosts: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        listed = endpoints.host_allowed(private_hosts, f"{parts.scheme}://{parts.netloc}")
    except ValueError:
        return False  # which `check` refuses
    return listed or current_settings().push_allow_private_addresses


def probe(url: str, timeout: float, *, is_own_site: bool = False) -> Answer:
    """Request a URL once, without following redirects, to see if its server answers. Raise Failure.

    Our own site may have a private address and any port, because the operator has set it, and needs no proxy.
    """
    if not is_own_site:
        check(url)
    request = _Request(url, (), private_allowed=is_own_site or None, is_direct=is_own_site)
    request.ask_for_certificate()
    request.perform(time.monotonic() + timeout)
    return Answer(request.status, request.headers, bytes(request.body), url, "", request.certificate)


def check(url: str, *, private_allowed: bool | None = None) -> None:
    """Raise Failure if we never request this URL, whatever its name resolves to."""
    if private_allowed is None:
        private_allowed = current_settings().push_allow_private_addresses
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Failure(Reason.ADDRESS) from None
    known = len(url) <= LONGEST_URL and endpoints.is_plain(url) and parts.scheme in ("http", "https")
    if not known or not endpoints.AUTHORITY.fullmatch(parts.netloc) or not _is_usual(port, parts.scheme):
        raise Failure(Reason.ADDRESS)
    if not private_allowed and _is_private(parts.hostname or ""):
        raise Failure(Reason.NOT_PUBLIC)


def typed_url(text: str) -> str:
    """Return a typed address as a URL in ASCII, with https if it names no scheme; `check` refuses what is none."""
    url = text if "://" in text else f"https://{text}"
    if url.isascii() or len(url) > LONGEST_URL:
        return url
    try:
        parts = urlsplit(url)
        host, port = ascii_host(parts.hostname or ""), "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return url
    path, query = (quote(part, safe="/%:@!$&'()*+,;=~?") for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, f"{host}{port}", path, query, ""))


class _Request:
    """One request and its answer."""

    def __init__(
        self,
        url: str,
        headers: tuple[str, ...],
        *,
        body: bytes | None = None,
        private_allowed: bool | None = None,
        is_direct: bool = False,
    ) -> None:
        settings = current_settings()
        if private_allowed is None:
            private_allowed = settings.push_allow_private_addresses
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.certificate: tuple[datetime, datetime] | None = None
        self._proxy = "" if is_direct else settings.push_proxy
        self._policy = EndpointPolicy(private_allowed=private_allowed)
        self._failed = ""
        self._posts, self._is_cut = body is not None, False
        self._curl = pycurl.Curl()
        agent = {pycurl.USERAGENT: f"feedback-push (+{settings.site_url})", pycurl.URL: url}
        through = {pycurl.PROXY: self._proxy, **transport.TUNNEL} if self._proxy else {}
        sent = {} if body is None else {pycurl.POST: 1, pycurl.POSTFIELDS: body, pycurl.MAXFILESIZE: 0}
        for option, value in {**_OPTIONS, **transport.trust(), **agent, **through, **sent}.items():
            self._curl.setopt(option, value)
        self._curl.setopt(pycurl.HTTPHEADER, headers)
        self._curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        self._curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        self._curl.setopt(pycurl.WRITEFUNCTION, self._take_body)

    def ask_for_certificate(self) -> None:
        """Let `perform` read the times of the server's certificate."""
        self._curl.setopt(pycurl.OPT_CERTINFO, 1)

    def perform(self, deadline: float) -> None:
        """Send the request and read its answer. Raise Failure."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Failure(Reason.TIMEOUT)
        self._curl.setopt(pycurl.TIMEOUT_MS, max(1, int(left * 1000)))
        try:
            self._perform()
            self.status = self._curl.getinfo(pycurl.RESPONSE_CODE)
            location = self._curl.getinfo(pycurl.REDIRECT_URL)
            self.certificate = _validity(self._curl)
        finally:
            self._curl.close()
        self.redirect = location if location and self.status in _REDIRECTS else ""

    def _perform(self) -> None:
        try:
            self._curl.perform()
        except pycurl.error as error:
            if not self._is_cut:
                raise Failure(self._reason(int(error.args[0]))) from None

    def _reason(self, error: int) -> Reason:
        if self._failed:
            return Reason(self._failed)
        if self._proxy and self._curl.getinfo(pycurl.HTTP_CONNECTCODE) not in range(200, 300):
            return Reason.PROXY
        return _REASONS.get(error, Reason.ANSWER)

    def _open(self, _purpose: int, address: "pycurl.CurlSockAddr") -> int:
        family, kind, protocol, target = address
        try:
            if self._proxy:
                return socket.socket(family, kind, protocol).detach()
            opened = self._policy.open_socket(family, kind, protocol, str(target[0]))
        except OSError:
            self._failed = Reason.NOT_PUBLIC
            return pycurl.SOCKET_BAD
        self._failed = ""  # one of several addresses may be used
        return opened.detach()

    def _take_header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):  # the heads before the last one only announce the answer
            self.headers.clear()
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            self.headers[name.strip().lower()] = value.strip()

    def _take_body(self, part: bytes) -> int | None:
        if self._posts and len(self.body) + len(part) > LARGEST_REPLY:
            self.body += part[: LARGEST_REPLY - len(self.body)]
            self._is_cut = True
            return 0  # which ends the transfer
        if len(self.body) + len(part) > LARGEST_BODY:
            self._failed = Reason.TOO_LARGE
            return 0  # which ends the transfer
        self.body += part
        return None


def _validity(curl: pycurl.Curl) -> tuple[datetime, datetime] | None:
    """Return the times of the server's own certificate, as libcurl writes them; None if there is none."""
    try:
        fields = dict(curl.getinfo(pycurl.INFO_CERTINFO)[0])
        start, end = (ssl.cert_time_to_seconds(fields[name]) for name in ("Start date", "Expire date"))
    except (IndexError, KeyError, ValueError):
        return None
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)


def _is_usual(port: int | None, scheme: str) -> bool:
    return port is None or port >= _LOWEST_PORT or port == {"http": 80, "https": 443}[scheme]


def _is_private(host: str) -> bool:
    """Return whether a host is an address that is not public, in any spelling that libcurl reads."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = host if ":" in host else str(IPv4Address(socket.inet_aton(host)))
        return not endpoints.is_public(address)
    except (OSError, ValueError):
        return False  # a name
