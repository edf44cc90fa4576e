"""Decide which endpoints we send to: known hosts, and public addresses only (a guard against SSRF)."""

import errno
import re
import socket
import zlib
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

LONGEST_ENDPOINT = 2048
KNOWN_HOSTS = (
    "fcm.googleapis.com",  # Chrome, Brave, Opera, Samsung
    "jmt17.google.com",
    "updates.push.services.mozilla.com",  # Firefox
    "*.push.services.mozilla.com",
    "web.push.apple.com",  # Safari
    "*.push.apple.com",
    "*.notify.windows.com",  # Edge on Windows
)
# Nothing that two URL parsers could read differently: labels separated by single dots, or an IPv6 address in brackets.
AUTHORITY = re.compile(r"([a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?", re.IGNORECASE)
_UNLISTED = "other"
_DEFAULT_PORTS = {"https": 443, "http": 80}
_NAT64 = IPv6Network("64:ff9b::/96")  # carries an IPv4 address in its last 32 bits
_UNICAST = IPv6Network("2000::/3")  # every public IPv6 address; Python counts some others as global too


class EndpointRefused(ValueError):
    """We do not send to this endpoint; the text says why without repeating it."""


class UnknownService(EndpointRefused):
    """The endpoint's host is not allowed."""


@dataclass(frozen=True)
class EndpointPolicy:
    """The allowed host names (`*.` for all names below one); `private_allowed` permits private addresses and http."""

    hosts: tuple[str, ...] = KNOWN_HOSTS
    private_allowed: bool = False

    def check(self, endpoint: str) -> None:
        """Raise EndpointRefused unless this endpoint may be stored and sent to; UnknownService for its host."""
        if not is_plain(endpoint):
            raise EndpointRefused("The endpoint is not a push address.")
        beginning = _beginning(endpoint)
        if reason := _why_refused(beginning, private_allowed=self.private_allowed):
            raise EndpointRefused(reason)
        if not host_allowed(self.hosts, beginning):
            raise UnknownService("The endpoint is not on a push service that this site knows.")

    def service_name(self, origin: str) -> str:
        """Return the name of an origin's push service: the host in the list that allows it, `other` without one.

        Browsers choose the hosts below a `*.`, so there can be any number of those, but few names.
        """
        return _listed_name(self.hosts, origin) or _UNLISTED

    def open_socket(self, family: int, kind: int, protocol: int, host: str) -> socket.socket:
        """Make the socket for one resolved address, where `host` is an IP address; OSError if it is not public.

        The transport calls this for the address it connects to, so a DNS answer cannot change between check and use.
        """
        if not self.private_allowed and not is_public(host):
            raise OSError(errno.EACCES, f"{host} is not a public address")
        return socket.socket(family, kind, protocol)


def origin(endpoint: str) -> str:
    """Return an endpoint's origin as RFC 6454 spells it: the audience of its VAPID token."""
    return _origin(_beginning(endpoint))


def service(endpoint: str) -> int:
    """Return a number for an endpoint's push service; two services rarely share one."""
    return _number(_beginning(endpoint))


def _beginning(endpoint: str) -> str:
    """Return the scheme and authority, which many endpoints share."""
    end = endpoint.find("/", endpoint.find("//") + 2)
    return endpoint if end < 0 else endpoint[:end]


@lru_cache
def _origin(beginning: str) -> str:
    try:
        parts = urlsplit(beginning)
    except ValueError:
        return beginning  # which `check` refuses
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(f':{_DEFAULT_PORTS.get(parts.scheme)}')}"


@lru_cache
def _number(beginning: str) -> int:
    return zlib.crc32(_origin(beginning).encode(errors="replace")) & 0x7FFFFFFF  # fits a column


def is_plain(endpoint: str) -> bool:
    """Return whether it is short and every character may stand in a URL; some parsers read a backslash as a slash."""
    return (
        len(endpoint) <= LONGEST_ENDPOINT
        and endpoint.isascii()
        and endpoint.isprintable()
        and " " not in endpoint
        and "\\" not in endpoint
    )


@lru_cache
def _why_refused(beginning: str, *, private_allowed: bool) -> str:
    """Return the fault of this scheme and authority; empty if there is none."""
    try:
        parts = urlsplit(beginning)
        port = parts.port
    except ValueError:
        return "The endpoint is not a push address."
    if parts.scheme != "https" and not (parts.scheme == "http" and private_allowed):
        return "The endpoint is not https."
    if "@" in parts.netloc:
        return "The endpoint contains user information."
    if not AUTHORITY.fullmatch(parts.netloc):
        return "The endpoint is not a push address."
    if port not in (None, 443) and not private_allowed:
        return "The endpoint is on an unusual port."
    if (parts.hostname or "").endswith(".invalid"):  # RFC 6761; Chromium's mark for a subscription that is lost
        return "This subscription is no longer valid. The browser must subscribe again."
    return ""


def host_allowed(patterns: tuple[str, ...], beginning: str) -> bool:
    """Return whether the host of this scheme and authority is in a list; `*.` stands for all names below one."""
    return _listed_name(patterns, beginning) is not None


@lru_cache
def _listed_name(patterns: tuple[str, ...], beginning: str) -> str | None:
    host = urlsplit(beginning).hostname or ""
    for pattern in patterns:
        name = pattern.removeprefix("*.")
        if host == pattern or (name != pattern and host.endswith(f".{name}") and len(host) > len(name) + 1):
            return name
    return None


def is_public(host: str) -> bool:
    """Return whether this IP address is one of the public internet, also the IPv4 address inside an IPv6 one."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address not in _UNICAST and not _embedded(address):
            return False
        address = _embedded(address) or address
    return address.is_global and not address.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
