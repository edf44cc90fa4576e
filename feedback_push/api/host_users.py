"""Users of the site on which a form stands: the server of that site proves who has signed in there.

It sends the user's id with an HMAC-SHA-256 under a secret that only it and this site know. A page alone cannot make it.
The secret is stored when it is first shown. A new one can replace it, and the earlier ones count until they are ended.
"""

import hmac
import secrets
from typing import Any

from flask_babel import gettext as _

from feedback_push import encryption, secret_keys, site_secrets
from feedback_push.feedback.form_models import Form
from feedback_push.problems import Fault, Problem
from feedback_push.site_secrets import SiteSecret

_MOST = 5  # secrets of a form that count at a time


class TooMany(Exception):
    """The form has as many secrets as it may have; the earlier ones must be ended first."""


def secret(form: Form) -> str:
    """Return the newest secret of a form, as 64 hexadecimal digits; raise encryption.UnreadableError."""
    stored = site_secrets.of(_purpose(form))
    return stored[0].reveal() if stored else _derived(form)


def keep(form: Form) -> None:
    """Store the secret of a form, which follows from SECRET_KEY until then. The caller commits."""
    if not site_secrets.of(_purpose(form)):
        site_secrets.add(_purpose(form), _derived(form))


def replace(form: Form) -> str:
    """Make a new secret for a form and return it; the earlier ones count, too. The caller commits. Raise TooMany."""
    keep(form)
    if len(site_secrets.of(_purpose(form))) >= _MOST:
        raise TooMany
    return site_secrets.add(_purpose(form), secrets.token_hex(32)).reveal()


def end_earlier(form: Form) -> int:
    """End all secrets of a form but the newest, and return how many. The caller commits."""
    return site_secrets.end_all_but_newest(_purpose(form))


def prove(form: Form, user_id: str) -> str:
    """Return the HMAC with which the host's server proves that this user is signed in there."""
    return _mac(secret(form), user_id)


def proven(form: Form, user: dict[str, Any] | None) -> str | None:
    """Return the id of the user who is proven to be signed in on the host; raise Problem if the proof is wrong."""
    if user is None:
        return None
    user_id, sent = str(user["id"]), str(user["hmac"]).lower()
    if not any(hmac.compare_digest(_mac(each, user_id), sent) for each in _accepted(form)):
        detail = _("This is not the HMAC of the user id.")
        raise Problem(422, detail, [Fault("body", "user.hmac", detail)])
    return user_id


def _accepted(form: Form) -> list[str]:
    stored = site_secrets.of(_purpose(form))
    return [each for row in stored if (each := _readable(row)) is not None] if stored else [_derived(form)]


def _readable(row: SiteSecret) -> str | None:
    try:
        return row.reveal()
    except encryption.UnreadableError:
        return None


def _mac(secret: str, user_id: str) -> str:
    return hmac.digest(secret.encode(), user_id.encode(), "sha256").hex()


def _derived(form: Form) -> str:
    # Under the oldest key, because a host's server may have had this secret for years.
    key = secret_keys.derived("feedback_push: users of a host")[-1]
    return hmac.digest(key, f"{form.key} {form.id or ''}".encode(), "sha256").hex()


def _purpose(form: Form) -> str:
    # The default form gets a row, and so an id, when somebody changes it; a form of its own can be made anew.
    return f"users of a host {form.key}" if form.is_default else f"users of a host {form.key} {form.id}"
