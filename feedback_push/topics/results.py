"""Results of broadcasts: their progress while they are sent, and counts that outlive their deliveries."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, case, cast, func, select, text
from sqlalchemy.orm import InstrumentedAttribute

from feedback_push import database, maintenance
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.push.models import Delivery, DeliveryState, Subscription
from feedback_push.topics.models import TO_COUNT, Broadcast
from feedback_push.webpush import endpoints
from feedback_push.webpush.responses import Gone

# The columns of a plot: how many were sent, shown and opened within these seconds of the start.
MARKS = (10, 30, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
OUTCOMES = ("sent", "shown", "opened", "gone", "failed", "expired", "unsent")
_SOON, _LATER = timedelta(seconds=30), timedelta(days=1)  # between two counts of a broadcast
_NEVER = timedelta(days=365_000)
_MARGIN = timedelta(hours=1)  # before its deliveries are removed


class Progress(NamedTuple):
    """The deliveries of a broadcast that were sent, that failed or expired, and that are made but not final."""

    sent: int
    failed: int
    pending: int


def progress(entry_id: int) -> Progress:
    """Count the deliveries of an entry so far."""
    rows = select(Delivery.state, func.count()).where(Delivery.outbox_id == entry_id).group_by(Delivery.state)
    with _reading() as connection:
        counts: dict[str, int] = {key: number for key, number in connection.execute(rows)}  # noqa: C416 - rows are not quite tuples
    failed = sum(counts.get(state, 0) for state in (DeliveryState.FAILED, DeliveryState.EXPIRED))
    pending = sum(counts.get(state, 0) for state in (DeliveryState.WAITING, DeliveryState.PAUSED))
    return Progress(counts.get(DeliveryState.ACCEPTED, 0), failed, pending)


def count(entry_id: int, started_at: datetime, now: datetime) -> dict[str, Any]:
    """Count the outcomes of a broadcast's entry by push service, and those within each mark.

    `services` has a row of OUTCOMES for each host, of which `sent` includes `shown`, and `shown` includes `opened`.
    `timeline` has the seconds of each mark that has passed, and then how many were sent, shown and opened by then.
    """
    with _reading() as connection:
        return {
            "counted_at": now.isoformat(timespec="seconds"),
            "services": _by_service(connection, entry_id),
            "timeline": _timeline(connection, entry_id, started_at, now),
        }


@maintenance.register
def count_due(now: datetime) -> None:
    """Store the results of a broadcast that is over: at once, then after longer and longer times, at last every day.

    The last time is an hour before its deliveries are removed, so the results outlive them.
    """
    due = select(Broadcast).where(text(TO_COUNT), Broadcast.count_at <= now).order_by(Broadcast.count_at)
    broadcast = db.session.scalars(due.limit(1).with_for_update(skip_locked=True)).first()
    if broadcast is None:
        return
    broadcast_id, entry_id, started_at = broadcast.id, broadcast.outbox_id, broadcast.started_at
    last = _last_count(broadcast)
    if entry_id is None or started_at is None or (broadcast.results is not None and now > last + _MARGIN):
        broadcast.count_at = None  # its deliveries are being removed, or are gone: what was counted is final
        return
    db.session.rollback()  # nothing waits for the database while it counts
    results = count(entry_id, started_at, now)
    stored = db.session.get(Broadcast, broadcast_id)
    if stored is not None and stored.outbox_id == entry_id:
        stored.results = results
        again = now + min(max(_SOON, (now - started_at) / 4), _LATER)
        stored.count_at = None if now >= last else min(again, last)


def _last_count(broadcast: Broadcast) -> datetime:
    """Return when a broadcast is counted for the last time: before its deliveries are removed, if they ever are."""
    started_at = broadcast.started_at or broadcast.created_at
    days = current_settings().retain_deliveries_days
    return started_at + (timedelta(days=days) - _MARGIN if days else _NEVER)


@contextmanager
def _reading() -> Iterator[Connection]:
    """Yield a connection that neither waits for a writer nor keeps one waiting: counting a million takes seconds."""
    connection = database.reader(db.engine)
    try:
        yield connection
    finally:
        connection.rollback()
        connection.close()


def _by_service(connection: Connection, entry_id: int) -> dict[str, dict[str, int]]:
    gone = func.coalesce(cast(Delivery.error == Gone.code, Integer), 0)
    columns = (Delivery.service, Delivery.state, gone)
    counted = (func.count(), func.count(Delivery.shown_at), func.count(Delivery.clicked_at))
    rows = select(*columns, *counted, func.min(Delivery.subscription_id)).where(Delivery.outbox_id == entry_id)
    services: dict[int, dict[str, int]] = {}
    devices: dict[int, int] = {}
    for service, state, is_gone, number, shown, opened, device in connection.execute(rows.group_by(*columns)):
        outcomes = services.setdefault(service, dict.fromkeys(OUTCOMES, 0))
        outcomes[_outcome(state, is_gone=bool(is_gone))] += number
        outcomes["shown"] += shown
        outcomes["opened"] += opened
        devices[service] = device
    names = _hosts(connection, devices)
    return {names[service]: services[service] for service in sorted(services, key=lambda each: names[each])}


def _outcome(state: str, *, is_gone: bool) -> str:
    if state == DeliveryState.ACCEPTED:
        return "sent"
    if state == DeliveryState.FAILED:
        return "gone" if is_gone else "failed"
    return "expired" if state == DeliveryState.EXPIRED else "unsent"


def _hosts(connection: Connection, devices: dict[int, int]) -> dict[int, str]:
    """Return the host of each push service, from one of its devices."""
    found = select(Subscription.service, Subscription.endpoint).where(Subscription.id.in_(devices.values()))
    hosts = {service: endpoints.origin(endpoint).partition("://")[2] for service, endpoint in connection.execute(found)}
    return {service: hosts.get(service, "?") for service in devices}


def _timeline(connection: Connection, entry_id: int, started_at: datetime, now: datetime) -> list[list[int]]:
    passed = [mark for mark in MARKS if started_at + timedelta(seconds=mark) <= now]
    columns = (Delivery.accepted_at, Delivery.shown_at, Delivery.clicked_at)
    totals = [_within(connection, entry_id, started_at, passed, column) for column in columns]
    return [[mark, *(total[place] for total in totals)] for place, mark in enumerate(passed)]


def _within(
    connection: Connection,
    entry_id: int,
    started_at: datetime,
    marks: list[int],
    column: InstrumentedAttribute[datetime | None],
) -> list[int]:
    """Return how many deliveries have a time in this column within each of the marks."""
    if not marks:
        return []
    ends = [(column <= started_at + timedelta(seconds=mark), place) for place, mark in enumerate(marks)]
    first = case(*ends, else_=len(marks))
    rows = select(first, func.count()).where(Delivery.outbox_id == entry_id, column.is_not(None)).group_by(first)
    found: dict[int, int] = {key: number for key, number in connection.execute(rows)}  # noqa: C416 - rows are not quite tuples
    return [sum(found.get(place, 0) for place in range(last + 1)) for last in range(len(marks))]
