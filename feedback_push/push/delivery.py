"""Delivery: claims what is due, keeps the gateway busy with it, and records what came of it."""

import logging
import random
import time
from collections import Counter
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import NamedTuple

from flask import current_app

from feedback_push.database import UNAVAILABLE, db, utcnow
from feedback_push.push import (
    claims,
    endpoints,
    fanout,
    gateway,
    keys,
    ledger,
    notification,
    origins,
    outbox,
    payloads,
    receipts,
)
from feedback_push.push.claims import Claimed
from feedback_push.push.gateway import Push, Result

BUDGET = 5.0  # seconds; what is left then is for the next task, so that a stopping worker need not wait long
_LONGEST = 15.0  # seconds that a run goes on claiming while an old push keeps it from ending anyway
_OLD = 3.0  # seconds; a push that waits for its turn while others are answered is younger
_FAN_OUT_FOR = 0.05  # seconds that a run may look for somebody to send to while results wait to be recorded
_GATHER = 0.1  # seconds in which further results are recorded together with the first
_LONGEST_OUTAGE = 20.0  # seconds for which results wait for the database; with _LONGEST below a task's time limit
_BETWEEN_TRIES = 0.5  # seconds

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


class _Sent(NamedTuple):
    service: int
    at: float


class _Run:
    def __init__(self) -> None:
        settings = current_app.extensions["settings"]
        self._keys = keys.ring()
        self._receipt_key = receipts.signing_key(settings.secret_key)
        # So deep that the gateway does not run dry while results are recorded.
        self._window: int = 6 * settings.push_concurrency
        self._least: int = settings.push_concurrency
        self._results: SimpleQueue[Result[Claimed]] = SimpleQueue()
        self._under_way: dict[int, _Sent] = {}
        self._started = time.monotonic()
        self._more = True

    def pump(self) -> bool:
        """Whether it ended for want of time and not for want of work."""
        while self._more or self._under_way:
            if _rung.is_set():  # for what became due while an old push keeps this run from ending
                _rung.clear()
                self._more = True
            found = self._more and self._may_claim() and self._find_work()
            if self._under_way:
                self._record(self._gather(patient=not found))
            elif not found:
                break
        return self._more

    def _may_claim(self) -> bool:
        now = time.monotonic()
        if now - self._started < BUDGET:
            return True
        oldest = next((sent.at for sent in self._under_way.values()), now)
        return now - oldest > _OLD and now - self._started < _LONGEST

    def _find_work(self) -> bool:
        """Claim what there is room for, or make more that can be claimed; whether there was anything."""
        try:
            room = self._room()
            taken = self._claim(room)
            # A service that has all that it may have says nothing about the others that an entry is for.
            made = self._fan_out() if not taken or taken.total() < sum(room.values()) else 0
            self._more = made > 0 or any(taken[service] == most for service, most in room.items())
            return taken.total() + made > 0
        except UNAVAILABLE as error:
            if not self._under_way:
                raise
            # What is under way must be recorded; the sweep will find the rest.
            db.session.rollback()
            self._more = False
            _log.warning("the database did not give what is due: %s", type(error).__name__)
            return False

    def _room(self) -> dict[int, int]:
        """How many more each push service for which something is due may get: none while it is silent."""
        busy = Counter(sent.service for sent in self._under_way.values())
        silent = {endpoints.service(origin) for origin in gateway.current().silent()} if busy else set()
        due = claims.services_due(utcnow())
        share = max(self._least, self._window // max(1, len({*due, *busy} - silent)))
        return {
            service: share - busy[service] if service not in silent and busy[service] <= share * 2 // 3 else 0
            for service in due
        }

    def _claim(self, room: dict[int, int]) -> Counter[int]:
        """Send what has been due the longest; how many deliveries were claimed for which service."""
        now = utcnow()
        self._keys = keys.ring_now()
        batch = claims.take(room, now)
        ledger.expire([claimed for claimed in batch if claimed.entry.expires_at <= now])
        sendable = _heed_holds([claimed for claimed in batch if claimed.entry.expires_at > now])
        db.session.commit()
        self._send(sendable)
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

    def _send(self, batch: list[Claimed]) -> None:
        at, now = time.monotonic(), utcnow()
        self._under_way |= {claimed.id: _Sent(claimed.service, at) for claimed in batch}
        pushes = [(claimed, _push(claimed, self._receipt_key, now)) for claimed in batch]
        gateway.current(self._keys.live.values()).send(pushes, self._results)

    def _gather(self, *, patient: bool) -> list[Result[Claimed]]:
        """The results that are there, or none when nothing ends within a second; at once for who is not patient."""
        try:
            results = [self._results.get(timeout=1 if patient else 0.001)]
        except Empty:
            self._forget_what_is_lost()
            return []
        until = time.monotonic() + _GATHER
        while len(results) < len(self._under_way) and time.monotonic() < until:
            time.sleep(_GATHER / 5)
            while not self._results.empty():
                results.append(self._results.get())
        return results

    def _record(self, results: list[Result[Claimed]]) -> None:
        if not results:
            return
        until = time.monotonic() + _LONGEST_OUTAGE
        while True:
            try:
                ledger.record(results, utcnow())
                db.session.commit()
                break
            except UNAVAILABLE as error:
                # Without a record they would be sent once more.
                db.session.rollback()
                if time.monotonic() > until:
                    raise
                _log.warning("the database did not take %s results: %s", len(results), type(error).__name__)
                time.sleep(_BETWEEN_TRIES)
        for result in results:
            self._under_way.pop(result.key.id, None)

    def _forget_what_is_lost(self) -> None:
        """Wait no longer than a claim lasts: where the gateway has failed, no result will come."""
        begun = time.monotonic() - claims.LEASE.total_seconds()
        self._under_way = {id_: sent for id_, sent in self._under_way.items() if sent.at > begun}


def _push(claimed: Claimed, receipt_key: bytes, now: datetime) -> Push:
    entry = claimed.entry
    payload = payloads.of(entry, claimed.shows, claimed.language)
    if claimed.reduced:
        payload = notification.without_body(payload)
    return Push(
        endpoint=claimed.endpoint,
        p256dh=claimed.p256dh,
        auth=claimed.auth,
        vapid_public_key=claimed.vapid_public_key,
        payload=receipts.stamp(payload, claimed.id, receipt_key),
        ttl=max(1, int((entry.expires_at - now).total_seconds())),  # 0 would mean "only if online now"
        urgency=entry.urgency,
        topic=None if claimed.reduced else entry.topic,
    )


def _heed_holds(batch: list[Claimed]) -> list[Claimed]:
    """The deliveries that may go; for a held origin that is at most one probe, and the others are put back."""
    for held in origins.held():
        waiting = [claimed for claimed in batch if claimed.origin == held.origin]
        random.shuffle(waiting)  # a device that is refused for a reason of its own must not be every probe
        now = utcnow()
        next_look = max(held.held_until, now + origins.BETWEEN_LOOKS)  # before a probe moves held_until
        probes = waiting[:1] if waiting and origins.take_probe(held.origin, now) else []
        ledger.put_back(waiting[len(probes) :], next_look)
        batch = [claimed for claimed in batch if claimed.origin != held.origin] + probes
    return batch
