"""Tell an account of what happened to it: a new sign-in, a changed password, a new device and the like.

The dashboard shows each notice until somebody of the account has looked at it. The push layer also sends it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from flask import has_request_context, request
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import delete, func, or_, select

from feedback_push import browser_name, maintenance, network_address
from feedback_push.auth import known_browser, sessions
from feedback_push.auth.audit import NOTICE_TITLES
from feedback_push.auth.audit_models import AuditEntry, AuditEvent
from feedback_push.auth.models import Invitation, Notice, NoticeEvent, ResetLink, Session, User
from feedback_push.database import db, utcnow

KEPT = timedelta(days=90)
_MOST = 200  # notices of an account, even if a program signs in again and again
_LONGEST_DETAIL = 200
_callbacks: list[Callable[[Notice], None]] = []


def on_tell(callback: Callable[[Notice], None]) -> Callable[[Notice], None]:
    """Register a function to call with each new notice, in the transaction that stores it."""
    _callbacks.append(callback)
    return callback


def tell(user: User, event: NoticeEvent, *, session_id: int | None = None, **detail: str) -> None:
    """Store a notice for an account, and have it sent to its devices. The caller commits.

    It belongs to the session `session_id`, or else to the current one if that is the account's own; the devices of that
    session get nothing. `detail` is shown on the page of the notice, so pass no secret in it.
    """
    if session_id is None:
        session_id, by = _current(user)
        detail |= by
    notice = Notice(
        user_id=user.id,
        event=event,
        detail={name: value[:_LONGEST_DETAIL] for name, value in detail.items()},
        address_hash=network_address.of_request() if has_request_context() else "",
        browser=browser_name.guess(request.user_agent.string) if has_request_context() else "",
        session_id=session_id,
    )
    db.session.add(notice)
    db.session.flush()
    _drop_oldest(user)
    for callback in _callbacks:
        callback(notice)


@sessions.on_begin
def tell_of_new_browser(user: User, session: Session) -> None:
    """Tell an account of a session in a browser that is new to it; not of its very first one.

    After “This was not me”, each browser but that of the answer is new again.
    """
    if not has_request_context():
        return
    if known_browser.of(user.email, since=_last_denial(user)) is None and _has_signed_in_before(user):
        tell(user, NoticeEvent.NEW_SIGN_IN, session_id=session.id)


def find(notice_id: int, user: User) -> Notice | None:
    """Return a notice of this account; None if it has no such notice."""
    return db.session.scalar(select(Notice).where(Notice.id == notice_id, Notice.user_id == user.id))


def newest_unseen(user: User) -> Notice | None:
    """Return the newest notice that nobody of the account has looked at, unless the current session caused it."""
    unseen = (Notice.user_id == user.id, Notice.seen_at.is_(None))
    others = or_(Notice.session_id.is_(None), Notice.session_id != sessions.current(user).scalar_subquery())
    return db.session.scalar(select(Notice).where(*unseen, others).order_by(Notice.id.desc()).limit(1))


def mark_seen(notice: Notice) -> None:
    """Show a notice on the dashboard no longer. The caller commits."""
    notice.seen_at = notice.seen_at or utcnow()


def end_session(notice: Notice, user: User) -> str | None:
    """End the session that caused a notice, and the links that it may have made; return its browser.

    Return None if it has ended already. The links are those that the account has made since that session began. The
    caller commits.
    """
    session = db.session.get(Session, notice.session_id) if notice.session_id else None
    began_at = session.created_at if session else notice.at
    for link in (Invitation, ResetLink):
        db.session.execute(delete(link).where(link.made_by == user.id, link.created_at >= began_at))
    return sessions.end(session.id, user=user) if session else None


def title(notice: Notice) -> str:
    """Return the text of a notice in the reader's language."""
    return str(NOTICE_TITLES[NoticeEvent(notice.event)])


def network(notice: Notice) -> str:
    """Return the network that a notice came from, for a reader who compares it with their own."""
    if not notice.browser:
        return str(gettext("on the command line"))
    is_from_here = notice.address_hash == network_address.of_request()
    return str(gettext("this network") if is_from_here else gettext("another network"))


@maintenance.each_minute
def remove_older(now: datetime) -> None:
    """Remove the notices that are older than 90 days."""
    db.session.execute(delete(Notice).where(Notice.at < now - KEPT))


def _current(user: User) -> tuple[int | None, dict[str, str]]:
    """Return the account's current session, or the name of another account that acts on it."""
    if not has_request_context() or not current_user.is_authenticated:
        return None, {}
    if current_user.id == user.id:
        return sessions.current_id(current_user), {}
    return None, {"by": current_user.display_name}


def _last_denial(user: User) -> datetime | None:
    denials = (AuditEntry.user_id == user.id, AuditEntry.event == AuditEvent.NOT_ME)
    return db.session.scalar(select(func.max(AuditEntry.at)).where(*denials))


def _has_signed_in_before(user: User) -> bool:
    signed_in = (AuditEntry.user_id == user.id, AuditEntry.event.startswith("signed-in"))
    first = select(AuditEntry.id).where(*signed_in).limit(2).subquery()
    return (db.session.scalar(select(func.count()).select_from(first)) or 0) > 1  # one of them is this sign-in


def _drop_oldest(user: User) -> None:
    kept = select(Notice.id).where(Notice.user_id == user.id).order_by(Notice.id.desc()).limit(_MOST)
    db.session.execute(
        delete(Notice).where(Notice.user_id == user.id, Notice.id.not_in(kept.scalar_subquery())),
        execution_options={"synchronize_session": False},
    )
