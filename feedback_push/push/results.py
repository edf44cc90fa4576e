"""Results: record the outcome of deliveries and update their devices, with a few statements for many results."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, case, null, select, update

from feedback_push.database import db
from feedback_push.ids import Ids, id_in
from feedback_push.push import answers, circuit_breaker, subscriptions
from feedback_push.push.claims import Claim, SessionEnded
from feedback_push.push.models import Delivery, DeliveryState, DeviceState, Subscription
from feedback_push.webpush import responses
from feedback_push.webpush.gateway import Result
from feedback_push.webpush.responses import PushError

_FIRST_RETRY = 30.0  # seconds; doubled with each attempt
_LONGEST_RETRY = 4 * 3600.0
_POSTPONED = 5.0  # seconds

_delivery = cast(Table, Delivery.__table__)
_device = cast(Table, Subscription.__table__)
# A delivery that became final meanwhile, because its device's session ended, stays final unless it was accepted.
_OURS = (
    _delivery.c.id == bindparam("ours"),
    _delivery.c.claim == bindparam("under"),
    _delivery.c.due_at.is_not(None),
)


def record(results: Sequence[Result[Claim]], now: datetime) -> None:
    """Record results. A delivery that another worker has claimed since is left to that worker."""
    accepted = [result.key for result in results if result.error is None]
    refused = [(result.key, result.error) for result in results if result.error is not None]
    stopped = _those(refused, SessionEnded)
    refused = [(claimed, error) for claimed, error in refused if not isinstance(error, SessionEnded)]
    subscriptions.lock(id_in(Subscription.id, {result.key.subscription_id for result in results}))
    _accept(accepted, now)
    _refuse(refused, now)
    _stop(stopped, now)
    _update_devices(refused, now)
    _open_circuits(refused, now)
    cleared = [claimed for claimed, error in refused if error.conclusive and error.status]  # no status: not sent
    circuit_breaker.close({claimed.origin for claimed in (*accepted, *cleared)})
    answers.count(results, now)


def expire(deliveries: Sequence[Claim]) -> None:
    """Mark deliveries as expired, because their TTL has passed; the last error stays as the reason."""
    _write([_row(claimed, state=DeliveryState.EXPIRED, due_at=None) for claimed in deliveries])
    answers.count_unsent(deliveries, answers.EXPIRED)


def cancel(deliveries: Sequence[Claim]) -> None:
    """Mark deliveries as failed, because their device's session has ended."""
    _write([_row(claimed, state=DeliveryState.FAILED, due_at=None, error=SessionEnded.code) for claimed in deliveries])
    answers.count_unsent(deliveries, SessionEnded.code)


def put_back(deliveries: Sequence[Claim], until: datetime) -> None:
    """Return claimed deliveries unsent until this time; it does not count as an attempt."""
    _write([_row(claimed, due_at=until, attempts=claimed.attempts - 1) for claimed in deliveries])


def _accept(deliveries: Sequence[Claim], now: datetime) -> None:
    if not deliveries:
        return
    for claim, ids in _by_claim(deliveries).items():
        db.session.execute(_ACCEPT, {"deliveries": ids, "under": claim, "now": now})
    db.session.execute(_MARK_REACHED, {"devices": [claimed.subscription_id for claimed in deliveries], "now": now})


def _by_claim(deliveries: Sequence[Claim]) -> dict[str, list[int]]:
    by_claim: dict[str, list[int]] = {}
    for claimed in deliveries:
        by_claim.setdefault(claimed.claim, []).append(claimed.id)
    return by_claim


def _refuse(refused: Sequence[tuple[Claim, PushError]], now: datetime) -> None:
    _write(
        [
            _row(claimed, error=error.code, status=error.status, detail=error.detail, **_decide(claimed, error, now))
            for claimed, error in refused
        ]
    )


def _stop(deliveries: Sequence[Claim], now: datetime) -> None:
    """Fail deliveries that were not sent because their device's session has ended, and give up the other claims.

    Those are of deliveries that were paused, or removed; one that was resumed meanwhile is due at once.
    """
    for claim, ids in _by_claim(deliveries).items():
        these = {"deliveries": ids, "under": claim}
        db.session.execute(_FAIL_SUSPENDED, these)
        db.session.execute(_GIVE_UP_CLAIM, {**these, "now": now})


def _decide(claimed: Claim, error: PushError, now: datetime) -> dict[str, Any]:
    """Return the changes to a refused delivery: its new state, or when it is due again."""
    match error:
        case responses.Gone() | responses.KeyMismatch():
            return {"state": DeliveryState.FAILED, "due_at": None}
        case responses.Rejected() if claimed.reduced:
            return {"state": DeliveryState.FAILED, "due_at": None}
        case responses.Rejected():
            return {"reduced": True, "due_at": now}
        case responses.Misconfigured():
            # The delivery is not at fault: a long outage must not lengthen its backoff or overflow its counter.
            return {"due_at": now + circuit_breaker.OPEN_FOR, "attempts": claimed.attempts - 1}
        case responses.Postponed():
            return {"due_at": now + timedelta(seconds=_POSTPONED), "attempts": claimed.attempts - 1}
        case _:
            wait = max(_backoff(claimed.attempts), error.retry_after or 0)
            # At the latest when its TTL ends, so that it is then marked as expired.
            return {"due_at": min(now + timedelta(seconds=wait), claimed.entry.expires_at)}


def _backoff(attempts: int) -> float:
    spread = random.uniform(0.75, 1.25)  # noqa: S311 - it only spreads retries
    return min(_FIRST_RETRY * 2.0 ** min(attempts - 1, 20), _LONGEST_RETRY) * spread


def _update_devices(refused: Sequence[tuple[Claim, PushError]], now: datetime) -> None:
    """Update the devices after the only three errors that concern a device."""
    gone, failing = _those(refused, responses.Gone), _those(refused, responses.Unavailable)
    # Without a status, we found the mismatch ourselves: restoring the earlier keys repairs it.
    stale = _those([(claimed, error) for claimed, error in refused if error.status], responses.KeyMismatch)
    # A browser that has re-subscribed since must not be marked for its old subscription.
    if gone:
        devices = id_in(Subscription.id, [claimed.subscription_id for claimed in gone])
        unchanged = Subscription.p256dh.in_({claimed.p256dh for claimed in gone})
        _execute(update(Subscription).where(devices, unchanged).values(state=DeviceState.GONE, gone_at=now))
    if stale:
        devices = id_in(Subscription.id, [claimed.subscription_id for claimed in stale])
        unchanged = Subscription.vapid_public_key.in_({claimed.vapid_public_key for claimed in stale})
        _execute(update(Subscription).where(devices, unchanged).values(state=DeviceState.STALE))
    if failing:
        devices = id_in(Subscription.id, [claimed.subscription_id for claimed in failing])
        _execute(update(Subscription).where(devices).values(failures=Subscription.failures + 1))


def _open_circuits(refused: Sequence[tuple[Claim, PushError]], now: datetime) -> None:
    reasons = {claimed.origin: error for claimed, error in refused if isinstance(error, responses.Misconfigured)}
    for origin, error in sorted(reasons.items()):
        circuit_breaker.trip(origin, error, now)


def _those(refused: Sequence[tuple[Claim, PushError]], kind: type[PushError]) -> list[Claim]:
    return [claimed for claimed, error in refused if isinstance(error, kind)]


def _row(claimed: Claim, **changes: Any) -> dict[str, Any]:
    return {"ours": claimed.id, "under": claimed.claim, **changes}


def _write(rows: list[dict[str, Any]]) -> None:
    by_columns: dict[frozenset[str], list[dict[str, Any]]] = {}
    for row in rows:
        by_columns.setdefault(frozenset(row), []).append(row)
    for same in by_columns.values():
        columns: dict[str, Any] = {name: bindparam(name) for name in same[0] if name not in ("ours", "under")}
        db.session.connection().execute(update(_delivery).where(*_OURS).values(columns), same)


def _execute(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})


# Built once, like the statements in claims.
_UNDER = (id_in(_delivery.c.id, bindparam("deliveries", type_=Ids)), _delivery.c.claim == bindparam("under"))
_ACCEPT = (
    update(_delivery)
    .where(*_UNDER)
    .values(state=DeliveryState.ACCEPTED, due_at=None, accepted_at=bindparam("now"), error=None, detail=None)
)
_SUSPENDED = select(_device.c.id).where(_device.c.suspended_at.is_not(None))
_FAIL_SUSPENDED = (
    update(_delivery)
    .where(*_UNDER, _delivery.c.due_at.is_not(None), _delivery.c.subscription_id.in_(_SUSPENDED))
    .values(state=DeliveryState.FAILED, due_at=None, error=SessionEnded.code)
)
_GIVE_UP_CLAIM = (
    update(_delivery)
    .where(*_UNDER, _delivery.c.state.in_([DeliveryState.WAITING, DeliveryState.PAUSED]))
    .values(
        claim=None,
        attempts=_delivery.c.attempts - 1,
        due_at=case((_delivery.c.due_at.is_not(None), bindparam("now", type_=_delivery.c.due_at.type)), else_=null()),
    )
)
_MARK_REACHED = (
    update(_device)
    .where(id_in(_device.c.id, bindparam("devices", type_=Ids)))
    .values(last_accepted_at=bindparam("now"), failures=0)
)
