"""Payloads: what of a notification a device gets, by how much its owner wants to see, and in its language."""

import json
from functools import lru_cache

from flask_babel import force_locale

from feedback_push.language import LANGUAGES
from feedback_push.push import kinds
from feedback_push.push.claims import Entry
from feedback_push.push.models import Shows


def of(entry: Entry, shows: Shows, language: str) -> str:
    """The payload for a device that shows so much of it and speaks this language."""
    if shows == Shows.ALL and not kinds.summarised(entry.kind):
        return entry.payload
    return _made(entry, shows, language if language in LANGUAGES else "en")


@lru_cache(maxsize=1000)
def _made(entry: Entry, shows: Shows, language: str) -> str:
    message = json.loads(entry.payload)
    message["notification"].pop("body", None)
    if title := _own_title(entry, shows, language):
        message["notification"] |= {"title": title, "lang": language}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _own_title(entry: Entry, shows: Shows, language: str) -> str | None:
    """Our own words instead of a sender's name."""
    with force_locale(language):
        if kind := kinds.summarised(entry.kind):
            return kind.several(entry.counts)
        return str(kinds.CHOOSABLE[entry.kind].one) if shows == Shows.NOTHING else None
