"""Send the events that are due: claim a target, send to it one event after the other, and record each result."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock, Thread
from typing import NamedTuple

from flask import Flask, current_app
from sqlalchemy import Select, select, update
from sqlalchemy.orm import joinedload
from standardwebhooks import Webhook

from feedback_push import database, encryption, event_counts, http_client, maintenance
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.feedback import reach
from feedback_push.feedback.models import MessageState, Reply
from feedback_push.feedback.reach import Reach
from feedback_push.webhooks import apprise_service, deliveries, payloads, targets
from feedback_push.webhooks.models import IF_UNSEEN, Delivery, Event, PauseReason, State, Target, TargetKind
from feedback_push.webhooks.targets import Address
from feedback_push.webpush import responses

ALARMS = (Event.ALARM, Event.OVER)
GIVE_UP_AFTER = timedelta(days=3)  # of trying an event that a target refuses
PAUSE_AFTER = timedelta(days=3)  # of failures without a success
_LEASE = timedelta(seconds=60)
_SECONDS = 25.0  # for one target; what is begun ends before the lease does
_MOST_THREADS = 4  # so that a target that hangs does not keep the others waiting
_FIRST_RETRY = 30.0  # seconds; doubled with each attempt
_LONGEST_RETRY = 4 * 3600.0
_LONGEST_RETRY_AFTER = 24 * 3600.0
_LOOK_AGAIN = timedelta(seconds=30)
_OVERLOADED = (408, 425, 429)
_log = logging.getLogger(__name__)
_threads: list[Thread] = []
_starting = Lock()


class Claim(NamedTuple):
    """A target that this process sends to until `until`."""

    target_id: int
    until: datetime


@dataclass(frozen=True)
class Result:
    """The result of an attempt; `error` is empty if the target has accepted the event.

    Otherwise it is "status", a `http_client.Reason`, an `apprise_service.Fault` or "unreadable". `retry_after` is in
    seconds.
    """

    error: str = ""
    status: int | None = None
    detail: str = ""
    retry_after: float | None = None

    @property
    def concerns_target(self) -> bool:
        """True if other events would fail as well, because the target is away or asks to wait."""
        if self.status is None:
            return bool(self.error)
        return self.status in _OVERLOADED or self.status >= 500 or self.status < 400


@maintenance.register
def start_sending(now: datetime) -> None:
    """Send what is due in a thread of this process, because a target can take its time to answer.

    A target that hangs takes one thread; each sweep and each wake-up starts another, up to four. They need no broker.
    """
    with _starting:
        _threads[:] = [thread for thread in _threads if thread.is_alive()]
        if len(_threads) < _MOST_THREADS and db.session.scalar(_due(now, tuple(Event))) is not None:
            app = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - Flask documents it
            thread = Thread(target=_send_all, args=(app,), name="webhooks", daemon=True)
            thread.start()
            _threads.append(thread)


def send_due(events: Sequence[Event] = tuple(Event)) -> None:
    """Send events of these types until none is due."""
    while claim := claim_next(utcnow(), events):
        _send_to(claim, events)


def claim_next(now: datetime, events: Sequence[Event] = tuple(Event)) -> Claim | None:
    """Claim a target with a due event and commit, so that no other worker sends to it and no transaction is open."""
    until = now + _LEASE
    target = database.claim(Target, _due(now, events), claimed_at=now, claimed_until=until)
    claim = None if target is None else Claim(target.id, until)
    db.session.commit()
    return claim


def record(claim: Claim, delivery_id: int, result: Result) -> bool:
    """Store the result of an attempt; return whether more may be sent under this claim. The caller commits.

    The result is void if the claim has ended.
    """
    target = _ours(claim)
    if target is None:
        return False
    now = utcnow()
    delivery = db.session.get(Delivery, delivery_id, populate_existing=True)
    if delivery is not None and delivery.due_at is not None:  # its message may be gone
        waits = result.concerns_target
        delivery.attempts += 1
        delivery.error, delivery.status, delivery.detail = result.error or None, result.status, result.detail or None
        if not result.error:
            delivery.state, delivery.due_at, delivery.sent_at = State.SENT, None, now
        elif delivery.event == Event.TEST or (not waits and now - delivery.queued_at >= GIVE_UP_AFTER):
            delivery.state, delivery.due_at = State.FAILED, None
        elif not waits:  # otherwise it keeps its place: the target has a time of its own
            delivery.due_at = now + _pause(delivery.attempts, result)
        _note(target, delivery, result, now)
        outcome = State(delivery.state) if delivery.state != State.WAITING else "retried"
        event_counts.add({("webhook", f"{target.kind} {outcome}"): 1})
    return target.paused_at is None and (target.retry_at is None or target.retry_at <= now)


def _note(target: Target, delivery: Delivery, result: Result, now: datetime) -> None:
    """Note a success or a failure of a target; pause it if it is gone, or has failed for days."""
    if not result.error:
        target.failures, target.failing_since, target.retry_at = 0, None, None
        return
    if delivery.event == Event.TEST:
        return
    target.failures += 1
    target.failing_since = target.failing_since or now
    if result.concerns_target:
        target.retry_at = now + _pause(target.failures, result)
    if result.status == 410:
        targets.pause(target, PauseReason.GONE, now)
    elif now - target.failing_since >= PAUSE_AFTER:
        targets.pause(target, PauseReason.FAILING, now)


def _pause(attempts: int, result: Result) -> timedelta:
    backoff = min(_FIRST_RETRY * 2.0 ** min(attempts - 1, 20), _LONGEST_RETRY)
    return timedelta(seconds=max(backoff, min(result.retry_after or 0, _LONGEST_RETRY_AFTER)))


def _send_all(app: Flask) -> None:
    with app.app_context():
        try:
            send_due()
        except Exception:  # noqa: BLE001 - the thread has no caller; the next sweep tries again
            _log.exception("a webhook could not be sent; it is tried again when its claim ends")


def _due(now: datetime, events: Sequence[Event]) -> Select[int]:
    due = select(Target.id).where(deliveries.is_due(now, events))
    return due.order_by(Target.claimed_at.asc().nulls_first(), Target.id).limit(1)


def _send_to(claim: Claim, events: Sequence[Event]) -> None:
    """Send the due events of a target in their order, for a while, and give up the claim."""
    ends_at, goes_on = time.monotonic() + _SECONDS, True
    while goes_on and time.monotonic() < ends_at and (delivery := _first_due(claim, events)):
        if not _is_wanted(delivery):
            db.session.commit()
            continue
        delivery_id, request = delivery.id, _request(delivery)
        db.session.commit()
        result = request if isinstance(request, Result) else request.send()
        goes_on = record(claim, delivery_id, result)
        db.session.commit()
    these = (Target.id == claim.target_id, Target.claimed_until == claim.until)
    db.session.execute(update(Target).where(*these).values(claimed_until=None))
    db.session.commit()


def _first_due(claim: Claim, events: Sequence[Event]) -> Delivery | None:
    due = (Delivery.target_id == claim.target_id, Delivery.due_at <= utcnow(), Delivery.event.in_(events))
    tests_first = Delivery.event != Event.TEST  # somebody waits for the answer
    first = select(Delivery).where(*due).order_by(tests_first, Delivery.due_at, Delivery.id).limit(1)
    written = (joinedload(Delivery.message), joinedload(Delivery.reply).joinedload(Reply.message))
    loaded = first.options(*written, joinedload(Delivery.target))
    return db.session.scalar(loaded.execution_options(populate_existing=True))


def _is_wanted(delivery: Delivery) -> bool:
    """Return whether an event is to be sent now; cancel it if it never is, and put it off if it may be later."""
    message = delivery.about
    if message is None:
        return True
    if message.deleted_at or message.state == MessageState.SPAM:
        _cancel(delivery, "withdrawn")
    elif delivery.event in IF_UNSEEN and delivery.attempts == 0:
        match reach.of(delivery.reply or message, utcnow()):
            case Reach.SEEN:
                _cancel(delivery, "seen")
            case Reach.PENDING:
                delivery.due_at = utcnow() + _LOOK_AGAIN
            case Reach.UNSEEN:
                return True
    else:
        return True
    return False


def _cancel(delivery: Delivery, reason: str) -> None:
    delivery.state, delivery.due_at, delivery.error = State.CANCELLED, None, reason
    event_counts.add({("webhook", f"{delivery.target.kind} {State.CANCELLED}"): 1})


@dataclass(frozen=True)
class _Request:
    kind: TargetKind
    address: Address
    webhook_id: str
    body: bytes
    text: payloads.Text
    private_hosts: tuple[str, ...]

    def send(self) -> Result:
        if self.kind == TargetKind.APPRISE:
            error, detail = apprise_service.send(self.address.url, self.text)
            return Result(error=error, detail=responses.masked(detail))
        return self._post()

    def _post(self) -> Result:
        now = utcnow()
        headers = (
            "Content-Type: application/json",
            f"webhook-id: {self.webhook_id}",
            f"webhook-timestamp: {int(now.timestamp())}",
            f"webhook-signature: {Webhook(self.address.secret).sign(self.webhook_id, now, self.body.decode())}",
        )
        try:
            answer = http_client.post(self.address.url, headers, self.body, self.private_hosts)
        except http_client.Failure as failure:
            return Result(error=failure.reason.value)
        return Result(
            error="" if 200 <= answer.status < 300 else "status",
            status=answer.status,
            detail=responses.reason(answer.body.decode("utf-8", "replace")),
            retry_after=responses.retry_after(answer.headers.get("retry-after")),
        )


def _request(delivery: Delivery) -> _Request | Result:
    """Return the request for an event, or the result if its address cannot be read."""
    target = delivery.target
    try:
        address = targets.address(target)
    except encryption.UnreadableError:
        return Result(error="unreadable")
    text = payloads.as_text(delivery) if target.kind == TargetKind.APPRISE else payloads.Text("", "")
    body = payloads.as_json(delivery) if target.kind == TargetKind.WEBHOOK else b""
    hosts = current_settings().webhook_private_hosts
    return _Request(TargetKind(target.kind), address, delivery.webhook_id, body, text, hosts)


def _ours(claim: Claim) -> Target | None:
    """Return the claimed target, locked; None if the claim has ended."""
    locked = select(Target).where(Target.id == claim.target_id).with_for_update()
    target = db.session.scalar(locked.execution_options(populate_existing=True))
    return target if target is not None and target.claimed_until == claim.until else None
