"""The inbox and the page of one message."""

from flask import abort, request
from flask.typing import ResponseReturnValue

from feedback_push.admin import ledger
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.database import db
from feedback_push.feedback import inbox, lists
from feedback_push.feedback.lists import Filter


@blueprint.get("/", endpoint="inbox")
def show_inbox() -> ResponseReturnValue:
    """The newest messages, or those before the cursor in `before`."""
    before = request.args.get("before", type=_cursor)
    return page("admin/inbox.html", page=lists.page(Filter(), before), unread=lists.unread())


@blueprint.get(f"/messages/<{ID}:message_id>", endpoint="message")
def show_message(message_id: int) -> ResponseReturnValue:
    """One message with its delivery ledger: what a notification opens. Opening it marks it read."""
    message = inbox.find(message_id) or abort(404)
    inbox.mark_read(message)
    db.session.commit()
    return page("admin/message.html", message=message, ledger=ledger.of(message))


def _cursor(value: str) -> int:
    number = int(value)
    if not 0 <= number < 2**63:  # what an id can be; anything else counts as no cursor
        raise ValueError
    return number
