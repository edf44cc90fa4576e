"""Claims: take due deliveries for a limited time, so that no two workers send the same one."""

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple, cast

from sqlalchemy import CTE, Connection, Integer, Select, Table, Update, bindparam, exists, func, or_, select, update

from feedback_push.auth.models import NoticeEvent
from feedback_push.database import DATABASE_ERRORS, db
from feedback_push.ids import Ids, id_in
from feedback_push.push.models import Delivery, OutboxEntry, PreviewLevel, Priority, Subscription
from feedback_push.webpush import endpoints
from feedback_push.webpush.responses import Postponed, PushError

# Longer than a claimed delivery can take: the wait for its turn at the origin, and the HTTP timeout.
LEASE = timedelta(seconds=60)
FRESH = 0.1  # seconds for which a check is valid, because each check delays the sending thread
# The kind that also goes to the devices that its own event has suspended, because those belong to its reader.
ALSO_SUSPENDED = NoticeEvent.PASSWORD_CHANGED.value
_delivery = cast(Table, Delivery.__table__)
_device = cast(Table, Subscription.__table__)
_entry = cast(Table, OutboxEntry.__table__)
# In the order of the fields below.
_OF_ENTRY = (
    _entry.c.id,
    _entry.c.payload,
    _entry.c.topic,
    _entry.c.urgency,
    _entry.c.expires_at,
    _entry.c.kind,
    _entry.c.counts,
    _entry.c.created_at,
    _entry.c.request_id,
)
_OF_DELIVERY = (
    _delivery.c.outbox_id,
    _delivery.c.subscription_id,
    _delivery.c.id,
    _delivery.c.attempts,
    _delivery.c.reduced,
    _delivery.c.shows,
    _delivery.c.service,
    _delivery.c.priority,
)
_OF_DEVICE = (
    _device.c.id,
    _device.c.endpoint,
    _device.c.p256dh,
    _device.c.auth,
    _device.c.vapid_public_key,
    _device.c.language,
    _device.c.suspended_at,
)


class Entry(NamedTuple):
    """The fields that all deliveries of one outbox entry share."""

    id: int
    payload: str
    topic: str
    urgency: str
    expires_at: datetime
    kind: str
    counts: int
    created_at: datetime
    request_id: str | None


class Claim(NamedTuple):
    """A delivery that is ours until the lease ends, with everything needed to send it and to record the result."""

    entry: Entry
    claim: str
    id: int
    attempts: int
    reduced: bool
    shows: PreviewLevel
    service: int
    priority: int
    subscription_id: int
    endpoint: str
    p256dh: str
    auth: str
    vapid_public_key: str
    language: str
    suspended_at: datetime | None
    origin: str

    @property
    def is_suspended(self) -> bool:
        """True if it must not be sent, because the session of its device has ended."""
        return self.suspended_at is not None and self.entry.kind != ALSO_SUSPENDED


def services_due(now: datetime) -> list[int]:
    """Return the numbers of the push services that have due deliveries."""
    return list(db.session.scalars(_SERVICES_DUE, {"now": now}))


class Room(NamedTuple):
    """The number of deliveries to one push service that may be claimed: of alarms, and of all together."""

    alarms: int
    all: int


def take(room: Mapping[int, Room], now: datetime) -> list[Claim]:
    """Claim for each push service the deliveries that have been due the longest: first alarms, then broadcasts.

    The caller commits before it sends.
    """
    claim = secrets.token_hex(16)
    common = {"now": now, "until": now + LEASE, "ours": claim}
    rows: list[Any] = []
    for service, most in room.items():
        alarms = _mark(service, Priority.ALARM, most.alarms, common)
        rows += [*alarms, *_mark(service, Priority.BROADCAST, most.all - len(alarms), common)]
    return _read(rows, claim) if rows else []


def waiting(services: Collection[int], now: datetime, most: int) -> int:
    """Count the broadcasts' deliveries to these push services that are due and not claimed, at most so many."""
    return db.session.scalar(_WAITING, {"services": services, "now": now, "most": most}) or 0


class SessionEnded(PushError):
    """Never sent: the device's session was ended, or the delivery was removed, after the claim."""

    code = "session-ended"
    conclusive = False


class Watch:
    """Check just before sending which claimed deliveries may still be sent, over a separate connection.

    A delivery must not be sent if its device's session has ended, if it or its device was removed, or if another worker
    has claimed it since. An answer is valid for FRESH seconds, so that one query serves many pushes.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._lock = Lock()
        self._connection: Connection | None = None
        self._ended = False
        self._fresh: dict[tuple[int, str], float] = {}  # the time of the check, by the monotonic clock

    def refusals(self, batch: Sequence[Claim], following: Sequence[Claim] = ()) -> list[PushError | None]:
        """Return for each claim of the batch why it must not be sent, or None if it may be sent.

        The same query checks the `following` claims, because they are sent next. Any thread may call this.
        """
        with self._lock:
            self._forget()
            try:
                if not all((claimed.id, claimed.claim) in self._fresh for claimed in batch):
                    self._ask([*batch, *following])
            except DATABASE_ERRORS as error:
                self._close()
                return [Postponed(detail=type(error).__name__)] * len(batch)
            if self._ended:
                self._close()
            return [None if (claimed.id, claimed.claim) in self._fresh else SessionEnded() for claimed in batch]

    def end(self) -> None:
        """Release the connection; a later check opens and closes its own."""
        with self._lock:
            self._ended = True
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*DATABASE_ERRORS):
                connection.close()

    def _forget(self) -> None:
        oldest = time.monotonic() - FRESH
        self._fresh = {ours: at for ours, at in self._fresh.items() if at > oldest}

    def _ask(self, batch: Sequence[Claim]) -> None:
        now = time.monotonic()
        if self._connection is None:
            self._connection = self._connect()
        asked = {claimed.id: claimed.claim for claimed in batch}
        rows = self._connection.execute(_STILL_OURS, {"ids": asked.keys()}).all()
        self._connection.rollback()
        self._fresh |= {(id_, claim): now for id_, claim in rows if claim == asked[id_]}


def _mark(service: int, priority: Priority, most: int, common: dict[str, Any]) -> Sequence[Any]:
    if most <= 0:
        return []
    return db.session.execute(_MARK, {"at": service, "of": int(priority), "most": most, **common}).all()


def _read(rows: Sequence[Any], claim: str) -> list[Claim]:
    entries = {row[0]: Entry(*row) for row in _those(_ENTRIES, {row[0] for row in rows})}
    devices = {row[0]: (*row, endpoints.origin(row[1])) for row in _those(_DEVICES, {row[1] for row in rows})}
    return [Claim._make((entries[row[0]], claim, *row[2:], *devices[row[1]])) for row in rows]


def _those(which: Select[Any], ids: Collection[int]) -> Sequence[Any]:
    return db.session.execute(which, {"ids": ids}).all()


def open_services() -> Select[tuple[int]]:
    """Return the query for the numbers of the push services that have deliveries to be sent, now or later."""
    found = _open_services()
    return select(found.c.service).where(found.c.service.is_not(None))


def _open_services() -> CTE:
    # Jump from one service to the next, and never read all deliveries of one.
    open_ = _delivery.alias()
    services = select(open_.c.service).where(open_.c.due_at.is_not(None)).order_by(open_.c.service).limit(1)
    found = select(services.scalar_subquery().label("service")).cte("found", recursive=True)
    following = services.where(open_.c.service > found.c.service).scalar_subquery()
    return found.union_all(select(following).where(found.c.service.is_not(None)))


def _services_due() -> Select[tuple[int]]:
    found = _open_services()
    of_service = (_delivery.c.service == found.c.service, _delivery.c.due_at <= bindparam("now"))
    due = [exists().where(*of_service, _delivery.c.priority == int(priority)) for priority in Priority]
    return select(found.c.service).where(or_(*due))


def _mark_oldest() -> Update:
    of_service = (_delivery.c.service == bindparam("at"), _delivery.c.priority == bindparam("of"))
    due = select(_delivery.c.id).where(*of_service, _delivery.c.due_at <= bindparam("now"))
    oldest = due.order_by(_delivery.c.due_at, _delivery.c.id).limit(bindparam("most", type_=Integer))
    chosen = oldest.with_for_update(skip_locked=True).cte("due")
    mark = update(_delivery).where(_delivery.c.id == chosen.c.id)
    return mark.values(due_at=bindparam("until"), claim=bindparam("ours"), attempts=_delivery.c.attempts + 1)


def _waiting() -> Select[int]:
    at = id_in(_delivery.c.service, bindparam("services", type_=Ids))
    due = (_delivery.c.priority == int(Priority.BROADCAST), _delivery.c.due_at <= bindparam("now"))
    some = select(_delivery.c.id).where(at, *due).limit(bindparam("most", type_=Integer)).subquery()
    return select(func.count()).select_from(some)


# Built once: building a statement takes longer than running it.
_SERVICES_DUE = _services_due()
_WAITING = _waiting()
_MARK = _mark_oldest().returning(*_OF_DELIVERY)
_ALSO_SUSPENDED = exists().where(_entry.c.id == _delivery.c.outbox_id, _entry.c.kind == ALSO_SUSPENDED)
_STILL_OURS = (
    select(_delivery.c.id, _delivery.c.claim)
    .join(_device, _device.c.id == _delivery.c.subscription_id)
    .where(id_in(_delivery.c.id, bindparam("ids", type_=Ids)))
    .where(_delivery.c.due_at.is_not(None), or_(_device.c.suspended_at.is_(None), _ALSO_SUSPENDED))
)
_ENTRIES = select(*_OF_ENTRY).where(id_in(_entry.c.id, bindparam("ids", type_=Ids)))
_DEVICES = select(*_OF_DEVICE).where(id_in(_device.c.id, bindparam("ids", type_=Ids)))
