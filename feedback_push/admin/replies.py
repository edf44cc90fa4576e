"""Answer a message from its page."""

from flask import abort, flash, redirect
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from feedback_push import request_limits
from feedback_push.admin import conversation, message_query
from feedback_push.admin.messages import message_page
from feedback_push.admin.pages import ID, blueprint
from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.database import db
from feedback_push.feedback import conversations, inbox
from feedback_push.feedback.conversations import Full
from feedback_push.feedback.forms import LARGEST_REPLY_FORM, LONGEST_REPLY, AnswerForm
from feedback_push.feedback.models import MessageState
from feedback_push.push import outbox


@blueprint.post(f"/messages/<{ID}:message_id>/reply")
@request_limits.takes_up_to(LARGEST_REPLY_FORM, characters=LONGEST_REPLY + 8 * 1024)
def reply(message_id: int) -> ResponseReturnValue:
    """Add an answer to the message and notify its visitor, or show the page again with the typed text."""
    form = AnswerForm()
    sessions.lock_current(current_user)
    if not inbox.lock(message_id):
        abort(404)
    if not form.validate():
        return _refused(message_id, form)
    message = inbox.find(message_id) or abort(404)
    was_spam = message.state == MessageState.SPAM
    try:
        entry_id = conversations.answer(message, current_user, form.content.data or "")
    except Full:
        form.content.errors = [gettext("This conversation has too many replies. Please answer by e-mail.")]
        return _refused(message_id, form)
    if was_spam:
        audit.record(AuditEvent.MESSAGES_OUT_OF_SPAM, current_user, messages=1)
    db.session.commit()
    if entry_id is not None:
        outbox.wake(entry_id)
    flash(message_id, conversation.SENT)  # type: ignore[arg-type] # Flask stores any JSON
    address = message_query.from_request().at("admin.message", message_id=message_id, _anchor="latest")
    return redirect(address, 303)


def _refused(message_id: int, form: AnswerForm) -> ResponseReturnValue:
    db.session.rollback()
    message = inbox.find(message_id) or abort(404)
    return message_page(message, form=form), 422
