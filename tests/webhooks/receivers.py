"""Targets of webhooks, and what became of the events for them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from feedback_push.database import db
from feedback_push.webhooks import sending, targets
from feedback_push.webhooks.models import Delivery, State, Target, TargetKind, Wanted
from feedback_push.webhooks.targets import Choice
from tests.doubles.webhook_receiver import WebhookReceiver


def new_target(
    receiver: WebhookReceiver | None = None,
    path: str = "/hook",
    *,
    url: str = "",
    kind: TargetKind = TargetKind.WEBHOOK,
    **chosen: Any,
) -> Target:
    """Commit a target at a path of this receiver, which is told of every message unless another choice is given."""
    choice = replace(Choice(name=path, wanted=Wanted.EVERY, takes_alarms=False, form_keys=None), **chosen)
    target, secret = targets.add(kind, url or f"{receiver.url if receiver else ''}{path}", "en", choice)
    if receiver and secret:
        receiver.secrets.append(secret)
    db.session.commit()
    return target


def send(hours: float = 0) -> None:
    """Send what is due, as a worker does; first let this much time pass for what waits."""
    if hours:
        for row in (*db.session.query(Delivery).filter(Delivery.due_at.is_not(None)), *db.session.query(Target)):
            for name in ("due_at", "queued_at", "retry_at", "failing_since", "claimed_until"):
                if value := getattr(row, name, None):
                    setattr(row, name, value - timedelta(hours=hours))
        db.session.commit()
    sending.send_due()


def states(target: Target | None = None) -> list[State]:
    """Return the states of the deliveries, the oldest first."""
    db.session.expire_all()
    found = db.session.query(Delivery).order_by(Delivery.id)
    return [State(row.state) for row in (found.filter_by(target_id=target.id) if target else found)]


def only_delivery() -> Delivery:
    """Return the only delivery as it is now."""
    db.session.expire_all()
    return db.session.query(Delivery).one()
