"""Choose the language: a visitor's browser requests it; administrators may set their own."""

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from flask import Flask, g, has_request_context, request
from flask_babel import Babel, format_timedelta, get_locale

from feedback_push.config import current_settings
from feedback_push.database import utcnow

# Code and native name of each. `feedback_push/translations` has a catalogue for all but the first, the texts' language.
LANGUAGES = {"en": "English", "de": "Deutsch", "lt": "Lietuvių"}

_babel = Babel()


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


def time_zones() -> list[str]:
    """Return the IANA names that can be chosen: places and UTC, but no offsets or countries."""
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
