"""Validate keys, paths, hosts and time zones: each function returns a usable value or raises ValidationError."""

import re
from ipaddress import ip_address
from zoneinfo import available_timezones

import idna
from environs import ValidationError

_RESERVED_URLS = (
    *("/feedback/", "/push/", "/static/", "/login/", "/logout/", "/healthz/", "/readyz/", "/logo/", "/theme.css/"),
    *("/metrics/", "/.well-known/", "/api/", "/conversations/", "/embed/", "/f/", "/follow/", "/visitor/"),
)
LOG_FORMATS = ("auto", "console", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
_LONGEST_NAME = 253  # RFC 1035, without the final dot
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_HOST = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")


def secret_key(value: str) -> str:
    """Return the key, which must have at least 16 characters; there is no default."""
    if not value:
        raise ValidationError("missing. Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'")
    if len(value) < 16:
        raise ValidationError("must have at least 16 characters.")
    return value


def metrics_token(value: str) -> str:
    """Return the token, which must have at least 16 characters that a header may hold; empty: there are no metrics."""
    if value and not re.fullmatch(r"[!-~]{16,500}", value):
        raise ValidationError("must have at least 16 characters, and only ASCII ones without spaces.")
    return value


def secret_key_previous(value: str, *, current: str) -> str:
    """Return the key that SECRET_KEY has replaced; empty if there is none."""
    if not value:
        return ""
    if value == current:
        raise ValidationError("must be the key before SECRET_KEY, not the same.")
    return secret_key(value)


def admin_url(value: str) -> str:
    """Return a path that starts and ends with a slash and that no other page uses."""
    if not re.fullmatch(r"/([A-Za-z0-9_.~-]+/)+", value) or {".", ".."} & set(value.split("/")):
        raise ValidationError("must be a path that starts and ends with a slash, such as /admin/.")
    if value.startswith(_RESERVED_URLS):
        raise ValidationError("is already the path of another page of this site.")
    return value


def host_list(value: str) -> tuple[str, ...]:
    """Return host names and IP addresses in ASCII; the value separates them by commas or spaces.

    `*.` before a name stands for all names below it.
    """
    hosts = tuple(_listed(host.lower()) for host in re.split(r"[,\s]+", value) if host)
    if bad := [host for host in hosts if not (_HOST.fullmatch(host) or is_address(host))]:
        raise ValidationError(f"{len(bad)} entries are not host names (write no scheme, port or path).")
    return hosts


def time_zone(value: str) -> str:
    """Return the IANA name of a time zone."""
    if value not in available_timezones():
        raise ValidationError("must be the name of a time zone, such as Europe/Berlin or UTC.")
    return value


def ascii_host(host: str) -> str:
    """Return a host name or IPv4 address as browsers send it: in lower case and ASCII (UTS 46), without a final dot.

    Raise ValueError if browsers would not accept it.
    """
    if len(host) > _LONGEST_NAME:
        raise ValueError("too long")
    name = (host if host.isascii() else idna.encode(host, uts46=True).decode()).lower().removesuffix(".")
    # Browsers read a name that ends in a number as an IPv4 address, and rewrite its other spellings.
    is_number = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2])
    if not _NAME.fullmatch(name) or (is_number and not is_address(name)):
        raise ValueError("not a host name")
    return name


def is_loopback(host: str) -> bool:
    """Return whether a host name or address always refers to this machine."""
    if is_address(host):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def is_address(host: str) -> bool:
    """Return whether a host is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _listed(host: str) -> str:
    """Return a non-ASCII name as URLs spell it; return an invalid name unchanged, so that the caller refuses it."""
    if host.isascii():
        return host
    wildcard = "*." if host.startswith("*.") else ""
    try:
        return wildcard + ascii_host(host.removeprefix(wildcard))
    except ValueError:
        return host
