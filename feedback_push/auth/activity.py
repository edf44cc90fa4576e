"""Read what each account did last, and when it signed in and was seen."""

from datetime import datetime
from typing import NamedTuple

from flask_babel import gettext, ngettext
from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.orm import aliased

from feedback_push.auth.audit_models import AuditEntry
from feedback_push.auth.factor_models import Passkey, Totp
from feedback_push.auth.models import Session, User
from feedback_push.database import db


class Activity(NamedTuple):
    """An account with its last sign-in, its last visit and the last entry of the log that it caused itself.

    `methods` are the ways in which it can sign in, in the reader's language.
    """

    user: User
    signed_in_at: datetime | None
    seen_at: datetime | None
    last: AuditEntry | None
    methods: list[str]


def of_all() -> list[Activity]:
    """Return all accounts, the oldest first, with a few queries for all of them."""
    entry = aliased(AuditEntry)
    seen = select(func.max(Session.last_seen_at)).where(Session.user_id == User.id).scalar_subquery()
    query = select(User, _signed_in_at(), seen, entry).outerjoin(entry, entry.id == _last_entry())
    counts = db.session.execute(select(Passkey.user_id, func.count()).group_by(Passkey.user_id))
    passkeys = {row[0]: row[1] for row in counts}
    with_app = set(db.session.scalars(select(Totp.user_id).where(Totp.confirmed_at.is_not(None))))
    rows = db.session.execute(query.order_by(User.id)).all()
    return [Activity(*row, _methods(passkeys.get(row[0].id, 0), has_app=row[0].id in with_app)) for row in rows]


def _methods(passkeys: int, *, has_app: bool) -> list[str]:
    found = [gettext("Password")]
    if passkeys:
        found.append(ngettext("%(num)s passkey", "%(num)s passkeys", passkeys))
    return [*found, gettext("code app")] if has_app else found


def _signed_in_at() -> ScalarSelect[datetime]:
    return select(func.max(AuditEntry.at)).where(*_own(), AuditEntry.event.startswith("signed-in")).scalar_subquery()


def _last_entry() -> ScalarSelect[int]:
    return select(func.max(AuditEntry.id)).where(*_own()).correlate(User).scalar_subquery()


def _own() -> tuple[ColumnElement[bool], ...]:
    # A counted entry is one that strangers can cause, and one without a browser is of a command.
    return (AuditEntry.user_id == User.id, AuditEntry.counted_as.is_(None), AuditEntry.browser != "")
