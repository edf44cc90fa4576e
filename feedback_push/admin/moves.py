"""Moving messages with the buttons of the dashboard, and taking it back."""

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from feedback_push import security
from feedback_push.admin import notices, shown
from feedback_push.admin.pages import blueprint
from feedback_push.auth import audit
from feedback_push.auth.models import AuditEvent
from feedback_push.database import db
from feedback_push.feedback import moving
from feedback_push.feedback.moving import Move
from feedback_push.push import outbox


@blueprint.post("/messages/move")
def move_messages() -> ResponseReturnValue:
    """Do with the messages `id` what `move` says, and go on to `next`, or back to the list."""
    how = request.form.get("move", type=Move) or abort(400)
    moved = moving.move(how, request.form.getlist("id", type=shown.message_id))
    if how == Move.DELETE and moved.count:
        audit.note(AuditEvent.MESSAGES_DELETED, current_user, messages=moved.count)
    db.session.commit()
    for entry_id in moved.entry_ids:
        outbox.wake(entry_id)
    notices.tell(how, moved)
    # Opening the message itself again would mark it as read.
    return _go_on("back" if how == Move.UNREAD else "next")


@blueprint.post("/messages/undo")
def undo() -> ResponseReturnValue:
    """Put messages back to what they were before a move."""
    before = notices.before(request.form.get("undo", ""))
    if before is None:
        abort(400)
    moving.take_back(before)
    db.session.commit()
    notices.tell_taken_back()
    return _go_on("back")


def _go_on(field: str) -> ResponseReturnValue:
    wanted = request.form.get(field) or request.form.get("back")
    return redirect(security.path_within_site(wanted) or url_for("admin.inbox"), 303)
