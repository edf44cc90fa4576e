"""Guess a browser's display name from its User-Agent; the name never identifies a device.

A guess is stored in English and translated into the reader's language.
"""

from flask_babel import gettext

_UNKNOWN = "Browser"
# The order matters: most browsers also claim to be the ones below them.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_MOBILE = {"iPhone", "iPad", "Android"}
_BROWSER_NAMES = {_UNKNOWN, *dict(_BROWSERS).values()}
_SYSTEM_NAMES = set(dict(_SYSTEMS).values())


def guess(user_agent: str) -> str:
    """Return a name such as "Firefox on Linux", or "Browser" if the browser is unknown."""
    browser = _first(_BROWSERS, user_agent) or _UNKNOWN
    system = _first(_SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def localized(name: str) -> str:
    """Translate a guess into the reader's language; return any other name, such as a chosen one, unchanged."""
    browser, on, system = name.partition(" on ")
    if browser not in _BROWSER_NAMES or (on and system not in _SYSTEM_NAMES):
        return name
    if browser == _UNKNOWN:
        browser = gettext("Browser")
    return gettext("%(browser)s on %(system)s", browser=browser, system=system) if on else browser


def is_mobile(name: str) -> bool:
    """Return whether a guess is of a phone or a tablet; False for a chosen name."""
    return name.rpartition(" on ")[2] in _MOBILE


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for mark, name in names if mark in user_agent), None)
