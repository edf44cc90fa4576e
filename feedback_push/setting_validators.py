"""Rules for keys, paths, hosts and time zones: each returns the usable value or says what is wrong."""

import re
from ipaddress import ip_address
from zoneinfo import available_timezones

import idna
from environs import ValidationError

_RESERVED_URLS = (
    *("/feedback/", "/push/", "/static/", "/login/", "/logout/", "/healthz/", "/readyz/", "/logo/", "/theme.css/"),
    "/.well-known/",
)
_LONGEST_NAME = 253  # RFC 1035, without the closing dot
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_HOST = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")


def secret_key(value: str) -> str:
    """At least 16 characters; there is no default."""
    if not value:
        raise ValidationError("missing. Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'")
    if len(value) < 16:
        raise ValidationError("shorter than 16 characters.")
    return value


def admin_url(value: str) -> str:
    """A path of its own that starts and ends with a slash."""
    if not re.fullmatch(r"/([A-Za-z0-9_.~-]+/)+", value) or {".", ".."} & set(value.split("/")):
        raise ValidationError("not a path like /admin/ that starts and ends with a slash.")
    if value.startswith(_RESERVED_URLS):
        raise ValidationError("taken by another page of this site.")
    return value


def host_list(value: str) -> tuple[str, ...]:
    """Host names, `*.` for all names below one, or IP addresses, between commas or blanks; in ASCII."""
    hosts = tuple(_listed(host.lower()) for host in re.split(r"[,\s]+", value) if host)
    if bad := [host for host in hosts if not (_HOST.fullmatch(host) or is_address(host))]:
        raise ValidationError(f"{len(bad)} entries are no host names (no scheme, no port, no path).")
    return hosts


def time_zone(value: str) -> str:
    """The IANA name of a zone."""
    if value not in available_timezones():
        raise ValidationError("not the name of a time zone, like Europe/Berlin or UTC.")
    return value


def ascii_host(host: str) -> str:
    """Return a host name or IPv4 address as browsers send it: in lower case and ASCII (UTS 46), without a closing dot.

    Raise ValueError where browsers would not take it as one.
    """
    if len(host) > _LONGEST_NAME:
        raise ValueError("too long")
    name = (host if host.isascii() else idna.encode(host, uts46=True).decode()).lower().removesuffix(".")
    # Browsers read a name that ends in a number as an IPv4 address, in spellings that they then replace.
    is_number = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2])
    if not _NAME.fullmatch(name) or (is_number and not is_address(name)):
        raise ValueError("not a host name")
    return name


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if is_address(host):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def is_address(host: str) -> bool:
    """Whether a host is an IP address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _listed(host: str) -> str:
    """Return a name outside ASCII as it stands in addresses; what cannot be one is left to be refused."""
    if host.isascii():
        return host
    wildcard = "*." if host.startswith("*.") else ""
    try:
        return wildcard + ascii_host(host.removeprefix(wildcard))
    except ValueError:
        return host
