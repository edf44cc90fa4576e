"""Create messages directly."""

from typing import Any

from feedback_push.database import db
from feedback_push.feedback import inbox
from feedback_push.feedback.models import Message


def message(**more: Any) -> Message:
    """Return a message that is not stored yet."""
    return Message(**{"content": "Hello", "submitter_name": "Ada", "submitter_email": "", **more})


def receive(**more: Any) -> Message:
    """Commit and return a message in the inbox."""
    received = message(**more)
    inbox.receive(received)
    db.session.commit()
    return received
