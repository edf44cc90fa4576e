"""Say whether a session may add a browser without a fresh proof of identity: only in the place of one of its own.

A push service gives a browser a new endpoint now and then, and a new VAPID key needs one, too. Nobody is at the screen
then. A stolen session cannot add a device unnoticed this way: a device of the account stops at once.
"""

from sqlalchemy import exists, or_, select

from feedback_push.auth import sessions
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.push import subscriptions
from feedback_push.push.models import DeviceState, Subscription


def may_add(endpoint: str, *, user: User, replaces: str | None) -> bool:
    """Return whether the current session may store this endpoint, in the place of `replaces` if it names one."""
    if sessions.is_fresh(user) or subscriptions.is_known(endpoint, user) or sessions.has_just_removed(user):
        return True
    lost = Subscription.state.in_([DeviceState.GONE, DeviceState.STALE])
    mine = (Subscription.user_id == user.id, Subscription.session_id == sessions.current_id(user))
    replaced = or_(lost, Subscription.endpoint == replaces) if replaces else lost
    return bool(db.session.scalar(select(exists().where(*mine, replaced))))
