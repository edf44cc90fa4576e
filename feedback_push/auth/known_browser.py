"""Set and read a cookie that shows that this browser has signed in to an account before; it signs nobody in.

OWASP calls it a device cookie. The browser gets its own count of failed sign-ins, which no stranger can use up.
"""

import hmac
import secrets
from datetime import datetime, timedelta

from flask import request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug import Response

from feedback_push import secret_keys, security
from feedback_push.auth.models import User
from feedback_push.config import current_settings

_LIFETIME = timedelta(days=365)


def of(email: str, *, since: datetime | None = None) -> str | None:
    """Return the id of this browser if it signed in to the account with this e-mail within a year, else None.

    With `since`, an earlier sign-in does not count.
    """
    cookie = request.cookies.get(_name())
    if not cookie:
        return None
    try:
        (account, browser), signed_in_at = _signer().loads(
            cookie, max_age=int(_LIFETIME.total_seconds()), return_timestamp=True
        )
    except (BadSignature, ValueError, TypeError):
        return None
    if since and signed_in_at < since.replace(microsecond=0):  # the cookie has whole seconds
        return None
    names = security.keyed_hashes("accounts", email.strip().lower())
    return str(browser) if any(hmac.compare_digest(str(account), name) for name in names) else None


def remember(response: Response, user: User) -> None:
    """Mark this browser as known for this account from now on."""
    settings = current_settings()
    response.set_cookie(
        _name(),
        _signer().dumps([_account(user.email), secrets.token_urlsafe(16)]),
        max_age=_LIFETIME,
        path=security.cookie_path(settings),
        secure=settings.https,
        httponly=True,
        samesite="Lax",
    )


def _name() -> str:
    return security.cookie_name(current_settings(), "known_browser")


def _account(email: str) -> str:
    return security.keyed_hash("accounts", email.strip().lower())


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_keys.oldest_first(), salt="feedback_push: known browsers")
