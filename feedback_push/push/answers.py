"""Answers of push services: count them by service and outcome, and log them with the request that they follow from."""

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple

from flask import current_app
from sqlalchemy import select

from feedback_push import event_counts, tracing
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.push import browser_subscription, notification
from feedback_push.push.claims import Claim, Entry, SessionEnded
from feedback_push.push.models import OutboxEntry, Priority
from feedback_push.webpush.endpoints import EndpointPolicy
from feedback_push.webpush.gateway import Result
from feedback_push.webpush.responses import Postponed

# Seconds; each is the inclusive upper end of a bucket.
SENT_WITHIN = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 14400, 86400)
SHOWN_WITHIN = (0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300, 600, 1800, 3600, 14400, 86400)
ACCEPTED, EXPIRED = "accepted", "expired"
_NOT_SENT = (SessionEnded, Postponed)
_MOST_NAMED = 10  # deliveries in a line
_log = logging.getLogger(__name__)


class _Answer(NamedTuple):
    entry: int
    request_id: str | None
    origin: str
    outcome: str
    status: int | None


def bucket(seconds: float, ends: Sequence[float]) -> str:
    """Return the end of the bucket that a duration belongs to, as Prometheus spells it."""
    at = bisect_left(ends, seconds)
    return f"{ends[at]:g}" if at < len(ends) else "+Inf"


def is_for_administrators(kind: str) -> bool:
    """Return whether a kind of notification is for administrators, and no test."""
    return kind in notification.OPTIONAL_KINDS or notification.summarised(kind) is not None


def count(results: Iterable[Result[Claim]], now: datetime) -> None:
    """Count the answers, and the time from storing a notification to its acceptance. The caller commits."""
    totals: Counter[tuple[str, str]] = Counter()
    days: Counter[tuple[str, date, str]] = Counter()
    policy = _policy()
    # All of an entry took the same time to `now`, and most results are of a few entries.
    for (entry, origin, priority, outcome), number in _same(results).items():
        totals["push", f"{policy.service_name(origin)} {outcome}"] += number
        if outcome == ACCEPTED:
            seconds = max(0.0, (now - entry.created_at).total_seconds())
            name = Priority(priority).name.lower()
            totals["push_seconds", f"{name} {bucket(seconds, SENT_WITHIN)}"] += number
            totals["push_milliseconds", name] += number * round(1000 * seconds)
            if is_for_administrators(entry.kind):
                days["sent", entry.created_at.date(), ""] += number
    event_counts.add(totals)
    event_counts.add_to_days(days)


def count_unsent(deliveries: Collection[Claim], outcome: str) -> None:
    """Count deliveries that end without being sent again. The caller commits."""
    policy = _policy()
    names = Counter(policy.service_name(claimed.origin) for claimed in deliveries)
    event_counts.add({("push", f"{name} {outcome}"): number for name, number in names.items()})


def count_shown(entry_id: int, now: datetime) -> None:
    """Count a device that has shown a notification for administrators. The caller commits."""
    this = select(OutboxEntry.kind, OutboxEntry.created_at).where(OutboxEntry.id == entry_id)
    found = db.session.execute(this.where(OutboxEntry.priority == Priority.ALARM)).first()
    if found is None or not is_for_administrators(found.kind):
        return
    seconds = max(0.0, (now - found.created_at).total_seconds())
    end = bucket(seconds, SHOWN_WITHIN)
    event_counts.add({("shown_seconds", end): 1, ("shown_milliseconds", ""): round(1000 * seconds)})
    event_counts.add_to_days({("shown", found.created_at.date(), end): 1})


def log(results: Iterable[Result[Claim]], seconds: float) -> None:
    """Log the answers: one line for the deliveries of an entry that have the same answer of the same service.

    A trace gets a span for each line; `seconds` is the time since the first of them was handed over.
    """
    same: dict[_Answer, list[int]] = {}
    for result in results:
        claimed, entry = result.key, result.key.entry
        answer = _Answer(entry.id, entry.request_id, claimed.origin, _outcome(result), result.status)
        same.setdefault(answer, []).append(claimed.id)
    for answer, deliveries in same.items():
        host = answer.origin.partition("://")[2]
        fields = {"service": host, "pushes": len(deliveries), "deliveries": deliveries[:_MOST_NAMED]}
        extra = {name: value for name, value in (answer._asdict() | fields).items() if value is not None}
        _log.info("%s pushes of outbox entry %s: %s", len(deliveries), answer.entry, answer.outcome, extra=extra)
        attributes: dict[str, str | int] = {"server.address": host, "push.outcome": answer.outcome}
        attributes |= {"push.count": len(deliveries), "outbox.entry": answer.entry}
        tracing.note("push", answer.request_id, seconds, **attributes)


def _same(results: Iterable[Result[Claim]]) -> Counter[tuple[Entry, str, int, str]]:
    sent = [result for result in results if result.error is None or not isinstance(result.error, _NOT_SENT)]
    entries = {result.key.entry.id: result.key.entry for result in sent}
    numbers = Counter(
        (result.key.entry.id, result.key.origin, result.key.priority, _outcome(result)) for result in sent
    )
    return Counter({(entries[id_], at, of, outcome): number for (id_, at, of, outcome), number in numbers.items()})


def _outcome(result: Result[Claim]) -> str:
    return ACCEPTED if result.error is None else result.error.code


def _policy() -> EndpointPolicy:
    policy: EndpointPolicy | None = current_app.extensions.get("push.policy")
    if policy is None:
        policy = current_app.extensions["push.policy"] = browser_subscription.endpoint_policy(current_settings())
    return policy
