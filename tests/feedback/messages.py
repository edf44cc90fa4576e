"""Create messages directly."""

from typing import Any

from flask import current_app
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from feedback_push.database import db, utcnow
from feedback_push.feedback import inbox
from feedback_push.feedback.form_models import Form, Presence
from feedback_push.feedback.models import Message
from feedback_push.feedback.spam_reasons import SpamReason


def message(**more: Any) -> Message:
    """Return a message that is not stored yet."""
    return Message(**{"content": "Hello", "submitter_name": "Ada", "submitter_email": "", **more})


def own_form(key: str = "shop", **more: Any) -> Form:
    """Commit and return a form of the site's own, which asks for no name unless `more` says otherwise."""
    form = Form(key=key, **{"name": "Shop", "name_field": Presence.OFF, **more})
    db.session.add(form)
    db.session.commit()
    return form


def confirmation_token(key: str, message_id: int, *, age: int = 10) -> str:
    """Return the token of the page on which a message of a plain form is confirmed, made so many seconds ago."""

    class Earlier(TimestampSigner):
        def get_timestamp(self) -> int:
            return super().get_timestamp() - age

    signer = URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="feedback.plain-form", signer=Earlier)
    token = signer.dumps([key, message_id, utcnow().timestamp() - age])
    return str(token)


def receive(**more: Any) -> Message:
    """Commit and return a message in the inbox."""
    received = message(**more)
    inbox.receive(received)
    db.session.commit()
    return received


def in_spam(reason: SpamReason = SpamReason.NO_PROOF, **more: Any) -> Message:
    """Commit and return a message in spam."""
    held = message(**more)
    inbox.receive(held, reason)
    db.session.commit()
    return held
