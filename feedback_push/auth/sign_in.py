"""Complete a sign-in: the one door from a proof of identity to a session, and the wait for the second factor."""

import hmac
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from flask import redirect, request, session, url_for
from flask_login import login_user
from werkzeug import Response

from feedback_push import browser_name, csrf, security
from feedback_push.auth import audit, interrupted, known_browser, second_factor, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow

LASTS = timedelta(minutes=10)  # from the first proof to the second factor
_KEPT_IN = "waits_for_second_factor"


class Waiting(NamedTuple):
    """A sign-in that waits for its second factor, in the browser's signed session cookie."""

    account_id: int
    at: float
    remembered: bool
    event: str
    fingerprint: str  # of the password, so that a change of it ends the wait


def proved(user: User, event: AuditEvent, *, remembered: bool, is_complete: bool = False, **detail: str) -> Response:
    """Answer a request that has proved who its sender is: begin a session, or ask for the second factor first.

    This is the only way to a session. Another proof of identity, such as a trusted proxy's header or OpenID Connect,
    would come in here. Its view checks the proof, finds the account (`accounts.find`), locks it (`sessions.lock`), and
    returns the answer of this function, with an event of its own for the audit log. Pass `is_complete` only if the
    proof has two factors by itself, as a passkey that has verified its user does. This function commits.
    """
    if not is_complete and second_factor.is_set_up(user):
        return _ask_for_second_factor(user, event, remembered=remembered)
    audit.record(event, user, **detail)
    answer = redirect(destination(), 303)
    known_browser.remember(answer, user)  # before the commit, after which reading the user begins a transaction
    _begin_session(user, remembered=remembered)
    return answer


def waiting() -> tuple[User, Waiting] | None:
    """Return the sign-in of this browser that waits for its second factor, and its account; None if there is none."""
    stored = session.get(_KEPT_IN)
    if not isinstance(stored, list | tuple) or len(stored) != len(Waiting._fields):
        return None
    found = Waiting(*stored)
    if utcnow().timestamp() - found.at > LASTS.total_seconds():
        return None
    user = db.session.get(User, found.account_id, populate_existing=True)
    if user is None or not any(hmac.compare_digest(each, found.fingerprint) for each in _fingerprints(user)):
        return None
    return user, found


def lock_waiting() -> tuple[User, Waiting] | None:
    """Return the same with the account locked, so that its password cannot change before the session begins."""
    found = waiting()
    if found is None:
        return None
    with suppress(sessions.Ended):
        sessions.lock(found[0])
        return waiting()
    return None


def complete(user: User, found: Waiting) -> Response:
    """Begin the session of a sign-in whose second factor has been checked. This function commits."""
    return proved(user, AuditEvent(found.event), remembered=found.remembered, is_complete=True)


def end_session(user: User) -> None:
    """End the user's current session, and commit."""
    with suppress(sessions.Ended):
        sessions.end_current(user)
    audit.record(AuditEvent.SIGNED_OUT, user)
    db.session.commit()


def continue_session(user: User) -> None:
    """Renew the session's token, commit, and set a cookie that keeps nothing of the earlier one."""
    remembered, account_id = sessions.renew(user), user.id
    db.session.commit()
    session.clear()
    login_user(user, remember=remembered)
    csrf.begin_token(account_id)


def destination() -> str:
    """Return the address to which a completed sign-in leads."""
    return security.path_within_site(request.args.get("next")) or url_for("admin.inbox")


def _ask_for_second_factor(user: User, event: AuditEvent, *, remembered: bool) -> Response:
    form, account_id = interrupted.kept(), user.id
    wait = Waiting(account_id, utcnow().timestamp(), remembered, event, _fingerprints(user)[0])
    db.session.commit()
    session.clear()
    session[_KEPT_IN] = wait
    interrupted.carry_over(form, account_id)
    wanted = security.path_within_site(request.args.get("next"))
    return redirect(url_for("auth.factor", next=wanted), 303)


def _begin_session(user: User, *, remembered: bool) -> None:
    """Sign the user in with a session that keeps nothing of an earlier one but their interrupted form, and commit."""
    sessions.begin(user, browser=browser_name.guess(request.user_agent.string), remembered=remembered)
    form, account_id = interrupted.kept(), user.id
    db.session.commit()
    session.clear()
    login_user(user, remember=remembered)
    csrf.begin_token(account_id)
    interrupted.carry_over(form, account_id)


def _fingerprints(user: User) -> list[str]:
    """Return what names the user's password now, first under the current SECRET_KEY."""
    hashes = security.keyed_hashes("sign-ins that wait", f"{user.id} {user.password_hash}")
    return [each[:32] for each in hashes]
