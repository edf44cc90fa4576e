"""Sender: claim due deliveries within a task's time budget, and keep the gateway busy with them."""

import logging
import random
import time
from collections import Counter
from threading import Event, Lock

from feedback_push.config import current_settings
from feedback_push.database import DATABASE_ERRORS, db, utcnow
from feedback_push.push import circuit_breaker, claims, fanout, in_flight, keys, outbox, receipts, results
from feedback_push.push.claims import Claim, Room
from feedback_push.push.in_flight import InFlight
from feedback_push.push.models import Priority
from feedback_push.webpush import endpoints

BUDGET = 5.0  # seconds; the rest is left to the next task, so that a worker can stop soon
_LONGEST = 15.0  # seconds in which a run may claim more, if an old push keeps it from ending anyway
_OLD = 3.0  # seconds; an older push is stuck at a slow service
_FAN_OUT_FOR = 0.05  # seconds that a run may fan out several entries with few devices, while results wait
_AHEAD = 2 * fanout.SET_SIZE  # deliveries that wait while a broadcast is fanned out; more than a run claims at once
_BETWEEN_ALARMS = 0.25  # seconds until a run that has enough to send looks for alarms to fan out

_log = logging.getLogger(__name__)
_work_published = Event()
_running = Lock()


def run() -> bool:
    """Send due deliveries for about BUDGET seconds, one run at a time in a process; return whether more are left."""
    _work_published.set()
    while _work_published.is_set() and _running.acquire(blocking=False):
        try:
            _work_published.clear()
            if _Run().pump():
                return True
        finally:
            _running.release()
    return False


def start_afresh() -> None:
    """Reset the lock in a forked process, whose parent may have been in a run."""
    global _running  # noqa: PLW0603 - a thread that does not exist in the child may hold the old lock
    _running = Lock()


class _Run:
    def __init__(self) -> None:
        settings = current_settings()
        self._keys = keys.cached()
        # Deep enough that the gateway does not run out of pushes while results are recorded.
        self._window: int = 6 * settings.push_concurrency
        self._least: int = settings.push_concurrency
        self._in_flight = InFlight(receipts.signing_key(settings.secret_key))
        self._started = time.monotonic()
        self._looked_for_alarms = self._started
        self._silent: set[int] = set()
        self._more = True

    def pump(self) -> bool:
        """Send until the work or the time runs out; return whether work is left."""
        try:
            return self._pump()
        finally:
            self._in_flight.close()

    def _pump(self) -> bool:
        while self._more or self._in_flight:
            if _work_published.is_set():  # more became due while an old push keeps this run from ending
                _work_published.clear()
                self._more = True
            found = self._more and self._may_claim() and self._find_work()
            if self._in_flight:
                self._in_flight.record(patient=not found)
            elif not found:
                break
        return self._more

    def _may_claim(self) -> bool:
        ran = time.monotonic() - self._started
        return ran < BUDGET or (self._in_flight.age > _OLD and ran < _LONGEST)

    def _find_work(self) -> bool:
        """Claim as many deliveries as there is room for, or fan out more; return whether there were any."""
        try:
            room = self._room()
            taken = self._claim(room)
            made = self._fan_out_alarms() if self._is_enough(room, taken) else self._fan_out(Priority.BROADCAST)
            self._more = made > 0 or any(taken[service] >= most.all for service, most in room.items())
            return taken.total() + made > 0
        except DATABASE_ERRORS as error:
            if not self._in_flight:
                raise
            # The pushes in flight must be recorded; the sweep will find the rest.
            db.session.rollback()
            self._more = False
            _log.warning("cannot read the due deliveries from the database: %s", type(error).__name__)
            return False

    def _room(self) -> dict[int, Room]:
        """Return how many more deliveries may be claimed for each push service that has some due; none if it is silent.

        Broadcasts in flight take no room from alarms.
        """
        busy, alarms = self._in_flight.by_service(*Priority), self._in_flight.by_service(Priority.ALARM)
        self._silent = {endpoints.service(origin) for origin in in_flight.gateway().silent()} if busy else set()
        due = claims.services_due(utcnow())
        share = max(self._least, self._window // max(1, len({*due, *busy} - self._silent)))
        none = Room(0, 0)
        return {
            at: none if at in self._silent else Room(_left(share, alarms[at]), _left(share, busy[at])) for at in due
        }

    def _claim(self, room: dict[int, Room]) -> Counter[int]:
        """Claim and send the deliveries that have been due the longest; count the claimed ones by push service."""
        now, at = utcnow(), time.monotonic()
        self._keys = keys.load()
        batch = claims.take(room, now)
        results.expire([claimed for claimed in batch if claimed.entry.expires_at <= now])
        in_time = [claimed for claimed in batch if claimed.entry.expires_at > now]
        results.cancel([claimed for claimed in in_time if claimed.is_suspended])
        sendable = _respect_open_circuits([claimed for claimed in in_time if not claimed.is_suspended])
        db.session.commit()
        self._in_flight.send(sendable, self._keys.live.values(), at)
        return Counter(claimed.service for claimed in batch)

    def _is_enough(self, room: dict[int, Room], taken: Counter[int]) -> bool:
        """Return whether the next set of a broadcast can wait, so that a pause finds few deliveries to stop.

        One service that is silent must not delay the fan-out to the others.
        """
        if taken and taken.total() >= sum(most.all for most in room.values()):
            return True
        answering = [service for service in room if service not in self._silent]
        return claims.waiting(answering, utcnow(), _AHEAD) == _AHEAD

    def _fan_out_alarms(self) -> int:
        """Fan out alarms although there is enough to send: they overtake it."""
        if time.monotonic() < self._looked_for_alarms + _BETWEEN_ALARMS:
            return 0
        return self._fan_out(Priority.ALARM)

    def _fan_out(self, lowest: Priority) -> int:
        """Continue a fan-out while pushes are encrypted and the database is idle; return the size of the set."""
        self._looked_for_alarms = time.monotonic()
        until = self._looked_for_alarms + _FAN_OUT_FOR
        made = 0
        for entry_id in outbox.due(utcnow(), lowest):
            made += fanout.next_set(entry_id, *self._keys.live)
            db.session.commit()  # after each entry, because on SQLite visitors wait to write
            if made >= fanout.SET_SIZE:
                break
            if time.monotonic() > until:
                _work_published.set()
                break
        db.session.commit()
        return made


def _left(share: int, busy: int) -> int:
    return share - busy if busy <= share * 2 // 3 else 0


def _respect_open_circuits(batch: list[Claim]) -> list[Claim]:
    """Return the deliveries that may be sent: at most one probe for an open circuit; put the others back."""
    for held in circuit_breaker.open_circuits():
        waiting = [claimed for claimed in batch if claimed.origin == held.origin]
        random.shuffle(waiting)  # so that a device that is always refused is not every probe
        now = utcnow()
        next_look = circuit_breaker.retry_at(held, now)  # before a probe changes held_until
        probes = waiting[:1] if waiting and circuit_breaker.try_half_open(held.origin, now) else []
        results.put_back(waiting[len(probes) :], next_look)
        batch = [claimed for claimed in batch if claimed.origin != held.origin] + probes
    return batch
