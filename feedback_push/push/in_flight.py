"""Pushes in flight: given to the gateway, with no recorded result yet."""

import logging
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from typing import NamedTuple

from flask import current_app

from feedback_push import database
from feedback_push.config import current_settings
from feedback_push.database import DATABASE_ERRORS, db, utcnow
from feedback_push.push import answers, browser_subscription, claims, notification, receipts, results
from feedback_push.push.claims import Claim
from feedback_push.push.models import Priority
from feedback_push.webpush.gateway import Config, Gateway, Push, Result
from feedback_push.webpush.responses import Unavailable
from feedback_push.webpush.vapid import VapidKeys

_GATHER = 0.1  # seconds to collect further results, which are recorded together with the first
_LONGEST_OUTAGE = 20.0  # seconds that results wait for the database; plus a run's time, less than a task's time limit
_BETWEEN_TRIES = 0.5  # seconds
_BEGIN_WITHIN = 0.5  # of a lease; the rest is for the answer and for recording it

_log = logging.getLogger(__name__)


def gateway(keys: Iterable[VapidKeys] | None = None) -> Gateway:
    """Return the gateway of this process; if `keys` are given, it signs with them from now on.

    The first call creates it. A later call creates a new one in a forked child, or after the gateway has failed.
    """
    found: Gateway | None = current_app.extensions.get("push.gateway")
    if found is None or not found.is_running:
        settings = current_settings()
        policy = browser_subscription.endpoint_policy(settings)
        found = Gateway(Config(settings.vapid_subject, policy, settings.push_concurrency, settings.push_proxy))
        current_app.extensions["push.gateway"] = found
    if keys is not None:
        found.sign_with(keys)
    return found


class _Sent(NamedTuple):
    service: int
    priority: int
    at: float


class InFlight:
    """The pushes of one run that have no recorded result yet; it is true while there are any."""

    def __init__(self, receipt_key: bytes) -> None:
        self._receipt_key = receipt_key
        self._results: SimpleQueue[Result[Claim]] = SimpleQueue()
        self._sent: dict[int, _Sent] = {}
        self._watch = claims.Watch(partial(database.reader, db.engine))

    def __bool__(self) -> bool:
        return bool(self._sent)

    @property
    def age(self) -> float:
        """The age of the oldest push in flight, in seconds; 0 if there is none."""
        now = time.monotonic()
        return now - next((sent.at for sent in self._sent.values()), now)

    def by_service(self, *priorities: Priority) -> Counter[int]:
        """Count the pushes in flight of these priorities by push service."""
        return Counter(sent.service for sent in self._sent.values() if sent.priority in priorities)

    def send(self, batch: list[Claim], keys: Iterable[VapidKeys], claimed_at: float) -> None:
        """Give the claims to the gateway, which signs with these keys; `claimed_at` is by the monotonic clock."""
        at, now = time.monotonic(), utcnow()
        # A process that was suspended and resumes may hold claims that another worker has taken over.
        start_by = claimed_at + claims.LEASE.total_seconds() * _BEGIN_WITHIN
        self._sent |= {claimed.id: _Sent(claimed.service, claimed.priority, at) for claimed in batch}
        pushes = []
        for claimed in batch:
            try:
                pushes.append((claimed, _push(claimed, self._receipt_key, now, start_by)))
            except Exception as fault:  # noqa: BLE001 - another release may have written the entry; send the others
                _log.error("no push can be created for delivery %s: %s", claimed.id, type(fault).__name__)
                self._results.put(Result(claimed, None, Unavailable(detail=type(fault).__name__)))
        gateway(keys).send(pushes, self._results, self._watch.refusals)

    def close(self) -> None:
        """End the run and release the connection of the watch."""
        self._watch.end()

    def record(self, *, patient: bool) -> None:
        """Record and commit the results so far; if `patient`, wait up to a second for the first."""
        if results := self._gather(patient=patient):
            self._write_down(results)

    def _gather(self, *, patient: bool) -> list[Result[Claim]]:
        """Return the results so far; if there are none, wait up to a second when `patient`, else return at once."""
        try:
            results = [self._results.get(timeout=1 if patient else 0.001)]
        except Empty:
            self._forget_what_is_lost()
            return []
        until = time.monotonic() + _GATHER
        while len(results) < len(self._sent) and time.monotonic() < until:
            time.sleep(_GATHER / 5)
            while not self._results.empty():
                results.append(self._results.get())
        return results

    def _write_down(self, batch: list[Result[Claim]]) -> None:
        until = time.monotonic() + _LONGEST_OUTAGE
        while True:
            try:
                results.record(batch, utcnow())
                db.session.commit()
                break
            except DATABASE_ERRORS as error:
                # Without a record, they would be sent again.
                db.session.rollback()
                if time.monotonic() > until:
                    raise
                _log.warning("the database did not store %s results: %s", len(batch), type(error).__name__)
                time.sleep(_BETWEEN_TRIES)
        answers.log(batch, self.age)
        for result in batch:
            self._sent.pop(result.key.id, None)

    def _forget_what_is_lost(self) -> None:
        """Drop pushes older than a lease: if the gateway has failed, they will never have a result."""
        begun = time.monotonic() - claims.LEASE.total_seconds()
        self._sent = {id_: sent for id_, sent in self._sent.items() if sent.at > begun}


def _push(claimed: Claim, receipt_key: bytes, now: datetime, start_by: float) -> Push:
    entry = claimed.entry
    payload = notification.payload_for(entry, claimed.shows, claimed.language)
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
        start_by=start_by,
        overtakes=claimed.priority == Priority.ALARM,
    )
