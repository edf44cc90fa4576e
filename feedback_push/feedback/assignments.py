"""Assign messages to administrators."""

from sqlalchemy import ColumnElement, Label, delete, select

from feedback_push.auth.models import User
from feedback_push.database import db, insert
from feedback_push.feedback.models import Assignment, Message


def assign(message_id: int, user_id: int | None) -> bool:
    """Assign a message to an administrator, or to nobody; return False if there is no such account.

    The caller commits. Deleting the account deletes its assignments.
    """
    if user_id is None:
        db.session.execute(delete(Assignment).where(Assignment.message_id == message_id))
        return True
    # Locked, so that the account is not deleted before the commit.
    account = select(User.id).where(User.id == user_id).with_for_update(read=True, key_share=True)
    if db.session.scalar(account) is None:
        return False
    row = insert(Assignment).values(message_id=message_id, user_id=user_id)
    db.session.execute(row.on_conflict_do_update(index_elements=[Assignment.message_id], set_={"user_id": user_id}))
    return True


def to(user_id: int) -> ColumnElement[bool]:
    """Return the condition that a message is assigned to an administrator."""
    return Message.id.in_(select(Assignment.message_id).where(Assignment.user_id == user_id))


def column() -> Label[str | None]:
    """Return the column `assigned_to` of a query of messages: the administrator's address, or None."""
    account = select(User.email).join(Assignment, Assignment.user_id == User.id)
    return account.where(Assignment.message_id == Message.id).correlate(Message).scalar_subquery().label("assigned_to")
