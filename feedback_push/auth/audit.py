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
from feedback_push.auth import roles
from feedback_push.auth.audit_models import AuditEntry, AuditEvent
from feedback_push.auth.models import NoticeEvent, Role, User
from feedback_push.database import db, delete_batch, insert, utcnow

_PER_PAGE = 50
_LONGEST_DETAIL = 200
_LABELS = {
    AuditEvent.SIGNED_IN: _l("Signed in"),
    AuditEvent.SIGNED_IN_BY_LINK: _l("Signed in with a sign-in link"),
    AuditEvent.SIGNED_IN_BY_PASSKEY: _l("Signed in with the passkey “%(passkey)s”"),
    AuditEvent.SECOND_FACTOR_REFUSED: _l("Refused a second factor after a correct password or sign-in link"),
    AuditEvent.RECOVERY_CODE_USED: _l("Used a recovery code; codes left: %(left)s"),
    AuditEvent.PASSKEY_REFUSED: _l("Refused a passkey"),
    AuditEvent.PASSKEY_CLONED: _l("Refused the passkey “%(passkey)s”: its counter went back, so it may be a copy"),
    AuditEvent.PASSKEY_ADDED: _l("Added the passkey “%(passkey)s”"),
    AuditEvent.PASSKEY_RENAMED: _l("Renamed the passkey “%(before)s” to “%(passkey)s”"),
    AuditEvent.PASSKEY_REMOVED: _l("Removed the passkey “%(passkey)s”"),
    AuditEvent.TOTP_ADDED: _l("Added a code app"),
    AuditEvent.TOTP_REMOVED: _l("Removed the code app"),
    AuditEvent.RECOVERY_CODES_MADE: _l("Made new recovery codes"),
    AuditEvent.CONFIRMED: _l("Confirmed their identity again"),
    AuditEvent.CONFIRMATION_FAILED: _l("Failed to confirm their identity"),
    AuditEvent.SIGN_IN_LINK_MADE: _l("Created a sign-in link"),
    AuditEvent.FULL_SIGN_IN_LINK_MADE: _l("Created a sign-in link that replaces the second factor, too"),
    AuditEvent.SIGN_IN_LINK_REFUSED: _l("Refused a sign-in link"),
    AuditEvent.SIGN_IN_FAILED: _l("Failed to sign in: wrong e-mail address or password"),
    AuditEvent.SIGN_IN_DELAYED: _l("Delayed sign-ins after failed attempts"),
    AuditEvent.SIGNED_OUT: _l("Signed out"),
    AuditEvent.PASSWORD_CHANGED: _l("Password changed"),
    AuditEvent.SESSION_ENDED: _l("Ended the session of %(browser)s"),
    AuditEvent.SESSIONS_ENDED: _l("Ended sessions: %(sessions)s"),
    AuditEvent.ACCOUNT_CREATED: _l("Account created"),
    AuditEvent.ACCOUNT_DELETED: _l("Account deleted"),
    AuditEvent.ACCOUNT_REMOVED: _l("Removed the account %(account)s"),
    AuditEvent.NAME_CHANGED: _l("Changed the name to “%(name)s”"),
    AuditEvent.ROLE_CHANGED: _l("Changed the role of %(account)s: %(role)s"),
    AuditEvent.INVITATION_MADE: _l("Invited %(account)s: %(role)s"),
    AuditEvent.INVITATION_REVOKED: _l("Revoked the invitation of %(account)s"),
    AuditEvent.INVITATION_ACCEPTED: _l("Accepted the invitation of %(account)s"),
    AuditEvent.RESET_LINK_MADE: _l("Made a link that sets a new password for %(account)s"),
    AuditEvent.FULL_RESET_LINK_MADE: _l(
        "Made a link that sets a new password for %(account)s and removes the second factor"
    ),
    AuditEvent.RESET_LINK_USED: _l("Set a new password with a link of %(account)s"),
    AuditEvent.ACCOUNT_LINK_REFUSED: _l("Refused an invitation or a link for a new password"),
    AuditEvent.NOT_ME: _l("Answered “This was not me” to: %(notice)s"),
    AuditEvent.DEVICE_ADDED: _l("Turned notifications on: %(device)s"),
    AuditEvent.DEVICE_REMOVED: _l("Turned notifications off: %(device)s"),
    AuditEvent.DEVICE_RENAMED: _l("Renamed the device “%(before)s” to “%(device)s”"),
    AuditEvent.DEVICE_SUSPENDED: _l("Suspended notifications because the session ended: %(device)s"),
    AuditEvent.DEVICE_RESUMED: _l("Resumed notifications after a new sign-in: %(device)s"),
    AuditEvent.DEVICE_DROPPED: _l("Removed the least recently used device to make room: %(device)s"),
    AuditEvent.KEY_ROTATED: _l("Replaced the VAPID key"),
    AuditEvent.KEY_RETIRED: _l("Retired the old VAPID key"),
    AuditEvent.SECRET_ROTATED: _l("Replaced the master secret"),
    AuditEvent.API_KEY_MADE: _l("Created the API key “%(key)s” with the scopes: %(scopes)s"),
    AuditEvent.API_KEY_ENDED: _l("Ended the API key “%(key)s”"),
    AuditEvent.FORM_SECRET_SHOWN: _l("Showed the secret of the form “%(form)s”"),
    AuditEvent.NOTIFICATION_SENT: _l("Sent the notification “%(title)s” with the API key “%(key)s”"),
    AuditEvent.DATA_IMPORTED: _l("Imported messages: %(messages)s, devices: %(devices)s"),
    AuditEvent.MESSAGES_EXPORTED: _l("Exported messages: %(messages)s"),
    AuditEvent.MESSAGES_DELETED: _l("Deleted messages: %(messages)s"),
    AuditEvent.MESSAGES_RESTORED: _l("Restored deleted messages: %(messages)s"),
    AuditEvent.MESSAGES_INTO_SPAM: _l("Moved messages to spam: %(messages)s"),
    AuditEvent.MESSAGES_OUT_OF_SPAM: _l("Moved messages out of spam: %(messages)s"),
    AuditEvent.TAG_RENAMED: _l("Renamed the tag “%(before)s” to “%(tag)s”"),
    AuditEvent.TAG_REMOVED: _l("Removed the tag “%(tag)s” from all messages"),
    AuditEvent.TOPIC_ADDED: _l("Created the topic “%(topic)s”"),
    AuditEvent.FEED_SET: _l("Set the feed of the topic “%(topic)s”"),
    AuditEvent.FEED_REMOVED: _l("Removed the feed of the topic “%(topic)s”"),
    AuditEvent.TOPIC_REMOVED: _l("Deleted the topic “%(topic)s”"),
    AuditEvent.BROADCAST_STARTED: _l("Sent “%(title)s” to the followers of “%(topic)s”"),
    AuditEvent.BROADCAST_SCHEDULED: _l("Scheduled “%(title)s” for the followers of “%(topic)s”"),
    AuditEvent.BROADCAST_PAUSED: _l("Paused the broadcast “%(title)s”"),
    AuditEvent.BROADCAST_RESUMED: _l("Resumed the broadcast “%(title)s”"),
    AuditEvent.BROADCAST_ENDED: _l("Ended the broadcast “%(title)s”"),
    AuditEvent.NOTE_SENT: _l("Sent a note to the writers of messages: %(messages)s"),
    AuditEvent.FORM_ADDED: _l("Made the form “%(form)s”"),
    AuditEvent.FORM_CHANGED: _l("Changed the form “%(form)s”"),
    AuditEvent.FORM_CLOSED: _l("Closed the form “%(form)s”"),
    AuditEvent.FORM_OPENED: _l("Opened the form “%(form)s” again"),
    AuditEvent.FORM_DELETED: _l("Deleted the form “%(form)s”"),
    AuditEvent.LIMITS_CHANGED: _l("Changed the limits of the site"),
    AuditEvent.WEBHOOK_ADDED: _l("Added the webhook “%(webhook)s” to %(place)s"),
    AuditEvent.WEBHOOK_CHANGED: _l("Changed the webhook “%(webhook)s”"),
    AuditEvent.WEBHOOK_SECRET_REPLACED: _l("Replaced the secret of the webhook “%(webhook)s”"),
    AuditEvent.WEBHOOK_PAUSED: _l("Paused the webhook “%(webhook)s”"),
    AuditEvent.WEBHOOK_RESUMED: _l("Resumed the webhook “%(webhook)s”"),
    AuditEvent.WEBHOOK_REMOVED: _l("Deleted the webhook “%(webhook)s”"),
    AuditEvent.DRILL_STARTED: _l("Started a drill of notifications"),
    AuditEvent.DRILL_INTERVAL_CHANGED: _l("Changed the days between two drills from %(before)s to %(after)s"),
}
NOTICE_TITLES = {
    NoticeEvent.NEW_SIGN_IN: _l("New sign-in to your account"),
    NoticeEvent.NEW_DEVICE: _l("A new device gets your notifications"),
    NoticeEvent.NEW_PASSKEY: _l("New passkey for your account"),
    NoticeEvent.PASSKEY_REMOVED: _l("A passkey of your account was removed"),
    NoticeEvent.SECOND_FACTOR_ON: _l("A second factor was set up"),
    NoticeEvent.SECOND_FACTOR_OFF: _l("A second factor was removed"),
    NoticeEvent.RECOVERY_CODE_USED: _l("A recovery code was used"),
    NoticeEvent.PASSWORD_CHANGED: _l("Your password was changed"),
    NoticeEvent.ROLE_CHANGED: _l("Your role was changed"),
    NoticeEvent.RESET_LINK_MADE: _l("A link to reset your password was made"),
    NoticeEvent.INVITATION_MADE: _l("Your account has invited somebody"),
    NoticeEvent.ACCOUNT_REMOVED: _l("Your account has removed another account"),
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
    return str(text) % _Detail({name: _localized(name, str(value)) for name, value in entry.detail.items()})


def origin(entry: AuditEntry) -> str:
    """Return where an event came from, for a reader who compares it with their own network."""
    if not entry.browser:
        return str(gettext("on the command line"))
    text = _l("%(browser)s, in this network") if _is_from_here(entry) else _l("%(browser)s, in another network")
    return str(text) % {"browser": browser_name.localized(entry.browser)}


def _localized(name: str, value: str) -> str:
    if name == "role" and value in set(Role):
        return roles.label(value)
    if name == "notice" and value in set(NoticeEvent):
        return str(NOTICE_TITLES[NoticeEvent(value)])
    return browser_name.localized(value)


def _is_from_here(entry: AuditEntry) -> bool:
    return network_address.is_of_request(entry.address_hash)


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
