"""Hash network addresses with a key: a hash serves for counting, and hides the address without SECRET_KEY."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from flask import request

from feedback_push import security

_LONGEST = 80  # the longest IPv6 address with a zone, brackets and a port has fewer characters
_PURPOSE = "network addresses"
_HASH_LENGTH = 32
_UNKNOWN = "unknown"  # all unreadable addresses, and a server on a unix socket, which has none


class Network(NamedTuple):
    """A network to count by, and the multiple of a single connection's limits that it may use."""

    key: str
    share: int


def keyed_hash(address: str | None) -> str:
    """Return 32 hexadecimal digits for an address; for IPv6, hash its /64, because one connection has all of it."""
    return _hashed(_networks(address or "")[0][0])


def of_request() -> str:
    """Return the keyed hash of the address that this request came from."""
    return keyed_hash(request.remote_addr)


def is_of_request(address_hash: str) -> bool:
    """Return whether a stored hash is that of this request's address, also if it is from before a new SECRET_KEY."""
    name = _networks(request.remote_addr or "")[0][0]
    return address_hash in {digest[:_HASH_LENGTH] for digest in security.keyed_hashes(_PURPOSE, name)}


def networks_of_request() -> list[Network]:
    """Return the networks that this request came from, the smallest first.

    For IPv4 they are the address and its /24. For IPv6 they are the /64, /56 and /48, because providers assign any of
    these to a customer.
    """
    return [Network(_hashed(name), share) for name, share in _networks(request.remote_addr or "")]


def _hashed(name: str) -> str:
    return security.keyed_hash(_PURPOSE, name)[:_HASH_LENGTH]


def _networks(address: str) -> list[tuple[str, int]]:
    ip = _parsed(address)
    if ip is None:
        return [(_UNKNOWN, 1)]
    if isinstance(ip, IPv4Address):
        return [(str(ip), 1), (f"{int(ip) >> 8:x}/24", 4)]
    return [(f"{int(ip) >> 128 - length:x}/{length}", share) for length, share in ((64, 1), (56, 2), (48, 4))]


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return the address without its port and zone, which some proxies add and any client can vary."""
    if len(address) > _LONGEST:
        return None
    host = address.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
