"""Network addresses of people, kept only as keyed hashes: enough to count by, of no use without SECRET_KEY."""

from ipaddress import IPv6Address, ip_address

from flask import request

from feedback_push import security


def keyed_hash(address: str | None) -> str:
    """32 hexadecimal digits for an address; for IPv6 those of its /64, of which one connection has all addresses."""
    return security.keyed_hash("network addresses", _counted(address or ""))[:32]


def of_request() -> str:
    """The keyed hash of the address that this request came from."""
    return keyed_hash(request.remote_addr)


def _counted(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return address  # a server on a unix socket knows none
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or f"{int(ip) >> 64:x}/64")
