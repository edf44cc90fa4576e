"""Roles: owners may do everything, members work on messages; a site always has at least one owner."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy import delete, select, update
from werkzeug.exceptions import Forbidden

from feedback_push.auth import sessions
from feedback_push.auth.models import Invitation, ResetLink, Role, User
from feedback_push.database import db

NAMES = {Role.OWNER: _l("Owner"), Role.MEMBER: _l("Member")}
View = Callable[..., ResponseReturnValue]


class LastOwner(Exception):
    """The site would have no owner."""


class OwnersOnly(Forbidden):
    """An owner may do this; the person who asked for it is a member."""


def label(role: str) -> str:
    """Return the name of a role in the reader's language."""
    return str(NAMES[Role(role)])


def owners_only(view: View) -> View:
    """Decorate a view of the dashboard to refuse members; below the route and `request_limits.takes_up_to`."""

    @wraps(view)
    def checked(*args: Any, **more: Any) -> ResponseReturnValue:
        if not current_user.is_owner:
            raise OwnersOnly
        return view(*args, **more)

    return checked


def lock_owners(actor: User | None = None) -> list[int]:
    """Return the ids of all owners, and let no other transaction change their roles before this one is over.

    Raise OwnersOnly if `actor` is no longer one of them, and sessions.Ended if their session is over. Call this before
    anything locks a single account.
    """
    owners = select(User.id).where(User.role == Role.OWNER).order_by(User.id).with_for_update(key_share=True)
    found = list(db.session.scalars(owners))
    if actor is not None:
        if actor.id not in found:
            raise OwnersOnly
        sessions.lock_current(actor)
    return found


def change(user: User, role: Role) -> bool:
    """Change an account's role; return False if it has that role already. The caller commits.

    A member's invitations and reset links end, because only owners make them. Raise LastOwner for the only owner, and
    sessions.Ended if the account was deleted.
    """
    owners = lock_owners()
    sessions.lock(user)
    if (user.id in owners) == (role == Role.OWNER):
        return False
    if role == Role.MEMBER:
        _step_down(user, owners)
    else:
        _set(user, role)
    return True


def step_down(user: User) -> None:
    """Make an account a member before it is deleted. Raise LastOwner for the only owner."""
    owners = lock_owners()
    if user.id in owners:
        _step_down(user, owners)


def _step_down(user: User, owners: list[int]) -> None:
    if owners == [user.id]:
        raise LastOwner
    _set(user, Role.MEMBER)
    for link in (Invitation, ResetLink):
        db.session.execute(delete(link).where(link.made_by == user.id))


def _set(user: User, role: Role) -> None:
    db.session.execute(update(User).where(User.id == user.id).values(role=role))
