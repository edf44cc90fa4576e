"""What each setting must look like: parsers that return the usable value or say in words what is wrong."""

import base64
import re
from dataclasses import dataclass
from datetime import time
from ipaddress import ip_address
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from environs import ValidationError

LONGEST_TTL = 28 * 86400  # FCM refuses more
_RESERVED_URLS = (
    *("/feedback/", "/push/", "/static/", "/login/", "/logout/", "/healthz/", "/readyz/", "/logo/", "/theme.css/"),
)
SHOWS = ("all", "name", "nothing")
LARGEST_BURST = 1000
LONGEST_BURST = 3600  # seconds; what arrives in a burst waits for that long
# Apple answers 403 BadJwtToken to a contact under one of these.
_UNREAL_TLDS = {"local", "localhost", "invalid", "example", "test", "internal", "lan"}
_SITE = re.compile(r"https?://(\[[0-9a-f:.]+\]|[^\s\[\]/?#@:\\]+)(:[0-9]+)?/?", re.IGNORECASE)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOST = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")


@dataclass(frozen=True)
class Burst:
    """More notifications than `count` within `seconds` are told in one; a count of 0 is never."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count}/{self.seconds}" if self.count else "0"


@dataclass(frozen=True)
class QuietHours:
    """From one time of the day until another, which is on the next day where it is the earlier one."""

    begin: time
    end: time

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


NO_BURST = Burst(0, 60)
USUAL_BURST = Burst(10, 60)


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
    if bad := [host for host in hosts if not (_HOST.fullmatch(host) or _is_address(host))]:
        raise ValidationError(f"{len(bad)} entries are no host names (no scheme, no port, no path).")
    return hosts


def vapid_private_key(value: str, given_public: str) -> str:
    """The private key as `vapid generate` prints it: 32 bytes, base64url; nothing turns push off."""
    if not value:
        if given_public:
            raise ValidationError("missing while VAPID_PUBLIC_KEY is set.")
        return ""
    public_key_of(value)
    return value


def vapid_public_key(value: str, private_key: str | None) -> str:
    """The public key, which must belong to the private one; derived from it when not given."""
    if not private_key:
        return ""
    public_key = public_key_of(private_key)
    if value and value.rstrip("=") != public_key:
        raise ValidationError("does not belong to VAPID_PRIVATE_KEY. `flask --app wsgi vapid generate` makes a pair.")
    return public_key


def vapid_subject(value: str, site: str | None, push_enabled: bool) -> str:
    """A contact that push services accept: `mailto:` and an address, or an `https:` address."""
    value = value.removesuffix("/")
    problem = _contact_problem(value, site)
    if problem and push_enabled:
        raise ValidationError(problem)
    return "" if problem else value  # while push is off it may be wanted later, by `vapid rotate`


def time_zone(value: str) -> str:
    """The IANA name of a zone."""
    if value not in available_timezones():
        raise ValidationError("not the name of a time zone, like Europe/Berlin or UTC.")
    return value


def burst(value: str) -> Burst:
    """A number of notifications and of seconds, or 0 for never."""
    if value == "0":
        return NO_BURST
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value)
    if not match or not 1 <= int(match[1]) <= LARGEST_BURST or not 1 <= int(match[2]) <= LONGEST_BURST:
        raise ValidationError(f"not 0, nor two numbers like 10/60 up to {LARGEST_BURST}/{LONGEST_BURST}.")
    return Burst(int(match[1]), int(match[2]))


def quiet_hours(value: str) -> QuietHours | None:
    """Two different times of the day, or nothing."""
    if not value:
        return None
    match = re.fullmatch(rf"({_TIME})-({_TIME})", value)
    if not match or match[1] == match[2]:
        raise ValidationError("not two different times like 22:00-07:00.")
    return QuietHours(time.fromisoformat(match[1]), time.fromisoformat(match[2]))


def default_subject(site: str | None) -> str:
    """The site's own address where push services accept it, else the local postmaster."""
    host = urlsplit(site).hostname or "" if site and site.startswith("https:") else ""
    return f"https://{host}" if _looks_real(host) else "mailto:postmaster@localhost"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if _is_address(host):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def public_key_of(private_key: str) -> str:
    """The base64url public key (an uncompressed P-256 point) of a base64url private key."""
    try:
        raw = base64.urlsafe_b64decode(private_key + "=" * (-len(private_key) % 4))
        # Zero is not a private key; neither is a number of any other length.
        key = ec.derive_private_key(int.from_bytes(raw if len(raw) == 32 else b"", "big"), ec.SECP256R1())
    except ValueError:
        raise ValidationError("not a P-256 private key of 32 bytes in base64url.") from None
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def _contact_problem(subject: str, site: str | None) -> str | None:
    domain = _contact_domain(subject)
    if not domain:
        return "not `mailto:` and an e-mail address, nor an https: address of a host (no port, no path)."
    if site and not is_loopback(urlsplit(site).hostname or "") and not _looks_real(domain):
        return (
            "Apple refuses every push with this contact. Use mailto: and your own e-mail address, or your https: site."
        )
    return None


def _contact_domain(subject: str) -> str:
    if match := re.fullmatch(r"mailto:[^\s@]+@([^\s@/]+)", subject):
        return match[1]
    # py_vapid signs for an https contact only when it is nothing but a host name.
    match = re.fullmatch(r"https://([\w-]+(\.[\w-]+)+)", subject)
    return match[1] if match else ""


def _looks_real(domain: str) -> bool:
    labels = domain.lower().rstrip(".").split(".")
    return len(labels) > 1 and labels[-1] not in _UNREAL_TLDS and not _is_address(domain)


def _has_usable_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
