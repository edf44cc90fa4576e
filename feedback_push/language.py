"""Choose the language: a visitor's browser requests it; administrators may set their own."""

import re
from datetime import datetime
from functools import cache, cached_property
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, format_timedelta, get_locale

from feedback_push.config import current_settings
from feedback_push.database import utcnow

# Code and native name of each. `feedback_push/translations` has a catalogue for all but the first, the texts' language.
LANGUAGES = {"en": "English", "de": "Deutsch", "lt": "Lietuvių"}

_BREAKABLE = re.compile(r"(?<![\w-])(e)-(?=mail)", re.IGNORECASE)


class _Unbroken:
    """The translations of one language, with a hyphen in "e-mail" at which a browser breaks no line (U+2011).

    The texts themselves keep the plain hyphen, so that they are found and translated as they are typed.
    """

    def __init__(self, translations: Any) -> None:
        self._translations = translations

    def ugettext(self, text: str) -> str:
        return _unbroken(self._translations.ugettext(text))

    def ungettext(self, one: str, several: str, count: int) -> str:
        return _unbroken(self._translations.ungettext(one, several, count))

    def upgettext(self, context: str, text: str) -> str:
        return _unbroken(self._translations.upgettext(context, text))

    def unpgettext(self, context: str, one: str, several: str, count: int) -> str:
        return _unbroken(self._translations.unpgettext(context, one, several, count))


class _Domain(Domain):  # type: ignore[misc]
    def get_translations(self) -> Any:
        """Return the translations of this request's language; a terminal gets the plain hyphen."""
        translations = super().get_translations()
        return _Unbroken(translations) if has_request_context() else translations


class _Babel(Babel):  # type: ignore[misc]
    @cached_property
    def domain_instance(self) -> Domain:
        """The source of all texts."""
        return _Domain(domain=self.domain)


_babel = _Babel()


def init_app(app: Flask) -> None:
    """Choose the language and the time zone for every request."""
    _babel.init_app(app, default_locale="en", locale_selector=_language, timezone_selector=_time_zone)
    app.jinja_env.globals["get_locale"] = get_locale


def set_locale(language: str | None, time_zone: str | None) -> None:
    """Use an administrator's own language and time zone, if set, for the rest of this request."""
    g.language, g.time_zone = language, time_zone


def current() -> str:
    """Return the language code of this request."""
    return str(get_locale())


def browser_language() -> str:
    """Return the code of the language that the browser requests, ignoring the administrator's setting."""
    return request.accept_languages.best_match(LANGUAGES) or "en"


def time_zone() -> ZoneInfo:
    """Return the time zone of this request."""
    return ZoneInfo(_time_zone())


@cache
def time_zones() -> list[str]:
    """Return the IANA names that can be chosen: places and UTC, but no offsets or countries.

    Finding them reads every file of the time zone database.
    """
    places = {name for name in available_timezones() if "/" in name and not name.startswith("Etc/")}
    return sorted(places | {"UTC"})


def ago(when: datetime) -> str:
    """Return the time since then as a text: “3 hours ago”. static/admin/local-times.js counts in the same steps."""
    return str(format_timedelta(when - utcnow(), granularity="minute", add_direction=True))


def _language() -> str | None:
    own: str | None = g.get("language")
    if own in LANGUAGES or not has_request_context():
        return own
    return request.accept_languages.best_match(LANGUAGES)


def _time_zone() -> str:
    chosen: str | None = g.get("time_zone")
    return chosen or current_settings().time_zone


def _unbroken(text: str) -> str:
    return _BREAKABLE.sub("\\1\u2011", text)
