"""Posts of a form that store nothing, counted in Redis: a flood must not write to the database.

Stored messages are counted in the database, in the transaction that stores them.
"""

from flask import request
from flask.wrappers import Response
from limits.storage import MemoryStorage

from feedback_push import counters
from feedback_push.counters import Storage
from feedback_push.database import db

ENDPOINTS = ("feedback.form", "feedback.own_form", "plain_form.receive", "api_forms.send_message")
OUTCOMES = {
    400: "invalid",
    403: "forbidden",
    410: "closed",
    413: "too-large",
    422: "invalid",
    429: "limited",
    503: "unavailable",
}
_FAULT = "error"
UNSTORED = tuple(dict.fromkeys((*OUTCOMES.values(), _FAULT)))
_EXPIRY = 400 * 24 * 3600  # seconds, from the first post on; every counter needs one


def count_unstored(response: Response) -> Response:
    """Count a form's post by the status of its response, unless it was stored."""
    if request.method == "POST" and request.endpoint in ENDPOINTS and (outcome := _outcome(response.status_code)):
        db.session.rollback()  # hold no transaction open while asking Redis
        counters.ask(lambda storage: storage.incr(_key(outcome), _EXPIRY))
    return response


def unstored() -> dict[str, int]:
    """Return the counts by outcome; none while Redis does not answer, because a process knows only its own."""

    def question(storage: Storage) -> dict[str, int]:
        if isinstance(storage, MemoryStorage):
            return {}
        return {outcome: storage.get(_key(outcome)) for outcome in UNSTORED}

    return counters.ask(question)


def _outcome(status: int) -> str | None:
    return OUTCOMES.get(status, _FAULT if status >= 500 else None)


def _key(outcome: str) -> str:
    return f"form-posts/{outcome}"
