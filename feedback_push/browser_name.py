"""A browser's name for people, guessed from its User-Agent; never used to recognise a device.

A guess is stored in English and translated for whoever reads it.
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
_BROWSER_NAMES = {_UNKNOWN, *dict(_BROWSERS).values()}
_SYSTEM_NAMES = set(dict(_SYSTEMS).values())


def guess(user_agent: str) -> str:
    """For example "Firefox on Linux"; "Browser" where nothing is known."""
    browser = _first(_BROWSERS, user_agent) or _UNKNOWN
    system = _first(_SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def in_words(name: str) -> str:
    """A guess in the reader's language; any other name, such as one that somebody has chosen, as it is."""
    browser, on, system = name.partition(" on ")
    if browser not in _BROWSER_NAMES or (on and system not in _SYSTEM_NAMES):
        return name
    if browser == _UNKNOWN:
        browser = gettext("Browser")
    return gettext("%(browser)s on %(system)s", browser=browser, system=system) if on else browser


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for mark, name in names if mark in user_agent), None)
