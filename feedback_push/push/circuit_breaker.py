"""Circuit breaker: a push service that refuses our key, contact or clock gets one probe a minute until it accepts one.

Without a row the circuit of an origin is closed: everything is sent. A row opens it; once a minute it is half-open, and
one push is sent as a probe.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from feedback_push.database import db, insert
from feedback_push.push.models import OpenCircuit
from feedback_push.webpush.responses import Misconfigured

OPEN_FOR = timedelta(seconds=60)  # until the next probe
_LONGEST = (
    2 * OPEN_FOR
)  # anything later was written by a clock that ran ahead, perhaps the reason why the service refused
BETWEEN_LOOKS = timedelta(seconds=5)  # until other deliveries check whether the probe was accepted


def open_circuits() -> list[OpenCircuit]:
    """Return the origins whose circuit is open, each with the service's reason."""
    return list(db.session.scalars(select(OpenCircuit).order_by(OpenCircuit.origin)))


def retry_at(held: OpenCircuit, now: datetime) -> datetime:
    """Return when the deliveries that are not the probe may try again."""
    until = held.held_until if held.held_until <= now + _LONGEST else now
    return max(until, now + BETWEEN_LOOKS)


def trip(origin: str, error: Misconfigured, now: datetime) -> None:
    """Open the circuit: send nothing to this origin for OPEN_FOR."""
    fresh = {"held_until": now + OPEN_FOR, "status": error.status, "detail": error.detail}
    row = insert(OpenCircuit).values(origin=origin, **fresh)
    db.session.execute(row.on_conflict_do_update(index_elements=[OpenCircuit.origin], set_=fresh))


def try_half_open(origin: str, now: datetime) -> bool:
    """Return whether the caller may send one probe; at most one caller in OPEN_FOR may."""
    overdue = or_(OpenCircuit.held_until <= now, OpenCircuit.held_until > now + _LONGEST)
    taken = (
        update(OpenCircuit)
        .where(OpenCircuit.origin == origin, overdue)
        .values(held_until=now + OPEN_FOR)
        .returning(OpenCircuit.origin)
    )
    return db.session.scalar(taken) is not None


def close(origins: Iterable[str]) -> None:
    """Close the circuits: the service accepted a probe, or refused it for a reason that is not ours."""
    db.session.execute(delete(OpenCircuit).where(OpenCircuit.origin.in_(list(origins))))
