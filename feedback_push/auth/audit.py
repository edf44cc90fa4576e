"""Write and read the audit log, which records each event with its account, time and origin.

The application adds entries, counts repeated ones and removes old ones; it changes nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import has_request_context, request
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from feedback_push import browser_name, network_address
from feedback_push.auth.models import AuditEntry, AuditEvent, User
from feedback_push.database import db, delete_batch, insert, utcnow

_PER_PAGE = 50
_LONGEST_DETAIL = 200
_LABELS = {
    AuditEvent.SIGNED_IN: _l("Signed in"),
    AuditEvent.SIGNED_IN_BY_LINK: _l("Signed in with a sign-in link"),
    AuditEvent.SIGN_IN_LINK_MADE: _l("Created a sign-in link"),
    AuditEvent.SIGN_IN_LINK_REFUSED: _l("Refused a sign-in link"),
    AuditEvent.SIGN_IN_FAILED: _l("Failed to sign in: wrong e-mail address or password"),
    AuditEvent.SIGN_IN_DELAYED: _l("Delayed sign-ins after failed attempts"),
    AuditEvent.SIGNED_OUT: _l("Signed out"),
    AuditEvent.PASSWORD_CHANGED: _l("Password changed"),
    AuditEvent.SESSION_ENDED: _l("Ended the session of %(browser)s"),
    AuditEvent.SESSIONS_ENDED: _l("Ended sessions: %(sessions)s"),
    AuditEvent.ACCOUNT_CREATED: _l("Account created"),
    AuditEvent.ACCOUNT_DELETED: _l("Account deleted"),
    AuditEvent.DEVICE_ADDED: _l("Turned notifications on: %(device)s"),
    AuditEvent.DEVICE_REMOVED: _l("Turned notifications off: %(device)s"),
    AuditEvent.DEVICE_RENAMED: _l("Renamed the device “%(before)s” to “%(device)s”"),
    AuditEvent.DEVICE_SUSPENDED: _l("Suspended notifications because the session ended: %(device)s"),
    AuditEvent.DEVICE_RESUMED: _l("Resumed notifications after a new sign-in: %(device)s"),
    AuditEvent.DEVICE_DROPPED: _l("Removed the least recently used device to make room: %(device)s"),
    AuditEvent.KEY_ROTATED: _l("Replaced the VAPID key"),
    AuditEvent.KEY_RETIRED: _l("Retired the old VAPID key"),
    AuditEvent.MESSAGES_EXPORTED: _l("Exported messages: %(messages)s"),
    AuditEvent.MESSAGES_DELETED: _l("Deleted messages: %(messages)s"),
    AuditEvent.MESSAGES_RESTORED: _l("Restored deleted messages: %(messages)s"),
    AuditEvent.MESSAGES_INTO_SPAM: _l("Moved messages to spam: %(messages)s"),
    AuditEvent.MESSAGES_OUT_OF_SPAM: _l("Moved messages out of spam: %(messages)s"),
    AuditEvent.TAG_RENAMED: _l("Renamed the tag “%(before)s” to “%(tag)s”"),
    AuditEvent.TAG_REMOVED: _l("Removed the tag “%(tag)s” from all messages"),
}


@dataclass(frozen=True)
class AuditPage:
    """A page of entries, the newest first; `older` is the cursor of the next page, or None."""

    entries: list[AuditEntry]
    older: int | None


def record(event: AuditEvent, user: User | None = None, **detail: str | int) -> None:
    """Add an entry to the caller's transaction; every administrator can read `detail`, so pass no secret in it."""
    # A direct INSERT rather than an object, so that an entry never changes the order of a flush.
    db.session.execute(insert(AuditEntry).values(_row(event, user, detail)))


def count(event: AuditEvent, user: User | None) -> None:
    """Add one to this hour's entry for this event and account; all unknown accounts share one entry.

    Use this for events that strangers can cause. However often they do, each account gets one row per hour.
    """
    now = utcnow()
    row = _row(event, user, {})
    hour = f"{event} {user.id if user else '-'} {now:%Y-%m-%dT%H}"
    newest = {name: row[name] for name in ("at", "address_hash", "browser")}
    statement = insert(AuditEntry).values(**row, counted_as=hour)
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=[AuditEntry.counted_as], set_={**newest, "count": AuditEntry.count + 1}
        )
    )


def page(before: int | None = None, about: User | None = None, size: int = _PER_PAGE) -> AuditPage:
    """Return a page of the log, or of its entries about one account; `before` is the previous page's `older`."""
    wanted = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(size + 1)
    if before is not None:
        wanted = wanted.where(AuditEntry.id < before)
    if about is not None:
        wanted = wanted.where(AuditEntry.user_id == about.id)
    entries = list(db.session.scalars(wanted))
    return AuditPage(entries[:size], entries[size - 1].id if len(entries) > size else None)


def remove_older(before: datetime, most: int) -> int:
    """Remove at most `most` entries older than `before`, the oldest first, and return how many were removed."""
    return delete_batch(AuditEntry, AuditEntry.at < before, most=most, oldest_first=AuditEntry.at)


def label(entry: AuditEntry) -> str:
    """Return the event's text in the reader's language."""
    text = _LABELS.get(AuditEvent(entry.event)) if entry.event in set(AuditEvent) else None
    if text is None:
        return entry.event
    return str(text) % _Detail({name: browser_name.localized(str(value)) for name, value in entry.detail.items()})


def origin(entry: AuditEntry) -> str:
    """Return where an event came from, for a reader who compares it with their own network."""
    if not entry.browser:
        return str(gettext("on the command line"))
    text = _l("%(browser)s, in this network") if _is_from_here(entry) else _l("%(browser)s, in another network")
    return str(text) % {"browser": browser_name.localized(entry.browser)}


def _is_from_here(entry: AuditEntry) -> bool:
    return entry.address_hash == network_address.of_request()


class _Detail(dict[str, Any]):
    """Details that give "?" for a missing key, so that the page can show entries of an older version."""

    def __missing__(self, _: str) -> str:
        return "?"


def _row(event: AuditEvent, user: User | None, detail: Mapping[str, str | int]) -> dict[str, Any]:
    return {
        "at": utcnow(),
        "user_id": user.id if user else None,
        "email": user.email if user else "",
        "event": event,
        "detail": {name: _short(value) for name, value in detail.items()},
        "address_hash": network_address.of_request() if has_request_context() else "",
        "browser": browser_name.guess(request.user_agent.string) if has_request_context() else "",
        "count": 1,
    }


def _short(value: str | int) -> str | int:
    return value[:_LONGEST_DETAIL] if isinstance(value, str) else value
