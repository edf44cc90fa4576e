"""Assign a message to an administrator."""

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from feedback_push import ids
from feedback_push.admin import message_query
from feedback_push.admin.pages import ID, blueprint
from feedback_push.database import db
from feedback_push.feedback import assignments, inbox


@blueprint.post(f"/messages/<{ID}:message_id>/assign")
def assign_message(message_id: int) -> ResponseReturnValue:
    """Assign a message to the administrator with the id `assignee`, or to nobody if it is empty."""
    chosen = request.form["assignee"]
    user_id = request.form.get("assignee", type=ids.parse)
    if chosen and user_id is None:
        abort(400)
    if not inbox.lock(message_id) or not assignments.assign(message_id, user_id):
        abort(404)
    db.session.commit()
    return redirect(message_query.from_request().at("admin.message", message_id=message_id, _anchor="assignee"), 303)
