"""Let in programs with an API key: find the key, count the request against its limit, and check its scope."""

from typing import NamedTuple

from flask import current_app, g, request
from flask.wrappers import Response
from flask_babel import gettext as _
from limits import RateLimitItemPerMinute

from feedback_push import counters
from feedback_push.auth import api_keys
from feedback_push.auth.api_keys import Scope
from feedback_push.database import db
from feedback_push.feedback.quotas import Quota
from feedback_push.problems import Problem

LIMIT = RateLimitItemPerMinute(600)  # requests of a key
UNKNOWN = Quota("unknown-api-keys", 60, 0, RateLimitItemPerMinute, 10)
_CHALLENGE = "WWW-Authenticate"


class Caller(NamedTuple):
    """The key of a request: its id, its name, and the id of its administrator."""

    key_id: int
    name: str
    user_id: int


def require(scope: Scope) -> None:
    """Find the key of this request and count it; raise Problem unless it may do this. `caller` returns it then."""
    key = api_keys.find(_token())
    if key is None:
        db.session.rollback()  # hold no transaction open while asking Redis
        raise _unknown()
    g.api_caller, allowed = Caller(key.id, key.name, key.user_id), key.scopes.split()
    if api_keys.record_use(key):
        db.session.commit()
    db.session.rollback()
    _count(g.api_caller)
    if scope not in allowed:
        challenge = f'Bearer error="insufficient_scope", scope="{scope.value}"'
        detail = _("This needs a key with the scope: %(scope)s", scope=scope.value)
        raise Problem(403, detail, headers={_CHALLENGE: challenge})


def caller() -> Caller:
    """Return the key of this request."""
    found: Caller = g.api_caller
    return found


def hold() -> Caller:
    """Return the key of this request, which cannot be ended before the transaction is over; raise Problem if it was."""
    if not api_keys.lock(caller().key_id):
        raise _unknown()
    return caller()


def add_limits(response: Response) -> Response:
    """Tell the program how much of its limit is left (draft-ietf-httpapi-ratelimit-headers); for after_request."""
    if window := g.get("api_window"):
        response.headers["RateLimit-Policy"] = f'"key";q={LIMIT.amount};w={LIMIT.get_expiry()}'
        response.headers["RateLimit"] = f'"key";r={window.left};t={window.seconds}'
    return response


def _token() -> str:
    kind, _space, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        detail = _("Send an API key in the header “Authorization: Bearer KEY”.")
        raise Problem(401, detail, headers={_CHALLENGE: "Bearer"})
    return token.strip()


def _unknown() -> Problem:
    if not UNKNOWN.take():
        return Problem(429, _("Too many unknown keys came from your network."), headers={"Retry-After": "600"})
    return Problem(401, _("This key is unknown or has ended."), headers={_CHALLENGE: 'Bearer error="invalid_token"'})


def _count(of: Caller) -> None:
    if not current_app.config["RATELIMIT_ENABLED"]:
        return
    g.api_window = window = counters.take(LIMIT, f"api-key:{of.key_id}")
    if not window.had_room:
        headers = {"Retry-After": str(max(1, window.seconds))}
        raise Problem(429, _("This key has made too many requests in the last minute."), headers=headers)
