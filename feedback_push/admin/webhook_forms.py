"""The forms of webhooks: add a target, and choose the events that it is told of."""

from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, Field, RadioField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, ValidationError
from wtforms.widgets import CheckboxInput

from feedback_push import http_client, typed_text
from feedback_push.feedback import site_forms
from feedback_push.http_client import Failure, Reason
from feedback_push.typed_text import TypedForm, Visible
from feedback_push.webhooks import apprise_service, targets
from feedback_push.webhooks.models import LONGEST_NAME, LONGEST_URL, Target, TargetKind, Wanted
from feedback_push.webhooks.targets import Choice

_TOO_LONG = _("Please use at most %(max)s characters.")
_WANTED = {
    Wanted.EVERY: _("Every new message"),
    Wanted.UNSEEN: _("Only messages whose notification nobody has seen"),
    Wanted.NONE: _("No messages"),
}
_WANTED_REPLIES = {
    Wanted.EVERY: _("Every reply"),
    Wanted.UNSEEN: _("Only replies whose notification nobody has seen"),
    Wanted.NONE: _("No replies"),
}
_KINDS = {
    TargetKind.WEBHOOK: _("A signed webhook, for a program"),
    TargetKind.APPRISE: _("A chat, e-mail or SMS service, by Apprise"),
}
_REFUSED = {
    Reason.NOT_PUBLIC: _(
        "This address is not public. If it is in your own network, add its host to WEBHOOK_PRIVATE_HOSTS."
    ),
    Reason.UNENCRYPTED: _("Please enter an address that begins with https://."),
}


class ChoiceForm(TypedForm):
    """The name of a target, and the events that it is told of."""

    name = StringField(
        _("Name"),
        [Visible(_("Please enter a name.")), Length(max=LONGEST_NAME, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    wanted = RadioField(_("Messages"), choices=[SelectChoice(each.value, label) for each, label in _WANTED.items()])
    wanted_replies = RadioField(
        _("Replies of visitors"), choices=[SelectChoice(each.value, label) for each, label in _WANTED_REPLIES.items()]
    )
    takes_notifications = BooleanField(_("Also tell it of notifications that programs send to the administrators"))
    takes_alarms = BooleanField(_("Also tell it of alarms"))
    forms = SelectMultipleField(_("Only messages of these forms (none chosen: all)"), option_widget=CheckboxInput())

    def __init__(self, target: Target | None = None, **more: Any) -> None:
        super().__init__(data=_present(target), **more)
        names = {key: key for key in (target and target.form_keys) or ()} | site_forms.names()  # also deleted forms
        self.forms.choices = [SelectChoice(key, name) for key, name in names.items()]

    def validate_takes_alarms(self, field: Field) -> None:
        """Refuse a target that would never be told of anything."""
        wants = (self.wanted.data != Wanted.NONE, self.wanted_replies.data != Wanted.NONE)
        if not any((*wants, self.takes_notifications.data, field.data)):
            raise ValidationError(_("Please choose at least one kind of event."))

    @property
    def choice(self) -> Choice:
        """The chosen events; the form must be valid."""
        return Choice(
            name=self.name.data,
            wanted=Wanted(self.wanted.data),
            wanted_replies=Wanted(self.wanted_replies.data),
            takes_notifications=bool(self.takes_notifications.data),
            takes_alarms=bool(self.takes_alarms.data),
            form_keys=sorted(self.forms.data or ()) or None,
        )


class AddForm(ChoiceForm):
    """A new target."""

    kind = RadioField(_("Send it as"), choices=[SelectChoice(kind.value, label) for kind, label in _KINDS.items()])
    url = StringField(
        _("Address"),
        [Visible(_("Please enter an address.")), Length(max=LONGEST_URL, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )

    def validate_url(self, field: Field) -> None:
        """Refuse an address that nothing can be sent to, and read a web address as browsers do."""
        if self.kind.data == TargetKind.APPRISE:
            if not apprise_service.is_installed():
                raise ValidationError(gettext("Apprise is not installed: install feedback-push[apprise] first."))
            if not apprise_service.is_url(field.data):
                raise ValidationError(gettext("Please enter an address of Apprise, such as slack://…"))
            return
        field.data = http_client.typed_url(field.data)
        try:
            targets.check(field.data)
        except Failure as failure:
            raise ValidationError(_REFUSED.get(failure.reason) or gettext("Please enter a web address.")) from None


def _present(target: Target | None) -> dict[str, Any]:
    if target is None:
        every = {"wanted": Wanted.EVERY.value, "wanted_replies": Wanted.EVERY.value}
        return {**every, "kind": TargetKind.WEBHOOK.value, "takes_alarms": True}
    return {
        "name": target.name,
        "wanted": target.wanted,
        "wanted_replies": target.wanted_replies,
        "takes_notifications": target.takes_notifications,
        "takes_alarms": target.takes_alarms,
        "forms": target.form_keys or [],
    }
