"""Which push endpoints we talk to: known hosts, public addresses, and no tricks in between."""

import errno
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from feedback_push.config import Settings
from feedback_push.push.models import LONGEST_ENDPOINT

KNOWN_HOSTS = (
    "fcm.googleapis.com",  # Chrome, Brave, Opera, Samsung
    "jmt17.google.com",
    "updates.push.services.mozilla.com",  # Firefox
    "*.push.services.mozilla.com",
    "web.push.apple.com",  # Safari
    "*.push.apple.com",
    "*.notify.windows.com",  # Edge on Windows
)
# Nothing that two URL parsers could read differently: labels between single dots, or an IPv6 address in brackets.
_AUTHORITY = re.compile(r"([a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?", re.IGNORECASE)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_NAT64 = IPv6Network("64:ff9b::/96")  # carries an IPv4 address in its last 32 bits
_UNICAST = IPv6Network("2000::/3")  # all that is public in IPv6; Python counts some of the rest as global


class EndpointRefused(ValueError):
    """We will not send to this endpoint; the text says why without repeating it."""


@dataclass(frozen=True)
class EndpointPolicy:
    """What the operator allows: host names (`*.` for all below one), and whether they may be private and plain http."""

    hosts: tuple[str, ...] = KNOWN_HOSTS
    private_allowed: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "EndpointPolicy":
        """The policy that the settings describe."""
        return cls(KNOWN_HOSTS + settings.push_allowed_hosts, settings.push_allow_private_addresses)

    def check(self, endpoint: str) -> None:
        """Raise EndpointRefused unless a subscription with this endpoint may be stored and sent to."""
        parts = _split(endpoint)
        if parts.scheme != "https" and not (parts.scheme == "http" and self.private_allowed):
            raise EndpointRefused("The endpoint is not https.")
        if "@" in parts.netloc:
            raise EndpointRefused("The endpoint contains user information.")
        if not _AUTHORITY.fullmatch(parts.netloc):
            raise EndpointRefused("The endpoint is not a push address.")
        if parts.port not in (None, 443) and not self.private_allowed:
            raise EndpointRefused("The endpoint is on an unusual port.")
        if not self._host_allowed(parts.hostname or ""):
            raise EndpointRefused("The endpoint is not on a push service that this site knows (PUSH_ALLOWED_HOSTS).")

    def open_socket(self, address: tuple[Any, ...]) -> socket.socket:
        """Make the socket for one resolved address (a getaddrinfo row); OSError where the address is not public.

        Called for the very address that is connected to, so a DNS answer cannot change between check and use.
        """
        family, kind, protocol, _, target = address
        if not self.private_allowed and not _is_public(target[0]):
            raise OSError(errno.EACCES, f"{target[0]} is not a public address")
        return socket.socket(family, kind, protocol)

    def _host_allowed(self, host: str) -> bool:
        return any(
            host.endswith(pattern[1:]) and len(host) > len(pattern) - 1 if pattern.startswith("*.") else host == pattern
            for pattern in self.hosts
        )


def origin(endpoint: str) -> str:
    """Scheme, host and port of an endpoint in the one spelling that RFC 6454 gives it: what a token is signed for."""
    parts = urlsplit(endpoint)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(f':{_DEFAULT_PORTS.get(parts.scheme)}')}"


def _split(endpoint: str) -> SplitResult:
    if len(endpoint) > LONGEST_ENDPOINT or not endpoint.isascii() or any(not 32 < ord(char) < 127 for char in endpoint):
        raise EndpointRefused("The endpoint is not a push address.")
    if "\\" in endpoint:
        raise EndpointRefused("The endpoint is not a push address.")
    try:
        parts = urlsplit(endpoint)
        _ = parts.port
    except ValueError:
        raise EndpointRefused("The endpoint is not a push address.") from None
    return parts


def _is_public(host: str) -> bool:
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
