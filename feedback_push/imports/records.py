"""The records of an import, checked before anything is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from feedback_push import email_address, typed_text
from feedback_push.database import utcnow
from feedback_push.feedback.forms import LONGEST_CONTENT, LONGEST_NAME

# The names under which other programs store the fields of a message; the first that has a value counts.
CONTENT = ("content", "message", "feedback", "text", "comment", "body")
_NAME = ("submitter_name", "name", "author", "username")
_EMAIL = ("submitter_email", "email", "e-mail", "mail")
_CREATED = ("created_at", "submitted_at", "timestamp", "created", "date")


class ImportRefused(click.ClickException):
    """The file cannot be imported; the text says which record is wrong, and why."""


@dataclass(frozen=True)
class MessageRecord:
    """A message; `created_at` is None if the file does not say it."""

    content: str
    name: str
    email: str
    created_at: datetime | None


@dataclass(frozen=True)
class SubscriptionRecord:
    """A push subscription as `PushSubscription.toJSON()` gives it, and its owner's address if the file names it."""

    place: str  # for errors
    subscription: Mapping[str, Any]
    owner: str = ""


Record = MessageRecord | SubscriptionRecord


def message(fields: Mapping[Any, Any], place: str) -> MessageRecord:
    """Return the message in a row; raise ImportRefused with its place."""
    lower = {str(key).strip().lower(): value for key, value in fields.items()}
    content = _text(lower, CONTENT, LONGEST_CONTENT, place)
    if typed_text.is_blank(content):
        raise ImportRefused(f"{place}: the message is empty.")
    name = _text(lower, _NAME, LONGEST_NAME, place)
    return MessageRecord(content, name, _text(lower, _EMAIL, email_address.LONGEST, place), _time(lower, place))


def _text(fields: Mapping[str, Any], names: tuple[str, ...], longest: int, place: str) -> str:
    value = next((fields[name] for name in names if fields.get(name)), "")
    if not isinstance(value, str):
        raise ImportRefused(f"{place}: {names[0]} is not a text.")
    if len(value) > longest:
        raise ImportRefused(f"{place}: {names[0]} has more than {longest} characters.")
    return typed_text.storable(value.strip()) or ""


def _time(fields: Mapping[str, Any], place: str) -> datetime | None:
    value = next((fields[name] for name in _CREATED if fields.get(name)), None)
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(str(value)[:40].strip())
    except ValueError:
        raise ImportRefused(f"{place}: the time is not in ISO 8601, such as 2026-05-01 09:30.") from None
    read = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    if read > utcnow():
        raise ImportRefused(f"{place}: the time is in the future.")
    return read
