"""Keep a form of the dashboard that was sent after its session had ended, and name what it does.

Only a form with the token of a page of the account is kept, and its administrator confirms it after signing in, with a
new token: no other site can start an action.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flask import request, url_for
from flask_babel import gettext, ngettext
from flask_login import current_user

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
    method: str = "POST"  # GET for a download, which has an address and no form

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


def _of_broadcast(fields: Fields) -> str:
    texts = {
        "draft": gettext("Save the broadcast as a draft"),
        "test": gettext("Send a test to my devices"),
        "preview": gettext("Preview the broadcast"),
    }
    return str(texts.get(fields.get("action", [""])[0]) or gettext("Send the broadcast"))


# Every endpoint of the dashboard that takes a form, and the downloads. An undo belongs to the session that has ended.
ACTIONS = {
    "admin.apply_bulk_action": Action(_bulk_action),
    "admin.reply": Action(lambda _: gettext("Send the answer"), page="answer", on_message=True, keeps_draft=True),
    "admin.add_tags": Action(lambda _: gettext("Add tags"), page="tag", on_message=True),
    "admin.take_off_tag": Action(lambda _: gettext("Take a tag off"), page="tag", on_message=True),
    "admin.rename_tag": Action(lambda _: gettext("Rename the tag"), page="admin.tags"),
    "admin.remove_tag": Action(lambda _: gettext("Remove the tag"), page="admin.tags"),
    "admin.begin_note": Action(lambda _: gettext("Write a note")),
    "admin.write_note": Action(lambda _: gettext("Preview the note"), page="admin.notes"),
    "admin.send_note": Action(lambda _: gettext("Send the note"), page="admin.notes"),
    "admin.discard_note": Action(lambda _: gettext("Discard the note"), page="admin.notes"),
    "admin.assign_message": Action(lambda _: gettext("Assign the message"), page="assignee", on_message=True),
    "admin.save_search": Action(lambda _: gettext("Save the search")),
    "admin.remove_search": Action(lambda _: gettext("Remove the saved search")),
    "admin.undo": Action(lambda _: gettext("Undo"), keeps_fields=False),
    "admin.new_form": Action(lambda _: gettext("Make the form"), page="admin.forms"),
    "admin.edit_form": Action(lambda _: gettext("Save the form"), page="admin.forms"),
    "admin.preview_form": Action(lambda _: gettext("Show the preview"), keeps_fields=False, page="admin.forms"),
    "admin.close_form": Action(lambda _: gettext("Close the form"), page="admin.forms"),
    "admin.open_form": Action(lambda _: gettext("Open the form again"), page="admin.forms"),
    "admin.delete_form": Action(lambda _: gettext("Delete the form"), page="admin.forms"),
    "admin.limits": Action(lambda _: gettext("Save the limits"), page="admin.forms"),
    "admin.settings": Action(lambda _: gettext("Save the settings"), page="admin.settings"),
    "admin.export_csv": Action(lambda _: gettext("Export as CSV"), method="GET"),
    "admin.export_xlsx": Action(lambda _: gettext("Export as XLSX"), method="GET"),
    "admin.export_json": Action(lambda _: gettext("Export as JSON"), method="GET"),
    "admin.show_qr_code": Action(lambda _: gettext("Show QR code"), page="admin.devices"),
    "admin.test_device": Action(lambda _: gettext("Send a test notification"), page="admin.devices"),
    "admin.rename_device": Action(lambda _: gettext("Rename the device"), page="admin.devices"),
    "admin.pause_device": Action(lambda _: gettext("Pause the device"), page="admin.devices"),
    "admin.resume_device": Action(lambda _: gettext("Resume the device"), page="admin.devices"),
    "admin.remove_device": Action(lambda _: gettext("Remove the device"), page="admin.devices"),
    "admin.add_topic": Action(lambda _: gettext("Create the topic"), page="admin.topics"),
    "admin.change_topic": Action(lambda _: gettext("Save the topic"), page="admin.topics"),
    "admin.set_topic_feed": Action(lambda _: gettext("Save the feed"), page="admin.topics"),
    "admin.remove_topic_feed": Action(lambda _: gettext("Remove the feed"), page="admin.topics"),
    "admin.read_topic_feed": Action(lambda _: gettext("Read the feed now"), page="admin.topics"),
    "admin.move_topic": Action(lambda _: gettext("Move the topic"), page="admin.topics"),
    "admin.set_topic_icon": Action(lambda _: gettext("Change the icon"), keeps_fields=False, page="admin.topics"),
    "admin.delete_topic": Action(lambda _: gettext("Delete the topic and its history"), page="admin.topics"),
    "admin.add_broadcast": Action(_of_broadcast, page="admin.topics"),
    "admin.edit_broadcast": Action(_of_broadcast, page="admin.topics"),
    "admin.pause_broadcast": Action(lambda _: gettext("Pause the broadcast"), page="admin.topics"),
    "admin.resume_broadcast": Action(lambda _: gettext("Send the rest of the broadcast"), page="admin.topics"),
    "admin.end_broadcast": Action(lambda _: gettext("End the broadcast"), page="admin.topics"),
    "admin.discard_broadcast": Action(lambda _: gettext("Delete the draft"), page="admin.topics"),
    "admin.check_now": Action(lambda _: gettext("Check the connections"), page="admin.doctor"),
    "admin.change_password": Action(lambda _: gettext("Change the password"), keeps_fields=False, page="admin.account"),
    "admin.add_passkey": Action(lambda _: gettext("Add a passkey"), keeps_fields=False, page="admin.factors"),
    "admin.rename_passkey": Action(lambda _: gettext("Rename the passkey"), page="admin.factors"),
    "admin.remove_passkey": Action(lambda _: gettext("Remove the passkey"), page="admin.factors"),
    "admin.begin_app": Action(lambda _: gettext("Add a code app"), page="admin.factors"),
    "admin.confirm_app": Action(lambda _: gettext("Add the code app"), keeps_fields=False, page="admin.factors"),
    "admin.remove_app": Action(lambda _: gettext("Remove the code app"), page="admin.factors"),
    "admin.make_recovery_codes": Action(lambda _: gettext("Make new recovery codes"), page="admin.factors"),
    "admin.make_key": Action(lambda _: gettext("Create an API key"), page="admin.keys"),
    "admin.show_form_secret": Action(lambda _: gettext("Show the secret"), page="admin.keys"),
    "admin.end_key": Action(lambda _: gettext("End the API key"), page="admin.keys"),
    "admin.add_webhook": Action(lambda _: gettext("Add the webhook"), keeps_fields=False, page="admin.webhooks"),
    "admin.change_webhook": Action(lambda _: gettext("Save the webhook"), page="admin.webhooks"),
    "admin.replace_webhook_secret": Action(lambda _: gettext("Replace the secret"), page="admin.webhooks"),
    "admin.test_webhook": Action(lambda _: gettext("Send a test event"), page="admin.webhooks"),
    "admin.pause_webhook": Action(lambda _: gettext("Pause the webhook"), page="admin.webhooks"),
    "admin.resume_webhook": Action(lambda _: gettext("Resume the webhook"), page="admin.webhooks"),
    "admin.remove_webhook": Action(lambda _: gettext("Delete the webhook"), page="admin.webhooks"),
    "admin.send_webhook_again": Action(lambda _: gettext("Send the event again"), page="admin.webhooks"),
    "admin.choose_drill_interval": Action(lambda _: gettext("Change how often a drill runs"), page="admin.alarms"),
    "admin.start_drill": Action(lambda _: gettext("Start a drill now"), page="admin.alarms"),
    "admin.end_session": Action(lambda _: gettext("End the session"), page="admin.account"),
    "admin.change_name": Action(lambda _: gettext("Save the name"), page="admin.account"),
    "admin.invite": Action(lambda _: gettext("Make an invitation"), page="admin.accounts"),
    "admin.revoke_invitation": Action(lambda _: gettext("Revoke the invitation"), page="admin.accounts"),
    "admin.change_role": Action(lambda _: gettext("Change the role"), page="admin.accounts"),
    "admin.make_reset_link": Action(lambda _: gettext("Make a link for a new password"), page="admin.accounts"),
    "admin.remove_account": Action(lambda _: gettext("Remove the account"), page="admin.accounts"),
    "admin.confirm_notice": Action(lambda _: gettext("Confirm that this was me"), page="admin.account"),
    "admin.deny_notice": Action(lambda _: gettext("End the session that was not mine"), page="admin.account"),
    "admin.end_other_sessions": Action(lambda _: gettext("End all other sessions"), page="admin.account"),
}


def keep() -> bool:
    """Keep the form of this request if it was sent from a page of an account, and return whether it was."""
    action, account_id = ACTIONS.get(request.endpoint or ""), _account()
    if action is None or request.method != action.method or account_id is None:
        return False
    sent = request.form if action.method == "POST" else request.args
    fields = {name: values for name, values in sent.lists() if name != "csrf_token"}
    kept = fields if action.keeps_fields else None
    interrupted.keep(account_id, str(request.endpoint), request.view_args or {}, kept)
    return True


def _account() -> int | None:
    """Return the account on whose page the form of this request stood, or which asks for a download now."""
    if request.method == "POST":
        return csrf.account_of_token()
    return current_user.id if current_user.is_authenticated else None


def action_of(form: Interrupted | None) -> Action | None:
    """Return the action of a kept form, or None if there is no form or no longer such an action."""
    return ACTIONS.get(form.endpoint) if form else None
