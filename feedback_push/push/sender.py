"""Delivery: claims what is due, for as long as a task may, and keeps the gateway busy with it."""

import logging
import random
import time
from collections import Counter
from threading import Event, Lock

from flask import current_app

from feedback_push.database import DATABASE_ERRORS, db, utcnow
from feedback_push.push import circuit_breaker, claims, fanout, in_flight, keys, outbox, receipts, results
from feedback_push.push.claims import Claim
from feedback_push.push.in_flight import InFlight
from feedback_push.webpush import endpoints

BUDGET = 5.0  # seconds; what is left then is for the next task, so that a stopping worker need not wait long
_LONGEST = 15.0  # seconds that a run goes on claiming while an old push keeps it from ending anyway
_OLD = 3.0  # seconds; a push that waits for its turn while others are answered is younger
_FAN_OUT_FOR = 0.05  # seconds that a run may look for somebody to send to while results wait to be recorded

_log = logging.getLogger(__name__)
_rung = Event()
_running = Lock()


def run() -> bool:
    """Send what is due for about BUDGET seconds, one run at a time in a process; whether more is left."""
    _rung.set()
    while _rung.is_set() and _running.acquire(blocking=False):
        try:
            _rung.clear()
            if _Run().pump():
                return True
        finally:
            _running.release()
    return False


def start_afresh() -> None:
    """Be ready in a forked process, whose parent may just be in a run."""
    global _running  # noqa: PLW0603 - a lock that is held belongs to a thread that is not there
    _running = Lock()


class _Run:
    def __init__(self) -> None:
        settings = current_app.extensions["settings"]
        self._keys = keys.cached()
        # So deep that the gateway does not run dry while results are recorded.
        self._window: int = 6 * settings.push_concurrency
        self._least: int = settings.push_concurrency
        self._under_way = InFlight(receipts.signing_key(settings.secret_key))
        self._started = time.monotonic()
        self._more = True

    def pump(self) -> bool:
        """Whether it ended for want of time and not for want of work."""
        try:
            return self._pump()
        finally:
            self._under_way.close()

    def _pump(self) -> bool:
        while self._more or self._under_way:
            if _rung.is_set():  # for what became due while an old push keeps this run from ending
                _rung.clear()
                self._more = True
            found = self._more and self._may_claim() and self._find_work()
            if self._under_way:
                self._under_way.record(patient=not found)
            elif not found:
                break
        return self._more

    def _may_claim(self) -> bool:
        ran = time.monotonic() - self._started
        return ran < BUDGET or (self._under_way.age > _OLD and ran < _LONGEST)

    def _find_work(self) -> bool:
        """Claim what there is room for, or make more that can be claimed; whether there was anything."""
        try:
            room = self._room()
            taken = self._claim(room)
            # A service that has all that it may have says nothing about the others that an entry is for.
            made = self._fan_out() if not taken or taken.total() < sum(room.values()) else 0
            self._more = made > 0 or any(taken[service] == most for service, most in room.items())
            return taken.total() + made > 0
        except DATABASE_ERRORS as error:
            if not self._under_way:
                raise
            # What is under way must be recorded; the sweep will find the rest.
            db.session.rollback()
            self._more = False
            _log.warning("the database did not give what is due: %s", type(error).__name__)
            return False

    def _room(self) -> dict[int, int]:
        """How many more each push service for which something is due may get: none while it is silent."""
        busy = self._under_way.by_service()
        silent = {endpoints.service(origin) for origin in in_flight.gateway().silent()} if busy else set()
        due = claims.services_due(utcnow())
        share = max(self._least, self._window // max(1, len({*due, *busy} - silent)))
        return {
            service: share - busy[service] if service not in silent and busy[service] <= share * 2 // 3 else 0
            for service in due
        }

    def _claim(self, room: dict[int, int]) -> Counter[int]:
        """Send what has been due the longest; how many deliveries were claimed for which service."""
        now, at = utcnow(), time.monotonic()
        self._keys = keys.load()
        batch = claims.take(room, now)
        results.expire([claimed for claimed in batch if claimed.entry.expires_at <= now])
        in_time = [claimed for claimed in batch if claimed.entry.expires_at > now]
        results.cancel([claimed for claimed in in_time if claimed.suspended_at])
        sendable = _respect_open_circuits([claimed for claimed in in_time if not claimed.suspended_at])
        db.session.commit()
        self._under_way.send(sendable, self._keys.live.values(), at)
        return Counter(claimed.service for claimed in batch)

    def _fan_out(self) -> int:
        """Go on with a fan-out, for which the database has time while pushes are encrypted; the deliveries made."""
        until = time.monotonic() + _FAN_OUT_FOR
        made = 0
        for entry_id in outbox.due(utcnow()):
            made = fanout.next_set(entry_id, *self._keys.live)
            db.session.commit()  # each for itself: on SQLite visitors wait for their turn to write
            if made:
                break
            if time.monotonic() > until:
                _rung.set()
                break
        db.session.commit()
        return made


def _respect_open_circuits(batch: list[Claim]) -> list[Claim]:
    """The deliveries that may go; for a held origin that is at most one probe, and the others are put back."""
    for held in circuit_breaker.open_circuits():
        waiting = [claimed for claimed in batch if claimed.origin == held.origin]
        random.shuffle(waiting)  # a device that is refused for a reason of its own must not be every probe
        now = utcnow()
        next_look = circuit_breaker.retry_at(held, now)  # before a probe moves held_until
        probes = waiting[:1] if waiting and circuit_breaker.try_half_open(held.origin, now) else []
        results.put_back(waiting[len(probes) :], next_look)
        batch = [claimed for claimed in batch if claimed.origin != held.origin] + probes
    return batch
