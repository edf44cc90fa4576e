"""Apply the dashboard's bulk actions to messages, and undo them."""

from flask import abort, flash, get_flashed_messages, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from feedback_push import ids, request_limits, security
from feedback_push.admin.pages import blueprint
from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.database import db
from feedback_push.feedback import bulk_actions, undo
from feedback_push.feedback.bulk_actions import BulkAction
from feedback_push.push import outbox

_MOST_UNDONE = 200  # messages; four full pages of a list
_MOST_CHANGED = 1_000  # messages; a page has 50
# The actions that lead to removing messages for good, in a day or a month, and the action that prevents it.
_AUDITED = {
    BulkAction.DELETE: AuditEvent.MESSAGES_DELETED,
    BulkAction.RESTORE: AuditEvent.MESSAGES_RESTORED,
    BulkAction.SPAM: AuditEvent.MESSAGES_INTO_SPAM,
    BulkAction.NOT_SPAM: AuditEvent.MESSAGES_OUT_OF_SPAM,
}


@blueprint.post("/messages/move")
@request_limits.takes_up_to(fields=1000)  # one field per message; an open list can grow
def apply_bulk_action() -> ResponseReturnValue:
    """Apply the action `move` to the messages `id`, and redirect to `next` or back to the list.

    `restore` names a single message to bring back instead: the Undo button beside it.
    """
    only = request.form.get("restore", type=ids.parse)
    action = BulkAction.RESTORE if only is not None else request.form.get("move", type=BulkAction) or abort(400)
    message_ids = [only] if only is not None else request.form.getlist("id", type=ids.parse)[:_MOST_CHANGED]
    session_id = sessions.lock_current(current_user)
    applied = bulk_actions.apply(action, message_ids, current_user.id)
    undoable = bool(applied.before) and applied.count <= _MOST_UNDONE
    undo_id = undo.keep(applied.before, session_id) if undoable and session_id is not None else None
    if action in _AUDITED:
        _note({_AUDITED[action]: applied.count})
    db.session.commit()
    for entry_id in applied.entry_ids:
        outbox.wake(entry_id)
    _flash(_outcome(action, applied.count), undo_id)
    # Opening the message again would mark it as read.
    return _redirect("back" if action == BulkAction.UNREAD else "next")


@blueprint.post("/messages/undo", endpoint="undo")
def undo_bulk_action() -> ResponseReturnValue:
    """Undo a bulk action that this session made, once and within an hour."""
    undo_id = request.form.get("undo", type=ids.parse)
    session_id = sessions.lock_current(current_user)
    if undo_id is None or session_id is None:
        abort(400)
    before = undo.use(undo_id, session_id)
    if before is None:
        db.session.commit()
        _flash(_("Nothing was changed: the action was already undone, or it was too long ago."))
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
    _flash(_("The action was undone."))
    return _redirect("back")


def _note(counts: dict[AuditEvent, int]) -> None:
    for event, count in counts.items():
        if count:
            audit.record(event, current_user, messages=count)


def _redirect(field: str) -> ResponseReturnValue:
    wanted = request.form.get(field) or request.form.get("back")
    return redirect(security.path_within_site(wanted) or url_for("admin.inbox"), 303)


def _flash(text: str, undo_id: int | None = None) -> None:
    """Show a text on the next page, with an Undo button if there is an id to undo."""
    get_flashed_messages()  # drops earlier messages that no page has shown, so that the session's cookie stays small
    flash({"text": text, "undo": undo_id}, "bulk-action")  # type: ignore[arg-type] # Flask stores any JSON


def _outcome(action: BulkAction, count: int) -> str:
    if not count:
        return str(_("No message was selected."))
    texts = {
        BulkAction.READ: ngettext("%(num)d message marked as read.", "%(num)d messages marked as read.", count),
        BulkAction.UNREAD: ngettext("%(num)d message marked as unread.", "%(num)d messages marked as unread.", count),
        BulkAction.ANSWERED: ngettext(
            "%(num)d message marked as answered.", "%(num)d messages marked as answered.", count
        ),
        BulkAction.ARCHIVE: ngettext("%(num)d message archived.", "%(num)d messages archived.", count),
        BulkAction.INBOX: ngettext(
            "%(num)d message moved to the inbox.", "%(num)d messages moved to the inbox.", count
        ),
        BulkAction.SPAM: ngettext("%(num)d message moved to spam.", "%(num)d messages moved to spam.", count),
        BulkAction.NOT_SPAM: ngettext(
            "%(num)d message marked as not spam.", "%(num)d messages marked as not spam.", count
        ),
        BulkAction.DELETE: ngettext("%(num)d message deleted.", "%(num)d messages deleted.", count),
        BulkAction.RESTORE: ngettext("%(num)d message restored.", "%(num)d messages restored.", count),
    }
    return str(texts[action])
