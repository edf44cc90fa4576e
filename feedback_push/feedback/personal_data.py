"""Find everything stored about one person by their e-mail address, to export it or to erase it for good."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import joinedload, selectinload

from feedback_push.auth import api_keys, passkeys, recovery_codes, totp
from feedback_push.auth.audit_models import AuditEntry
from feedback_push.auth.models import Notice, Session, User
from feedback_push.database import db
from feedback_push.feedback import conversation_data, conversations, notes, replies, tags
from feedback_push.feedback.models import Assignment, Message, Reply, SavedSearch, person_of
from feedback_push.feedback.note_models import Note
from feedback_push.ids import id_in
from feedback_push.push import outbox
from feedback_push.push.models import Delivery, MutedKind, OutboxEntry, Preference, Subscription

BATCH = 100
_CHOSEN = ("shows", "quiet_from", "quiet_until", "burst_count", "burst_seconds")
_OF_PAGE = ("page_url", "page_title", "viewport", "language")
_OF_DEVICE = ("name", "state", "language")
_TIMES_OF_DEVICE = ("added_at", "last_accepted_at", "last_shown_at", "paused_at", "gone_at")
Part = Callable[[Sequence[int]], Mapping[int, list[dict[str, Any]]]]
_parts: dict[str, Part] = {}


def part(name: str) -> Callable[[Part], Part]:
    """Register a function that returns more about messages, by their ids, ready for JSON; it is exported as `name`."""

    def register(read: Part) -> Part:
        _parts[name] = read
        return read

    return register


def messages(email: str) -> Iterator[dict[str, Any]]:
    """Yield all messages of a person, ready for JSON. They are read in batches; no transaction is open at a yield."""
    last = 0
    while rows := _part(email, last):
        last = rows[-1].id
        deliveries = _deliveries(rows)
        written = replies.by_message([message.id for message in rows])
        more = {name: read([message.id for message in rows]) for name, read in _parts.items()}
        batch = [(message.id, _message(message, deliveries)) for message in rows]
        db.session.rollback()
        for message_id, told in batch:
            its_replies = [replies.as_json(reply) for reply in written.get(message_id, ())]
            parts = {name: found[message_id] for name, found in more.items() if message_id in found}
            yield {**told, "replies": its_replies, **parts}
    db.session.rollback()


def account(email: str) -> dict[str, Any] | None:
    """Return the account of a person, or None if they are not an administrator.

    Devices and sessions are listed without their secrets.
    """
    user = db.session.scalar(select(User).where(User.email == email.strip().lower()))
    return _account(user) if user else None


def erase_some(email: str) -> int:
    """Remove a batch of a person's messages for good, in any state; return how many.

    The notifications that repeat the messages, and their deliveries, are removed too. Each batch of deliveries is
    committed here; the caller commits the rest.
    """
    of_person = select(Message.id, Message.outbox_id).where(_theirs(email)).order_by(Message.id).limit(BATCH)
    while True:
        # The lock keeps a visitor from adding a reply whose notification would stay.
        rows = db.session.execute(of_person.with_for_update()).all()
        ids = [row.id for row in rows]
        entries = [*conversation_data.entries_of(ids), *(row.outbox_id for row in rows if row.outbox_id is not None)]
        if not outbox.delete_deliveries(entries):
            break
        db.session.commit()
    if rows:
        conversations.delete_audiences(ids)
        db.session.execute(delete(Message).where(id_in(Message.id, ids)))
        outbox.remove(entries)
        tags.remove_unused()  # a tag may name the person, and a note, too
        notes.remove_empty()
    return len(rows)


def count(email: str) -> int:
    """Return the number of messages of a person."""
    of_person = select(func.count()).select_from(Message).where(_theirs(email))
    return db.session.scalar(of_person) or 0


def has_account(email: str) -> bool:
    """Return whether a person is an administrator."""
    return db.session.scalar(select(User.id).where(User.email == email.strip().lower())) is not None


def _theirs(email: str) -> ColumnElement[bool]:
    # Never compare with None: that would match all messages without an address.
    return Message.person == (person_of(email) or "")


def _part(email: str, after: int) -> Sequence[Message]:
    following = select(Message).where(_theirs(email), Message.id > after).order_by(Message.id).limit(BATCH)
    more = (joinedload(Message.outbox_entry), selectinload(Message.tags))
    return db.session.scalars(following.options(*more)).all()


def _deliveries(told: Sequence[Message]) -> dict[int, list[dict[str, Any]]]:
    """Return the deliveries of the messages' notifications, by the id of the outbox entry."""
    entries = [message.outbox_id for message in told if message.outbox_id is not None]
    of_entries = select(Delivery).where(id_in(Delivery.outbox_id, entries)).order_by(Delivery.id)
    found: dict[int, list[dict[str, Any]]] = {}
    for delivery in db.session.scalars(of_entries.options(joinedload(Delivery.subscription))):
        found.setdefault(delivery.outbox_id, []).append(_delivery(delivery))
    return found


def _message(message: Message, deliveries: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return a message without its replies, which may be too long to be in memory with those of others."""
    own = ("id", "content", "submitter_name", "submitter_email", "state", "spam_reason")
    columns = (*own, "form_key", "category", "rating", *_OF_PAGE, "answers", "host_user")
    times = ("created_at", "read_at", "deleted_at")
    entry = message.outbox_entry
    notification = _notification(entry, deliveries.get(entry.id, [])) if entry else None
    # Not the assignee: that is another person's data.
    conversation = {
        "tags": [tag.name for tag in message.tags],
        "replies": [],
        "notification": notification,
    }
    return {**_plain(message, columns, times), **conversation}


def _notification(entry: OutboxEntry, deliveries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **_plain(entry, (), ("created_at", "expires_at")),
        "payload": json.loads(entry.payload),
        "deliveries": deliveries,
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    # The push service that carried the encrypted message. The rest of the endpoint is the device owner's secret.
    service = urlsplit(delivery.subscription.endpoint).hostname
    times = ("accepted_at", "shown_at", "clicked_at")
    return {"push_service": service, **_plain(delivery, ("state", "attempts", "status", "error"), times)}


def _account(user: User) -> dict[str, Any]:
    sessions = db.session.scalars(select(Session).where(Session.user_id == user.id).order_by(Session.id))
    devices = db.session.scalars(select(Subscription).where(Subscription.user_id == user.id).order_by(Subscription.id))
    audit = db.session.scalars(select(AuditEntry).where(AuditEntry.user_id == user.id).order_by(AuditEntry.id))
    told = db.session.scalars(select(Notice).where(Notice.user_id == user.id).order_by(Notice.id))
    muted = db.session.scalars(select(MutedKind.kind).where(MutedKind.user_id == user.id).order_by(MutedKind.kind))
    assigned = db.session.scalars(
        select(Assignment.message_id).where(Assignment.user_id == user.id).order_by(Assignment.message_id)
    )
    answers = db.session.scalars(
        select(Reply).where(Reply.user_id == user.id, Reply.note_id.is_(None)).order_by(Reply.id)
    )
    written = db.session.scalars(select(Note).where(Note.user_id == user.id).order_by(Note.id))
    searches = db.session.scalars(select(SavedSearch).where(SavedSearch.user_id == user.id).order_by(SavedSearch.id))
    preference = db.session.get(Preference, user.id)
    return {
        **_plain(user, ("email", "name", "role", "language", "time_zone"), ("created_at",)),
        "notifications": _plain(preference, _CHOSEN, ()) if preference else None,
        "muted": list(muted),
        "assigned_messages": list(assigned),
        "saved_searches": [_plain(each, ("name", "query"), ("created_at",)) for each in searches],
        "answers": [_plain(each, ("message_id", "content"), ("created_at",)) for each in answers],
        "notes": [_plain(each, ("content", "selection"), ("created_at", "sent_at")) for each in written],
        "sessions": [
            _plain(each, ("browser", "remembered"), ("created_at", "last_seen_at", "expires_at")) for each in sessions
        ],
        "devices": [_plain(each, _OF_DEVICE, _TIMES_OF_DEVICE) for each in devices],
        "api_keys": [_plain(each, ("name", "scopes"), ("created_at", "last_used_at")) for each in api_keys.of(user)],
        "passkeys": [_plain(each, ("name", "host"), ("created_at", "last_used_at")) for each in passkeys.of(user)],
        "code_app": _plain(app, (), ("created_at", "last_used_at")) if (app := totp.of(user)) else None,
        "recovery_codes_left": recovery_codes.left(user),
        "notices": [_plain(each, ("event", "detail", "browser"), ("at", "seen_at")) for each in told],
        "audit": [_plain(each, ("event", "detail", "browser", "count"), ("at",)) for each in audit],
    }


def _plain(row: object, columns: tuple[str, ...], times: tuple[str, ...]) -> dict[str, Any]:
    moments = {name: getattr(row, name) for name in times}
    return {
        **{name: getattr(row, name) for name in columns},
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
    }
