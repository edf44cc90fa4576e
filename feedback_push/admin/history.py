"""The delivery history of a notification: the devices that it reached, and why it did not reach others."""

from datetime import timedelta
from typing import NamedTuple

from flask import abort, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from feedback_push.admin import labels
from feedback_push.admin.pages import ID, blueprint
from feedback_push.config import current_settings
from feedback_push.database import utcnow
from feedback_push.feedback import conversations, inbox
from feedback_push.feedback.models import Conversation, Message, Reply
from feedback_push.push import history
from feedback_push.push.history import History, Stage
from feedback_push.push.models import Delivery, OutboxEntry


class Row(NamedTuple):
    """A delivery and its texts. `summary` is the delivery of the summary that included it, with its stage."""

    delivery: Delivery
    stage: Stage
    label: str
    device: str
    reason: str | None
    next_step: str | None
    is_colleagues: bool  # the device of another administrator
    summary: tuple[Stage, Delivery] | None


class Page(NamedTuple):
    """A delivery history as the template shows it; `nothing` says why there is no row."""

    id: str  # of its element
    address: str  # from which a script reads it again
    nothing: str
    counts: list[tuple[Stage, str, int]]
    rows: list[Row]
    left_out: list[tuple[str, str]]
    not_shown: int
    moving: bool
    advises: bool = False  # the reader to turn notifications on


def of_message(message: Message) -> Page:
    """Return the delivery history of the notification about a message."""
    address = url_for("admin.message_history", message_id=message.id)
    if message.outbox_entry is None:
        return _page("history", address, gettext("No notification was created for this message."), None)
    nothing = gettext("No device was notified of this message.")
    return _page("history", address, nothing, message.outbox_entry)._replace(advises=True)


def of_reply(reply: Reply, conversation: Conversation | None) -> Page:
    """Return the delivery history of a reply: an answer's to the visitor, or a visitor's to the administrators."""
    address = url_for("admin.reply_history", message_id=reply.message_id, reply_id=reply.id)
    why = _nothing_sent(reply, conversation)
    return _page(f"history-{reply.id}", address, why, reply.outbox_entry)


def _nothing_sent(reply: Reply, conversation: Conversation | None) -> str:
    days = current_settings().retain_deliveries_days
    if days and reply.created_at < utcnow() - timedelta(days=days):
        return str(gettext("The records of notifications are kept for %(days)d days.", days=days))
    if not reply.is_answer:
        return str(gettext("No device was notified of this reply."))
    if conversation is None:
        return str(gettext("Nothing was sent: this message has no private link."))
    if conversation.token_hash is None:
        return str(gettext("Nothing is sent any more: the visitor has ended the private link."))
    return str(gettext("Nothing was sent: the visitor had no device with notifications."))


def _page(element: str, address: str, nothing: str, entry: OutboxEntry | None) -> Page:
    if entry is None:
        return Page(element, address, nothing, [], [], [], 0, moving=False)
    loaded = history.load(entry, current_user)
    counts = [(stage, str(labels.COUNTED[stage]), count) for stage, count in loaded.counts.items()]
    rows = [_row(delivery, loaded) for delivery in loaded.deliveries]
    left_out = [(device.name, str(labels.LEFT_OUT[why])) for device, why in loaded.left_out]
    return Page(element, address, nothing, counts, rows, left_out, loaded.not_shown, loaded.moving)


def _row(delivery: Delivery, loaded: History) -> Row:
    stage = history.stage(delivery)
    summary = loaded.summaries.get((delivery.summary_id or 0, delivery.subscription_id))
    return Row(
        delivery,
        stage,
        str(labels.STAGES[stage]),
        labels.device(delivery),
        labels.reason(delivery),
        labels.next_step(delivery),
        is_colleagues=delivery.subscription.user_id not in (current_user.id, None),
        summary=(history.stage(summary), summary) if summary else None,
    )


@blueprint.get(f"/messages/<{ID}:message_id>/history", endpoint="message_history")
def show_history(message_id: int) -> ResponseReturnValue:
    """Return the delivery history alone, for the script that keeps the page up to date."""
    message = inbox.find(message_id) or abort(404)
    return render_template("admin/_history.html", history=of_message(message))


@blueprint.get(f"/messages/<{ID}:message_id>/replies/<{ID}:reply_id>/history", endpoint="reply_history")
def show_history_of_reply(message_id: int, reply_id: int) -> ResponseReturnValue:
    """Return the delivery history of a reply alone."""
    message = inbox.find(message_id) or abort(404)
    reply = conversations.find_reply(message, reply_id) or abort(404)
    return render_template("admin/_history.html", history=of_reply(reply, conversations.of(message)))
