"""Fill in the form with its traps, and read the stored messages."""

from collections.abc import Callable

from sqlalchemy import select
from werkzeug.test import TestResponse

from feedback_push.database import db
from feedback_push.feedback.models import Message, MessageState
from feedback_push.feedback.spam_reasons import SpamReason
from feedback_push.push.models import OutboxEntry
from tests.visits import Visitor

TYPED = {"content": "Hello\nthere", "submitter_name": "Ada", "submitter_email": "ada@example.org"}
THANKED = (303, "/feedback/complete/")
ASKED = (303, "/feedback/confirm/")
ARRIVED = (MessageState.NEW, None, True)
Pass = Callable[[float], None]


def opened(visitor: Visitor) -> dict[str, str]:
    """Return the fields of the form, filled in."""
    return {**visitor.read("/feedback/").fields, **TYPED}


def send(visitor: Visitor, form: dict[str, str], **more: str) -> tuple[int, str | None]:
    answer = visitor.post("/feedback/", data={**form, **more})
    return answer.status_code, answer.location


def press(visitor: Visitor, **more: str) -> TestResponse:
    """Press the button of the one more step."""
    return visitor.post("/feedback/confirm/", data={**visitor.read("/feedback/confirm/").fields, **more})


def stored(visitor: Visitor) -> list[tuple[MessageState, str | None, bool]]:
    """Return the state, the reason and the notification of each message, whose text must be unchanged."""
    with visitor.application.app_context():
        messages = list(db.session.scalars(select(Message).order_by(Message.id)))
        entries = db.session.scalars(select(OutboxEntry.id)).all()
        assert all({name: getattr(message, name) for name in TYPED} == TYPED for message in messages)
        assert sorted(message.outbox_id for message in messages if message.outbox_id) == sorted(entries)
        return [(message.state, message.spam_reason, message.outbox_id is not None) for message in messages]


def set_aside(reason: SpamReason) -> tuple[MessageState, str, bool]:
    return (MessageState.SPAM, reason.value, False)
