"""What keys, addresses, hosts and time zones must look like: each rule gives what is usable or says what is wrong."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from environs import ValidationError

_RESERVED_URLS = (
    *("/feedback/", "/push/", "/static/", "/login/", "/logout/", "/healthz/", "/readyz/", "/logo/", "/theme.css/"),
)
_SITE = re.compile(r"https?://(\[[0-9a-f:.]+\]|[^\s\[\]/?#@:\\]+)(:[0-9]+)?/?", re.IGNORECASE)
_HOST = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")


def secret_key(value: str) -> str:
    """At least 16 characters; there is no default."""
    if not value:
        raise ValidationError("missing. Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'")
    if len(value) < 16:
        raise ValidationError("shorter than 16 characters.")
    return value


def site_url(value: str) -> str:
    """An http or https address of a host, without a path; returned without a closing slash."""
    if not _SITE.fullmatch(value) or not _has_usable_port(value):
        raise ValidationError("not an address like https://feedback.example.org (no path, no query).")
    return value.rstrip("/")


def admin_url(value: str) -> str:
    """A path of its own that starts and ends with a slash."""
    if not re.fullmatch(r"/([A-Za-z0-9_.~-]+/)+", value) or {".", ".."} & set(value.split("/")):
        raise ValidationError("not a path like /admin/ that starts and ends with a slash.")
    if value.startswith(_RESERVED_URLS):
        raise ValidationError("taken by another page of this site.")
    return value


def database_url(value: str) -> str:
    """A SQLite or PostgreSQL address; `postgres://` and `postgresql://` become psycopg's spelling."""
    scheme, found, rest = value.partition("://")
    known = scheme in ("sqlite", "postgres", "postgresql", "postgresql+psycopg")
    server = f"//{rest.rpartition('@')[2]}"  # what stands before it is a password, where any character may stand
    if not found or not known or not (scheme == "sqlite" or _has_usable_port(server)):
        raise ValidationError("not an address like postgresql://user:password@host/name or sqlite:////path.")
    return value if scheme == "sqlite" else f"postgresql+psycopg://{rest}"


def redis_url(value: str) -> str:
    """An address of a Redis or Valkey server, or nothing for the embedded broker."""
    if value and not (value.startswith(("redis://", "rediss://")) and _has_usable_port(value)):
        raise ValidationError("not an address like redis://host:6379/0 or rediss://host:6379/0.")
    return value


def host_list(value: str) -> tuple[str, ...]:
    """Host names, `*.` for all names below one, or IP addresses, between commas or blanks."""
    hosts = tuple(host.lower() for host in re.split(r"[,\s]+", value) if host)
    if bad := [host for host in hosts if not (_HOST.fullmatch(host) or is_address(host))]:
        raise ValidationError(f"{len(bad)} entries are no host names (no scheme, no port, no path).")
    return hosts


def time_zone(value: str) -> str:
    """The IANA name of a zone."""
    if value not in available_timezones():
        raise ValidationError("not the name of a time zone, like Europe/Berlin or UTC.")
    return value


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


def _has_usable_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
