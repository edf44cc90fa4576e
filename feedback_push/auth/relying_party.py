"""Say for which host the site's passkeys are made (WebAuthn's relying party), and where they cannot work."""

from urllib.parse import urlsplit

from flask import request, url_for

from feedback_push import csrf
from feedback_push.config import current_settings
from feedback_push.setting_validators import is_address, is_loopback

_LOCAL = "localhost"


def host() -> str | None:
    """Return the host whose passkeys this site takes, or None if SITE_URL allows no passkeys.

    Browsers accept a host name over https, and `localhost` also over http. An IP address has no passkeys. A site at a
    loopback address is at `localhost` too.
    """
    settings = current_settings()
    name = settings.site_host
    if is_address(name):
        return _LOCAL if is_loopback(name) else None
    return name if settings.https or is_loopback(name) else None


def origins() -> list[str]:
    """Return the origins from which a browser may answer with a passkey."""
    wanted = host()
    return [origin for origin in csrf.own_origins() if urlsplit(origin).hostname == wanted]


def is_here() -> bool:
    """Return whether passkeys work at the address that this request's browser has opened."""
    return urlsplit(f"//{request.host}").hostname == host()


def address(endpoint: str) -> str | None:
    """Return the address of a page at which passkeys work, if that is another host than the one opened here."""
    name = host()
    if name is None or is_here():
        return None
    site = urlsplit(current_settings().site_url)
    place = name if site.port is None else f"{name}:{site.port}"
    return f"{site.scheme}://{place}{url_for(endpoint, _external=False)}"
