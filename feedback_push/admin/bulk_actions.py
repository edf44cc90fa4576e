"""Apply the dashboard's bulk actions to messages, and undo them."""

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from feedback_push import security
from feedback_push.admin import message_query, notices
from feedback_push.admin.pages import blueprint
from feedback_push.auth import audit, sessions
from feedback_push.auth.models import AuditEvent
from feedback_push.database import db
from feedback_push.feedback import bulk_actions, undo
from feedback_push.feedback.bulk_actions import BulkAction
from feedback_push.push import outbox

_MOST_UNDONE = 200  # messages; four full pages of a list
_MOST_MOVED = 1_000  # messages; a page has 50
# The actions that lead to removing messages for good, in a day or a month, and the action that prevents it.
_AUDITED = {
    BulkAction.DELETE: AuditEvent.MESSAGES_DELETED,
    BulkAction.RESTORE: AuditEvent.MESSAGES_RESTORED,
    BulkAction.SPAM: AuditEvent.MESSAGES_INTO_SPAM,
    BulkAction.NOT_SPAM: AuditEvent.MESSAGES_OUT_OF_SPAM,
}


@blueprint.post("/messages/move")
@security.takes_up_to(fields=1000)  # one field per message; an open list can grow
def apply_bulk_action() -> ResponseReturnValue:
    """Apply the action `move` to the messages `id`, and redirect to `next` or back to the list.

    `restore` names a single message to bring back instead: the Undo button beside it.
    """
    only = request.form.get("restore", type=message_query.message_id)
    action = BulkAction.RESTORE if only is not None else request.form.get("move", type=BulkAction) or abort(400)
    ids = [only] if only is not None else request.form.getlist("id", type=message_query.message_id)[:_MOST_MOVED]
    session_id = sessions.lock_current(current_user)
    applied = bulk_actions.apply(action, ids)
    undoable = bool(applied.before) and applied.count <= _MOST_UNDONE
    undo_id = undo.keep(applied.before, session_id) if undoable and session_id is not None else None
    if action in _AUDITED:
        _note({_AUDITED[action]: applied.count})
    db.session.commit()
    for entry_id in applied.entry_ids:
        outbox.wake(entry_id)
    notices.tell(action, applied.count, undo_id)
    # Opening the message again would mark it as read.
    return _redirect("back" if action == BulkAction.UNREAD else "next")


@blueprint.post("/messages/undo", endpoint="undo")
def undo_bulk_action() -> ResponseReturnValue:
    """Undo a move that this session made, once and within an hour."""
    undo_id = request.form.get("undo", type=message_query.message_id)
    session_id = sessions.lock_current(current_user)
    if undo_id is None or session_id is None:
        abort(400)
    before = undo.use(undo_id, session_id)
    if before is None:
        db.session.commit()
        notices.tell_too_late()
        return _redirect("back")
    undone = bulk_actions.undo(before)
    _note(
        {
            AuditEvent.MESSAGES_RESTORED: undone.restored,
            AuditEvent.MESSAGES_INTO_SPAM: undone.into_spam,
            AuditEvent.MESSAGES_OUT_OF_SPAM: undone.out_of_spam,
        }
    )
    db.session.commit()
    notices.tell_taken_back()
    return _redirect("back")


def _note(counts: dict[AuditEvent, int]) -> None:
    for event, count in counts.items():
        if count:
            audit.record(event, current_user, messages=count)


def _redirect(field: str) -> ResponseReturnValue:
    wanted = request.form.get(field) or request.form.get("back")
    return redirect(security.path_within_site(wanted) or url_for("admin.inbox"), 303)
