"""The origins of the sites that may use a form: read the owner's list, and check the origin of a request."""

import re
from urllib.parse import urlsplit

from flask import request

from feedback_push import csrf
from feedback_push.feedback.form_models import Form
from feedback_push.setting_validators import ascii_host, is_address

MOST = 20
LONGEST_LIST = 6_000  # characters: each with a host name of the greatest length
_LONGEST_URL = 2_048  # of a Referer
_TYPED = re.compile(r"(https?)://(\[[0-9a-f:.]{2,45}\]|[^\s\[\]/?#@:\\*]{1,253})(?::([0-9]{1,5}))?/?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class TooMany(ValueError):
    """The list has more than MOST origins."""


class NotAnOrigin(ValueError):
    """An entry of the list is not an origin; the first argument is the entry."""


def read(typed: str) -> list[str]:
    """Return the origins in a typed list, as browsers send them; the list separates them by line ends or blanks.

    The caller limits the text to LONGEST_LIST. Raise TooMany or NotAnOrigin.
    """
    entries = typed.split()
    if len(entries) > MOST:
        raise TooMany
    return list(dict.fromkeys(_origin(entry) for entry in entries))


def of_request() -> str | None:
    """Return the origin of the page that sent this request: from Origin, else from Referer; None without both.

    "null" stands for an origin that the browser hides, and for one that cannot be read.
    """
    origin, referer = request.headers.get("Origin"), request.headers.get("Referer")
    if origin is not None:
        return origin if len(origin) <= _LONGEST_URL else "null"
    return None if referer is None else _of_url(referer)


def allows(form: Form, origin: str | None) -> bool:
    """Return whether a page of this origin may use a form; only a browser names an origin, so others may."""
    return origin is None or origin in form.origins or origin in csrf.own_origins()


def _origin(entry: str) -> str:
    match = _TYPED.fullmatch(entry)
    if not match:
        raise NotAnOrigin(entry)
    scheme, host, port = match[1].lower(), match[2].lower(), int(match[3]) if match[3] else None
    try:
        name = host if host.startswith("[") and is_address(host[1:-1]) else ascii_host(host)
    except ValueError:
        raise NotAnOrigin(entry) from None
    if port is not None and not 0 < port < 65536:
        raise NotAnOrigin(entry)
    return f"{scheme}://{name}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{name}:{port}"


def _of_url(url: str) -> str:
    if len(url) > _LONGEST_URL:
        return "null"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "null"
    return f"{parts.scheme}://{parts.netloc.lower()}"
