"""Validate URLs of the site, the database, Redis and a proxy: return a usable URL or raise ValidationError.

No message repeats any part of a value, because a part of a mistyped URL can be a part of its password.
"""

import re
import ssl
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from environs import ValidationError

from feedback_push.setting_validators import ascii_host

_SITE = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^\s\[\]/?#@:\\]+)(?::([0-9]{1,5}))?(/[^?#]*)?", re.IGNORECASE)
# Without characters that browsers and proxies encode or fold, so that all programs compare the path alike.
_SITE_PATH = re.compile(r"(/[A-Za-z0-9_.~-]+)*/?")
_LONGEST_SITE_PATH = 100  # it is part of every cookie
_DEFAULT_PORTS = {"http": 80, "https": 443}
# The characters that SQLAlchemy, psycopg, redis-py and kombu all read alike. urllib refuses some non-ASCII letters.
_WORD = r"(?:[\w!$&'()*+,;=.~^`{|}-]|%[0-9A-Fa-f]{2})*"
_CREDENTIALS = re.compile(rf"{_WORD}(:{_WORD})?", re.ASCII)
_PLACE = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]*)(:(?P<port>[0-9]{1,5}))?(?P<path>/[^?#\s]*)?(\?(?P<query>[^#\s]*))?"
)
_PROXY = (
    "not an address like http://proxy.example.org:3128 or http://user:password@host:3128 (percent-encode special "
    "characters in the password; the port is needed, no path)."
)
# RFC 9116 requires URIs, which are all ASCII.
_PAGE = re.compile(r"https://[A-Za-z0-9\[][!-~]*")
_LONGEST_HOME = 500
_DSN = re.compile(r"https?://[0-9a-zA-Z]{1,100}@[A-Za-z0-9.:-]{1,255}(/[A-Za-z0-9_.-]{1,100}){1,5}")
_COLLECTOR = re.compile(r"https?://[A-Za-z0-9.:-]{1,255}(/[A-Za-z0-9_.-]{1,100}){0,5}/?")
_HOME = re.compile(r"https?://[A-Za-z0-9\[][!-~]*")
_CONTACT = re.compile(rf"{_PAGE.pattern}|mailto:[!-?A-~]+@[!-?A-~]+|tel:[0-9+().-]+")
_ENCODE = (
    "the user name or the password contains a special character. Percent-encode it: @ is %40, : is %3A, ; is %3B, / "
    "is %2F, ? is %3F, # is %23, % is %25, a space is %20. Percent-encode letters outside ASCII, too."
)
_DATABASE = (
    "must be an address such as postgresql://user:password@host/name (percent-encode special characters in the "
    "password) or sqlite:////path."
)
_REDIS = (
    "must be an address such as redis://:password@host:6379/0, rediss://:password@host:6379/0 (percent-encode special "
    "characters in the password) or unix:///path/redis.sock."
)


def site_url(value: str) -> str:
    """Return the site's http or https URL as browsers spell it, without a default port or a slash at its end."""
    match = _SITE.fullmatch(value)
    if not match or not _is_port(match[3]):
        raise ValidationError("must be an address such as https://feedback.example.org (no query).")
    scheme, port = match[1].lower(), int(match[3]) if match[3] else None
    origin = f"{scheme}://{_site_host(match[2])}{'' if port in (None, _DEFAULT_PORTS[scheme]) else f':{port}'}"
    return origin + _site_path(match[4] or "")


def database_url(value: str) -> str:
    """Return a SQLite or PostgreSQL URL; `postgres://` and `postgresql://` become psycopg's spelling."""
    scheme, found, rest = value.partition("://")
    if scheme == "sqlite" and found:
        _check_sqlite(rest)
        return value
    if not found or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValidationError(_DATABASE)
    names = [name.lower() for name, _ in parse_qsl(_place(rest, _DATABASE)["query"], keep_blank_values=True)]
    if any("password" in name or "secret" in name for name in names):
        raise ValidationError("write the password before the host: postgresql://user:password@host/name.")
    return f"postgresql+psycopg://{rest}"


def redis_url(value: str) -> str:
    """Return the URL of a Redis or Valkey server, or an empty string for the embedded broker."""
    if not value:
        return ""
    scheme, found, rest = value.partition("://")
    if "sentinel" in scheme.lower():
        raise ValidationError("Redis Sentinel is not supported. Name one server: redis://host:6379/0.")
    if not found or scheme not in ("redis", "rediss", "unix"):
        raise ValidationError(_REDIS)
    if ";" in rest:  # kombu separates servers with it
        raise ValidationError(_ENCODE)
    place = _place(rest, _REDIS)
    if "@" in rest and ":" not in rest.rpartition("@")[0]:
        raise ValidationError("without a user name, write a colon before the password: redis://:password@host:6379/0.")
    options = dict(parse_qsl(place["query"], keep_blank_values=True))
    if scheme == "unix":
        _check_socket(place, options)
    else:
        _check_redis_server(place["path"], options, encrypted=scheme == "rediss")
    return value


def push_proxy(value: str) -> str:
    """Return the URL of an http proxy for pushes, or an empty string for none."""
    if not value:
        return ""
    scheme, _, rest = value.partition("://")
    place = _place(rest, _PROXY) if scheme == "http" else {}
    if not (place.get("host") and place["port"]) or place["query"] or place["path"] not in ("", "/"):
        raise ValidationError(_PROXY)
    return value.removesuffix("/")


def security_contact(value: str) -> tuple[str, ...]:
    """Return the contacts for vulnerability reports: `mailto:`, `https:` or `tel:` URLs.

    The value separates them by commas or spaces.
    """
    contacts = tuple(re.split(r"[,\s]+", value.strip(", \t\n"))) if value.strip(", \t\n") else ()
    if not all(_CONTACT.fullmatch(contact) for contact in contacts):
        raise ValidationError("must be addresses such as mailto:security@example.org or https://example.org/report.")
    return contacts


def site_home(value: str) -> str:
    """Return the http or https URL of the website that the form belongs to, or an empty string."""
    if value and (len(value) > _LONGEST_HOME or not _HOME.fullmatch(value)):
        raise ValidationError(f"not an address like https://example.org/ of at most {_LONGEST_HOME} characters.")
    return value


def sentry_dsn(value: str) -> str:
    """Return the DSN of a Sentry project, or an empty string for none."""
    if value and not _DSN.fullmatch(value):
        raise ValidationError("must be a DSN such as https://key@sentry.example.org/1, from the project's settings.")
    return value


def otlp_endpoint(value: str) -> str:
    """Return the address of an OpenTelemetry collector that takes OTLP over HTTP, or an empty string for none."""
    if value and not _COLLECTOR.fullmatch(value):
        raise ValidationError("must be an address such as http://127.0.0.1:4318 (no user, no query).")
    return value.removesuffix("/")


def security_policy(value: str) -> str:
    """Return the https URL of a page about reporting vulnerabilities, or an empty string."""
    if value and not _PAGE.fullmatch(value):
        raise ValidationError("must be an address such as https://example.org/security.")
    return value


def _site_host(host: str) -> str:
    try:
        return f"[{ip_address(host[1:-1]).compressed}]" if host.startswith("[") else ascii_host(host)
    except ValueError:
        raise ValidationError(
            "the host must be an IP address or a name of letters, digits and hyphens between dots."
        ) from None


def _site_path(path: str) -> str:
    if len(path) > _LONGEST_SITE_PATH or not _SITE_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValidationError(
            "its path must be like /feedback-app: letters, digits and . _ ~ - between single slashes, "
            f"at most {_LONGEST_SITE_PATH} characters."
        )
    return path.removesuffix("/")


def _check_sqlite(rest: str) -> None:
    path, _, query = rest.partition("?")
    if path in ("", "/") or ":memory:" in path or "mode=memory" in query:
        raise ValidationError("a database in memory is lost when its process ends. Name a file: sqlite:////path.")
    if not path.startswith("//"):
        raise ValidationError("must be the absolute path of a file, after four slashes: sqlite:////path.")
    if {name for name, _ in parse_qsl(query, keep_blank_values=True)} - {"timeout"}:
        raise ValidationError("a SQLite address can have no options: sqlite:////path.")


def _place(rest: str, example: str) -> dict[str, str]:
    """Return the host, port, path and query of a URL without its scheme; each may be empty."""
    credentials, at, place = rest.rpartition("@")
    if at and not _CREDENTIALS.fullmatch(credentials):
        raise ValidationError(_ENCODE)
    match = _PLACE.fullmatch(place)
    if not match or not _is_port(match["port"]) or not _is_host(match["host"]):
        raise ValidationError(example)
    return match.groupdict("")


def _check_socket(place: dict[str, str], options: dict[str, str]) -> None:
    if place["host"] or place["port"] or len(place["path"]) < 2:
        raise ValidationError("write the absolute path of the socket: unix:///path/redis.sock?db=0.")
    if options.keys() - {"db"} or not _is_number(options.get("db", "0")):
        raise ValidationError("only a database number may follow the path of a socket: ?db=0.")


def _check_redis_server(path: str, options: dict[str, str], *, encrypted: bool) -> None:
    if path not in ("", "/") and not _is_number(path[1:]):
        raise ValidationError("the database must be a number: redis://host:6379/0.")
    if not encrypted and options:
        raise ValidationError("a redis:// address can have no options.")
    if options.pop("ssl_cert_reqs", "required").lower() not in ("required", "cert_required"):
        raise ValidationError("certificates are always verified. Name your own authority: ?ssl_ca_certs=/path/ca.pem.")
    if options.keys() - {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}:
        raise ValidationError(
            "a rediss:// address can have only the options ssl_ca_certs, ssl_certfile and ssl_keyfile."
        )
    _check_certificates(options)


def _check_certificates(files: dict[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if "ssl_ca_certs" in files:
            context.load_verify_locations(cafile=files["ssl_ca_certs"])
        if files.keys() & {"ssl_certfile", "ssl_keyfile"}:
            # Without this, OpenSSL would ask on the terminal for the password of an encrypted key.
            context.load_cert_chain(files.get("ssl_certfile", ""), files.get("ssl_keyfile"), password="")
    except (OSError, ValueError):
        raise ValidationError(
            "cannot read the certificates (ssl_ca_certs), or the certificate and its key without a password "
            "(ssl_certfile, ssl_keyfile)."
        ) from None


def _is_port(port: str | None) -> bool:
    return port is None or 0 < int(port) < 65536


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,5}", text))


def _is_host(host: str) -> bool:
    try:
        return not host.startswith("[") or bool(ip_address(host[1:-1]))
    except ValueError:
        return False


def is_https_page(value: str) -> bool:
    """Return whether this is the https URL of a page, without credentials, as a person may enter it."""
    if not _PAGE.fullmatch(value) or "@" in value.partition("://")[2].partition("/")[0]:
        return False
    try:
        parts = urlsplit(value)
        return bool(ascii_host(parts.hostname or "")) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
