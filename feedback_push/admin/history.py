"""The delivery history of a message: the devices that it reached, and why it did not reach others."""

from typing import NamedTuple

from flask import abort, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user

from feedback_push.admin import labels
from feedback_push.admin.pages import ID, blueprint
from feedback_push.feedback import inbox
from feedback_push.feedback.models import Message
from feedback_push.push import history
from feedback_push.push.history import History, Stage
from feedback_push.push.models import Delivery


class Row(NamedTuple):
    """A delivery and its texts. `summary` is the delivery of the summary that included it, with its stage."""

    delivery: Delivery
    stage: Stage
    label: str
    reason: str | None
    next_step: str | None
    is_mine: bool
    summary: tuple[Stage, Delivery] | None


class Page(NamedTuple):
    """A delivery history as the template shows it."""

    counts: list[tuple[Stage, str, int]]
    rows: list[Row]
    left_out: list[tuple[str, str]]
    not_shown: int
    moving: bool


def of(message: Message) -> Page | None:
    """Return the delivery history of a message, or None if no notification was made."""
    if message.outbox_entry is None:
        return None
    loaded = history.load(message.outbox_entry, current_user)
    counts = [(stage, labels.COUNTED[stage], count) for stage, count in loaded.counts.items()]
    rows = [_row(delivery, loaded) for delivery in loaded.deliveries]
    left_out = [(device.name, labels.LEFT_OUT[why]) for device, why in loaded.left_out]
    return Page(counts, rows, left_out, loaded.not_shown, loaded.moving)


def _row(delivery: Delivery, loaded: History) -> Row:
    stage = history.stage(delivery)
    summary = loaded.summaries.get((delivery.summary_id or 0, delivery.subscription_id))
    return Row(
        delivery,
        stage,
        labels.STAGES[stage],
        labels.reason(delivery),
        labels.next_step(delivery),
        is_mine=delivery.subscription.user_id == current_user.id,
        summary=(history.stage(summary), summary) if summary else None,
    )


@blueprint.get(f"/messages/<{ID}:message_id>/history", endpoint="message_history")
def show_history(message_id: int) -> ResponseReturnValue:
    """Return the delivery history alone, for the script that keeps the page up to date."""
    message = inbox.find(message_id) or abort(404)
    return render_template("admin/_history.html", message=message, history=of(message))
