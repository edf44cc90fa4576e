"""Texts for the deliveries of webhooks: their states, the reasons for them, and what happens next."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from flask import url_for
from flask_babel import gettext, lazy_gettext

from feedback_push.feedback.models import Message
from feedback_push.http_client import Reason
from feedback_push.webhooks import deliveries
from feedback_push.webhooks.apprise_service import Fault
from feedback_push.webhooks.models import IF_UNSEEN, Delivery, Event, PauseReason, State, Target, TargetKind, Wanted

EVENTS = {
    Event.MESSAGE: lazy_gettext("New message"),
    Event.UNSEEN: lazy_gettext("Unseen message"),
    Event.REPLY: lazy_gettext("New reply"),
    Event.UNSEEN_REPLY: lazy_gettext("Unseen reply"),
    Event.NOTIFICATION: lazy_gettext("Notification of a program"),
    Event.ALARM: lazy_gettext("Alarm"),
    Event.OVER: lazy_gettext("End of an alarm"),
    Event.TEST: lazy_gettext("Test"),
}
_STATES = {
    State.WAITING: ("queued", lazy_gettext("Queued")),
    State.SENT: ("shown", lazy_gettext("Sent")),
    State.FAILED: ("failed", lazy_gettext("Failed")),
    State.CANCELLED: ("cancelled", lazy_gettext("Not needed")),
}
_RETRYING = ("retrying", lazy_gettext("Not yet sent"))
_REASONS = {
    "status": lazy_gettext("It did not accept the event."),
    "unreadable": lazy_gettext(
        "Its address cannot be read, because SECRET_KEY has changed. Delete this webhook and add it again."
    ),
    "withdrawn": lazy_gettext("The message was deleted, or moved to spam."),
    "seen": lazy_gettext("An administrator has seen the message in time."),
    Reason.ADDRESS: lazy_gettext("Its address cannot be used."),
    Reason.NOT_PUBLIC: lazy_gettext("Its address is not public. The operator can allow it with WEBHOOK_PRIVATE_HOSTS."),
    Reason.UNENCRYPTED: lazy_gettext("Its address is not encrypted."),
    Reason.TIMEOUT: lazy_gettext("It did not answer in time."),
    Reason.UNKNOWN_HOST: lazy_gettext("There is no server with this name."),
    Reason.CERTIFICATE: lazy_gettext("Its certificate is not valid."),
    Reason.CONNECTION: lazy_gettext("It could not be reached."),
    Reason.ANSWER: lazy_gettext("Its answer could not be read."),
    Reason.PROXY: lazy_gettext("The proxy did not connect to it."),
    Fault.MISSING: lazy_gettext("Apprise is not installed: install feedback-push[apprise]."),
    Fault.URL: lazy_gettext("Apprise cannot read its address."),
    Fault.REFUSED: lazy_gettext("The service did not accept it."),
    Fault.BROKEN: lazy_gettext("Apprise ended without a result."),
}
_WANTED = {
    Wanted.EVERY: lazy_gettext("Every new message"),
    Wanted.UNSEEN: lazy_gettext("Messages that nobody has seen"),
}
_WANTED_REPLIES = {
    Wanted.EVERY: lazy_gettext("Every reply"),
    Wanted.UNSEEN: lazy_gettext("Replies that nobody has seen"),
}
PAUSED = {
    PauseReason.OWNER: lazy_gettext("Paused. Its events wait until you resume it."),
    PauseReason.GONE: lazy_gettext(
        "Paused, because it has answered that it is gone for good. Its events wait until you resume it."
    ),
    PauseReason.FAILING: lazy_gettext(
        "Paused, because it has failed for three days. Its events wait until you resume it."
    ),
}


class Row(NamedTuple):
    """A delivery and its texts; `next_at` is the time of the next attempt."""

    delivery: Delivery
    title: str
    stage: str
    label: str
    reason: str | None
    next_at: datetime | None
    waits_for_seen: bool  # it is sent only if nobody sees the message or the reply until then
    is_paused: bool


class Sent(NamedTuple):
    """The deliveries of a message or to a target, as the template shows them."""

    id: str  # of its element
    address: str  # from which a script reads it again
    title: str
    rows: list[Row]
    moving: bool
    is_open: bool


def of_message(message: Message) -> Sent:
    """Return the deliveries of a message."""
    found = deliveries.of_message(message)
    address = url_for("admin.message_webhooks", message_id=message.id)
    rows = [_row(each, _of_target(each)) for each in found]
    return Sent("webhooks", address, gettext("Webhooks"), rows, deliveries.is_moving(found), is_open=False)


def of_target(target: Target) -> Sent:
    """Return the newest deliveries to a target."""
    found = deliveries.newest(target)
    address = url_for("admin.webhook_deliveries", target_id=target.id)
    rows = [_row(each, str(EVENTS[Event(each.event)])) for each in found]
    return Sent("events", address, gettext("Latest events"), rows, deliveries.is_moving(found), is_open=True)


def wanted(target: Target, form_names: dict[str, str]) -> Sequence[str]:
    """Return the events that a target is told of, as short texts."""
    texts = [
        str(labels[Wanted(chosen)])
        for labels, chosen in ((_WANTED, target.wanted), (_WANTED_REPLIES, target.wanted_replies))
        if chosen != Wanted.NONE
    ]
    if texts and target.form_keys:
        texts += [", ".join(form_names.get(key, key) for key in target.form_keys)]
    texts += [gettext("Notifications of programs")] if target.takes_notifications else []
    return [*texts, *([gettext("Alarms")] if target.takes_alarms else [])]


def is_webhook(target: Target) -> bool:
    """Return whether a target gets signed webhooks."""
    return target.kind == TargetKind.WEBHOOK


def _of_target(delivery: Delivery) -> str:
    """Return the title of a delivery on the page of its message, which has those of the replies, too."""
    name = delivery.target.name
    return f"{name} · {EVENTS[Event(delivery.event)]}" if delivery.reply_id else name


def _row(delivery: Delivery, title: str) -> Row:
    waiting = delivery.state == State.WAITING
    stage, label = _RETRYING if waiting and delivery.error else _STATES[State(delivery.state)]
    times = [time for time in (delivery.due_at, delivery.target.retry_at) if time]
    return Row(
        delivery,
        title,
        stage,
        str(label),
        _reason(delivery),
        max(times) if waiting and times else None,
        waits_for_seen=waiting and delivery.event in IF_UNSEEN,
        is_paused=waiting and delivery.target.paused_at is not None,
    )


def _reason(delivery: Delivery) -> str | None:
    """Return the reason why a delivery is not sent, or the answer that it got; None if there is nothing to tell."""
    theirs = " ".join(str(part) for part in (delivery.status, delivery.detail) if part)
    if delivery.error is None:
        return theirs or None
    return str(_REASONS.get(delivery.error, delivery.error)) + (f" ({theirs})" if theirs else "")
