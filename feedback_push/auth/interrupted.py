"""Keep a form that an ended session has interrupted, so that its sender can send it again after signing in.

It is kept in the browser's signed session cookie: for an hour, for one account, and only if it is short.
"""

import json
from datetime import timedelta
from typing import Any, NamedTuple

from flask import session

from feedback_push.database import utcnow

LIFETIME = timedelta(hours=1)
_KEPT_IN = "interrupted"
_LONGEST = 1_800  # characters of JSON; a browser keeps cookies of 4,096 bytes

Fields = dict[str, list[str]]


class Interrupted(NamedTuple):
    """A form that was sent to an endpoint from a page of an account; its fields are None if they were not kept."""

    account_id: int
    at: float
    endpoint: str
    arguments: dict[str, Any]
    fields: Fields | None


def keep(account_id: int, endpoint: str, arguments: dict[str, Any], fields: Fields | None) -> None:
    """Keep a form in place of an earlier one; without its fields if they are too long for a cookie."""
    if fields is not None and len(json.dumps(fields)) > _LONGEST:
        fields = None
    session[_KEPT_IN] = Interrupted(account_id, utcnow().timestamp(), endpoint, arguments, fields)


def kept() -> Interrupted | None:
    """Return the form that this browser keeps, or None if there is none or it is more than an hour old."""
    stored = session.get(_KEPT_IN)
    if not isinstance(stored, list | tuple) or len(stored) != len(Interrupted._fields):
        return None
    found = Interrupted(*stored)
    return found if utcnow().timestamp() - found.at < LIFETIME.total_seconds() else None


def carry_over(form: Interrupted | None, account_id: int) -> None:
    """Put a form into the new session if it is this account's."""
    if form and form.account_id == account_id:
        session[_KEPT_IN] = form


def forget() -> None:
    """Keep no form any longer."""
    session.pop(_KEPT_IN, None)
