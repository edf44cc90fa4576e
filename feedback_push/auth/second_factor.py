"""Say who has a second factor, who must add one and by when, and check a code in its place."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import update

from feedback_push import maintenance
from feedback_push.auth import audit, notices, passkeys, recovery_codes, totp
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import NoticeEvent, User
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow


class Demand(NamedTuple):
    """The site's demand that an account adds a second factor: the end of its grace, and whether that is over."""

    ends_at: datetime
    is_over: bool


def is_set_up(user: User) -> bool:
    """Return whether the user's password is not enough: whether they have a passkey or a code app.

    A passkey of another host counts, although it cannot be used, because a new SITE_URL must not weaken a sign-in.
    """
    return totp.is_set_up(user) or bool(passkeys.of(user))


def works(user: User) -> bool:
    """Return whether the user has a second factor that can be used under the present SITE_URL."""
    return totp.is_set_up(user) or bool(passkeys.usable(user))


def use_recovery_code(user: User, code: str) -> bool:
    """Use up a recovery code of the user and return whether it was one. The caller commits."""
    if not recovery_codes.use(user, code):
        return False
    audit.record(AuditEvent.RECOVERY_CODE_USED, user, left=recovery_codes.left(user))
    notices.tell(user, NoticeEvent.RECOVERY_CODE_USED)
    return True


def demand(user: User) -> Demand | None:
    """Return the site's demand on this user; None if it makes none, or if the user has a second factor.

    The first demand begins the grace of every account, and commits that.
    """
    settings = current_settings()
    if not settings.require_second_factor or works(user):
        return None
    since = user.second_factor_since
    if since is None:
        since = utcnow()
        _begin(since)
        db.session.commit()
    ends_at = since + timedelta(days=settings.second_factor_grace_days)
    return Demand(ends_at, utcnow() >= ends_at)


def must_be_added(user: User) -> bool:
    """Return whether the user can do nothing but add a second factor."""
    found = demand(user)
    return found is not None and found.is_over


def is_last(user: User) -> bool:
    """Return whether the site demands a second factor, and the user has only one that works."""
    return current_settings().require_second_factor and len(passkeys.usable(user)) + totp.is_set_up(user) == 1


@maintenance.each_minute
def follow_setting(now: datetime) -> None:
    """Begin the grace of accounts that have none yet, or forget all of them if the site demands nothing."""
    if current_settings().require_second_factor:
        _begin(now)
    else:
        begun = update(User).where(User.second_factor_since.is_not(None)).values(second_factor_since=None)
        db.session.execute(begun, execution_options={"synchronize_session": False})


def _begin(now: datetime) -> None:
    # For all accounts at once, so that a thief who finds an unused account gets no grace of their own.
    none_yet = update(User).where(User.second_factor_since.is_(None)).values(second_factor_since=now)
    db.session.execute(none_yet, execution_options={"synchronize_session": False})
