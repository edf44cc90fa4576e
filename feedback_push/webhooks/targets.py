"""Targets: add, find, change, pause and delete them; their addresses and secrets are stored encrypted."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import delete, exists, select, update

from feedback_push import encryption, http_client
from feedback_push.config import current_settings
from feedback_push.database import db, delete_batch, utcnow
from feedback_push.webhooks.models import (
    IF_UNSEEN,
    LONGEST_PLACE,
    Delivery,
    PauseReason,
    State,
    Target,
    TargetKind,
    Wanted,
)

MOST = 20
_DELIVERIES = 5000  # deleted in one transaction
_PURPOSE = "webhooks"  # of the encryption
encryption.stored_in(Target.url, _PURPOSE)
encryption.stored_in(Target.secret, _PURPOSE)
_SECRET_BYTES = 32  # the specification of Standard Webhooks asks for 24 to 64


class TooMany(ValueError):
    """There are as many targets as there may be."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The events that a target is told of; `form_keys` is None for all forms."""

    name: str
    wanted: Wanted
    takes_alarms: bool
    wanted_replies: Wanted = Wanted.NONE
    takes_notifications: bool = False
    form_keys: list[str] | None


class Address(NamedTuple):
    """The address of a target and the secret that signs its webhooks; an Apprise target has no secret."""

    url: str
    secret: str


def add(kind: TargetKind, url: str, language: str, choice: Choice) -> tuple[Target, str]:
    """Add a target, and return it with its signing secret, which cannot be read again. The caller commits.

    Raise TooMany. Check the address before, with `http_client.check_target` or `apprise_service.place`.
    """
    if len(everything()) >= MOST:
        raise TooMany
    secret = new_secret() if kind == TargetKind.WEBHOOK else ""
    target = Target(
        kind=kind,
        url=encryption.encrypt(url, _PURPOSE),
        secret=encryption.encrypt(secret, _PURPOSE) if secret else None,
        place=place(kind, url),
        language=language,
    )
    change(target, choice)
    db.session.add(target)
    db.session.flush()
    return target, secret


def change(target: Target, choice: Choice) -> None:
    """Change the events that a target is told of. The caller commits."""
    target.name, target.wanted = choice.name, choice.wanted
    target.wanted_replies, target.takes_notifications = choice.wanted_replies, choice.takes_notifications
    target.takes_alarms, target.form_keys = choice.takes_alarms, choice.form_keys


def replace_secret(target: Target) -> str:
    """Replace the signing secret of a webhook, and return the new one. The caller commits."""
    secret = new_secret()
    target.secret = encryption.encrypt(secret, _PURPOSE)
    return secret


def new_secret() -> str:
    """Return a signing secret as Standard Webhooks spells it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def address(target: Target) -> Address:
    """Return the address of a target and its secret. Raise `encryption.UnreadableError` after another SECRET_KEY."""
    secret = encryption.decrypt(target.secret, _PURPOSE) if target.secret else ""
    return Address(encryption.decrypt(target.url, _PURPOSE), secret)


def place(kind: TargetKind, url: str) -> str:
    """Return the part of an address that holds no secret: the origin of a webhook, the service of an Apprise URL."""
    if kind == TargetKind.APPRISE:
        return f"{url.partition(':')[0]}:"[:LONGEST_PLACE]
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"[:LONGEST_PLACE]


def check(url: str) -> None:
    """Raise `http_client.Failure` if no webhook may be sent to this URL."""
    http_client.check_target(url, current_settings().webhook_private_hosts)


def everything() -> Sequence[Target]:
    """Return all targets by name."""
    return db.session.scalars(select(Target).order_by(Target.name, Target.id)).all()


def find(target_id: int) -> Target | None:
    """Return a target; None if there is none with this id."""
    return db.session.get(Target, target_id)


def paused() -> Sequence[Target]:
    """Return the targets that were paused because they failed."""
    failed = Target.pause_reason.in_([PauseReason.GONE, PauseReason.FAILING])
    return db.session.scalars(select(Target).where(failed).order_by(Target.name, Target.id)).all()


def takers_of_alarms() -> Sequence[Target]:
    """Return the targets that are told of alarms, also paused ones: they are told when they are resumed."""
    return db.session.scalars(select(Target).where(Target.takes_alarms).order_by(Target.id)).all()


def has_waiting(target: Target) -> bool:
    """Return whether an event waits for a target."""
    waiting = (Delivery.target_id == target.id, Delivery.due_at.is_not(None))
    return bool(db.session.scalar(select(exists().where(*waiting))))


def pause(target: Target, reason: PauseReason, now: datetime) -> None:
    """Send nothing more to a target until it is resumed; its events wait. The caller commits."""
    target.paused_at, target.pause_reason = now, reason


def resume(target: Target) -> None:
    """Send everything that waits for a target, with as much time as new events have. The caller commits."""
    now = utcnow()
    target.paused_at, target.pause_reason = None, None
    target.failures, target.failing_since, target.retry_at = 0, None, None
    waiting = (Delivery.target_id == target.id, Delivery.state == State.WAITING)
    again = {"queued_at": now, "attempts": 0}
    db.session.execute(update(Delivery).where(*waiting).values(again))
    now_due = (*waiting, Delivery.event.not_in(IF_UNSEEN))
    db.session.execute(update(Delivery).where(*now_due).values(due_at=now))


def remove(target: Target) -> None:
    """Delete a target and its deliveries, in batches, each in its own transaction. The caller commits."""
    while delete_batch(Delivery, Delivery.target_id == target.id, most=_DELIVERIES) == _DELIVERIES:
        db.session.commit()
    db.session.execute(delete(Target).where(Target.id == target.id))
    db.session.expire_all()
