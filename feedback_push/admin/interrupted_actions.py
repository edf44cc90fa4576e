"""Keep a form of the dashboard that was sent after its session had ended, and name what it does.

Only a form with the token of a page of the account is kept, and its administrator confirms it after signing in, with a
new token: no other site can start an action.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flask import request, url_for
from flask_babel import gettext, ngettext

from feedback_push import csrf
from feedback_push.auth import interrupted
from feedback_push.auth.interrupted import Fields, Interrupted
from feedback_push.feedback.bulk_actions import BulkAction


@dataclass(frozen=True)
class Action:
    """The text that names an action, and whether its fields may be kept; a password, for one, may not."""

    label: Callable[[Fields], str]
    keeps_fields: bool = True
    page: str = "admin.inbox"  # the endpoint of the page with its form, or its place on the page of a message
    on_message: bool = False
    keeps_draft: bool = False  # the page itself keeps the text, in the browser

    def text(self, form: Interrupted) -> str:
        """Return the text for a form, in the reader's language."""
        return str(self.label(form.fields or {}))

    def address(self, form: Interrupted) -> str:
        """Return the address of the page with its form."""
        if self.on_message:
            return url_for("admin.message", message_id=form.arguments["message_id"], _anchor=self.page)
        return url_for(self.page)


def _bulk_action(fields: Fields) -> str:
    only = fields.get("restore")
    count = len(only or fields.get("id", []))
    texts = {
        BulkAction.READ: ngettext("Mark %(num)d message as read", "Mark %(num)d messages as read", count),
        BulkAction.UNREAD: ngettext("Mark %(num)d message as unread", "Mark %(num)d messages as unread", count),
        BulkAction.ANSWERED: ngettext("Mark %(num)d message as answered", "Mark %(num)d messages as answered", count),
        BulkAction.ARCHIVE: ngettext("Archive %(num)d message", "Archive %(num)d messages", count),
        BulkAction.INBOX: ngettext("Move %(num)d message to the inbox", "Move %(num)d messages to the inbox", count),
        BulkAction.SPAM: ngettext("Move %(num)d message to spam", "Move %(num)d messages to spam", count),
        BulkAction.NOT_SPAM: ngettext("Move %(num)d message out of spam", "Move %(num)d messages out of spam", count),
        BulkAction.DELETE: ngettext("Delete %(num)d message", "Delete %(num)d messages", count),
        BulkAction.RESTORE: ngettext("Restore %(num)d message", "Restore %(num)d messages", count),
    }
    move = BulkAction.RESTORE if only else fields.get("move", [""])[0]
    return str(texts[BulkAction(move)]) if move in set(BulkAction) else str(gettext("Move messages"))


# Every endpoint of the dashboard that takes a form. An undo belongs to the session that has ended.
ACTIONS = {
    "admin.apply_bulk_action": Action(_bulk_action),
    "admin.reply": Action(lambda _: gettext("Send the answer"), page="answer", on_message=True, keeps_draft=True),
    "admin.add_tags": Action(lambda _: gettext("Add tags"), page="tag", on_message=True),
    "admin.take_off_tag": Action(lambda _: gettext("Take a tag off"), page="tag", on_message=True),
    "admin.rename_tag": Action(lambda _: gettext("Rename the tag"), page="admin.tags"),
    "admin.remove_tag": Action(lambda _: gettext("Remove the tag"), page="admin.tags"),
    "admin.assign_message": Action(lambda _: gettext("Assign the message"), page="assignee", on_message=True),
    "admin.save_search": Action(lambda _: gettext("Save the search")),
    "admin.remove_search": Action(lambda _: gettext("Remove the saved search")),
    "admin.undo": Action(lambda _: gettext("Undo"), keeps_fields=False),
    "admin.settings": Action(lambda _: gettext("Save the settings"), page="admin.settings"),
    "admin.show_qr_code": Action(lambda _: gettext("Show QR code"), page="admin.devices"),
    "admin.test_device": Action(lambda _: gettext("Send a test notification"), page="admin.devices"),
    "admin.rename_device": Action(lambda _: gettext("Rename the device"), page="admin.devices"),
    "admin.pause_device": Action(lambda _: gettext("Pause the device"), page="admin.devices"),
    "admin.resume_device": Action(lambda _: gettext("Resume the device"), page="admin.devices"),
    "admin.remove_device": Action(lambda _: gettext("Remove the device"), page="admin.devices"),
    "admin.change_password": Action(lambda _: gettext("Change the password"), keeps_fields=False, page="admin.account"),
    "admin.end_session": Action(lambda _: gettext("End the session"), page="admin.account"),
    "admin.end_other_sessions": Action(lambda _: gettext("End all other sessions"), page="admin.account"),
}


def keep() -> bool:
    """Keep the form of this request if it was sent from a page of an account, and return whether it was."""
    action, account_id = ACTIONS.get(request.endpoint or ""), csrf.account_of_token()
    if request.method != "POST" or action is None or account_id is None:
        return False
    fields = {name: values for name, values in request.form.lists() if name != "csrf_token"}
    kept = fields if action.keeps_fields else None
    interrupted.keep(account_id, str(request.endpoint), request.view_args or {}, kept)
    return True


def action_of(form: Interrupted | None) -> Action | None:
    """Return the action of a kept form, or None if there is no form or no longer such an action."""
    return ACTIONS.get(form.endpoint) if form else None
