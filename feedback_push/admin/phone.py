"""Help an administrator to sign in on a phone: a QR code, and a proxy for a site that has no https yet."""

from typing import NamedTuple

import segno
from markupsafe import Markup

from feedback_push.config import Settings, current_settings
from feedback_push.setting_validators import is_address, is_loopback

_EXAMPLE = "feedback.example.org"
_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - only compared
_QUIET_ZONE = 4  # modules; ISO/IEC 18004 requires it around a QR code


class Proxy(NamedTuple):
    """The domain that a site without https needs, and the lines of a Caddyfile."""

    domain: str
    caddyfile: str
    is_loopback: bool  # True if no other machine can open the site's address


def qr_code(address: str) -> Markup:
    """Return the QR code of an address as an SVG element, dark on light, that fills its parent."""
    code = segno.make(address, error="m", micro=False)
    return Markup(code.svg_inline(border=_QUIET_ZONE, omitsize=True))  # noqa: S704 - made of numbers only


def proxy_needed() -> Proxy | None:
    """Return the proxy that would give this site https, or None if it has https already."""
    settings = current_settings()
    if settings.https:
        return None
    loopback = is_loopback(settings.site_host)
    has_domain = "." in settings.site_host and not loopback and not is_address(settings.site_host)
    domain = settings.site_host if has_domain else _EXAMPLE
    return Proxy(domain, f"{domain} {{\n    reverse_proxy {_listens_at(settings)}\n}}", loopback)


def _listens_at(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in _EVERYWHERE else settings.host
    return f"{f'[{host}]' if ':' in host else host}:{settings.port}"
