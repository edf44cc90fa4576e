"""What is under way: pushes that the gateway has been given, until what came of them is recorded."""

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
from feedback_push.database import DATABASE_ERRORS, db, utcnow
from feedback_push.push import browser_subscription, claims, notification, receipts, results
from feedback_push.push.claims import Claim
from feedback_push.webpush.gateway import Config, Gateway, Push, Result
from feedback_push.webpush.responses import Unavailable
from feedback_push.webpush.vapid import VapidKeys

_GATHER = 0.1  # seconds in which further results are recorded together with the first
_LONGEST_OUTAGE = 20.0  # seconds for which results wait for the database; with a run's time below a task's time limit
_BETWEEN_TRIES = 0.5  # seconds
_BEGIN_WITHIN = 0.5  # of a lease; the rest is for the answer and its record

_log = logging.getLogger(__name__)


def gateway(keys: Iterable[VapidKeys] | None = None) -> Gateway:
    """Return the gateway of this process, and let it sign with these keys from now on, if they are given.

    It is made at the first call, and again in a forked child or after it has failed.
    """
    found: Gateway | None = current_app.extensions.get("push.gateway")
    if found is None or not found.is_running:
        settings = current_app.extensions["settings"]
        policy = browser_subscription.endpoint_policy(settings)
        found = Gateway(Config(settings.vapid_subject, policy, settings.push_concurrency, settings.push_proxy))
        current_app.extensions["push.gateway"] = found
    if keys is not None:
        found.sign_with(keys)
    return found


class _Sent(NamedTuple):
    service: int
    at: float


class InFlight:
    """The pushes of one run that have no recorded result yet; true while there are any."""

    def __init__(self, receipt_key: bytes) -> None:
        self._receipt_key = receipt_key
        self._results: SimpleQueue[Result[Claim]] = SimpleQueue()
        self._sent: dict[int, _Sent] = {}
        self._watch = claims.Watch(partial(database.reader, db.engine))

    def __bool__(self) -> bool:
        return bool(self._sent)

    @property
    def age(self) -> float:
        """For how many seconds the oldest has been under way; 0 where there is none."""
        now = time.monotonic()
        return now - next((sent.at for sent in self._sent.values()), now)

    def by_service(self) -> Counter[int]:
        """How many there are for each push service."""
        return Counter(sent.service for sent in self._sent.values())

    def send(self, batch: list[Claim], keys: Iterable[VapidKeys], claimed_at: float) -> None:
        """Give these to the gateway, which signs with these keys; `claimed_at` is by the monotonic clock."""
        at, now = time.monotonic(), utcnow()
        # A process that was stopped goes on with what others may have claimed since.
        start_by = claimed_at + claims.LEASE.total_seconds() * _BEGIN_WITHIN
        self._sent |= {claimed.id: _Sent(claimed.service, at) for claimed in batch}
        pushes = []
        for claimed in batch:
            try:
                pushes.append((claimed, _push(claimed, self._receipt_key, now, start_by)))
            except Exception as fault:  # noqa: BLE001 - of an entry that another release wrote; the others must go
                _log.error("delivery %s cannot be made into a push: %s", claimed.id, type(fault).__name__)
                self._results.put(Result(claimed, None, Unavailable(detail=type(fault).__name__)))
        gateway(keys).send(pushes, self._results, self._watch.refusals)

    def close(self) -> None:
        """End the run and give the watch's connection back."""
        self._watch.end()

    def record(self, *, patient: bool) -> None:
        """Write down what came of some, committed; who is patient waits a second for the first result."""
        if results := self._gather(patient=patient):
            self._write_down(results)

    def _gather(self, *, patient: bool) -> list[Result[Claim]]:
        """The results that are there, or none when nothing ends within a second; at once for who is not patient."""
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
                # Without a record they would be sent once more.
                db.session.rollback()
                if time.monotonic() > until:
                    raise
                _log.warning("the database did not take %s results: %s", len(batch), type(error).__name__)
                time.sleep(_BETWEEN_TRIES)
        for result in batch:
            self._sent.pop(result.key.id, None)

    def _forget_what_is_lost(self) -> None:
        """Wait no longer than a claim lasts: where the gateway has failed, no result will come."""
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
    )
