"""History: read what became of a notification on each device."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select
from sqlalchemy.orm import joinedload

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.ids import id_in
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, MutedKind, OutboxEntry, Subscription
from feedback_push.webpush.responses import ProxyFailed

MOST_SHOWN = 100
_SOON = timedelta(seconds=60)  # a claim's lease, so that a delivery being sent counts as in progress
_REPORTS_WITHIN = timedelta(seconds=30)  # most devices report in the first second


class Stage(StrEnum):
    """The stage of a delivery, as people see it."""

    QUEUED = "queued"
    SENDING = "sending"
    RETRYING = "retrying"
    HELD = "held"
    SUMMARISED = "summarised"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    ACCEPTED = "accepted"  # by the push service; the device has not reported
    SHOWN = "shown"
    CLICKED = "clicked"
    FAILED = "failed"
    EXPIRED = "expired"


class LeftOut(StrEnum):
    """The reason for which a device has no delivery."""

    NOT_YET = "not-yet"
    ADDED_LATER = "added-later"
    PAUSED = "paused"
    MUTED = "muted"
    NOT_CHOSEN = "not-chosen"  # the form notifies other administrators
    OTHERWISE = "otherwise"  # it was paused or muted then and is not any more


class History(NamedTuple):
    """The history of one notification; at most MOST_SHOWN deliveries, the reader's own devices first."""

    counts: dict[Stage, int]  # QUEUED counts everything that is in progress
    deliveries: Sequence[Delivery]
    summaries: dict[tuple[int, int], Delivery]  # the summaries that included them, by entry and device
    left_out: Sequence[tuple[Subscription, LeftOut]]  # of the reader's own devices, unless it is for an audience
    moving: bool  # True if it may change within seconds

    @property
    def not_shown(self) -> int:
        """The number of deliveries that are not in the list."""
        return sum(self.counts.values()) - len(self.deliveries)


def stage(delivery: Delivery) -> Stage:
    """Return the stage of a delivery; a report of the device counts more than an error."""
    if delivery.clicked_at or delivery.shown_at:
        return Stage.CLICKED if delivery.clicked_at else Stage.SHOWN
    if delivery.state != DeliveryState.WAITING:
        return Stage(delivery.state)
    if delivery.error:
        return Stage.RETRYING
    return Stage.SENDING if delivery.claim else Stage.QUEUED


def load(entry: OutboxEntry, reader: User) -> History:
    """Return the history of a notification for one of the administrators."""
    found = _of(entry, reader)
    counted = counts(Delivery.outbox_id == entry.id)
    return History(counted, found, _summaries(found), _left_out(entry, reader), _moving(entry, utcnow()))


def counts(*which: ColumnElement[bool]) -> dict[Stage, int]:
    """Count the deliveries that meet the conditions by stage; QUEUED counts everything that is in progress."""
    seen = case(
        (Delivery.clicked_at.is_not(None), Stage.CLICKED.value),
        (Delivery.shown_at.is_not(None), Stage.SHOWN.value),
        (Delivery.state == DeliveryState.WAITING, Stage.QUEUED.value),
        else_=Delivery.state,
    )
    rows = db.session.execute(select(seen, func.count()).where(*which).group_by(seen))
    found = {Stage(name): count for name, count in rows}
    return {stage: found[stage] for stage in Stage if stage in found}


def last_failed(device: Subscription) -> Delivery | None:
    """Return the newest failed delivery to a device; None if there is none."""
    failed = (Delivery.error.is_not(None), Delivery.state != DeliveryState.ACCEPTED)
    mine = select(Delivery).where(Delivery.subscription_id == device.id, *failed)
    return db.session.scalar(mine.order_by(Delivery.id.desc()).limit(1))


def proxy_failure() -> str | None:
    """Return our proxy's error if one of the newest deliveries waits because of it; else None."""
    newest = select(Delivery).order_by(Delivery.id.desc()).limit(MOST_SHOWN).subquery()
    waits = (newest.c.state == DeliveryState.WAITING, newest.c.error == ProxyFailed.code)
    return db.session.scalar(select(newest.c.detail).where(*waits).order_by(newest.c.id.desc()).limit(1))


def _of(entry: OutboxEntry, reader: User) -> Sequence[Delivery]:
    devices = select(Delivery).join(Delivery.subscription).where(Delivery.outbox_id == entry.id)
    mine_first = devices.order_by(Subscription.user_id.is_distinct_from(reader.id), Delivery.id).limit(MOST_SHOWN)
    return db.session.scalars(mine_first.options(joinedload(Delivery.subscription))).all()


def _summaries(told_of: Sequence[Delivery]) -> dict[tuple[int, int], Delivery]:
    ids = {delivery.summary_id for delivery in told_of if delivery.summary_id is not None}
    if not ids:
        return {}
    devices = [delivery.subscription_id for delivery in told_of]
    query = select(Delivery).where(id_in(Delivery.outbox_id, ids), id_in(Delivery.subscription_id, devices))
    return {(delivery.outbox_id, delivery.subscription_id): delivery for delivery in db.session.scalars(query)}


def _left_out(entry: OutboxEntry, reader: User) -> list[tuple[Subscription, LeftOut]]:
    if entry.audience_id is not None:
        return []
    told = exists().where(Delivery.outbox_id == entry.id, Delivery.subscription_id == Subscription.id)
    mine = select(Subscription).where(Subscription.user_id == reader.id, Subscription.state != DeviceState.GONE, ~told)
    devices = db.session.scalars(mine.order_by(Subscription.id).limit(MOST_SHOWN)).all()
    if entry.recipients is not None and reader.id not in entry.recipients:
        return [(device, LeftOut.NOT_CHOSEN) for device in devices]
    muted = bool(devices) and db.session.get(MutedKind, (reader.id, entry.kind)) is not None
    return [(device, _why_left_out(entry, device, muted=muted)) for device in devices]


def _why_left_out(entry: OutboxEntry, device: Subscription, *, muted: bool) -> LeftOut:
    if device.paused_at:
        return LeftOut.PAUSED
    if muted:
        return LeftOut.MUTED
    if entry.fanned_out_at is None:
        return LeftOut.NOT_YET
    return LeftOut.ADDED_LATER if device.added_at > entry.fanned_out_at else LeftOut.OTHERWISE


def _moving(entry: OutboxEntry, now: datetime) -> bool:
    if entry.fanned_out_at is None and entry.expires_at > now:
        return True
    to_be_sent = or_(Delivery.due_at <= now + _SOON, Delivery.held_until <= now + _SOON)
    to_be_reported = and_(Delivery.accepted_at > now - _REPORTS_WITHIN, Delivery.shown_at.is_(None))
    return bool(db.session.scalar(select(exists().where(Delivery.outbox_id == entry.id, to_be_sent | to_be_reported))))
