"""Held origins: a push service that refuses our key, contact or clock gets one probe a minute until it takes one."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from feedback_push.database import db, insert
from feedback_push.push.errors import Misconfigured
from feedback_push.push.models import HeldOrigin

HOLD = timedelta(seconds=60)  # between two probes
_LONGEST = 2 * HOLD  # what says more was written by a clock that ran ahead, which may be why the service refused
BETWEEN_LOOKS = timedelta(seconds=5)  # how soon the others look whether the probe was taken


def held() -> list[HeldOrigin]:
    """The origins on hold, each with the reason that the service gave."""
    return list(db.session.scalars(select(HeldOrigin).order_by(HeldOrigin.origin)))


def next_look(held: HeldOrigin, now: datetime) -> datetime:
    """When those that are not the probe look again."""
    until = held.held_until if held.held_until <= now + _LONGEST else now
    return max(until, now + BETWEEN_LOOKS)


def hold(origin: str, error: Misconfigured, now: datetime) -> None:
    """Send nothing there for a while."""
    fresh = {"held_until": now + HOLD, "status": error.status, "detail": error.detail}
    row = insert(HeldOrigin).values(origin=origin, **fresh)
    db.session.execute(row.on_conflict_do_update(index_elements=[HeldOrigin.origin], set_=fresh))


def take_probe(origin: str, now: datetime) -> bool:
    """Whether the caller may send one push to a held origin; at most one caller in HOLD may."""
    overdue = or_(HeldOrigin.held_until <= now, HeldOrigin.held_until > now + _LONGEST)
    taken = (
        update(HeldOrigin)
        .where(HeldOrigin.origin == origin, overdue)
        .values(held_until=now + HOLD)
        .returning(HeldOrigin.origin)
    )
    return db.session.scalar(taken) is not None


def release(origins: Iterable[str]) -> None:
    """Send there again: it took a probe, or refused it for a reason that is not ours."""
    db.session.execute(delete(HeldOrigin).where(HeldOrigin.origin.in_(list(origins))))
